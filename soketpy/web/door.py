"""The door: the first request of a TCP connection decides whether a WebSocket or HTTP takes it over.

So an idle client costs no handler, task or stream of aiohttp's.
"""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import cast

from soketpy.admission import Hello
from soketpy.protocol import handshake
from soketpy.web.websocket import Surroundings, WebSocket

HEAD_LIMIT = 16 * 1024
"""Bytes that the head of the first request may have."""


def _error(status: HTTPStatus, reason: str) -> bytes:
    body = f'{{"error":"{reason}","code":{status.value}}}'
    return (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nAccess-Control-Allow-Origin: *\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}"
    ).encode()


_NOT_HTTP = _error(HTTPStatus.BAD_REQUEST, "The request is not valid HTTP; if it is TLS, this port speaks none.")
_TOO_LONG = _error(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"The head of a request may have {HEAD_LIMIT} bytes at most."
)


HttpProtocol = Callable[[asyncio.Transport], asyncio.Protocol]
"""Makes what serves HTTP on a connection from now on."""


class Door(asyncio.Protocol):
    """Waits for the head of the first request of one TCP connection."""

    __slots__ = ("_head", "_http", "_prefix", "_shared", "_timeout", "_transport", "due")

    def __init__(self, shared: Surroundings, http: HttpProtocol, prefix: str, timeout: float) -> None:
        self.due = 0
        self._shared = shared
        self._http = http
        self._prefix = prefix
        self._timeout = timeout
        self._head: bytes | None = b""  # None once the client has been refused
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
        self.abort()

    def abort(self) -> None:
        """End the TCP connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Collect the head; hand the connection over once it is whole, or cannot become one."""
        transport = self._transport
        assert transport is not None  # noqa: S101 - asyncio calls connection_made first
        if self._head is None:
            return
        # RFC 9112, section 2.2: empty lines in front of a request do not count.
        self._head = head = self._head + data if self._head else data.lstrip(b"\r\n")
        end = head.find(b"\r\n\r\n")
        if head and not head[:1].isalpha():
            self._refuse(transport, _NOT_HTTP)  # TLS, for one: its client is told at once
        elif (end if end >= 0 else len(head) - 3) > HEAD_LIMIT:
            self._refuse(transport, _TOO_LONG)
        elif end >= 0:
            upgrade = handshake.parse_upgrade(head[:end]) if head.startswith(b"GET ") else None
            if upgrade is None:
                self._hand_over(transport, head)
            else:
                self._shared.deadlines.clear(self)
                open_websocket(transport, upgrade, self._shared, self._prefix, head[end + 4 :])

    def _hand_over(self, transport: asyncio.Transport, head: bytes) -> None:
        """Let HTTP have the connection."""
        self._shared.deadlines.clear(self)
        protocol = self._http(transport)
        transport.set_protocol(protocol)
        protocol.data_received(head)

    def _refuse(self, transport: asyncio.Transport, answer: bytes) -> None:
        """Answer what cannot become a request, and hear no more of it until the client goes or the time is up.

        To close the socket on unread bytes would send a reset, which can destroy the answer ahead of it.
        """
        self._head = None
        transport.write(answer)
        if transport.can_write_eof():
            transport.write_eof()


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
    forwarded = upgrade.headers.get("x-forwarded-proto", "").partition(",")[0].strip().lower()
    websocket.open(
        Hello(
            key=handshake.app_key(upgrade.path, prefix),
            protocol=upgrade.query.get("protocol"),
            origin=upgrade.headers.get("origin"),
            secure=forwarded in ("https", "wss") or transport.get_extra_info("sslcontext") is not None,
        ),
        handshake.acceptance(upgrade),
        rest,
    )
