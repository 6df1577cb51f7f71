"""One client's connection, over any transport."""

import logging
import secrets
from collections.abc import Callable, Container, Coroutine
from typing import Any, Protocol

from soketpy.core import steps
from soketpy.core.apps import App
from soketpy.core.containment import attempt, contain
from soketpy.core.history import Start
from soketpy.core.limits import Bucket
from soketpy.core.ports import CachedEvent
from soketpy.core.presence import Members
from soketpy.core.refusals import Refusals
from soketpy.core.steps import Future
from soketpy.core.tabs import Tab
from soketpy.core.traffic import TrafficByApp
from soketpy.protocol import events, messages
from soketpy.protocol.channels import Kind
from soketpy.protocol.errors import (
    BadMessage,
    ClientEventRejected,
    Code,
    ConnectionRefused,
    SubscriptionRefused,
)
from soketpy.protocol.frames import CloseCode
from soketpy.protocol.messages import Message

log = logging.getLogger("soketpy.connection")

ABNORMAL = 1006
"""The close code of a connection that ended without a close frame (RFC 6455, section 7.1.5)."""

BAD_MESSAGE_WINDOW = 60.0
"""Seconds until an empty budget for malformed messages is full again."""


class Transport(Protocol):
    """The network side of a connection."""

    @property
    def peer(self) -> str:
        """Return the address of the client, for the log."""

    def write(self, frame: bytes) -> None:
        """Send WebSocket frames. Never blocks. Does nothing after the transport is closed."""

    def close(self, code: int, reason: str) -> None:
        """Flush the write buffer, send a close frame and end. Later messages of the client are dropped."""

    def abort(self) -> None:
        """End the connection at once, without a close frame."""

    def resume(self) -> None:
        """Read the next message, because the message that had to wait has been served."""

    def drained(self) -> Future[None] | None:
        """Return what gets its result when the client has read most of what was written, or the transport is closed.

        Return None if little is unread. At most one such future may wait.
        """


class Operations(Protocol):
    """The port through which a client's messages reach the node: one operation for each kind of message."""

    clock: Callable[[], float]
    traffic: TrafficByApp
    refusals: Refusals
    bad_messages: int
    """Malformed messages that a connection may send in ``BAD_MESSAGE_WINDOW``."""

    async def subscribe(self, connection: "Connection", request: events.Subscribe) -> None:
        """Subscribe a connection to a channel. Raises SubscriptionRefused."""

    def pong(self, connection: "Connection", payload: bytes) -> None:
        """Process a pong of a tab: the client has received all that was written before its ping."""

    async def read_history(self, connection: "Connection", request: events.HistoryRequest) -> None:
        """Send a connection a part of a channel's log. Raises ClientEventRejected."""

    def unsubscribe(self, connection: "Connection", channel: str) -> None:
        """End a connection's subscription of a channel."""

    async def sign_in(self, connection: "Connection", request: events.SignIn) -> None:
        """Sign a connection in as a user. Raises ConnectionRefused."""

    full: Container[str]
    """The apps that have no room for a client event now."""

    def client_event(self, connection: "Connection", event: events.ClientEvent) -> None:
        """Send a client's event to the other subscribers of its channel. Raises ClientEventRejected."""

    async def client_event_when_allowed(self, connection: "Connection", event: events.ClientEvent) -> None:
        """Send a client's event when its app has room for it, and if the app's limit of all events allows it."""

    def forget(self, connection: "Connection", code: int) -> None:
        """Remove a connection that has ended with a close code from its channels and counts. Never raises."""


