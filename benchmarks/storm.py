"""The reconnect storm of history: many tabs return at once, and each gets the events that it has missed.

    python -m benchmarks.storm [--tabs N] [--missed N] [--channels N]

The report has the memory per tab, the pings per second while each channel has one event per second, the time until all
tabs have recovered, and the latency of another client meanwhile. The exit code is 1 if a tab did not get all events.
All clients share one Python process, so the time and the latency contain the work of this process for all tabs.
"""

import argparse
import asyncio
import json
import os
import re
import struct
import sys
import tempfile
import time
from pathlib import Path

import aiohttp

from benchmarks.chaos import APP, KEY, SECRET, Process
from soketpy.protocol import signatures

PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024
BATCH = 10
"""Events of one REST call."""

OPENING = 1_000
"""Connections that are opened at the same time. A server closes the oldest ones of very many without a request."""

PINGED_SECONDS = 10


class Tab(asyncio.Protocol):
    """A client that is as cheap as possible: it reads frames, answers pings, and counts what it gets."""

    pings = 0  # of all tabs

    def __init__(self, channel: str) -> None:
        self.subscribed = asyncio.get_running_loop().create_future()
        self.recovered = asyncio.get_running_loop().create_future()
        self.events = 0
        self.latencies: list[float] = []
        self._channel = channel
        self._buffer = b""
        self._is_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, fault: Exception | None) -> None:
        """Fail what still waits for the server."""
        for future in (self.subscribed, self.recovered):
            if not future.done():
                future.set_exception(ConnectionError("The server closed a connection"))
                future.exception()  # only some are awaited

    def data_received(self, data: bytes) -> None:
        """Process the complete frames. The first bytes are the answer to the handshake."""
        self._buffer += data
        if not self._is_open:
            head, found, rest = self._buffer.partition(b"\r\n\r\n")
            if not found:
                return
            assert b" 101 " in head.splitlines()[0], head
            self._is_open, self._buffer = True, rest
            request = {"event": "pusher:subscribe", "data": {"channel": self._channel}}
            self.transport.write(frame(1, json.dumps(request).encode()))
        while (parsed := parse(self._buffer)) is not None:
            opcode, payload, self._buffer = parsed
            if opcode == 9:
                Tab.pings += 1
                self.transport.write(frame(10, payload))
            elif opcode == 1:
                self._take(payload)

    def _take(self, text: bytes) -> None:
        if b'"event":"tick"' in text:
            self.events += 1
        elif b'"event":"timed"' in text:
            self.latencies.append(time.time() - float(json.loads(json.loads(text)["data"])))
        elif b"subscription_succeeded" in text:
            self.subscribed.set_result(None)
        elif b"soketpy:recovered" in text:
            self.recovered.set_result(json.loads(json.loads(text)["data"])["complete"])


def frame(opcode: int, payload: bytes) -> bytes:
    """Return a masked frame with at most 65,535 bytes; the mask is 0."""
    length = len(payload)
    head = bytes([0x80 | opcode, 0x80 | length]) if length < 126 else struct.pack("!BBH", 0x80 | opcode, 0xFE, length)
    return head + bytes(4) + payload


def parse(data: bytes) -> tuple[int, bytes, bytes] | None:
    """Return the opcode and the payload of the first frame, and the bytes behind it; None if it is incomplete."""
    if len(data) < 2:
        return None
    start, length = 2, data[1] & 0x7F
    if length >= 126:
        size = 2 if length == 126 else 8
        start, length = 2 + size, int.from_bytes(data[2 : 2 + size])
    if len(data) < start + length:
        return None
    return data[0] & 0xF, data[start : start + length], data[start + length :]


