"""One WebSocket: frames, heartbeat, backpressure and the closing handshake."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from sys import maxsize
from time import perf_counter

from soketpy.core.connection import Connection
from soketpy.core.containment import contain
from soketpy.core.steps import Future
from soketpy.protocol import frames
from soketpy.protocol.errors import Code
from soketpy.protocol.frames import CloseCode, FrameError, FrameReader, Opcode
from soketpy.web.half_close import end_writing
from soketpy.web.server_state import ServerState

log = logging.getLogger("soketpy.websocket")

CLOSING_TIMEOUT = 5.0
"""Seconds that a client has to answer a close frame, or to read the bytes before it."""

SLICE_FRAMES = 200
"""Frames of one client that are served in one iteration of the event loop: some milliseconds if they are cheap."""

SLICE_SECONDS = 0.005
"""Time for which the frames of one client are served in one iteration, if they are expensive."""

MOST_BEFORE_REPLAY = 64 * 1024
"""Bytes that a client may have in its write buffer when it gets stored events, at most. More events wait."""

_PING = frames.encode(Opcode.PING, b"")

_TEXT, _BINARY, _CLOSE, _PING_ASKED = int(Opcode.TEXT), int(Opcode.BINARY), int(Opcode.CLOSE), int(Opcode.PING)
_PONGED = int(Opcode.PONG)

# What a deadline may mean besides the activity timeout.
_NOTHING, _AUTHORIZATION, _LATE_AUTHORIZATION, _PONG = range(4)


class WebSocket(asyncio.Protocol):
    """The transport of one Connection, over a TCP connection with a valid handshake."""

    __slots__ = (
        "_awaited",
        "_drained",
        "_last_received",
        "_peer",
        "_reader",
        "_state",
        "_transport",
        "_unserved",
        "closing",
        "connection",
        "due",
        "write",
    )

    def __init__(self, transport: asyncio.Transport, state: ServerState, peer: str | None = None) -> None:
        """Prepare a connection. ``peer`` is the client if a proxy names it, and None if the TCP connection does."""
        self.due = 0
        self.connection: Connection | None = None
        # The fan-out calls the method of the event loop directly.
        self.write: Callable[[bytes], None] = transport.write
        self._transport = transport
        self._state = state
        self._peer = peer
        self._reader: FrameReader | None = FrameReader(state.message_size)
        self._last_received = state.node.clock()
        self._awaited = _NOTHING
        self._drained: tuple[Future[None], int] | None = None  # and the size of the write buffer at the last deadline
        self.closing = False
        self._unserved: Iterator[tuple[int, bytes]] | None = None  # frames after one that waits for other nodes

    def start(self, connection: Connection, opening: bytes) -> None:
        """Serve a client that is connected. ``opening`` are the first bytes that it gets."""
        state = self._state
        self.connection = connection
        self.write = connection.write = self._transport.write
        self.write(opening)
        if connection.app.authorized_connections:
            self._awaited = _AUTHORIZATION
            state.deadlines.set(self, state.authorization_timeout)
        else:
            state.deadlines.set(self, state.activity_timeout)

    # Bytes in

    def data_received(self, data: bytes) -> None:
        """Serve the client's frames. A frame that breaks RFC 6455 ends the connection with its close code."""
        self._last_received = self._state.node.clock()
        if self._reader is not None:
            self._serve(self._reader.feed(data))

    def _serve(self, incoming: Iterator[tuple[int, bytes]]) -> None:
        """Serve frames until the limits of a slice, and the rest in later event loop iterations."""
        until = perf_counter() + SLICE_SECONDS
        try:
            for taken, (opcode, payload) in enumerate(incoming, 1):
                if opcode == _CLOSE:
                    self._answer_close(frames.parse_close(payload))
                    return
                if not self._take(opcode, payload):
                    self._transport.pause_reading()
                    self._unserved = incoming
                    return
                if taken == SLICE_FRAMES or perf_counter() >= until:
                    self._transport.pause_reading()
                    asyncio.get_running_loop().call_soon(self._serve_next, incoming)
                    return
        except FrameError as fault:
            self._fail(fault.code, fault.reason)
            self._end_writing()
        except Exception as fault:
            contain(log, fault, "A frame of a client could not be served")
            self._fail(CloseCode.INTERNAL_ERROR, "The server failed to serve this message.")

    def resume(self) -> None:
        """Serve the frames after a message that had to wait and has been served. Does nothing the second time."""
        incoming, self._unserved = self._unserved, None
        if incoming is not None:
            self._last_received = self._state.node.clock()  # a pong may have arrived while the client was not read
            asyncio.get_running_loop().call_soon(self._serve_next, incoming)

    def _serve_next(self, incoming: Iterator[tuple[int, bytes]]) -> None:
        # The connection may be broken before connection_lost is called; asyncio logs a warning for writes then.
        if self._reader is not None and not self._transport.is_closing():
            self._transport.resume_reading()
            self._serve(incoming)

    def _take(self, opcode: int, payload: bytes) -> bool:
        """Serve one frame. Return False if it must wait, and the following frames with it."""
        if self.closing or self.connection is None:
            pass  # section 1.4: frames after the server's close frame are ignored
        elif opcode == _TEXT:
            return self.connection.receive(payload)
        elif opcode == _PING_ASKED:
            self.connection.write(frames.encode(Opcode.PONG, payload))
        elif opcode == _PONGED:
            self.connection.pong(payload)
        elif opcode == _BINARY:
            self._fail(CloseCode.UNSUPPORTED_DATA, "Binary messages are not part of the protocol.")
        return True

    # The end

    def abort(self) -> None:
        """Close the TCP connection at once."""
        self._transport.abort()

    def close(self, code: int, reason: str) -> None:
        """Send a close frame, which the client has some time to answer. Does nothing the second time."""
        if self.closing:
            return
        self.closing = True
        self._state.closing += 1
        self._transport.write(frames.encode_close(code, reason))
        if self.connection is not None:
            self.connection.write = _discard
        self._state.deadlines.set(self, CLOSING_TIMEOUT)
        self._end_wait()
        if self._unserved is not None:
            self.resume()  # the frames that wait are dropped, and the client's close frame is found

    def _fail(self, code: int, reason: str) -> None:
        """Close with a code of RFC 6455, because the client broke its rules or the server failed."""
        if self.connection is not None:
            if not self.closing and code != CloseCode.INTERNAL_ERROR:  # contain has logged this one
                self.connection.note_close(code, reason)
            self.connection.end(code)
        self.close(code, reason)

    def _refuse(self, connection: Connection, code: int, reason: str) -> None:
        """Close a connection because of its client, and log the reason."""
        connection.note_close(code, reason)
        connection.refuse(code, reason)

    @property
    def peer(self) -> str:
        """The address of the client, for the log."""
        return self._peer or self._state.peers.of(self._transport)

    def _answer_close(self, close: frames.Close) -> None:
        """Answer the client's close frame, or take it as the answer to the server's; then end the TCP connection."""
        if self.connection is not None:
            self.connection.end(close.code)
        code = CloseCode.NORMAL if close.code == CloseCode.NO_STATUS else close.code
        self.close(code, "")
        self._end_writing()
        if not self._transport.can_write_eof():
            self._transport.close()

    def _end_writing(self) -> None:
        """End this side, and discard what the client sends until it ends its own side (section 7.1.1).

        Closing the socket with unread bytes would send a reset, which can destroy the close frame. TLS cannot end one
        side alone: there, the client disconnects when it has read the close frame, or the deadline ends the connection.
        """
        self._reader = None
        end_writing(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client."""
        self._state.deadlines.clear(self)
        self._state.entering.pop(self, None)
        self._state.closing -= self.closing
        self.closing = True
        self._reader = None
        self._end_wait()
        if self.connection is None:
            self._state.http.leave(self)
        else:
            self.connection.write = _discard
            self.connection.end()
            self.connection = None  # so that both objects are freed at once, without the garbage collector

    # Backpressure

    def pause_writing(self) -> None:
        """Check the size of the write buffer from now on: the client reads slower than the server writes."""
        if self.connection is not None and not self.closing:
            self.connection.write = self._write_to_slow

    def resume_writing(self) -> None:
        """Write directly again: the client has read everything."""
        if self.connection is not None and not self.closing:
            self.connection.write = self._transport.write
        self._end_wait()

    def drained(self) -> Future[None] | None:
        """Return what gets its result when the client has read most of its write buffer; None if that is small."""
        most = min(MOST_BEFORE_REPLAY, self._state.unread_size // 8)
        if self.closing or self._transport.is_closing() or self._transport.get_write_buffer_size() <= most:
            return None
        future: Future[None] = Future()
        self._drained = future, maxsize
        self._transport.set_write_buffer_limits(most)  # calls resume_writing later; over TLS the default is 512 KiB
        return future

    def _end_wait(self) -> None:
        """Resume the operation that waits for the client to read."""
        if self._drained is not None:
            future, _ = self._drained
            self._drained = None
            # Not at once: this is called while the transport writes.
            asyncio.get_running_loop().call_soon(future.set_result, None)

    def _reads_nothing(self) -> bool:
        """Return whether an operation waits for a client that has read nothing since the last deadline."""
        if self._drained is None:
            return False
        future, before = self._drained
        unread = self._transport.get_write_buffer_size()
        self._drained = future, unread
        return unread >= before

    def _write_to_slow(self, frame: bytes) -> None:
        """Add the frame to the write buffer; close the client if the buffer is too large."""
        self._transport.write(frame)
        if self._transport.get_write_buffer_size() > self._state.unread_size:
            assert self.connection is not None  # noqa: S101 - only a connection is written to
            self.connection.write = _discard
            # Not at once: this is called during a fan-out, whose subscribers must not change.
            asyncio.get_running_loop().call_soon(self._give_up)

    def _give_up(self) -> None:
        if self.connection is not None and self.connection.open:
            self._state.node.slow_readers += 1
            self._refuse(self.connection, Code.OVER_CAPACITY, "The client reads too slowly.")

    # Time

    def expire(self, now: float) -> None:
        """Ping a silent client; close one that stays silent or unauthorized; end one that does not answer the close."""
        connection, state = self.connection, self._state
        awaited, self._awaited = self._awaited, _NOTHING
        if self.closing or connection is None:
            self._transport.abort()
            return
        if awaited == _AUTHORIZATION and not connection.authorized and self._unserved is not None:
            # A message that waits for other nodes may authorize the client: give it the same time once more.
            self._awaited = _LATE_AUTHORIZATION
            state.deadlines.set(self, state.authorization_timeout)
            return
        if awaited in (_AUTHORIZATION, _LATE_AUTHORIZATION) and not connection.authorized:
            self._refuse(connection, Code.UNAUTHORIZED, "The connection was not authorized in time.")
            return
        if self._reads_nothing():
            connection.refuse(Code.NO_PONG, "The client reads nothing.")
            return
        if self._unserved is not None:
            self._last_received = now  # the server does not read this client, so the client may not be silent
        silent = now - self._last_received
        if silent < state.activity_timeout:
            state.deadlines.set(self, state.activity_timeout - silent)
        elif awaited == _PONG and silent >= state.activity_timeout + state.pong_timeout:
            connection.refuse(Code.NO_PONG, "The client did not answer a ping.")
        else:
            self._awaited = _PONG
            connection.write(_PING)
            state.deadlines.set(self, state.pong_timeout)


def _discard(frame: bytes) -> None:
    """Drop a frame for a client that is being closed."""
