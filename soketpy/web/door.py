"""The door: the first request of a TCP connection decides whether a WebSocket or HTTP takes it over.

So an idle client costs no handler, task or stream of aiohttp's.
"""

import asyncio
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import cast

from soketpy.core.admission import Hello
from soketpy.core.containment import attempt
from soketpy.core.refusals import address
from soketpy.protocol import handshake
from soketpy.protocol.requests import HEAD_LIMIT as HEAD_LIMIT
from soketpy.protocol.requests import HEAD_TOO_LONG, head_end
from soketpy.web.websocket import ServerState, WebSocket

log = logging.getLogger("soketpy.http")


def error(status: HTTPStatus, reason: str, headers: str = "") -> bytes:
    """Return an answer behind which the connection is closed."""
    body = f'{{"error":"{reason}","code":{status.value}}}'
    return (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nAccess-Control-Allow-Origin: *\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n{headers}"
        f"Connection: close\r\n\r\n{body}"
    ).encode()


NOT_HTTP = "The request is not valid HTTP; if it is TLS, this port speaks none."
_NOT_HTTP = error(HTTPStatus.BAD_REQUEST, NOT_HTTP)
TOO_LONG = error(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, HEAD_TOO_LONG)
FULL = error(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "The server has as many HTTP connections as it may have (bounds.max_http_connections); try again.",
    "Retry-After: 1\r\n",
)


HttpProtocol = Callable[[asyncio.Transport], asyncio.Protocol]
"""Makes what serves HTTP on a connection from now on."""


class Door(asyncio.Protocol):
    """Waits for the head of the first request of one TCP connection."""

    __slots__ = ("__weakref__", "_head", "_http", "_prefix", "_state", "_timeout", "_transport", "due")

    def __init__(self, state: ServerState, http: HttpProtocol, prefix: str, timeout: float) -> None:
        self.due = 0
        self._state = state
        self._http = http
        self._prefix = prefix
        self._timeout = timeout
        self._head: bytes | None = b""  # None once the client has been refused
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected: it has so many seconds to send its first request."""
        self._transport = cast("asyncio.Transport", transport)
        self._state.deadlines.set(self, self._timeout)
        self._state.http.arrive(self, self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client left before its first request was whole."""
        self._state.deadlines.clear(self)
        self._state.http.leave(self)

    def expire(self, now: float) -> None:
        """The first request did not come in time."""
        if self._head and not self._state.draining:
            self._note(HTTPStatus.REQUEST_TIMEOUT, f"The first request did not come within {self._timeout:g} s.")
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
        if head and not head[:1].isalpha():
            self._note(HTTPStatus.BAD_REQUEST, NOT_HTTP)
            self._refuse(transport, _NOT_HTTP)  # TLS, for one: its client is told at once
            return
        try:
            end = head_end(head)
        except ValueError:
            self._note(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, HEAD_TOO_LONG)
            self._refuse(transport, TOO_LONG)
            return
        if end >= 0:
            upgrade = handshake.parse_upgrade(head[:end]) if head.startswith(b"GET ") else None
            if upgrade is None:
                self._hand_over(transport, head)
            else:
                self._state.deadlines.clear(self)
                self._state.http.leave(self)
                open_websocket(transport, upgrade, self._state, self._prefix, head[end + 4 :])

    def _hand_over(self, transport: asyncio.Transport, head: bytes) -> None:
        """Let HTTP have the connection, if there is room."""
        if not self._state.http.admit(self, transport):
            self._refuse(transport, FULL)
            return
        self._state.deadlines.clear(self)
        protocol = self._http(transport)
        self._state.http.replace(self, protocol)
        transport.set_protocol(protocol)
        protocol.data_received(head)

    def _note(self, status: int, reason: str) -> None:
        if self._transport is not None:
            note_refusal(self._transport, self._state, status, reason)

    def _refuse(self, transport: asyncio.Transport, answer: bytes) -> None:
        """Answer what cannot become a request, and hear no more of it until the client goes or the time is up.

        To close the socket on unread bytes would send a reset, which can destroy the answer ahead of it.
        """
        self._head = None
        transport.write(answer)
        if transport.can_write_eof():
            transport.write_eof()


def note_refusal(
    transport: asyncio.Transport,
    state: ServerState,
    status: int,
    reason: str,
    app_id: str | None = None,
    path: str = "",
) -> None:
    """Leave a line in the log about a request that is refused by its head. Never raises."""
    peer = address(transport.get_extra_info("peername"))
    attempt(log, state.node.refusals.handshake, peer, int(status), reason, app_id, path)


def open_websocket(
    transport: asyncio.Transport, upgrade: handshake.Upgrade, state: ServerState, prefix: str, rest: bytes
) -> None:
    """Answer a handshake; let a WebSocket take over the connection, and what the client has sent since."""
    refusal = handshake.refusal(upgrade)
    if refusal is not None:
        # It is text: a status line, headers, and the reason behind an empty line.
        head, _, reason = refusal.decode().partition("\r\n\r\n")
        key = handshake.app_key(upgrade.path, prefix)
        app = None if key is None else state.apps.by_key(key)
        app_id = None if app is None else app.id
        note_refusal(transport, state, int(head.split(" ", 2)[1]), reason, app_id, upgrade.path)
        transport.write(refusal)
        transport.close()
        return
    websocket = WebSocket(transport, state)
    transport.set_protocol(websocket)
    forwarded = upgrade.headers.get("x-forwarded-proto", "").partition(",")[0].strip().lower()
    websocket.open(
        Hello(
            key=handshake.app_key(upgrade.path, prefix),
            protocol=upgrade.query.get("protocol"),
            origin=upgrade.headers.get("origin"),
            path=upgrade.path,
            secure=forwarded in ("https", "wss") or transport.get_extra_info("sslcontext") is not None,
        ),
        handshake.acceptance(upgrade),
        rest,
    )
