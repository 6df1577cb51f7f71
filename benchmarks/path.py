"""The path of one event through the package: the functions that a REST call runs, and the number of their files.

``.venv/bin/python -m benchmarks.path`` starts a server in this process, triggers one event for one subscriber, and
prints each call of a function with its file. ``--redis SOCKET`` does the same over the Redis at a Unix socket. A file
change is a call in another file than the call before.
"""

import argparse
import asyncio
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import FrameType

import aiohttp

import soketpy
from soketpy import App, Key, Server, Settings
from soketpy.config.settings import Redis
from soketpy.protocol.signatures import signed_query

PACKAGE = Path(soketpy.__file__).parent
APP = App(id="app-id", keys=(Key("app-key", "app-secret"),))
BODY = b'{"name":"my-event","channels":["my-channel"],"data":"hello"}'
PATH = "/apps/app-id/events"


class Trace:
    """The calls of functions of the package, in order."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []

    def note(self, frame: FrameType, event: str, _: object) -> None:
        """Record a call; a callback for ``sys.setprofile``."""
        file = frame.f_code.co_filename
        if event == "call" and file.startswith(str(PACKAGE)):
            self.calls.append((str(Path(file).relative_to(PACKAGE)), frame.f_code.co_qualname))


async def trace(redis: str | None) -> Trace:
    """Return the calls of the second of two equal events, because the first event fills caches."""
    settings = Settings(host="127.0.0.1", port=0, apps=(APP,))
    if redis is not None:
        settings = replace(settings, cluster="redis", redis=Redis(unix_socket=redis))
    path = Trace()
    async with Server(settings) as server, aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{server.port}"
        async with session.ws_connect(f"{url}/app/app-key?protocol=7") as socket:
            await socket.receive()
            await socket.send_str('{"event":"pusher:subscribe","data":{"channel":"my-channel"}}')
            await socket.receive()
            for traced in (False, True):
                target = (
                    f"{url}{PATH}?{signed_query(APP.key, APP.keys[0].secret, 'POST', PATH, BODY, int(time.time()))}"
                )
                if traced:
                    sys.setprofile(path.note)
                async with session.post(target, data=BODY) as answer:
                    answer.raise_for_status()
                await socket.receive()
                sys.setprofile(None)
    return path


def main() -> None:
    """Print the calls, and the number of files and file changes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--redis", metavar="SOCKET")
    path = asyncio.run(trace(parser.parse_args().redis))
    changes = sum(one[0] != other[0] for one, other in zip(path.calls, path.calls[1:], strict=False))
    for file, function in path.calls:
        print(f"{file:32} {function}")
    print(f"{len({file for file, _ in path.calls})} files, {changes} file changes, {len(path.calls)} calls")


if __name__ == "__main__":
    main()
