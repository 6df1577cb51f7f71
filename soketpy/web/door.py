"""The door: the first request of a TCP connection decides whether a WebSocket or aiohttp takes it over.

An idle client costs no aiohttp handler, task or stream that way; ``docs/architecture.md`` has the figures.
"""

import asyncio
from typing import cast

from aiohttp import web

from soketpy.admission import Hello
from soketpy.protocol import handshake
from soketpy.web.websocket import Surroundings, WebSocket

HEAD_LIMIT = 16 * 1024
"""Bytes that the head of the first request may have."""

_TOO_LONG = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nAccess-Control-Allow-Origin: *\r\n"
    b"Content-Length: 0\r\nConnection: close\r\n\r\n"
)


class Door(asyncio.Protocol):
    """Waits for the head of the first request of one TCP connection."""

    __slots__ = ("_head", "_http", "_prefix", "_shared", "_timeout", "_transport", "due")

    def __init__(self, shared: Surroundings, http: web.Server, prefix: str, timeout: float) -> None:
        self.due = 0
        self._shared = shared
        self._http = http
        self._prefix = prefix
        self._timeout = timeout
        self._head = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected: it has so many seconds to send its first request."""
        self._transport = cast("asyncio.Transport", transport)
        self._shared.deadlines.set(self, self._timeout)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client left before its first request was whole."""
        self._shared.deadlines.clear(self)

    def expire(self, now: float) -> None:
        """The first request did not come in time."""
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Collect the head; hand the connection over once it is whole."""
        transport = self._transport
        assert transport is not None  # noqa: S101 - asyncio calls connection_made first
        self._head = head = self._head + data if self._head else data
        end = head.find(b"\r\n\r\n")
        if end < 0:
            if len(head) > HEAD_LIMIT:
                transport.write(_TOO_LONG)
                transport.close()
            return
        self._shared.deadlines.clear(self)
        upgrade = handshake.parse_upgrade(head[:end]) if end <= HEAD_LIMIT and head.startswith(b"GET ") else None
        if upgrade is None:
            handler = self._http()
            transport.set_protocol(handler)
            handler.connection_made(transport)
            handler.data_received(head)
        else:
            open_websocket(transport, upgrade, self._shared, self._prefix, head[end + 4 :])


def open_websocket(
    transport: asyncio.Transport, upgrade: handshake.Upgrade, shared: Surroundings, prefix: str, rest: bytes
) -> None:
    """Answer a handshake; let a WebSocket take over the connection, and what the client has sent since."""
    refusal = handshake.refusal(upgrade)
    if refusal is not None:
        transport.write(refusal)
        transport.close()
        return
    websocket = WebSocket(transport, shared)
    transport.set_protocol(websocket)
    transport.write(handshake.acceptance(upgrade))
    forwarded = upgrade.headers.get("x-forwarded-proto", "").partition(",")[0].strip().lower()
    websocket.open(
        Hello(
            key=handshake.app_key(upgrade.path, prefix),
            protocol=upgrade.query.get("protocol"),
            origin=upgrade.headers.get("origin"),
            secure=forwarded in ("https", "wss") or transport.get_extra_info("sslcontext") is not None,
        )
    )
    if rest:
        websocket.data_received(rest)
