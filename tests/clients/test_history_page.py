"""The programs of docs/history.md: pusher-js in Node, and Python."""

import asyncio
import json
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from soketpy.core.history import HistoryRule
from tests.clients.javascript import FOLDER
from tests.clients.publishers import Npm
from tests.conftest import Peers, StartServer, until
from tests.fakes import APP
from tests.patience import PATIENCE, attempts
from tests.test_docs import snippet

STORED = replace(APP, id="1", history=(HistoryRule(channels="news"),))


class Proxy:
    """A TCP proxy in front of a server, which a test may cut."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._open: set[asyncio.StreamWriter] = set()
        self._cut = False
        self._pipes: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._cut:
            writer.close()
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        self._open |= {writer, far_writer}
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            self._pipes.add(asyncio.create_task(self._pipe(source, sink)))

    async def _pipe(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            for _ in attempts():
                if not (data := await source.read(65_536)):
                    break
                sink.write(data)
        sink.close()

    def cut(self) -> None:
        """Break all connections, and refuse new ones until ``mend``."""
        self._cut = True
        for writer in self._open:
            writer.transport.abort()
        self._open.clear()

    def mend(self) -> None:
        self._cut = False

    async def stop(self) -> None:
        self.cut()
        assert self._server is not None
        self._server.close()
        await asyncio.gather(*self._pipes)


class Page:
    """A running program of the documentation, and the lines that it prints."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def line(self) -> str:
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            return (await self._process.stdout.readline()).decode().rstrip("\n")


@contextmanager
def closing_of(library: Npm) -> Iterator[Npm]:
    """End the library with the block."""
    try:
        yield library
    finally:
        library.end()


OpenPage = Callable[[str, int], Awaitable[Page]]


@pytest.fixture
async def open_page() -> AsyncIterator[OpenPage]:
    """Run a JavaScript program of docs/history.md with pusher-js, and connect it to a port."""
    node = shutil.which("node")
    assert node is not None, "Node.js is missing: install it, then run `make tools`"
    async with AsyncExitStack() as stack:

        async def open_page(name: str, port: int) -> Page:
            text = text_of("js", name).replace("6001", str(port)).replace('"app-key"', f'"{APP.key}"')
            process = await asyncio.create_subprocess_exec(
                node, "--input-type=module", "--eval", text, cwd=FOLDER, stdout=asyncio.subprocess.PIPE
            )

            async def end() -> None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.communicate()

            stack.push_async_callback(end)
            return Page(process)

        yield open_page


def text_of(language: str, containing: str) -> str:
    return snippet("docs/history.md", language, containing).text


async def subscribers(peers: Peers, number: int) -> None:
    """Wait until the channel has this number of subscribers."""

    async def look() -> bool:
        reply = await peers.call("GET", "/channels/news", app=STORED)
        return bool(reply.json["subscription_count"] == number)

    await until(look)


async def trigger(peers: Peers, *texts: str) -> None:
    for text in texts:
        event = {"name": "message", "channel": "news", "data": {"text": text}}
        assert (await peers.call("POST", "/events", event, app=STORED)).status == 200


async def test_the_page_gets_the_events_that_it_has_missed(start_server: StartServer, open_page: OpenPage) -> None:
    peers = await start_server(apps=(STORED,))
    proxy = Proxy(peers.port)
    await proxy.start()
    page = await open_page("wsPath", proxy.port)
    await subscribers(peers, 1)
    await trigger(peers, "one")
    assert await page.line() == "one"
    proxy.cut()
    await subscribers(peers, 0)
    await trigger(peers, "two", "three")
    proxy.mend()
    heard = [await page.line()]
    for _ in attempts():
        if heard[-1] == "three":
            break
        heard.append(await page.line())
    assert heard in (["two", "three"], ["one", "two", "three"])  # the page may not have acknowledged the first one
    await trigger(peers, "four")
    assert await page.line() == "four"

    proxy.cut()
    await subscribers(peers, 0)
    peers.reload(replace(STORED, history=(HistoryRule(channels="news", events=1),)))
    await trigger(peers, "lost", "five")
    proxy.mend()
    assert await page.line() == "Events may be missing: load the page again."
    await proxy.stop()


async def test_the_page_that_asks_for_older_events_gets_all(start_server: StartServer, open_page: OpenPage) -> None:
    peers = await start_server(apps=(STORED,))
    texts = [f"text {number}" for number in range(45)]
    await trigger(peers, *texts)
    page = await open_page("soketpy:history", peers.port)
    heard = [(await page.line()).split(" ", 2) for _ in texts]
    assert sorted(data for *_, data in heard) == sorted(f'{{"text":"{text}"}}' for text in texts)
    assert [data for *_, data in heard[:20]] == [f'{{"text":"{text}"}}' for text in texts[25:]]
    assert {name for _, name, _ in heard} == {"message"}


async def test_the_program_that_signs_reads_all_events(start_server: StartServer, tmp_path: Path) -> None:
    peers = await start_server(apps=(STORED,))
    texts = [f"text {number}" for number in range(205)]
    await trigger(peers, *texts)
    program = text_of("python", "urlopen").replace("6001", str(peers.port))
    program = program.replace('"app-key", "app-secret"', f'"{APP.key}", "{APP.keys[0].secret}"')
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, cwd=tmp_path, stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(PATIENCE):
        out, _ = await process.communicate()
    assert out.decode().splitlines() == [f'message {{"text":"{text}"}}' for text in texts]


async def test_the_library_of_npm_reads_the_log(start_server: StartServer) -> None:
    peers = await start_server(apps=(STORED,))
    await trigger(peers, "one", "two", "three")
    with closing_of(Npm(peers.port, key=APP.key, secret=APP.keys[0].secret)) as library:

        def get(**params: object) -> Any:
            return library.call("get", {"path": "/channels/news/events", "params": params})

        first = await asyncio.to_thread(get, limit=2)
        rest = await asyncio.to_thread(get, limit=2, after=first["events"][-1]["id"])
    texts = [json.loads(event["data"])["text"] for event in first["events"] + rest["events"]]
    assert (texts, rest["complete"]) == (["one", "two", "three"], True)


async def test_signed_channel_data_of_the_library_asks_for_events(start_server: StartServer) -> None:
    peers = await start_server(apps=(replace(STORED, history=(HistoryRule(channels="private-*"),)),))
    for name in "abc":
        event = {"name": name, "channel": "private-room", "data": "{}"}
        assert (await peers.call("POST", "/events", event, app=STORED)).status == 200
    text = text_of("python", "import pusher").replace('"app-key"', f'"{APP.key}"').replace("20", "2")
    names: dict[str, Callable[[str, str], dict[str, str]]] = {}
    exec(compile(text.replace('"app-secret"', f'"{APP.keys[0].secret}"'), "auth.py", "exec"), names)
    client = await peers.client()
    await client.say(
        "pusher:subscribe", {"channel": "private-room", **names["authenticate"]("private-room", client.id)}
    )
    assert (await client.hear())["event"] == "pusher_internal:subscription_succeeded"
    assert [(await client.hear())["event"] for _ in "bc"] == ["b", "c"]
