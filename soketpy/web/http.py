"""HTTP by aiohttp's low-level server, and the WebSocket that is asked for on a connection that has served HTTP."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, cast

from aiohttp import StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_exceptions import LineTooLong
from aiohttp.http_parser import RawRequestMessage

from soketpy.core.containment import attempt, contain
from soketpy.protocol import handshake
from soketpy.protocol.requests import HEAD_LIMIT, HEAD_TOO_LONG, MOST_HEADERS, tokens
from soketpy.web.answers import FAILED, Reply, malformed, not_http, path_of
from soketpy.web.door import FULL, note_refusal, open_websocket
from soketpy.web.errors import RequestError, too_large, too_slow
from soketpy.web.http_connections import HttpConnections
from soketpy.web.metrics_port import MetricsPort
from soketpy.web.pieces import Pieces
from soketpy.web.rest import Exchange, Rest
from soketpy.web.websocket import ServerState

KEEP_ALIVE = 75.0
"""Seconds that an idle HTTP connection stays open; longer than common proxies keep theirs."""

BODY_TIMEOUT = 60.0
"""Seconds in which the whole body must come."""

LINGER = 2.0
"""Seconds for which the rest of a refused body is thrown away, so that its sender reads the answer and no reset."""

_TOO_MANY = "Too many headers received"  # in aiohttp's words

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

Note = Callable[[asyncio.Transport, int, str], None]
"""Leaves a line in the log about a request that is refused with this status, for this reason. Never raises."""

log = logging.getLogger("soketpy.http")

# Strangers can make aiohttp log a traceback for each broken request; what matters is logged here.
QUIET = logging.getLogger("soketpy.aiohttp")
QUIET.disabled = True


def http_server(rest: Rest, state: ServerState, prefix: str) -> web.Server:
    """A factory of protocols, each of which serves the HTTP requests of one connection."""

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        protocol = cast("_Protocol", request.protocol)
        protocol.begin(request.content)
        if _head_size(request) > HEAD_LIMIT:
            return protocol.refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, HEAD_TOO_LONG)
        if request.method == "GET" and "websocket" in tokens(request.headers.get("Upgrade", "")):
            upgrade = _upgrade_of(request)
            if upgrade is not None:
                return _hand_over(request, upgrade, state, prefix)
        return await _serve(request, rest)

    def note(transport: asyncio.Transport, status: int, reason: str) -> None:
        note_refusal(transport, state, status, reason)

    return _HttpServer(serve, state.http, note)


def metrics_server(operations: MetricsPort, most: int | None) -> web.Server:
    """Return a factory of protocols for the metrics port, of which ``most`` serve a connection at once."""

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        protocol = cast("_Protocol", request.protocol)
        protocol.begin(request.content)
        if _head_size(request) > HEAD_LIMIT:
            return protocol.refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, HEAD_TOO_LONG)
        return await operations(request)

    return _HttpServer(serve, HttpConnections(most), lambda *_: None)


async def _serve(request: web.BaseRequest, rest: Rest) -> web.Response:
    """Serve one request; its body is read only if its signature holds."""
    exchange = rest.open(request.method, path_of(request.raw_path), request.headers, request.transport)
    if exchange.answer is None:
        try:
            await _call(request, rest, exchange)
        finally:
            rest.abandon(exchange)
    try:
        reply = rest.reply(exchange)
    except Exception as fault:
        contain(log, fault, "The answer to %s %s could not be made", exchange.method, exchange.path)
        reply = FAILED
    return _response(reply)


async def _call(request: web.BaseRequest, rest: Rest, exchange: Exchange) -> None:
    """Serve a call that is let in, and wait until it has its answer."""
    rest.wait(exchange, lambda _: _break_off(request.content))
    try:
        body = await _read(request, rest.body_size)
    except RequestError as fault:
        rest.refuse(exchange, fault)
        return
    ended = asyncio.Event()
    if exchange.answer is None and not rest.begin(exchange, body, lambda _: ended.set()):
        await ended.wait()


def _response(reply: Reply) -> web.Response:
    response = web.Response(body=reply.body, status=reply.status, headers=reply.headers)
    if reply.headers.get("Connection") == "close":
        response.force_close()
    return response


def _head_size(request: web.BaseRequest) -> int:
    """Return the bytes of the head, the empty line not counted; spaces around values may be missing."""
    line = len(request.method) + len(request.raw_path) + len("  HTTP/1.1")
    return line + sum(len(name) + len(value) + 4 for name, value in request.raw_headers)


async def _read(request: web.BaseRequest, limit: int) -> bytes:
    """The body. Raises RequestError: 413 over ``limit`` bytes, 408 if it is slow, 400 if it is broken off."""
    length = request.content_length
    if length is not None and length > limit:
        raise too_large(limit)
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
        # curl waits a second for this before it sends a large body.
        request.transport.write(_CONTINUE)
    chunks, size = [], 0
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            async for chunk in request.content.iter_any():
                size += len(chunk)
                if size > limit:
                    raise too_large(limit)
                chunks.append(chunk)
    except TimeoutError:
        raise too_slow(BODY_TIMEOUT) from None
    except (web.RequestPayloadError, OSError):
        raise RequestError(HTTPStatus.BAD_REQUEST, "The body is broken off, or not framed as HTTP asks.") from None
    return b"".join(chunks)


class _HttpServer(web.Server):
    """aiohttp's server, but for the answer to what is not HTTP, and for its bound."""

    def __init__(
        self, serve: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], counted: HttpConnections, note: Note
    ) -> None:
        super().__init__(
            serve,
            access_log=None,
            auto_decompress=False,
            keepalive_timeout=KEEP_ALIVE,
            lingering_time=LINGER,
            logger=QUIET,
            max_line_size=HEAD_LIMIT,
            max_field_size=HEAD_LIMIT,
            max_headers=MOST_HEADERS,
        )
        self.counted = counted
        self.note = note

    def __call__(self) -> web.RequestHandler:
        """A protocol for one more connection."""
        return _Protocol(self, loop=self._loop, **self._kwargs)


