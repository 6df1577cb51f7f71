"""A TCP connection until its first request, which decides between HTTP and WebSocket."""

import asyncio
from http import HTTPStatus
from typing import cast

from soketpy.protocol import handshake
from soketpy.protocol.requests import HEAD_TOO_LONG, head_end
from soketpy.web.errors import RETRY_AFTER
from soketpy.web.half_close import end_writing
from soketpy.web.http import HttpConnection
from soketpy.web.http_port import HttpPort


def error(status: HTTPStatus, reason: str, headers: str = "") -> bytes:
    """Return an answer after which the connection is closed."""
    body = f'{{"error":"{reason}","code":{status.value}}}'
    return (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nAccess-Control-Allow-Origin: *\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n{headers}"
        f"Connection: close\r\n\r\n{body}"
    ).encode()


NOT_HTTP = "The request is not valid HTTP. If it is TLS: this port does not use TLS."
_NOT_HTTP = error(HTTPStatus.BAD_REQUEST, NOT_HTTP)
_TOO_LONG = error(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, HEAD_TOO_LONG)
FULL = error(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "The server has reached its limit of HTTP connections (bounds.max_http_connections); try again.",
    f"Retry-After: {RETRY_AFTER}\r\n",
)


class FirstRequest(asyncio.Protocol):
    """Waits for the head of the first request of one TCP connection, and hands the connection over."""

    __slots__ = ("__weakref__", "_head", "_port", "_timeout", "_transport", "due")

    def __init__(self, port: HttpPort, timeout: float) -> None:
        self.due = 0
        self._port = port
        self._timeout = timeout
        self._head: bytes | None = b""  # None once the client has been refused
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the time that the client has for its first request."""
        self._transport = cast("asyncio.Transport", transport)
        self._port.deadlines.set(self, self._timeout)
        self._port.connections.arrive(self, self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a client that disconnected before its first request was complete."""
        self._port.deadlines.clear(self)
        self._port.connections.leave(self)

    def expire(self, now: float) -> None:
        """Close a connection whose first request did not arrive in time."""
        if self._head and not self._port.draining():
            self._log(HTTPStatus.REQUEST_TIMEOUT, f"The first request did not come within {self._timeout:g} s.")
        self.abort()

    def abort(self) -> None:
        """Close the TCP connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Collect the head. Hand the connection over when the head is complete, or refuse it when it is invalid."""
        transport = self._transport
        assert transport is not None  # noqa: S101 - asyncio calls connection_made first
        if self._head is None:
            return
        # RFC 9112, section 2.2: ignore empty lines before a request.
        self._head = head = self._head + data if self._head else data.lstrip(b"\r\n")
        if head and not head[:1].isalpha():
            self._log(HTTPStatus.BAD_REQUEST, NOT_HTTP)
            self._refuse(transport, _NOT_HTTP)  # at once: a TLS client, for example, waits for an answer
            return
        try:
            end = head_end(head)
        except ValueError:
            self._log(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, HEAD_TOO_LONG)
            self._refuse(transport, _TOO_LONG)
            return
        if end >= 0:
            websocket = self._port.open_websocket
            upgrade = handshake.parse_upgrade(head[:end]) if websocket and head.startswith(b"GET ") else None
            if websocket is None or upgrade is None:
                self._hand_over(transport, head)
            else:
                self._port.deadlines.clear(self)
                self._port.connections.leave(self)
                websocket(transport, upgrade, head[end + 4 :])

    def _hand_over(self, transport: asyncio.Transport, head: bytes) -> None:
        """Let an HttpConnection serve the requests, if there is room for one more."""
        if not self._port.connections.admit(self, transport, self._port.outbox):
            self._refuse(transport, FULL)
            return
        self._port.deadlines.clear(self)
        protocol = HttpConnection(transport, self._port)
        self._port.connections.replace(self, protocol)
        transport.set_protocol(protocol)
        protocol.data_received(head)

    def _log(self, status: int, reason: str) -> None:
        if self._transport is not None:
            self._port.log_refusal(self._transport, status, reason)

    def _refuse(self, transport: asyncio.Transport, answer: bytes) -> None:
        """Answer bytes that cannot become a request, then ignore the client until it disconnects or its timeout ends.

        Closing the socket with unread bytes would send a reset, which can destroy the answer.
        """
        self._head = None
        transport.write(answer)
        end_writing(transport)
