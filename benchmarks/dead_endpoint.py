"""The memory of webhooks whose endpoint is dead, and the work that is done for it.

Run it with ``.venv/bin/python -m benchmarks.dead_endpoint``. It queues 10,000 events for an endpoint that accepts
connections and never answers, and then 30,000 more, beside a healthy endpoint of another webhook. The first number is
the bound of the queue: with more events the memory must not grow.
"""

import argparse
import asyncio
import gc
import json
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

from soketpy.config import Settings
from soketpy.config import settings as config
from soketpy.core.apps import App, Key, StaticApps
from soketpy.core.webhooks import Webhook
from soketpy.process.webhooks import LocalWebhooks
from soketpy.protocol.webhooks import WebhookEvent

STEPS = (10_000, 10_000, 20_000)
AT_ONCE = 500
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Endpoints:
    """A dead and a healthy endpoint on one port. The dead one reads requests and never answers."""

    def __init__(self) -> None:
        self.accepted = 0
        self.ignored = 0
        self._changed = asyncio.Event()

    async def wait_for(self, number: int) -> None:
        """Wait until the healthy endpoint has accepted so many deliveries."""
        while self.accepted < number:
            self._changed.clear()
            await self._changed.wait()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
                await reader.readexactly(int(length.split(b":")[1]))
                if head.startswith(b"POST /dead"):
                    self.ignored += 1
                else:
                    self.accepted += 1
                    writer.write(ANSWER)
                    self._changed.set()
        except (asyncio.IncompleteReadError, OSError):
            writer.close()


def memory() -> float:
    """Return the resident memory of this process in MiB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


async def measure(queue: str) -> None:
    """Print a line for each step."""
    endpoints = Endpoints()
    server = await asyncio.start_server(endpoints.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    hooks = tuple(
        Webhook(url=f"http://127.0.0.1:{port}/{path}", event_types=("client_event",)) for path in ("dead", "healthy")
    )
    app = App(id="app", keys=(Key("key", "secret"),), webhooks=hooks)
    with tempfile.TemporaryDirectory() as folder:
        given = config.Webhooks(queue=queue, path=str(Path(folder, "webhooks.db")))
        settings = Settings(apps=(app,), webhooks=given)
        loop = asyncio.get_running_loop()
        webhooks = LocalWebhooks(settings, StaticApps(settings.apps), loop.call_later)
        await webhooks.start()
        began = time.monotonic()
        print(f"queue {queue}: events, MiB of the process, deliveries in the queue, requests to the dead endpoint, s")
        total = 0
        for step in (0, *STEPS):
            for _ in range(step // AT_ONCE):
                for number in range(AT_ONCE):
                    data = json.dumps({"text": "x" * 200}).encode()
                    webhooks.collector.append(
                        WebhookEvent("app", "client_event", f"private-{number}", "", "1.1", "client-hello", data)
                    )
                total += AT_ONCE
                await endpoints.wait_for(total)
            gc.collect()
            used = memory()
            length = sum(each.length for each in await webhooks.queue.lengths())
            print(
                f"{total:>8,} {used:>8.1f} {length:>8,} {endpoints.ignored:>6} {time.monotonic() - began:>7.1f}",
                flush=True,
            )
        await webhooks.stop()
    server.close()


def main(arguments: list[str] | None = None) -> Any:
    """Measure with the queue in a file, and with the queue in memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queue", choices=("sqlite", "memory"), nargs="*", default=["sqlite", "memory"])
    for queue in parser.parse_args(arguments).queue:
        asyncio.run(measure(queue))


if __name__ == "__main__":
    main()