class _Protocol(web.RequestHandler):
    """aiohttp's protocol, but for the answer to what is not HTTP, and for what it leaves to the garbage collector."""

    __slots__ = ("body", "counted", "ended", "note", "pieces", "refused", "upgrade")

    body: StreamReader | None
    """That of the last request."""

    ended: bool
    """Whether the client has ended its side of the connection."""

    counted: HttpConnections
    """Those of the port."""

    note: Note

    pieces: Pieces
    """What comes, in pieces that the parser can take."""

    upgrade: RawRequestMessage | None
    """The last request that asked for an upgrade and has a body."""

    refused: bool
    """Whether there is no room for the connection."""

    def __init__(self, server: _HttpServer, **options: Any) -> None:
        super().__init__(server, **options)
        self.counted = server.counted
        self.note = server.note
        self.pieces = Pieces()
        self.upgrade = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to serve, if there is room."""
        self.body, self.ended = None, False
        tcp = cast("asyncio.Transport", transport)
        self.refused = self not in self.counted and not self.counted.admit(self, tcp)
        if self.refused:
            tcp.write(FULL)
            tcp.close()
        else:
            super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Count the connection no more."""
        self.counted.leave(self)
        super().connection_lost(exc)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send the answer. A client that does not read it is idle, and must not keep others out."""
        attempt(log, self.counted.end, self)
        sent = await super().finish_response(request, resp, start_time)
        self._close_if_served()
        return sent

    def begin(self, body: StreamReader) -> None:
        """A request is served from now on."""
        self.counted.begin(self)
        self.body = body
        if self.ended:
            _break_off(body)

    def data_received(self, data: bytes) -> None:
        """Take bytes of the client; a body that they break is broken off at once, and not waited for."""
        if self.refused:
            return
        self.counted.use(self)
        for piece in self.pieces.cut(data) if data else (data,):  # aiohttp gives b"" to have the parser go on
            super().data_received(piece)
            self._expect_end_of_upgrade()
        if self.body is not None and self._messages and hasattr(self._messages[-1][0], "exc"):
            _break_off(self.body)

    def _expect_end_of_upgrade(self) -> None:
        """Cut what comes behind a request with a body that asks for an upgrade."""
        message, body = self._messages[-1] if self._messages else (None, None)
        if isinstance(message, RawRequestMessage) and message.upgrade and body is not None and not body.is_eof():
            if message.chunked:
                self.pieces.expect_chunks()
            elif message is not self.upgrade:
                self.pieces.expect_body(int(message.headers.get("Content-Length", "0")))
            self.upgrade = message

    def eof_received(self) -> bool:  # type: ignore[override] # asyncio's own says bool as well
        """Keep the connection open, if a client ends its side behind requests, until they have their answers."""
        if self._waiter is not None and not self._waiter.done():
            return False
        self.ended = True
        self._close_if_served()
        if self.body is not None:
            _break_off(self.body)
        return self.transport is not None and self.transport.can_write_eof()  # TLS cannot end one side alone

    def _close_if_served(self) -> None:
        """Close behind the request that is served now, if the client has ended its side and asked for no more."""
        if self.ended and not self._messages and not self._message_tail:
            self.close()

    async def start(self) -> None:
        """Serve the connection to its end."""
        if self.transport is None:
            return  # that came before
        try:
            await super().start()
        finally:
            body, self.body = self.body, None
            if body is not None:
                _let_go(body.exception())
            for message, _ in self._messages:  # where aiohttp keeps what is broken, but not next in turn
                _let_go(getattr(message, "exc", None))

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer as REST answers every error, and close the connection."""
        if status != HTTPStatus.BAD_REQUEST:
            contain(log, exc or TimeoutError(), "A request could not be served")
            response = _response(FAILED)
            response.force_close()
            return response
        _let_go(exc)
        if isinstance(exc, LineTooLong) or message == _TOO_MANY:
            return self.refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, HEAD_TOO_LONG)
        return self.refuse(HTTPStatus.BAD_REQUEST, not_http(message))

    def refuse(self, status: HTTPStatus, reason: str) -> web.Response:
        """Return the answer to a request that is refused by its head; close the connection behind it."""
        if self.transport is not None:
            self.note(self.transport, status.value, reason)
        response = _response(malformed(status, reason))
        response.force_close()
        return response


