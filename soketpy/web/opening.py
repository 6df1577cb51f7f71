"""The opening of a WebSocket: the client is admitted and greeted, or refused with a code."""

import asyncio
import logging

from soketpy.core import steps
from soketpy.core.admission import Hello, admit, find_app
from soketpy.core.apps import App
from soketpy.core.connection import Connection
from soketpy.core.containment import attempt, contain
from soketpy.protocol import messages
from soketpy.protocol.errors import Code, ConnectionRefused
from soketpy.protocol.frames import CloseCode
from soketpy.web.server_state import ServerState
from soketpy.web.websocket import WebSocket

log = logging.getLogger("soketpy.websocket")

STOPPING = "The server is stopping; please reconnect."


class Opening:
    """A valid handshake whose client is not connected yet; it may wait for other nodes.

    The WebSocket is already the protocol of the TCP connection. The answer to the handshake is sent together with the
    greeting or the refusal, in one write.
    """

    __slots__ = ("_acceptance", "_hello", "_rest", "_state", "_transport", "_websocket")

    def __init__(
        self,
        transport: asyncio.Transport,
        state: ServerState,
        hello: Hello,
        acceptance: bytes,
        rest: bytes,
        peer: str | None = None,
    ) -> None:
        """Prepare the answer ``acceptance`` to a handshake. ``rest`` has the bytes that the client sent after it."""
        self._transport = transport
        self._state = state
        self._hello = hello
        self._acceptance = acceptance
        self._rest = rest
        self._websocket = WebSocket(transport, state, peer)

    def begin(self) -> None:
        """Accept the handshake, and connect the client or refuse it."""
        self._transport.set_protocol(self._websocket)
        if not steps.begin(self._connect(), self._resume):
            self._state.entering[self._websocket] = self
            self._transport.pause_reading()
        elif self._rest:
            self._websocket.data_received(self._rest)

    async def _connect(self) -> None:
        state, websocket, opening = self._state, self._websocket, [self._acceptance]
        websocket.write = opening.append
        connection: Connection | None = None
        try:
            app = await self._admit(Code.RECONNECT if state.port_is_shared else Code.OVER_CAPACITY)
            if self._is_closing():  # the client disconnected or was refused while the app was looked up
                return
            connection = await state.node.connect(app, websocket, app.held_key(self._hello.key), self._hello.tab)
            if self._is_closing():  # the same, while other nodes were asked
                connection.end()
                return
            app = connection.app
            if state.draining or state.apps.by_id(app.id) is not app:  # something changed while other nodes were asked
                connection.app = await self._admit(Code.RECONNECT)
        except Exception as fault:
            if connection is not None:
                connection.end()
            self._failed(fault)
            return
        websocket.start(connection, b"".join(opening))

    def _is_closing(self) -> bool:
        return self._websocket.closing

    async def _admit(self, when_draining: Code) -> App:
        """Return the app of the client. Raises ConnectionRefused, with ``when_draining`` if the server stops.

        A client that gets 4200 (RECONNECT) reconnects at once, which is right only if it reaches another process.
        """
        if self._state.draining:
            reason = STOPPING if when_draining == Code.RECONNECT else "The server is stopping; reconnect in a while."
            raise ConnectionRefused(when_draining, reason)
        app = await find_app(self._hello, self._state.apps)
        return admit(self._hello, app, self._state.strict_protocol)

    def _failed(self, fault: Exception) -> None:
        """Refuse a client, unless it has disconnected or was refused already."""
        if not isinstance(fault, ConnectionRefused):
            contain(log, fault, "A connection could not be opened")
            fault = ConnectionRefused(CloseCode.INTERNAL_ERROR, "The server failed to open this connection.")
        elif not self._websocket.closing:
            attempt(log, self._log_refusal, fault)
        if not self._websocket.closing:
            self._send_refusal(fault.code, fault.message)

    def _send_refusal(self, code: int, reason: str) -> None:
        """Answer the handshake, send the error, and close."""
        self._state.http.arrive(self._websocket, self._transport)  # counted until the client has read the error
        self._transport.write(self._acceptance + messages.error(code, reason).frame)
        self._websocket.close(code, reason)

    def _resume(self) -> None:
        """Read from the client again, because its handshake has an answer. Do nothing if it was refused before."""
        if self._state.entering.pop(self._websocket, None) is not None and not self._transport.is_closing():
            self._transport.resume_reading()
            self._websocket.data_received(self._rest)

    def refuse(self, code: int, reason: str) -> None:
        """Refuse a client whose handshake waits for other nodes. Do nothing if it no longer waits. Never raises."""
        try:
            if self._websocket in self._state.entering:
                self._send_refusal(code, reason)
                self._resume()
        except Exception as fault:
            contain(log, fault, "A client could not be refused")
            self._websocket.abort()

    def _log_refusal(self, refused: ConnectionRefused) -> None:
        app = None if self._hello.key is None else self._state.apps.by_key(self._hello.key)
        app_id, asked = None if app is None else app.id, self._asked(refused.code)
        self._state.node.refusals.connection(self._websocket.peer, refused.code, refused.message, app_id, asked)

    def _asked(self, code: int) -> str:
        """Return the part of the handshake that caused the refusal, for the log."""
        match code:
            case Code.UNAUTHORIZED:
                return "no origin" if self._hello.origin is None else f"origin {self._hello.origin}"
            case Code.NO_SUCH_PATH:
                return f"path {self._hello.path}"
            case Code.BAD_VERSION | Code.UNSUPPORTED_PROTOCOL:
                return f"protocol {self._hello.protocol}"
        return ""
