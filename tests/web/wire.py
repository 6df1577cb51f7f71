"""HTTP over a bare socket, for requests that no HTTP client sends, and signatures made without the server's code."""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from soketpy.core.apps import App
from tests.fakes import APP
from tests.patience import PATIENCE as PATIENCE

HANDSHAKE = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)
"""The headers of a request for a WebSocket."""


@dataclass
class Answer:
    """One HTTP answer. Header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Wire:
    """One TCP connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self, without_body: bool = False) -> Answer:
        """Return the next answer, ``without_body`` to a HEAD request."""
        async with asyncio.timeout(PATIENCE):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
            size = 0 if without_body else int(headers.get("content-length", "0"))
            return Answer(int(head[0].split(" ")[1]), headers, await self.reader.readexactly(size))

    async def frame(self) -> bytes:
        """Return the payload of the next WebSocket frame, which has less than 64 KiB."""
        async with asyncio.timeout(PATIENCE):
            size = (await self.reader.readexactly(2))[1]
            if size == 126:
                size = int.from_bytes(await self.reader.readexactly(2), "big")
            return await self.reader.readexactly(size)

    async def find(self, end: bytes) -> None:
        """Read until what came last is this; fails where the server ends the connection before."""
        tail = b""
        async with asyncio.timeout(PATIENCE):
            while not tail.endswith(end):
                data = await self.reader.read(65_536)
                assert data, tail
                tail = (tail + data)[-200:]

    async def rest(self) -> bytes:
        """Everything until the server ends the connection."""
        try:
            async with asyncio.timeout(PATIENCE):
                return await self.reader.read()
        except ConnectionResetError:
            return b""


@asynccontextmanager
async def wire(port: int) -> AsyncIterator[Wire]:
    """Return a TCP connection to a port of the loopback address."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Wire(reader, writer)
    finally:
        writer.transport.abort()


def signature(secret: str, method: str, path: str, parameters: list[tuple[str, str]]) -> str:
    """Return the signature of a request, by the words of Pusher's HTTP API reference."""
    ordered = sorted(((name.lower(), value) for name, value in parameters), key=lambda parameter: parameter[0])
    text = f"{method}\n{path}\n" + "&".join(f"{name}={value}" for name, value in ordered)
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def signed(
    method: str,
    path: str,
    body: bytes = b"",
    parameters: list[tuple[str, str]] | None = None,
    app: App = APP,
    instead: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Return a signed target. ``instead`` replaces parameters before they are signed; an empty one is omitted."""
    given = {"auth_key": app.key, "auth_timestamp": str(int(time.time())), "auth_version": "1.0"}
    if body:
        given["body_md5"] = hashlib.md5(body).hexdigest()
    given.update(instead)
    all_of_them = [*(parameters or []), *((name, value) for name, value in given.items() if value)]
    all_of_them.append(("auth_signature", signature(app.keys[0].secret, method, path, all_of_them)))
    return path + "?" + "&".join(f"{quote(name, safe='[]')}={quote(value, safe='')}" for name, value in all_of_them)


def request(method: str, target: str, body: bytes = b"", *headers: str) -> bytes:
    """Return the bytes of a request; its Content-Length is that of the body."""
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def frame(event: str, data: object, **fields: object) -> bytes:
    """Return a WebSocket message of less than 64 KiB, masked by nothing."""
    text = json.dumps({"event": event, "data": data, **fields}).encode()
    return bytes((0x81, 0xFE)) + len(text).to_bytes(2, "big") + bytes(4) + text