class Connection:
    """One client. ``receive`` takes its messages; ``write`` and ``send`` send to it.

    While the client reads fast enough, ``write`` is the transport's own method: the fan-out calls it once per client.
    """

    __slots__ = (
        "_bad_messages",
        "_node",
        "_traffic",
        "_transport",
        "app",
        "authorized",
        "channels",
        "client_events",
        "id",
        "key",
        "open",
        "reads",
        "subscribes",
        "tab",
        "user",
        "write",
    )

    def __init__(
        self, id: str, app: App, key: str, transport: Transport, node: Operations, tab: Tab | None = None
    ) -> None:
        self.id = id
        self.app = app
        self.key = key
        self.write: Callable[[bytes], None] = transport.write
        # Every channel that the connection is on, with the user id on a presence channel.
        self.channels: dict[str, str | None] = {}
        self.user: events.User | None = None
        self.tab = tab
        self.authorized = False
        self.open = True
        self.client_events: Bucket | None = None
        self.subscribes: Bucket | None = None
        self.reads: Bucket | None = None
        self._bad_messages: Bucket | None = None
        self._transport = transport
        self._node = node
        self._traffic = node.traffic[app.id]

    def __repr__(self) -> str:
        return f"<Connection {self.id} of app {self.app.id}>"

    def send(self, message: Message) -> None:
        """Send one message to this client only."""
        try:  # not attempt(), which costs each message a call
            self._traffic.sent(1, len(message.text))
        except Exception as fault:
            contain(log, fault, "A message for %r could not be counted", self)
        self.write(message.frame)

    def greet(
        self,
        channel: str,
        kind: Kind,
        members: Members | None,
        last: CachedEvent | None,
        start: Start | None = None,
    ) -> None:
        """Send subscription_succeeded and, on a cache channel, the last event or cache_miss.

        ``start`` is the beginning of a subscription to a channel with history.
        """
        data = b"{}" if members is None else members.roster()
        if start is None:
            self.send(messages.subscription_succeeded(channel, data))
        else:
            position = str(start.position)
            data = (
                messages.position_data(channel, position) if members is None else messages.with_position(data, position)
            )
            self.send(messages.subscription_succeeded(channel, data))
            for event in start.events:
                self.send(messages.event(channel, event.name, event.data, event.user_id))
            if start.recovered is not None:
                told = start.recovered
                begin = None if told.start is None else str(told.start)
                self.send(messages.recovered(channel, begin, str(told.end), told.complete))
        if last is None:
            if kind.cache:
                self.send(messages.cache_miss(channel))
        elif start is None or not start.has_last:
            self.send(messages.event(channel, last.name, last.data))

    def receive(self, text: bytes) -> bool:
        """Serve one message of the client. Never raises: the client gets an answer to every error.

        Return False if the message has to wait. Pass the next message after the transport's ``resume`` is called.
        """
        if not self.open:
            return True
        try:
            self._traffic.received(len(text))
        except Exception as fault:
            contain(log, fault, "A message of %r could not be counted", self)
        try:
            message = events.parse(text)
            log.debug("%r said %s", self, type(message).__name__)
            match message:
                case events.ClientEvent():
                    if (app := self.app).max_total_client_events_per_second is not None or app.id in self._node.full:
                        return self._begin(self._node.client_event_when_allowed(self, message))
                    self._node.client_event(self, message)
                case events.Subscribe():
                    return self._begin(self._subscribe(message))
                case events.HistoryRequest():
                    return self._begin(self._node.read_history(self, message))
                case events.Unsubscribe():
                    self._node.unsubscribe(self, message.channel)
                case events.SignIn():
                    return self._begin(self._node.sign_in(self, message))
                case events.Ping():
                    self.send(messages.PONG)
                # A pong needs no answer. The transport has already noted that the client is alive.
        except Exception as fault:
            self._answer(fault)
        return True

    def pong(self, payload: bytes) -> None:
        """Process the payload of a pong. Never raises."""
        if self.tab is not None and self.open:
            attempt(log, self._node.pong, self, payload)

    async def drained(self) -> bool:
        """Wait until the client has read most of what was sent; a coroutine for ``steps``. Return whether it waited.

        The connection may have ended during the wait.
        """
        drained = self._transport.drained()
        if drained is None:
            return False
        await drained
        return True

    def _begin(self, operation: Coroutine[Any, None, None]) -> bool:
        return steps.begin(self._serve(operation), self._transport.resume)

    async def _serve(self, operation: Coroutine[Any, None, None]) -> None:
        try:
            await operation
        except Exception as fault:
            self._answer(fault)

    async def _subscribe(self, request: events.Subscribe) -> None:
        try:
            await self._node.subscribe(self, request)
        except SubscriptionRefused as fault:
            refusals = self._node.refusals
            refusals.subscriptions[fault.type, int(fault.status)] += 1
            attempt(log, refusals.subscription, self.app.id, self.id, request.channel, fault.status, fault.logged)
            self.send(messages.subscription_error(request.channel, fault.type, fault.status, fault.message))
            self.send(messages.internal_subscription_error(request.channel, fault.type, fault.status, fault.message))

    def _answer(self, fault: Exception) -> None:
        """Send the error that belongs to an exception. Never raises."""
        try:
            self._send_error(fault)
        except Exception as another:
            self.fail(another)

    def _send_error(self, fault: Exception) -> None:
        match fault:
            case BadMessage():
                self._answer_bad_message(fault)
            case ConnectionRefused():  # of all messages, only a sign-in closes the connection at once
                self.note_close(fault.code, f"Refused sign-in: {fault.message}")
                self.refuse(fault.code, fault.message)
            case ClientEventRejected():
                self._note_message(fault.code, fault.message, fault.channel)
                self.send(messages.error(fault.code, fault.message, fault.channel))
            case _:
                self.fail(fault)

    def _answer_bad_message(self, fault: BadMessage) -> None:
        """Send an error for a malformed message, or close a connection that has sent too many of them."""
        now = self._node.clock()
        if self._bad_messages is None:
            budget = self._node.bad_messages
            self._bad_messages = Bucket(budget / BAD_MESSAGE_WINDOW, budget, now)
        if self._bad_messages.take(1, now):
            self._note_message(fault.code, fault.message)
            self.send(messages.error(fault.code, fault.message))
        else:
            reason = f"Too many malformed messages; the last: {fault.message}"
            self.note_close(Code.UNAUTHORIZED, reason)
            self.refuse(Code.UNAUTHORIZED, reason)

    def _note_message(self, code: int, reason: str, channel: str | None = None) -> None:
        attempt(log, self._node.refusals.message, self.app.id, self.id, code, reason, channel)

    def note_close(self, code: int, reason: str) -> None:
        """Log that the server closes the connection because of its client. Never raises."""
        attempt(log, self._node.refusals.closed, self.app.id, self.id, self._transport.peer, code, reason)

    def refuse(self, code: int, reason: str) -> None:
        """End the connection: leave all channels, send a ``pusher:error`` and close with the same code.

        Do nothing if the connection is closed. Never raises: a transport that cannot send is aborted.
        """
        if not self.open:
            return
        log.debug("%r is closed: %d %s", self, code, reason)
        self.end(code)
        try:
            self.send(messages.error(code, reason))
            self._transport.close(code, reason)
        except Exception as fault:
            contain(log, fault, "%r could not be closed", self)
            self._transport.abort()

    def fail(self, fault: Exception) -> None:
        """Contain an exception and close the connection with 1011. Never raises."""
        contain(log, fault, "A message of %r, or one for it, could not be served", self)
        self.refuse(CloseCode.INTERNAL_ERROR, "The server failed to serve this message.")

    def end(self, code: int = ABNORMAL) -> None:
        """Leave all channels, because the client or the server has ended the connection. Do nothing the second time.

        ``code`` is the close code. The default means that the connection was lost without a close frame.
        """
        if self.open:
            self.open = False
            self._node.forget(self, code)


def new_socket_id() -> str:
    """Return a random id, ``N.N``. It cannot be guessed from the ids of other connections."""
    number = secrets.randbits(64)
    return f"{number >> 32}.{number & 0xFFFFFFFF}"
