"""HTTP/1.1 as Pusher's libraries speak it, without aiohttp: what publishing costs hangs on it.

Whatever is not plain (chunked bodies, large ones, upgrades, ``Connection: close``, HTTP/1.0, garbage) goes to aiohttp
together with the connection, before anything of it has been answered.
"""

import asyncio
import logging
import time
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from time import perf_counter

from aiohttp import web

from soketpy.core.containment import contain
from soketpy.protocol.requests import HEAD_TOO_LONG, head_end, parse_request
from soketpy.web.answers import FAILED, Reply
from soketpy.web.door import TOO_LONG, note_refusal
from soketpy.web.errors import stopping, too_slow
from soketpy.web.rest import Exchange, Rest
from soketpy.web.websocket import ServerState

log = logging.getLogger("soketpy.http")

IDLE_TIMEOUT = 75.0
"""Seconds that a connection without a request stays open; longer than common proxies keep theirs."""

REQUEST_TIMEOUT = 60.0
"""Seconds in which a request that has begun must come whole."""

LINGER = 10.0
"""Seconds that the client has to read an answer that ends the connection."""

BODY_LIMIT = 256 * 1024
"""Bytes of a body that are waited for here."""

ANSWERS_SIZE = 64 * 1024
"""Bytes of answers that wait to go out together."""

TURN_SECONDS = 0.005
"""Time for which the requests of one client are served before the event loop has its turn."""

_STATUS_LINES = {status: f"HTTP/1.1 {int(status)} {status.phrase}\r\n" for status in HTTPStatus}


