"""The main test of history: pusher-js as npm has it, behind a proxy that cuts and stalls, while nodes and Redis fail.

    python -m tests.clients.chaos [--seconds N] [--clients N] [--channels N] [--rate N] [--pages N]

One node of three is restarted in a planned way, one is killed with SIGKILL, and Redis is restarted with its data. The
publishers send numbered events, and each again, with the same idempotency key, until the answer is 200. At the end the
logs are read over REST: each client must have got each event of each of its channels, in the order of the log. An event
may come twice only in a range that ends with ``soketpy:recovered``. The exit code is 1 for any other fault.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import random
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import uuid4

import aiohttp

from benchmarks.chaos import ClusterNode, Process
from soketpy.protocol import signatures
from tests.clients.javascript import Client, Runtime, chromium
from tests.clients.ledger import NUMBERED, RECOVERED, SUBSCRIBED, Ledger
from tests.patience import until

KEY, SECRET, APP = "app-key", "app-secret", "1"
HISTORY = {"channels": "log-*", "events": 100_000, "kib": 100_000}
CHANNELS_EACH = 4
"""Channels of each client."""


class Node(ClusterNode):
    """A node whose app has history."""

    def __init__(self, folder: Path, number: int) -> None:
        super().__init__(folder, number, {"id": APP, "key": KEY, "secret": SECRET, "history": [HISTORY]})


class Proxy:
    """A load balancer for WebSockets that can cut and stall its connections. It refuses none: it waits for a node."""

    def __init__(self, nodes: list[Node]) -> None:
        self.port = 0
        self.cuts = self.stalls = 0
        self._nodes = nodes
        self._open: dict[asyncio.StreamWriter, asyncio.Event] = {}

    async def __aenter__(self) -> "Proxy":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in list(self._open):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        passes = self._open[writer] = asyncio.Event()
        passes.set()
        behind = None
        try:
            while behind is None:
                with contextlib.suppress(OSError):
                    node = random.choice([node for node in self._nodes if node.up] or self._nodes)
                    from_node, behind = await asyncio.open_connection("127.0.0.1", node.port)
                await asyncio.sleep(0 if behind else 0.05)
            both = [self._pass(passes, reader, behind), self._pass(passes, from_node, writer)]
            await asyncio.wait(map(asyncio.create_task, both), return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            pass  # the end of the run
        finally:
            del self._open[writer]
            for each in (writer, behind):
                if each is not None:
                    each.close()

    async def _pass(self, passes: asyncio.Event, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                await passes.wait()
                writer.write(data)
                await writer.drain()

    def cut(self) -> None:
        """Abort a random connection, with all bytes that are on their way."""
        if self._open:
            self.cuts += 1
            random.choice(list(self._open)).transport.abort()

    async def stall(self, seconds: float) -> None:
        """Pass nothing on a random connection for some seconds."""
        if self._open:
            self.stalls += 1
            passes = random.choice(list(self._open.values()))
            passes.clear()
            await asyncio.sleep(seconds)
            passes.set()

    @property
    def count(self) -> int:
        """Return the number of open connections."""
        return len(self._open)


class Chaos:
    """The nodes, Redis, the proxy, the clients and the publishers of one run."""

    def __init__(self, folder: Path, *, channels: int, rate: float) -> None:
        redis_server = shutil.which("redis-server")
        assert redis_server is not None, "redis-server is missing: make tools"
        data = ["--dir", str(folder), "--appendonly", "yes", "--appendfsync", "always", "--save", ""]
        self.redis = Process(redis_server, "--port", "0", "--unixsocket", str(folder / "redis.sock"), *data)
        self.nodes = [Node(folder, number) for number in range(3)]
        self.proxy = Proxy(self.nodes)
        self.clients: dict[str, tuple[Client, list[str]]] = {}
        self.channels = [f"log-{number}" for number in range(channels)]
        self.accepted: dict[str, list[int]] = {channel: [] for channel in self.channels}
        self.retries = 0
        self._rate = rate
        self._over = asyncio.Event()

    async def __aenter__(self) -> "Chaos":
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.redis.end, kill=True)
            await self.redis.start("eady to accept connections")
            for node in self.nodes:
                stack.push_async_callback(node.end, kill=True)
                await node.come()
            await stack.enter_async_context(self.proxy)
            self._session = await stack.enter_async_context(aiohttp.ClientSession())
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def open(self, runtime: Runtime, build: str = "pusher", origin: str = "") -> None:
        """Open a client on some of the channels. It knows only the address of the proxy, and its tab id."""
        number = len(self.clients)
        options = {
            "cluster": "",
            "wsHost": "127.0.0.1",
            "wsPort": self.proxy.port,
            "wsPath": f"/c/{uuid4()}",
            "forceTLS": False,
            "enabledTransports": ["ws"],
            "revives": build == "pusher-7",
        }
        client = await asyncio.to_thread(runtime.open, key=KEY, options=options, build=build, origin=origin)
        self._stack.push_async_callback(asyncio.to_thread, client.close)
        count = len(self.channels)
        mine = [self.channels[(number + step * 5) % count] for step in range(min(CHANNELS_EACH, count))]
        self.clients[f"client {number} ({build})"] = client, list(dict.fromkeys(mine))
        for channel in mine:
            await asyncio.to_thread(client.call, "subscribe", channel=channel)

    async def subscribed(self) -> None:
        """Wait until all clients have subscribed for the first time."""
        await until(
            lambda: all(
                sum(each.event == SUBSCRIBED for each in list(client.heard)) >= len(mine)
                for client, mine in self.clients.values()
            )
        )

    def recoveries(self) -> int:
        """Return the number of recovered ranges of all clients."""
        return sum(each.event == RECOVERED for client, _ in self.clients.values() for each in list(client.heard))

    def publish(self) -> list[asyncio.Task[None]]:
        """Start a publisher for each channel."""
        return [asyncio.create_task(self._publish(channel)) for channel in self.channels]

    def stop_publishing(self) -> None:
        """Let each publisher stop after its last event was accepted."""
        self._over.set()

    async def _publish(self, channel: str) -> None:
        next_at = time.monotonic()
        for number in itertools.count(1):
            if self._over.is_set():
                return
            body = {"name": NUMBERED, "channel": channel, "data": str(number), "idempotency_key": f"{channel}-{number}"}
            while not await self._accepted(json.dumps(body).encode()):
                self.retries += 1
                await asyncio.sleep(0.1)
            self.accepted[channel].append(number)
            next_at += len(self.channels) / self._rate
            await asyncio.sleep(max(0, next_at - time.monotonic()))

    async def _accepted(self, body: bytes) -> bool:
        node = random.choice([node for node in self.nodes if node.up] or self.nodes)
        with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
            async with self._session.post(_signed(node, "POST", "events", body), data=body) as answer:
                assert answer.status in (200, 429, 503, 504), await answer.text()
                return answer.status == 200
        return False

    async def log_of(self, channel: str) -> list[int]:
        """Return the numbers in the log of a channel, oldest first."""
        numbers: list[int] = []
        after: dict[str, str] = {}
        while True:
            query = {"limit": "1000", "direction": "forwards", **after}
            url = _signed(self.nodes[0], "GET", f"channels/{channel}/events", b"", query)
            async with self._session.get(url) as answer:
                assert answer.status == 200, await answer.text()
                page = await answer.json()
            assert page["complete"], page
            numbers += [int(event["data"]) for event in page["events"]]
            if not page["events"]:
                return numbers
            after = {"after": page["events"][-1]["id"]}

    async def ledger(self) -> Ledger:
        """Wait until all clients have the last event of each channel. Compare what they got with the logs."""
        ledger = Ledger()
        logs = {channel: await self.log_of(channel) for channel in self.channels}
        for channel, stored in logs.items():
            ledger.check_log(channel, stored, self.accepted[channel])
        last = {channel: stored[-1] for channel, stored in logs.items()}
        with contextlib.suppress(TimeoutError):
            await until(lambda: all(_has_last(client, mine, last) for client, mine in self.clients.values()))
        for name, (client, mine) in self.clients.items():
            by_channel = defaultdict(list)
            for report in list(client.heard):
                by_channel[report.channel].append(report)
            for channel in mine:
                ledger.check_client(name, channel, logs[channel], by_channel[channel])
        return ledger


def _has_last(client: Client, mine: list[str], last: dict[str, int]) -> bool:
    missing = {channel: last[channel] for channel in mine}
    for report in reversed(client.heard[-5_000:]):
        if report.channel in missing and report.event == NUMBERED and report.data == missing[report.channel]:
            del missing[report.channel]
            if not missing:
                return True
    return False


def _signed(node: Node, method: str, path: str, body: bytes, query: dict[str, str] | None = None) -> str:
    path = f"/apps/{APP}/{path}"
    text = signatures.signed_query(KEY, SECRET, method, path, body, int(time.time()), query)
    return f"http://127.0.0.1:{node.port}{path}?{text}"


async def _harass(proxy: Proxy) -> None:
    """Cut and stall connections at random."""
    async with asyncio.TaskGroup() as group:
        while True:
            await asyncio.sleep(random.uniform(0.2, 1))
            if random.random() < 0.6:
                proxy.cut()
            else:
                group.create_task(proxy.stall(random.uniform(0.5, 5)))


async def _break(chaos: Chaos, seconds: float, tell: Callable[[str], None]) -> None:
    """Restart a node as planned, kill another one, and restart Redis, at equal intervals."""
    first, second, _ = chaos.nodes
    await asyncio.sleep(seconds / 4)
    tell("planned restart of a node")
    await first.end(kill=False)
    await first.come()
    await asyncio.sleep(seconds / 4)
    tell("kill -9 of a node")
    await second.end(kill=True)
    await asyncio.sleep(2)
    await second.come()
    await asyncio.sleep(seconds / 4)
    tell("restart of Redis")
    await chaos.redis.end(kill=False)
    await chaos.redis.start("eady to accept connections")
    await asyncio.sleep(seconds / 4)


@contextlib.asynccontextmanager
async def _runtimes(folder: Path, pages: int) -> AsyncIterator[tuple[Runtime, Runtime | None, str]]:
    """Start Node, and Chromium if pages are wanted, with the URL of an origin for the pages."""
    node = Runtime("node.mjs")
    browser = Runtime("chromium.mjs", chromium(), str(folder / "profile")) if pages else None
    site = await asyncio.start_server(_answer_empty, "127.0.0.1", 0)
    try:
        yield node, browser, f"http://127.0.0.1:{site.sockets[0].getsockname()[1]}"
    finally:
        site.close()
        for runtime in (node, browser):
            if runtime is not None:
                await asyncio.to_thread(runtime.end)


async def _answer_empty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve an empty page: the pages of Chromium need an origin."""
    with contextlib.suppress(asyncio.IncompleteReadError, OSError):
        await reader.readuntil(b"\r\n\r\n")
        page = b"<!doctype html>"
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(
            page
        )
        writer.write(head + page)
        await writer.drain()
    writer.close()


