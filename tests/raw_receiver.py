"""Receivers of webhooks that speak TCP only, and so can break every rule of HTTP."""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from tests.patience import PATIENCE

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Peer:
    """One connection of a sender. ``number`` counts the connections of the receiver, from 1."""

    def __init__(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.number = number
        self.reader = reader
        self.writer = writer

    async def request(self) -> bytes:
        """Return the next request: its head and its body. Raises IncompleteReadError at the end of the connection."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if line)
        return head + await self.reader.readexactly(int(fields.get(b"content-length", b"0")))

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def hang(self) -> None:
        """Wait until the sender disconnects."""
        await self.reader.read()

    def reset(self) -> None:
        """Close the connection with a reset."""
        linger = struct.pack("ii", 1, 0)
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.writer.transport.abort()


Script = Callable[[Peer, bytes], Awaitable[None]]
"""Answers one request. The connection stays open afterwards, until the script closes it."""


class RawReceiver:
    """Stores requests, and counts connections. ``script`` may be replaced at any time."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.requests: list[bytes] = []
        self.connections = 0
        self.open = 0
        self.port = 0
        self.scheme = "http"

    def url(self, path: str = "/hook", host: str = "127.0.0.1") -> str:
        return f"{self.scheme}://{host}:{self.port}{path}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        peer = Peer(self.connections, reader, writer)
        try:
            while request := await peer.request():
                self.requests.append(request)
                await self.script(peer, request)
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            self.open -= 1
            writer.close()


@asynccontextmanager
async def raw_receiving(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[RawReceiver]:
    """Run a receiver on a free port of the loopback address."""
    receiver = RawReceiver(script)
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(receiver.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    receiver.scheme = "http" if tls is None else "https"
    try:
        yield receiver
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        if tasks:
            await asyncio.wait(tuple(tasks))


def answers(data: bytes) -> Script:
    """Return a script that writes some bytes."""

    async def script(peer: Peer, request: bytes) -> None:
        await peer.write(data)

    return script


def status(code: int, *headers: str) -> Script:
    """Return a script that answers with a status and with headers."""
    lines = [f"HTTP/1.1 {code} Any", "Content-Length: 0", *headers]
    return answers("\r\n".join([*lines, "", ""]).encode())


accept = answers(OK)


async def hang(peer: Peer, request: bytes) -> None:
    """Read the request, and never answer."""
    await peer.hang()


async def hang_in_headers(peer: Peer, request: bytes) -> None:
    """Send half of the headers."""
    await peer.write(b"HTTP/1.1 200 OK\r\nX-Half: ")
    await peer.hang()


async def hang_in_body(peer: Peer, request: bytes) -> None:
    """Announce more body than there is."""
    await peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    await peer.hang()


async def close(peer: Peer, request: bytes) -> None:
    """Close the connection without an answer."""
    peer.writer.close()


async def reset(peer: Peer, request: bytes) -> None:
    """Reset the connection without an answer."""
    peer.reset()


async def byte_by_byte(peer: Peer, request: bytes) -> None:
    """Answer with one byte in each packet."""
    peer.writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for at in range(len(OK)):
        await peer.write(OK[at : at + 1])
        await asyncio.sleep(0)


def endless(head: bytes, piece: bytes) -> Script:
    """Return a script that writes a head, and then a piece again and again, until the sender disconnects."""

    async def script(peer: Peer, request: bytes) -> None:
        await peer.write(head)
        end = asyncio.ensure_future(peer.reader.read())
        with contextlib.suppress(OSError):
            async with asyncio.timeout(PATIENCE):
                while not end.done():
                    await peer.write(piece)
                    await asyncio.sleep(0)
        await asyncio.gather(end, return_exceptions=True)

    return script


ENDLESS_BODY = endless(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n", bytes(65536))
ENDLESS_CHUNKS = endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1000\r\n" + bytes(4096) + b"\r\n")
ENDLESS_HEADERS = endless(b"HTTP/1.1 200 OK\r\n", b"X-More: and more\r\n" * 100)
ENDLESS_HEADER = endless(b"HTTP/1.1 200 OK\r\nX-Long: ", b"more" * 1000)
ENDLESS_PROGRESS = endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n")
