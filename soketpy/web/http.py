"""HTTP/1.1: one connection, its requests one after the other, and their answers."""

import asyncio
import logging
from functools import partial
from http import HTTPStatus
from time import monotonic, perf_counter

from soketpy.core.containment import attempt, contain
from soketpy.protocol.handshake import Upgrade, parse_upgrade
from soketpy.protocol.requests import HEAD_TOO_LONG, BadRequest, Head, head_end, parse_head
from soketpy.web.answers import malformed, not_http, path_of
from soketpy.web.encoding import encode, failure
from soketpy.web.errors import RequestError, broken_off, stopping, too_large, too_slow
from soketpy.web.exchange import Exchange
from soketpy.web.half_close import end_writing
from soketpy.web.http_port import HttpPort
from soketpy.web.request_bodies import IncompleteRequest

log = logging.getLogger("soketpy.http")

IDLE_TIMEOUT = 75.0
"""Seconds that a connection without a request stays open; longer than the idle timeout of common proxies."""

REQUEST_TIMEOUT = 60.0
"""Seconds in which a request that has begun must be complete."""

LINGER = 10.0
"""Seconds for which the rest of a refused request is discarded, so that the client reads the answer and no reset."""

PIECE_SIZE = 64 * 1024
"""Bytes of a body that are parsed at a time."""

ANSWERS_SIZE = 64 * 1024
"""Bytes of answers that may wait to be written together."""

