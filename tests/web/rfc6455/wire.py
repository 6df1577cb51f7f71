"""A WebSocket client that obeys no rule: it sends any bytes, and holds what the server sends to RFC 6455."""

import asyncio
import json
from dataclasses import dataclass, replace
from typing import Any

import pytest

from soketpy.protocol.frames import unmask
from tests.conftest import Peers, StartServer
from tests.fakes import APP, channel_auth
from tests.patience import PATIENCE, attempts

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
"""The key of the example in RFC 6455, section 1.3."""

ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""The answer that a server must give to that key."""

MASK = b"\x37\xfa\x21\x3d"
CHANNEL = "private-echo"
PING_TEXT = b'{"event":"pusher:ping","data":{}}'
PONG_TEXT = b'{"event":"pusher:pong","data":{}}'


def frame(
    opcode: int, payload: bytes = b"", *, last: bool = True, reserved: int = 0, mask: bytes | None = MASK
) -> bytes:
    """One frame as clients send them, or with whatever is to be wrong."""
    return header(opcode, len(payload), last=last, reserved=reserved, mask=mask) + (
        payload if mask is None else unmask(payload, mask)
    )


def header(
    opcode: int, size: int, *, last: bool = True, reserved: int = 0, mask: bytes | None = MASK, wide: int | None = None
) -> bytes:
    """Return the header of a frame; ``wide`` is the number of length bytes, by default the smallest."""
    if wide is None:
        wide = 0 if size < 126 else 2 if size < 65536 else 8
    masked = 0 if mask is None else 0x80
    length = {0: size, 2: 126, 8: 127}[wide]
    first = (0x80 if last else 0) | reserved << 4 | opcode
    return bytes((first, masked | length)) + (size.to_bytes(wide, "big") if wide else b"") + (mask or b"")


def fragments(opcode: int, *parts: bytes) -> bytes:
    """One message in as many frames as there are parts."""
    return b"".join(
        frame(CONTINUATION if number else opcode, part, last=number == len(parts) - 1)
        for number, part in enumerate(parts)
    )


def slices(data: bytes, size: int) -> list[bytes]:
    """Return the data in pieces of so many bytes."""
    return [data[start : start + size] for start in range(0, len(data), size)]


def close_frame(code: int, reason: bytes = b"") -> bytes:
    """Return a close frame of a client."""
    return frame(CLOSE, code.to_bytes(2, "big") + reason)


def event(content: bytes) -> bytes:
    """Return a client event with this content, which the server passes on byte for byte."""
    return b'{"event":"client-echo","channel":"' + CHANNEL.encode() + b'","data":"' + content + b'"}'


def event_of_size(size: int) -> bytes:
    """Return a client event whose text has so many bytes, no two neighbours alike."""
    room = size - len(event(b""))
    return event((b"0123456789abcdefghijklmnopqrstuvwxyz." * (room // 37 + 1))[:room])


def request(
    path: str = "/app/app-key?protocol=7",
    *,
    first_line: str | None = None,
    without: str = "",
    **headers: str,
) -> bytes:
    """Return a handshake with changed headers (``_`` for ``-`` in their names), and ``without`` others."""
    fields = {
        "host": "localhost",
        "upgrade": "websocket",
        "connection": "Upgrade",
        "sec-websocket-key": KEY,
        "sec-websocket-version": "13",
    }
    fields |= {name.replace("_", "-").lower(): value for name, value in headers.items()}
    fields.pop(without, None)
    lines = [first_line or f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


@dataclass(frozen=True, slots=True)
class Answer:
    """The head of an HTTP answer, and its body; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class Wire:
    """One TCP connection to the server."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    id: str = ""

    async def send(self, data: bytes, chop: int | None = None) -> None:
        """Send bytes, at once or in pieces of which the server reads each alone."""
        for piece in [data] if chop is None else slices(data, chop):
            self.writer.write(piece)
            await self.writer.drain()
            if chop is not None:
                await asyncio.sleep(0)  # the server shares this event loop

    async def answer(self) -> Answer:
        """Return the answer to an HTTP request."""
        async with asyncio.timeout(PATIENCE):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            status, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        assert status.startswith("HTTP/")
        return Answer(int(status.split(" ")[1]), headers, body)

    async def hear(self) -> tuple[int, bytes]:
        """Return the next frame of the server: whole, unmasked, no reserved bit, the length in its shortest form."""
        async with asyncio.timeout(PATIENCE):
            first, second = await self.reader.readexactly(2)
            assert first & 0x80, "the server does not fragment"
            assert not first & 0x70, "a reserved bit of the server is set"
            assert not second & 0x80, "a server must not mask"
            size = second
            if size == 126:
                size = int.from_bytes(await self.reader.readexactly(2), "big")
                assert size > 125
            elif size == 127:
                size = int.from_bytes(await self.reader.readexactly(8), "big")
                assert size > 65535
            return first & 0x0F, await self.reader.readexactly(size)

    async def message(self) -> dict[str, Any]:
        """Return the next frame of the server, which must be a message of the protocol."""
        opcode, payload = await self.hear()
        assert opcode == TEXT
        message: dict[str, Any] = json.loads(payload)
        return message

    async def close_code(self) -> int:
        """Return the code of the next frame of the server, which must be a close frame."""
        opcode, payload = await self.hear()
        assert opcode == CLOSE, payload
        assert 2 <= len(payload) <= 125
        payload[2:].decode()
        return int.from_bytes(payload[:2], "big")

    async def end(self) -> None:
        """Check that the server ends the connection without further bytes and without a reset."""
        async with asyncio.timeout(PATIENCE):
            assert await self.reader.read() == b""

    async def failed(self) -> int:
        """Check that the server fails the connection with one close frame. Return the code of the frame."""
        code = await self.close_code()
        await self.end()
        return code

    async def is_alive(self) -> None:
        """Check that the server still answers, and that its answer is its next message."""
        await self.send(frame(TEXT, PING_TEXT))
        assert await self.hear() == (TEXT, PONG_TEXT)

    async def dropped(self) -> None:
        """Check that the server neither sends anything more nor reads anything more."""
        with pytest.raises(ConnectionError):
            await self._send_for_ever()

    async def _send_for_ever(self) -> None:
        for _ in attempts():
            await self.send(b"anyone?", 7)

    async def greet(self) -> None:
        """Read the answer to the handshake, and the greeting."""
        answer = await self.answer()
        assert answer.status == 101, answer
        greeting = await self.message()
        assert greeting["event"] == "pusher:connection_established", greeting
        self.id = json.loads(greeting["data"])["socket_id"]

    async def join(self) -> None:
        """Join the channel over which messages come back."""
        data = {"channel": CHANNEL, "auth": channel_auth(self.id, CHANNEL)}
        await self.send(frame(TEXT, json.dumps({"event": "pusher:subscribe", "data": data}).encode()))
        assert (await self.message())["event"] == "pusher_internal:subscription_succeeded"

    async def shut(self) -> None:
        """Drop the connection."""
        self.writer.transport.abort()
        await asyncio.sleep(0)


class Exchange:
    """A server, and connections to it that end with the test."""

    def __init__(self, start_server: StartServer) -> None:
        self._start_server = start_server
        self._wires: list[Wire] = []
        self.peers: Peers | None = None

    async def start(self, **settings: Any) -> Peers:
        """Start the server with settings of the test's own; else it starts with the first connection."""
        app = replace(APP, max_event_payload_in_kb=1024)
        self.peers = await self._start_server(**{"apps": (app,), **settings})
        return self.peers

    async def dial(self) -> Wire:
        """Return a TCP connection."""
        peers = self.peers or await self.start()
        return self.keep(*await asyncio.open_connection("127.0.0.1", peers.port))

    def keep(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Wire:
        """Let a connection end with the test."""
        wire = Wire(reader, writer)
        self._wires.append(wire)
        return wire

    async def connect(self, **headers: str) -> Wire:
        """Return a WebSocket whose greeting has been read."""
        wire = await self.dial()
        await wire.send(request(**headers))
        await wire.greet()
        return wire

    async def echo(self) -> "Echo":
        """Return a sender, and a receiver to whom its client events go."""
        sender, receiver = await self.connect(), await self.connect()
        await sender.join()
        await receiver.join()
        return Echo(sender, receiver)

    def let_all_deadlines_come(self) -> None:
        """Let whatever a client has time for be over now."""
        assert self.peers is not None
        self.peers.server._state.deadlines.expire_all()

    async def hang_up(self) -> None:
        """Drop all connections."""
        for wire in self._wires:
            await wire.shut()


@dataclass(frozen=True, slots=True)
class Echo:
    """Two connections on one channel: what the sender says, the receiver hears."""

    sender: Wire
    receiver: Wire

    async def send(self, data: bytes, chop: int | None = None) -> None:
        """Let the sender send bytes."""
        await self.sender.send(data, chop)

    async def returns(self, text: bytes) -> None:
        """Check that the receiver's next message is this one, byte for byte."""
        assert await self.receiver.hear() == (TEXT, text)