class Storm:
    """A server, and its tabs."""

    def __init__(self, port: int, pid: int, session: aiohttp.ClientSession, given: argparse.Namespace) -> None:
        self.tabs: list[Tab] = []
        self._port, self._pid, self._session, self._given = port, pid, session, given

    async def open(self, path: str, channel: str) -> Tab:
        """Connect and subscribe."""
        tab = (await asyncio.get_running_loop().create_connection(lambda: Tab(channel), "127.0.0.1", self._port))[1]
        lines = [f"GET {path}/app/{KEY}?protocol=7 HTTP/1.1", "Host: x", "Upgrade: websocket", "Connection: Upgrade"]
        lines += ["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "", ""]
        tab.transport.write("\r\n".join(lines).encode())
        await tab.subscribed
        return tab

    async def open_tabs(self) -> None:
        """Connect all tabs, as fast as the server answers: ``OPENING`` at the same time."""
        free = asyncio.Semaphore(OPENING)

        async def open_tab(number: int) -> Tab:
            async with free:
                return await self.open(f"/c/tab-{number}", self._channel(number))

        self.tabs = await asyncio.gather(*map(open_tab, range(self._given.tabs)))

    def _channel(self, number: int) -> str:
        return f"log-{number % self._given.channels}"

    async def trigger(self, *events: dict[str, str]) -> None:
        """Trigger events in one call."""
        body, path = json.dumps({"batch": events}).encode(), f"/apps/{APP}/batch_events"
        query = signatures.signed_query(KEY, SECRET, "POST", path, body, int(time.time()))
        async with self._session.post(f"http://127.0.0.1:{self._port}{path}?{query}", data=body) as answer:
            assert answer.status == 200, await answer.text()

    async def tick(self, count: int) -> None:
        """Trigger so many events on each channel."""
        for channel in map(self._channel, range(self._given.channels)):
            for start in range(0, count, BATCH):
                event = {"name": "tick", "channel": channel, "data": '{"text":"An event of a realistic length."}'}
                await self.trigger(*[event] * min(BATCH, count - start))

    async def time_others(self) -> None:
        """Trigger an event with the time on a channel without history, every 20 ms."""
        while True:
            await self.trigger({"name": "timed", "channel": "other", "data": json.dumps(str(time.time()))})
            await asyncio.sleep(0.02)

    def kib(self) -> int:
        """Return the memory of the server."""
        return int(Path(f"/proc/{self._pid}/statm").read_text().split()[1]) * PAGE_KIB


async def storm(given: argparse.Namespace) -> int:
    """Run the storm and print its report. Return the exit code."""
    with tempfile.TemporaryDirectory() as name:
        config = Path(name) / "soketpy.json"
        app = {"id": APP, "key": KEY, "secret": SECRET, "history": [{"channels": "log-*"}]}
        settings = {"host": "127.0.0.1", "port": 0, "apps": [app], "history": {"store": "memory"}}
        config.write_text(json.dumps(settings))
        server = Process(sys.executable, "-m", "soketpy", "start", "--config", str(config))
        found = re.search(r"127\.0\.0\.1:(\d+)", await server.start("Listening on"))
        assert found is not None
        assert server.process is not None
        try:
            async with aiohttp.ClientSession() as session:
                return await _report(Storm(int(found[1]), server.process.pid, session, given), given)
        finally:
            await server.end(kill=True)


async def _report(run: Storm, given: argparse.Namespace) -> int:
    other = await run.open("", "other")
    before = run.kib()
    await run.open_tabs()
    print(f"{given.tabs:,} tabs: {(run.kib() - before) / given.tabs:.1f} KiB per tab")
    Tab.pings, began = 0, time.monotonic()
    for second in range(PINGED_SECONDS):
        await run.tick(1)
        await asyncio.sleep(max(0, began + second + 1 - time.monotonic()))
    print(f"pings with one event per second and channel: {Tab.pings / (time.monotonic() - began):,.0f} per second")
    for tab in run.tabs:
        tab.transport.abort()
    await run.tick(given.missed)
    timing = asyncio.create_task(run.time_others())
    await asyncio.sleep(2)
    calm, other.latencies, began = other.latencies, [], time.monotonic()
    await run.open_tabs()
    complete = await asyncio.gather(*(tab.recovered for tab in run.tabs))
    took = time.monotonic() - began
    timing.cancel()
    whole = sum(done and tab.events >= given.missed for done, tab in zip(complete, run.tabs, strict=True))
    print(f"return of all tabs with {given.missed:,} missed events each: {took:.1f} s; complete: {whole:,}")
    print(f"p99 of another client: {_p99(calm):.0f} ms before the storm, {_p99(other.latencies):.0f} ms during it")
    return 0 if whole == given.tabs else 1


def _p99(seconds: list[float]) -> float:
    return 1000 * sorted(seconds)[int(len(seconds) * 0.99)] if seconds else float("nan")


def main() -> int:
    """Run the storm with the command line arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.storm", formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--tabs", type=int, default=5_000, help="tabs that return at once")
    parser.add_argument("--missed", type=int, default=100, help="events that each tab has missed")
    parser.add_argument("--channels", type=int, default=100, help="channels, of which each tab has one")
    return asyncio.run(storm(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