SLICE_SECONDS = 0.005
"""Time for which the requests of one client are served in one iteration of the event loop."""

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class HttpConnection(asyncio.Protocol):
    """Serves the requests of one connection, one after the other, from the beginning of a request on.

    Bytes stay in the buffer until all requests before them have their answers. Only then is the next request parsed.
    """

    __slots__ = (
        "_answers_size", "_api", "_buffer", "_closes", "_discards", "_ended", "_incomplete", "_next_slice",
        "_port", "_since", "_transport", "_unread", "_waits", "answers", "due",
    )  # fmt: skip

    def __init__(self, transport: asyncio.Transport, port: HttpPort) -> None:
        self.due = 0
        self._transport = transport
        self._port = port
        self._api = port.api
        self._buffer = b""
        self._incomplete: IncompleteRequest | None = None  # the request whose body is incomplete
        self._since = port.clock()  # when the last request began or was answered
        self.answers: list[bytes] = []  # of this iteration of the event loop
        self._answers_size = 0
        self._next_slice: asyncio.Handle | None = None  # serves the rest of the buffer
        self._unread = False  # the client does not read its answers
        self._waits = False  # a call waits for other nodes
        self._closes = False  # the connection is closed after the current request
        self._discards = False  # all further bytes are discarded
        self._ended = False  # the client has ended its side
        port.deadlines.set(self, REQUEST_TIMEOUT)

    # Bytes in

    def data_received(self, data: bytes) -> None:
        """Serve all requests that are complete."""
        if self._discards:
            return
        if not self._buffer and self._incomplete is None:
            self._since = self._port.clock()
        self._port.connections.use(self)
        self._buffer = self._buffer + data if self._buffer else data
        if self._next_slice is None and not self._unread and not self._waits:
            self._port.outbox.add(self)
            self._serve()

    def _serve(self) -> None:
        """Serve the buffer, for ``SLICE_SECONDS`` at a time, and only while the client reads its answers."""
        until = perf_counter() + SLICE_SECONDS
        try:
            while self._buffer and not self._unread and not self._waits and self._step():
                if self._buffer and perf_counter() >= until:
                    self._transport.pause_reading()
                    self._serve_later()
                    return
            if self._ended and not self._unread and not self._waits:
                self._refuse_incomplete(broken_off())
                self._end()
        except Exception as fault:
            self._fail(fault)

    def _serve_later(self) -> None:
        if self._next_slice is None:
            self._next_slice = asyncio.get_running_loop().call_soon(self._serve_next)

    def _serve_next(self) -> None:
        self._next_slice = None
        if self._unread or self._waits or self._transport.is_closing():
            return
        try:
            self._transport.resume_reading()
            self._port.outbox.add(self)
        except Exception as fault:
            self._fail(fault)
        else:
            self._serve()

    def _fail(self, fault: Exception) -> None:
        """Contain an exception that belongs to no answer: answer 500 and close. Never raises."""
        contain(log, fault, "The requests of a client could not be served")
        try:
            self.answers.append(failure(with_body=True))
            self._end()
        except Exception as another:
            contain(log, another, "The error could not be sent to a client whose requests failed")
            self.abort()

    # Requests

    def _step(self) -> bool:
        """Take the next request, or the next piece of a body, from the buffer. Return False if no more can be taken."""
        if self._incomplete is not None:
            return self._receive(self._incomplete)
        try:
            end = head_end(self._buffer)
            if end < 0:
                return False
            if end == 0:  # RFC 9112, section 2.2: ignore empty lines before a request
                self._buffer = self._buffer.lstrip(b"\r\n")
                return True
            head = parse_head(self._buffer[:end])
        except BadRequest as fault:
            return self._refuse(HTTPStatus.BAD_REQUEST, not_http(str(fault)))
        except ValueError:
            return self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, HEAD_TOO_LONG)
        if head.fields.websocket and self._port.open_websocket and (upgrade := parse_upgrade(self._buffer[:end])):
            return self._upgrade(upgrade, end)
        if head.version == "1.1" and "," in head.fields.headers.get("host", ","):  # RFC 9112, section 3.2
            return self._refuse(HTTPStatus.BAD_REQUEST, not_http("A request needs one Host header"))
        self._buffer = self._buffer[end + 4 :]
        self._closes = head.closes
        target = head.target if head.target.startswith("/") else path_of(head.target)
        exchange = self._api.open(head.method, target, head.fields.headers, self._transport)
        if exchange.opening is not None and not exchange.opening(partial(self._opened, head)):
            return self._wait()
        return self._receive_body(exchange, head)

    def _opened(self, head: Head, exchange: Exchange) -> None:
        """Continue with a request whose app had to be looked up. Never raises."""
        self._waits = False
        try:
            if not self._transport.is_closing():
                self._port.outbox.add(self)
                if self._receive_body(exchange, head):
                    self._serve_later()
        except Exception as fault:
            self._fail(fault)

    def _receive_body(self, exchange: Exchange, head: Head) -> bool:
        """Serve a call whose body is in the buffer, or wait for the body. Return False if no more can be taken."""
        length = head.fields.length
        if length is None or length > len(self._buffer) or exchange.answer is not None or length > self._api.body_size:
            return self._open_incomplete(exchange, head)
        if not length:
            return self._call(exchange, b"")
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        return self._call(exchange, body)

    def _open_incomplete(self, exchange: Exchange, head: Head) -> bool:
        """Wait for the body of a call, or answer a request and discard its body."""
        length, limit = head.fields.length, self._api.body_size
        if exchange.answer is None and length is not None and length > limit:
            self._api.refuse(exchange, too_large(limit))
        if exchange.answer is not None:
            self._answer(exchange)
            if length == 0:
                return not self._closes or self._end()
            self._incomplete = IncompleteRequest(None, length, limit)
            self._port.deadlines.set(self, LINGER)
            return True
        self._incomplete = IncompleteRequest(exchange, length, limit)
        self._port.connections.begin(self)
        self._api.wait(exchange, self._called)
        if head.fields.expects_continue and head.version != "1.0":
            self.send()
            self._transport.write(_CONTINUE)  # curl waits a second for this before it sends a large body
        return True

    def _receive(self, incomplete: IncompleteRequest) -> bool:
        """Take a piece of a body from the buffer. Return False if no more can be taken."""
        piece, following = self._buffer[:PIECE_SIZE], self._buffer[PIECE_SIZE:]
        try:
            rest = incomplete.feed(piece)
        except RequestError as fault:
            self._refuse_incomplete(fault)
            return self._end_lingering()
        self._buffer = following
        if rest is None:
            return True
        self._buffer, self._incomplete = rest + following, None
        if incomplete.exchange is None:
            return not self._closes or self._end()
        incomplete.exchange.began = monotonic()
        return self._call(incomplete.exchange, incomplete.body())

    def _refuse_incomplete(self, fault: RequestError) -> None:
        """Answer a call that has no answer although its body will not be complete."""
        incomplete, self._incomplete = self._incomplete, None
        if incomplete is not None and incomplete.exchange is not None:
            self._closes = True
            self._api.refuse(incomplete.exchange, fault)
            self._answer(incomplete.exchange)

    def _call(self, exchange: Exchange, body: bytes) -> bool:
        """Serve a call whose body is complete. Return False if no more requests can be taken now."""
        if self._api.begin(exchange, body, self._called):
            self._answer(exchange)
            return not self._closes or self._end()
        return self._wait()

    def _wait(self) -> bool:
        """Take no more requests until the current one has its answer. Return False."""
        self._waits = True
        self._port.connections.begin(self)
        self._transport.pause_reading()
        return False

    def _called(self, exchange: Exchange) -> None:
        """Answer a call that had to wait for its body or for other nodes. Never raises."""
        try:
            self._waits = False
            if self._transport.is_closing():
                return
            self._port.outbox.add(self)
            self._answer(exchange)
            if self._incomplete is not None:
                self._incomplete.discard()
                self._port.deadlines.set(self, LINGER)
            elif self._closes:
                self._end()
                return
            if self._buffer or self._ended or self._unread:
                self._serve_later()
            elif self._next_slice is None:
                self._transport.resume_reading()
        except Exception as fault:
            self._fail(fault)

    def _upgrade(self, upgrade: Upgrade, end: int) -> bool:
        """Hand the connection to a WebSocket, as soon as the client has read the answers before it. Return False."""
        self.send()
        if self._ended:
            self._buffer = b""
        elif not self._unread and self._port.open_websocket is not None:
            self._port.deadlines.clear(self)
            self._port.connections.leave(self)
            rest, self._buffer = self._buffer[end + 4 :], b""
            self._port.open_websocket(self._transport, upgrade, rest)
        return False

    # Answers

    def _answer(self, exchange: Exchange) -> None:
        """Add the answer to those that wait to be written. The connection is idle from now on."""
        self._since = self._port.clock()
        with_body = exchange.method != "HEAD"
        try:
            reply = self._api.reply(exchange)
            if self._closes:
                reply.announce_close()
            answer = encode(reply, with_body=with_body)
        except Exception as fault:
            contain(log, fault, "The answer to %s %s could not be made", exchange.method, exchange.path)
            answer = failure(with_body=with_body)
        try:
            self._port.connections.end(self)
        except Exception as fault:
            contain(log, fault, "An HTTP connection could not be counted as idle")
        self.answers.append(answer)
        self._answers_size += len(answer)
        if self._api.leaving:
            self._closes = True
        elif self._answers_size > ANSWERS_SIZE:
            self.send()  # shows whether the client reads its answers

    def send(self) -> None:
        """Write the answers that wait."""
        if self.answers:
            answers, self.answers, self._answers_size = self.answers, [], 0
            self._transport.write(b"".join(answers))

    def _refuse(self, status: HTTPStatus, reason: str) -> bool:
        """Answer bytes that are not a request, and close. Return False."""
        self._port.log_refusal(self._transport, status, reason)
        reply = malformed(status, reason)
        reply.announce_close()
        self.answers.append(encode(reply, with_body=True))
        return self._end_lingering()

    def pause_writing(self) -> None:
        """Stop reading and serving requests: the client does not read its answers."""
        self._unread = True
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Continue with the next request: the client has read its answers."""
        self._unread = False
        self._serve_later()

    # The end

    def _end(self) -> bool:
        """Write the answers and close the connection. Return False: no request follows."""
        self._buffer = b""
        self.send()
        self._transport.close()
        return False

    def _end_lingering(self) -> bool:
        """Write the answers, end this side, and discard all bytes until the client disconnects or ``LINGER`` ends.

        Closing the socket with unread bytes would send a reset, which can destroy the answers. Return False.
        """
        self._discards, self._buffer = True, b""
        self._since = self._port.clock()
        self._port.deadlines.set(self, LINGER)
        self.send()
        end_writing(self._transport)
        return False

    def eof_received(self) -> bool:
        """Keep the connection open until the requests before the client's end have their answers."""
        self._ended = True
        stays = self._unread or self._waits or self._next_slice is not None
        if not stays:
            self._refuse_incomplete(broken_off())
        self.send()
        return stays and self._transport.can_write_eof()  # TLS cannot end one side alone

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client; count a call whose body is incomplete."""
        self._port.deadlines.clear(self)
        self._port.connections.leave(self)
        if self._next_slice is not None:
            self._next_slice.cancel()
        if self._incomplete is not None:
            attempt(log, self._refuse_incomplete, broken_off())
        self.answers.clear()

    def abort(self) -> None:
        """Close the TCP connection at once."""
        self._transport.abort()

    # Time

    def expire(self, now: float) -> None:
        """Close a connection that was idle for too long, or whose request is still incomplete."""
        waited, patience = now - self._since, self._patience
        self.send()
        if self._waits and not self._api.stopped:  # the answer comes from other nodes, or at the stop
            self._port.deadlines.set(self, patience)
        elif waited < patience and not self._port.draining():
            self._port.deadlines.set(self, patience - waited)
        elif self._transport.get_write_buffer_size():
            self._transport.abort()  # closing would wait forever for a client that does not read its answers
        else:
            self._refuse_incomplete(stopping() if self._port.draining() else too_slow(REQUEST_TIMEOUT))
            self._end()

    @property
    def _patience(self) -> float:
        """Return the seconds that the client may be silent."""
        if self._discards or (self._incomplete is not None and self._incomplete.exchange is None):
            return LINGER
        return REQUEST_TIMEOUT if self._buffer or self._incomplete is not None else IDLE_TIMEOUT