def _break_off(body: StreamReader) -> None:
    """No more of it comes."""
    if not body.is_eof():
        body.set_exception(web.RequestPayloadError())


def _let_go(fault: BaseException | None) -> None:
    """Free the frames that an exception has passed: they hold it in turn, and the connection with it."""
    while fault is not None:
        fault.__traceback__ = None
        fault = fault.__cause__ or fault.__context__


def _upgrade_of(request: web.BaseRequest) -> handshake.Upgrade | None:
    head = [f"GET {request.raw_path} HTTP/{request.version.major}.{request.version.minor}"]
    head += [f"{name}: {value}" for name, value in request.headers.items()]
    return handshake.parse_upgrade("\r\n".join(head).encode("latin-1", "replace"))


class _HandedOver(web.StreamResponse):
    """The answer of a handler whose connection belongs to a WebSocket now: there is nothing to send."""

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Tell aiohttp that its client is gone."""
        raise ConnectionResetError


def _hand_over(
    request: web.BaseRequest, upgrade: handshake.Upgrade, state: ServerState, prefix: str
) -> web.StreamResponse:
    """Take the connection from aiohttp; a proxy that reuses its connections asks for that."""
    transport, protocol = request.transport, cast("_Protocol", request.protocol)
    if transport is None or protocol.ended:
        return _HandedOver()  # to nobody: the client has gone
    rest, protocol._message_tail = protocol._message_tail, b""  # frames that came right behind the request
    protocol.transport = None  # so that aiohttp, which is told that the client left, does not close it
    protocol.connection_lost(None)
    transport.resume_reading()  # aiohttp stops where many of them have come
    open_websocket(transport, upgrade, state, prefix, rest)
    return _HandedOver()