class Outbox:
    """The connections whose answers go out together, at the end of this iteration of the event loop.

    Writing them behind one another wakes those who wait for them, such as a proxy on the same machine, once. The
    answers go ahead of the fan-outs that their calls began, so that publishers need not wait for those.
    """

    def __init__(self) -> None:
        self._waiting: list[PlainHttp] = []

    def add(self, connection: "PlainHttp") -> None:
        """Let a connection send what it has to, once it has served what has come."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._send)
        self._waiting.append(connection)

    def _send(self) -> None:
        waiting, self._waiting = self._waiting, []
        for connection in waiting:
            try:
                connection.send()
            except Exception as fault:
                contain(log, fault, "The answers to a client could not be sent")
                connection.abort()


class PlainHttp(asyncio.Protocol):
    """Serves the plain requests of one connection, one after the other; takes over where a request begins."""

    __slots__ = (
        "_answers",
        "_answers_size",
        "_body",
        "_buffer",
        "_ended",
        "_exchange",
        "_http",
        "_outbox",
        "_refused",
        "_rest",
        "_since",
        "_state",
        "_transport",
        "_turn",
        "_unread",
        "_waits",
        "due",
    )

    def __init__(
        self, transport: asyncio.Transport, rest: Rest, http: web.Server, state: ServerState, outbox: Outbox
    ) -> None:
        self.due = 0
        self._transport = transport
        self._rest = rest
        self._http = http
        self._state = state
        self._outbox = outbox
        self._buffer = b""
        self._exchange: Exchange | None = None  # the request whose body has not come whole
        self._body = 0  # bytes of a body that are still to be taken
        self._since = state.node.clock()  # when the last request began or was served
        self._answers: list[bytes] = []  # of this iteration of the event loop
        self._answers_size = 0
        self._turn: asyncio.Handle | None = None  # the next turn, where there is more to serve at once
        self._unread = False  # whether the client does not read its answers
        self._ended = False  # whether the client has ended its side
        self._waits = False  # whether a call waits for what others have to say
        self._refused = False  # whether the client has sent what ends the connection
        state.deadlines.set(self, REQUEST_TIMEOUT)

    def data_received(self, data: bytes) -> None:
        """Serve all requests that have come whole."""
        if not self._buffer and not self._body:
            self._since = self._state.node.clock()
        if self._refused:
            return
        self._state.http.use(self)
        self._buffer = self._buffer + data if self._buffer else data
        if self._turn is None and not self._held:
            self._serve()

    @property
    def _held(self) -> bool:
        """Whether nothing more may be served now."""
        return self._unread or self._waits

    def _serve(self) -> None:
        """Serve what has come, but not so much at a time that all others wait for it, nor what nobody reads."""
        self._outbox.add(self)
        until = perf_counter() + TURN_SECONDS
        try:
            while self._buffer and not self._held and self._step():
                if self._buffer and perf_counter() >= until:
                    self._transport.pause_reading()
                    self._turn = asyncio.get_running_loop().call_soon(self._serve_on)
                    return
            if self._ended and not self._held:
                self.send()
                self._transport.close()
        except Exception as fault:
            self._fail(fault)

    def _serve_on(self) -> None:
        self._turn = None
        if self._held or self._transport.is_closing():
            return
        try:
            self._transport.resume_reading()
        except Exception as fault:
            self._fail(fault)
        else:
            self._serve()

    def _fail(self, fault: Exception) -> None:
        """Contain a fault that is not of one answer: answer 500, and close. Never raises."""
        contain(log, fault, "The requests of a client could not be served")
        try:
            self._buffer = b""
            self._answers.append(_failure(with_body=True))
            self.send()
            self._transport.close()
        except Exception as another:
            contain(log, another, "A client could not be told that its requests failed")
            self.abort()

    def _step(self) -> bool:
        """Take the next piece off the buffer; False if it is not whole, or the connection is aiohttp's now."""
        if self._exchange is not None:
            if len(self._buffer) < self._body:
                return False
            exchange, self._exchange = self._exchange, None
            return self._call(exchange, self._take(self._body))
        elif self._body:
            self._take(self._body)  # of a request that was refused by its head
        else:
            return self._open()
        return True

    def _open(self) -> bool:
        """Look at the head of a request."""
        try:
            end = head_end(self._buffer)
        except ValueError:
            self._refuse()
            return False
        if end < 0:
            return False
        request = parse_request(self._buffer[:end])
        if request is None or request.length > BODY_LIMIT:
            self._hand_over()
            return False
        self._buffer = self._buffer[end + 4 :]
        self._body = request.length
        exchange = self._rest.open(request.method, request.target, request.headers, self._transport)
        if exchange.answer is not None:
            self._answer(exchange)
        elif self._body:
            self._exchange = exchange
            if len(self._buffer) < self._body:
                self._state.http.begin(self)
                self._rest.wait(exchange, self._called)
        else:
            return self._call(exchange, b"")
        return True

    def _call(self, exchange: Exchange, body: bytes) -> bool:
        """Serve a call whose body has come; False if it has to wait, and all that comes behind it."""
        if self._rest.begin(exchange, body, self._called):
            self._answer(exchange)
            return True
        self._waits = True
        self._state.http.begin(self)
        self._transport.pause_reading()
        return False

    def _called(self, exchange: Exchange) -> None:
        """Send the answer to a call that had to wait, for its body or for others. Never raises."""
        try:
            self._continue(exchange)
        except Exception as fault:
            self._fail(fault)

    def _continue(self, exchange: Exchange) -> None:
        self._waits, self._exchange = False, None
        if self._transport.is_closing():
            return
        self._outbox.add(self)
        self._answer(exchange)
        if self._turn is None:
            self._turn = asyncio.get_running_loop().call_soon(self._serve_on)

    def _take(self, size: int) -> bytes:
        """Take bytes of the body off the buffer, as many as there are."""
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        self._body -= len(taken)
        return taken

    def _answer(self, exchange: Exchange) -> None:
        """Let the answer go out with the next; the connection waits for its next request from now on."""
        self._since = self._state.node.clock()
        with_body = exchange.method != "HEAD"
        try:
            answer = _encode(self._rest.reply(exchange), with_body=with_body)
        except Exception as fault:
            contain(log, fault, "The answer to %s %s could not be made", exchange.method, exchange.path)
            answer = _failure(with_body=with_body)
        try:
            self._state.http.end(self)
        except Exception as fault:
            contain(log, fault, "An HTTP connection could not be counted as idle")
        self._answers.append(answer)
        self._answers_size += len(answer)
        if self._rest.leaving:
            self._buffer = b""
            self.send()
            self._transport.close()
        elif self._answers_size > ANSWERS_SIZE:
            self.send()  # which is how a client is found out that does not read its answers

    def send(self) -> None:
        """Write the answers that wait."""
        if self._answers:
            answers, self._answers, self._answers_size = self._answers, [], 0
            self._transport.write(b"".join(answers))

    def _refuse(self) -> None:
        """Answer a head that is too long, and throw away what follows until the client goes or the time is up.

        To close the socket on unread bytes would send a reset, which can destroy the answer.
        """
        note_refusal(self._transport, self._state, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, HEAD_TOO_LONG)
        self._refused, self._buffer = True, b""
        self._since = self._state.node.clock()
        self._state.deadlines.set(self, LINGER)
        self.send()
        self._transport.write(TOO_LONG)
        if self._transport.can_write_eof():
            self._transport.write_eof()

    def _hand_over(self) -> None:
        """Let aiohttp have the connection, and what has come of the next request, once no answers are in the way."""
        self.send()
        if self._unread:
            return
        self._state.deadlines.clear(self)
        handler = self._http()
        self._state.http.replace(self, handler)
        self._transport.set_protocol(handler)
        handler.connection_made(self._transport)
        handler.data_received(self._buffer)
        if self._ended:
            self._ended = False  # it is aiohttp's to close the connection, once its task has looked at the requests
            asyncio.get_running_loop().call_soon(self._tell_end, handler)

    def _tell_end(self, handler: web.RequestHandler) -> None:
        """Tell aiohttp that the client has ended its side."""
        try:
            stays = handler.eof_received()  # type: ignore[func-returns-value] # ours says whether it does
        except Exception as fault:
            contain(log, fault, "The end of a client could not be told to aiohttp")
            stays = None
        if not stays:
            self._transport.close()

    def eof_received(self) -> bool:
        """The client asks for no more: let it have its answers before the connection is closed."""
        self.send()
        self._ended = True
        waits = self._held or self._turn is not None
        return waits and self._transport.can_write_eof()  # TLS cannot end one side alone

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
        self._state.deadlines.clear(self)
        self._state.http.leave(self)
        self._answers.clear()
        if self._turn is not None:
            self._turn.cancel()
        if self._exchange is not None:
            self._rest.abandon(self._exchange)

    def pause_writing(self) -> None:
        """The client does not read its answers: hear no more of its requests, and serve none."""
        self._unread = True
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """The client has read its answers."""
        self._unread = False
        if self._turn is None:
            self._turn = asyncio.get_running_loop().call_soon(self._serve_on)

    def abort(self) -> None:
        """End the TCP connection at once."""
        self._transport.abort()

    def expire(self, now: float) -> None:
        """Close a connection that was idle for long, or whose request does not come whole."""
        waited = now - self._since
        patience = LINGER if self._refused else REQUEST_TIMEOUT if self._buffer or self._body else IDLE_TIMEOUT
        self.send()
        if self._waits and not self._rest.stopped:  # the answer comes when others have answered, or at the stop
            self._state.deadlines.set(self, patience)
        elif waited < patience and not self._state.draining:
            self._state.deadlines.set(self, patience - waited)
        elif self._transport.get_write_buffer_size():
            self._transport.abort()  # to close would wait, for ever, for a client that does not read its answers
        else:
            self._give_up()

    def _give_up(self) -> None:
        """Answer a call whose body does not come, and close."""
        if self._exchange is not None:
            exchange, self._exchange = self._exchange, None
            self._rest.refuse(exchange, stopping() if self._state.draining else too_slow(REQUEST_TIMEOUT))
            self._answer(exchange)
            self.send()
        self._transport.close()


def _encode(reply: Reply, *, with_body: bool) -> bytes:
    """The bytes of an answer."""
    body = reply.body
    lines = [_STATUS_LINES[reply.status], *[f"{name}: {value}\r\n" for name, value in reply.headers.items()]]
    lines.append(_date(int(time.time())))
    if body is None:
        return "".join([*lines, "\r\n"]).encode()
    head = "".join([*lines, f"Content-Length: {len(body)}\r\n\r\n"]).encode()
    return head + body if with_body else head


def _failure(*, with_body: bool) -> bytes:
    """Return the bytes of an answer where no other can be made."""
    body = FAILED.body or b""
    lines = [_STATUS_LINES[FAILED.status], *[f"{name}: {value}\r\n" for name, value in FAILED.headers.items()]]
    head = "".join([*lines, f"Content-Length: {len(body)}\r\n\r\n"]).encode()
    return head + body if with_body else head


@lru_cache(maxsize=1)
def _date(now: int) -> str:
    """The Date header of this second (RFC 9110, section 6.6.1)."""
    return f"Date: {formatdate(now, usegmt=True)}\r\n"
