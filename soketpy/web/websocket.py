"""One WebSocket: frames, keep-alive, back-pressure and the closing handshake around a conversation."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from time import perf_counter

from soketpy.core import steps
from soketpy.core.admission import Hello, admit
from soketpy.core.apps import App, Apps
from soketpy.core.connection import Connection
from soketpy.core.containment import attempt, contain
from soketpy.core.node import Node
from soketpy.core.refusals import address
from soketpy.protocol import frames, messages
from soketpy.protocol.errors import Code, ConnectionRefused
from soketpy.protocol.frames import CloseCode, FrameError, FrameReader, Opcode
from soketpy.web.deadlines import Deadlines
from soketpy.web.http_connections import HttpConnections

log = logging.getLogger("soketpy.websocket")

CLOSING_TIMEOUT = 5.0
"""Seconds that a client has to answer a close frame, or to read what is in front of it."""

SLICE_FRAMES = 200
"""Frames of one client that are taken before the event loop has its turn: cheap ones, some milliseconds."""

SLICE_SECONDS = 0.005
"""Time after which the event loop has its turn where frames are dear, such as joining a large presence channel."""

STOPPING = "The server is stopping; please reconnect."

_PING = frames.encode(Opcode.PING, b"")

_TEXT, _BINARY, _CLOSE, _PING_ASKED = int(Opcode.TEXT), int(Opcode.BINARY), int(Opcode.CLOSE), int(Opcode.PING)

# What a deadline may stand for besides the activity timeout.
_NOTHING, _AUTHORIZATION, _LATE_AUTHORIZATION, _PONG = range(4)


@dataclass(slots=True)
class ServerState:
    """What all connections of a server share. Timeouts are in seconds, sizes in bytes."""

    node: Node
    apps: Apps
    deadlines: Deadlines
    activity_timeout: float = 120
    pong_timeout: float = 30
    authorization_timeout: float = 30
    message_size: int = 256 * 1024
    unread_size: int = 1024 * 1024
    strict_protocol: bool = False
    port_is_shared: bool = False  # whether others take those who come once this server drains
    draining: bool = False
    closing: int = 0  # WebSockets whose close frame waits for an answer
    # Handshakes that wait for other nodes, with their acceptance and what the client has sent behind the handshake.
    entering: "dict[WebSocket, tuple[bytes, bytes]]" = field(default_factory=dict)
    http: HttpConnections = field(default_factory=HttpConnections)

    def clients(self) -> "list[WebSocket | Connection]":
        """Return all clients that can be refused: those that are connected, and those whose handshake waits."""
        return [*self.entering, *self.node.every_connection()]


class WebSocket(asyncio.Protocol):
    """The transport of one conversation. It takes over a TCP connection whose handshake has been answered."""

    __slots__ = (
        "_awaited",
        "_closing",
        "_heard",
        "_reader",
        "_state",
        "_transport",
        "_unheard",
        "connection",
        "due",
        "write",
    )

    def __init__(self, transport: asyncio.Transport, state: ServerState) -> None:
        self.due = 0
        self.connection: Connection | None = None
        # The fan-out calls the event loop's own method, with nothing of ours between.
        self.write: Callable[[bytes], None] = transport.write
        self._transport = transport
        self._state = state
        self._reader: FrameReader | None = FrameReader(state.message_size)
        self._heard = state.node.clock()
        self._awaited = _NOTHING
        self._closing = False
        self._unheard: Iterator[tuple[int, bytes]] | None = None  # frames behind one that waits for its answer

    def open(self, hello: Hello, acceptance: bytes, rest: bytes) -> None:
        """Accept the handshake and take the client in, or tell it why not and close: all in one write.

        ``rest`` is what the client has sent behind its handshake.
        """
        if not steps.begin(self._enter(hello, acceptance), self._entered):
            self._state.entering[self] = acceptance, rest
            self._transport.pause_reading()
        elif rest:
            self.data_received(rest)

    async def _enter(self, hello: Hello, acceptance: bytes) -> None:
        state, opening = self._state, [acceptance]
        self.write = opening.append
        connection: Connection | None = None
        try:
            app = self._admit(hello)
            connection = await state.node.connect(app, self, app.held_key(hello.key))
            if self._closing:  # the client has gone, or was turned away, while others were asked for room
                connection.end()
                return
            app = connection.app
            if state.draining or state.apps.by_id(app.id) is not app:
                connection.app = app = self._admit_again(hello)
        except Exception as fault:
            if connection is not None:
                connection.end()
            self._not_entered(hello, acceptance, fault)
            return
        self.connection = connection
        self.write = connection.write = self._transport.write
        self.write(b"".join(opening))
        if app.authorized_connections:
            self._awaited = _AUTHORIZATION
            state.deadlines.set(self, state.authorization_timeout)
        else:
            state.deadlines.set(self, state.activity_timeout)

    def _admit_again(self, hello: Hello) -> App:
        """Return the app as it is now: it changed, or the server stops, since others were asked.

        Raises ConnectionRefused.
        """
        self._refuse_when_draining(Code.RECONNECT)
        return self._admit(hello)

    def _not_entered(self, hello: Hello, acceptance: bytes, fault: Exception) -> None:
        """Tell a client why it cannot enter, unless it has gone meanwhile."""
        if not isinstance(fault, ConnectionRefused):
            contain(log, fault, "A connection could not be opened")
            fault = ConnectionRefused(CloseCode.INTERNAL_ERROR, "The server failed to open this connection.")
        elif not self._closing:
            attempt(log, self._note_refusal, hello, fault)
        if not self._closing:
            self._turn_away(acceptance, fault.code, fault.message)

    def _note_refusal(self, hello: Hello, refused: ConnectionRefused) -> None:
        app = None if hello.key is None else self._state.apps.by_key(hello.key)
        app_id, asked = None if app is None else app.id, _asked(hello, refused.code)
        self._state.node.refusals.connection(self.peer, refused.code, refused.message, app_id, asked)

    def _turn_away(self, acceptance: bytes, code: int, reason: str) -> None:
        """Answer the handshake of a client that cannot enter, tell it why, and close."""
        self._state.http.arrive(self, self._transport)  # it stays until it has read why, but within the bound
        self._transport.write(acceptance + messages.error(code, reason).frame)
        self.close(code, reason)

    def _entered(self) -> None:
        """Read the client, now that others have answered. Nothing if it was turned away before."""
        _, rest = self._state.entering.pop(self, (b"", None))
        if rest is not None and not self._transport.is_closing():
            self._transport.resume_reading()
            self.data_received(rest)

    def refuse(self, code: int, reason: str) -> None:
        """Turn a client away whose handshake waits for other nodes; nothing if it waits no more. Never raises."""
        try:
            if self in self._state.entering:
                acceptance, _ = self._state.entering[self]
                self._turn_away(acceptance, code, reason)
                self._entered()
        except Exception as fault:
            contain(log, fault, "A client could not be turned away")
            self.abort()

    def _admit(self, hello: Hello) -> App:
        # Not 4200: a client would be back in the same instant, and again, for as long as the server drains.
        self._refuse_when_draining(Code.RECONNECT if self._state.port_is_shared else Code.OVER_CAPACITY)
        return admit(hello, self._state.apps, self._state.strict_protocol)

    def _refuse_when_draining(self, code: Code) -> None:
        if self._state.draining:
            reason = STOPPING if code == Code.RECONNECT else "The server is stopping; reconnect in a while."
            raise ConnectionRefused(code, reason)

    # Bytes in

    def data_received(self, data: bytes) -> None:
        """Read the client's frames. A frame that breaks RFC 6455 ends the connection with its close code."""
        self._heard = self._state.node.clock()
        if self._reader is not None:
            self._read(self._reader.feed(data))

    def _read(self, incoming: Iterator[tuple[int, bytes]]) -> None:
        """Take what has come, but not so much at a time that all others wait for it."""
        until = perf_counter() + SLICE_SECONDS
        try:
            for taken, (opcode, payload) in enumerate(incoming, 1):
                if opcode == _CLOSE:
                    self._answer_close(frames.parse_close(payload))
                    return
                if not self._take(opcode, payload):
                    self._transport.pause_reading()
                    self._unheard = incoming
                    return
                if taken == SLICE_FRAMES or perf_counter() >= until:
                    self._transport.pause_reading()
                    asyncio.get_running_loop().call_soon(self._read_on, incoming)
                    return
        except FrameError as fault:
            self._fail(fault.code, fault.reason)
            self._hang_up()
        except Exception as fault:
            contain(log, fault, "What a client sent could not be served")
            self._fail(CloseCode.INTERNAL_ERROR, "The server failed to serve this message.")

    def resume(self) -> None:
        """Read what came behind the message that had to wait, which is served now. Nothing the second time."""
        incoming, self._unheard = self._unheard, None
        if incoming is not None:
            self._heard = self._state.node.clock()  # a pong may have come while the client was not read
            asyncio.get_running_loop().call_soon(self._read_on, incoming)

    def _read_on(self, incoming: Iterator[tuple[int, bytes]]) -> None:
        # The connection may be broken already, and its end not have been told: asyncio logs what is written then.
        if self._reader is not None and not self._transport.is_closing():
            self._transport.resume_reading()
            self._read(incoming)

    def _take(self, opcode: int, payload: bytes) -> bool:
        """Take one frame; False if it has to wait, and the next ones with it."""
        if self._closing or self.connection is None:
            pass  # section 1.4: what comes after the server's close frame is not heard
        elif opcode == _TEXT:
            return self.connection.receive(payload)
        elif opcode == _PING_ASKED:
            self.connection.write(frames.encode(Opcode.PONG, payload))
        elif opcode == _BINARY:
            self._fail(CloseCode.UNSUPPORTED_DATA, "Binary messages are not part of the protocol.")
        return True

    # The end

    def abort(self) -> None:
        """End the TCP connection at once."""
        self._transport.abort()

    def close(self, code: int, reason: str) -> None:
        """Send a close frame and give the client a while to answer it; nothing the second time."""
        if self._closing:
            return
        self._closing = True
        self._state.closing += 1
        self._transport.write(frames.encode_close(code, reason))
        if self.connection is not None:
            self.connection.write = _discard
        self._state.deadlines.set(self, CLOSING_TIMEOUT)
        if self._unheard is not None:
            self.resume()  # what the client has sent is dropped now, and its close frame is read

    def _fail(self, code: int, reason: str) -> None:
        """The client broke the rules of WebSocket: close with the code that those give it."""
        if self.connection is not None:
            if not self._closing and code != CloseCode.INTERNAL_ERROR:  # which has a line, with its traceback
                self.connection.note_close(code, reason)
            self.connection.end()
        self.close(code, reason)

    def _refuse(self, connection: Connection, code: int, reason: str) -> None:
        """Close a connection because of what its client failed to do, with a line in the log."""
        connection.note_close(code, reason)
        connection.refuse(code, reason)

    @property
    def peer(self) -> str:
        """Return the address of the client, for the log."""
        return address(self._transport.get_extra_info("peername"))

    def _answer_close(self, close: frames.Close) -> None:
        """The client closes, or has answered the server's close frame: the TCP connection can go."""
        if self.connection is not None:
            self.connection.end()
        code = CloseCode.NORMAL if close.code == CloseCode.NO_STATUS else close.code
        self.close(code, "")
        self._hang_up()
        if not self._transport.can_write_eof():
            self._transport.close()

    def _hang_up(self) -> None:
        """End the stream to the client, and throw away what it still sends until it ends its own (section 7.1.1).

        To close the socket on unread bytes would send a reset, which can destroy the close frame ahead of it. TLS
        cannot end one direction alone: there the client goes when it has read the close frame, or by the deadline.
        """
        self._reader = None
        if self._transport.can_write_eof():
            self._transport.write_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        """The TCP connection is gone."""
        self._state.deadlines.clear(self)
        self._state.entering.pop(self, None)
        self._state.closing -= self._closing
        self._closing = True
        self._reader = None
        if self.connection is None:
            self._state.http.leave(self)
        else:
            self.connection.write = _discard
            self.connection.end()
            self.connection = None  # so that both are freed at once, without the garbage collector

    # Back-pressure

    def pause_writing(self) -> None:
        """The client does not read as fast as it is written to: from now on, look at what waits for it."""
        if self.connection is not None and not self._closing:
            self.connection.write = self._write_to_slow

    def resume_writing(self) -> None:
        """The client has caught up."""
        if self.connection is not None and not self._closing:
            self.connection.write = self._transport.write

    def _write_to_slow(self, frame: bytes) -> None:
        """Let the frame wait with the others, or give up on the client once too much waits."""
        self._transport.write(frame)
        if self._transport.get_write_buffer_size() > self._state.unread_size:
            assert self.connection is not None  # noqa: S101 - only a connection is written to
            self.connection.write = _discard
            # Not at once: this is called in the midst of a fan-out, which must not change under its feet.
            asyncio.get_running_loop().call_soon(self._give_up)

    def _give_up(self) -> None:
        if self.connection is not None and self.connection.open:
            self._state.node.slow_readers += 1
            self._refuse(self.connection, Code.OVER_CAPACITY, "The client reads too slowly.")

    # Time

    def expire(self, now: float) -> None:
        """A deadline has come: ping a silent client, close one that stays silent or unauthorized, or end for good."""
        connection, state = self.connection, self._state
        awaited, self._awaited = self._awaited, _NOTHING
        if self._closing or connection is None:
            self._transport.abort()
            return
        if awaited == _AUTHORIZATION and not connection.authorized and self._unheard is not None:
            # What the client said may authorize it, and waits for other nodes: give it the same time once more.
            self._awaited = _LATE_AUTHORIZATION
            state.deadlines.set(self, state.authorization_timeout)
            return
        if awaited in (_AUTHORIZATION, _LATE_AUTHORIZATION) and not connection.authorized:
            self._refuse(connection, Code.UNAUTHORIZED, "The connection was not authorized in time.")
            return
        if self._unheard is not None:
            self._heard = now  # the server does not read this client, so it cannot know whether the client is silent
        silent = now - self._heard
        if silent < state.activity_timeout:
            state.deadlines.set(self, state.activity_timeout - silent)
        elif awaited == _PONG and silent >= state.activity_timeout + state.pong_timeout:
            connection.refuse(Code.NO_PONG, "The client did not answer a ping.")
        else:
            self._awaited = _PONG
            connection.write(_PING)
            state.deadlines.set(self, state.pong_timeout)


def _discard(frame: bytes) -> None:
    """Take frames for a client that gets no more."""


def _asked(hello: Hello, code: int) -> str:
    """Return what of a handshake is behind its refusal, for the log."""
    match code:
        case Code.UNAUTHORIZED:
            return "no origin" if hello.origin is None else f"origin {hello.origin}"
        case Code.NO_SUCH_PATH:
            return f"path {hello.path}"
        case Code.BAD_VERSION | Code.UNSUPPORTED_PROTOCOL:
            return f"protocol {hello.protocol}"
    return ""