async def run(
    *, seconds: float, clients: int, channels: int, rate: float, pages: int, tell: Callable[[str], None]
) -> tuple[Chaos, Ledger]:
    """Run the main test, and return its ledger."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with (
            _runtimes(folder, pages) as (node, browser, origin),
            Chaos(folder, channels=channels, rate=rate) as chaos,
        ):
            for number in range(clients):
                if browser is not None and number < pages:
                    await chaos.open(browser, origin=origin)
                else:
                    await chaos.open(node, "pusher-7" if number % 5 == 0 else "pusher")
            await chaos.subscribed()
            tell(f"{clients} clients have subscribed")
            publishing = chaos.publish()
            harassing = asyncio.create_task(_harass(chaos.proxy))
            await _break(chaos, seconds, tell)
            harassing.cancel()
            chaos.stop_publishing()
            await asyncio.gather(*publishing)
            tell("waiting until all clients have all events")
            return chaos, await chaos.ledger()


def main() -> int:
    """Run the main test with the command line arguments, and print the ledger."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.clients.chaos",
        description="Unmodified clients, behind a proxy that cuts and stalls, while nodes and Redis fail. The exit "
        "code is 1 if a client lost an event, or got one out of order, or was told something that is not true.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--seconds", type=float, default=120, help="the time during which events are published")
    parser.add_argument("--clients", type=int, default=50, help="clients of pusher-js")
    parser.add_argument("--pages", type=int, default=6, help="of these clients, those in Chromium")
    parser.add_argument("--channels", type=int, default=20, help="channels with history")
    parser.add_argument("--rate", type=float, default=200, help="events per second, over all channels")
    given = parser.parse_args()
    began = time.monotonic()

    def tell(text: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s: {text}", flush=True)

    chaos, ledger = asyncio.run(run(**vars(given), tell=tell))
    print(f"connections cut: {chaos.proxy.cuts:,}; stalled: {chaos.proxy.stalls:,}; retries: {chaos.retries:,}")
    print(f"events accepted: {sum(map(len, chaos.accepted.values())):,}")
    for name, count in ledger.rows().items():
        print(f"{name + ':':45}{count:10,}")
    for detail in ledger.details:
        print(detail)
    return 1 if ledger.faults.total() else 0


if __name__ == "__main__":
    sys.exit(main())
