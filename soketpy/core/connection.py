"""One client's conversation, over any transport."""

import logging
import secrets
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from soketpy.core import steps
from soketpy.core.apps import App
from soketpy.core.containment import attempt, contain
from soketpy.core.limits import Bucket
from soketpy.core.ports import CachedEvent
from soketpy.core.presence import Members
from soketpy.core.refusals import Refusals
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

BAD_MESSAGE_WINDOW = 60.0
"""Seconds in which a spent budget for malformed messages is full again."""


class Transport(Protocol):
    """What carries a conversation."""

    @property
    def peer(self) -> str:
        """Return the address of the client, for the log."""

    def write(self, frame: bytes) -> None:
        """Send WebSocket frames; never blocks, and does nothing once the transport is closed."""

    def close(self, code: int, reason: str) -> None:
        """Send what was written, then a close frame, then end; what the client says from now on is not heard."""

    def abort(self) -> None:
        """End at once, without a close frame."""

    def resume(self) -> None:
        """The message that had to wait has been served: the conversation takes the next."""


class Operations(Protocol):
    """The port through which a client's messages reach the node: one operation for each kind of message."""

    clock: Callable[[], float]
    traffic: TrafficByApp
    refusals: Refusals
    bad_messages: int
    """Malformed messages that a connection may send in ``BAD_MESSAGE_WINDOW``."""

    async def subscribe(self, connection: "Connection", request: events.Subscribe) -> None:
        """Put a connection on a channel. Raises SubscriptionRefused."""

    def unsubscribe(self, connection: "Connection", channel: str) -> None:
        """Take a connection off a channel."""

    async def sign_in(self, connection: "Connection", request: events.SignIn) -> None:
        """Sign a connection in as a user. Raises ConnectionRefused."""

    def full(self, app_id: str) -> bool:
        """Return whether the app must wait for ``room`` before its next client event."""

    async def room(self, app_id: str) -> None:
        """Wait until the app may send."""

    def client_event(self, connection: "Connection", event: events.ClientEvent) -> None:
        """Send a client's event to all others on its channel. Raises ClientEventRejected."""

    def forget(self, connection: "Connection") -> None:
        """Take a connection that has ended off everything. Never raises."""


class Connection:
    """One client. What it says comes in through ``receive``; ``write`` and ``send`` go out through its transport.

    ``write`` is the transport's own for as long as the client keeps up: the fan-out calls it once per client.
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
        "subscribes",
        "user",
        "write",
    )

    def __init__(self, id: str, app: App, key: str, transport: Transport, node: Operations) -> None:
        self.id = id
        self.app = app
        self.key = key
        self.write: Callable[[bytes], None] = transport.write
        # Every channel that the connection is on; of a presence channel, the user as whom it is there.
        self.channels: dict[str, str | None] = {}
        self.user: events.User | None = None
        self.authorized = False
        self.open = True
        self.client_events: Bucket | None = None
        self.subscribes: Bucket | None = None
        self._bad_messages: Bucket | None = None
        self._transport = transport
        self._node = node
        self._traffic = node.traffic[app.id]

    def __repr__(self) -> str:
        return f"<Connection {self.id} of app {self.app.id}>"

    def send(self, message: Message) -> None:
        """Send one message to this client alone."""
        try:  # not attempt(), which costs each message a call
            self._traffic.sent(1, len(message.text))
        except Exception as fault:
            contain(log, fault, "A message for %r could not be counted", self)
        self.write(message.frame)

    def greet(self, channel: str, kind: Kind, members: Members | None, last: CachedEvent | None) -> None:
        """Answer a subscription: that it succeeded and, on a cache channel, the last event there."""
        data = b"{}" if members is None else members.roster()
        self.send(messages.subscription_succeeded(channel, data))
        if last is not None:
            self.send(messages.event(channel, last.name, last.data))
        elif kind.cache:
            self.send(messages.cache_miss(channel))

    def receive(self, text: bytes) -> bool:
        """Take one message of the client. Never raises: whatever is wrong is answered.

        False if it has to wait: the next message may come once the transport's ``resume`` has been called.
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
                    if self._node.full(self.app.id):
                        return self._begin(self._client_event(message))
                    self._node.client_event(self, message)
                case events.Subscribe():
                    return self._begin(self._subscribe(message))
                case events.Unsubscribe():
                    self._node.unsubscribe(self, message.channel)
                case events.SignIn():
                    return self._begin(self._node.sign_in(self, message))
                case events.Ping():
                    self.send(messages.PONG)
                # A pong asks for nothing: any message is a sign of life, and the transport has noted it.
        except Exception as fault:
            self._answer(fault)
        return True

    def _begin(self, operation: Coroutine[Any, None, None]) -> bool:
        return steps.begin(self._serve(operation), self._transport.resume)

    async def _serve(self, operation: Coroutine[Any, None, None]) -> None:
        try:
            await operation
        except Exception as fault:
            self._answer(fault)

    async def _client_event(self, event: events.ClientEvent) -> None:
        """Send an event once the app has room for it; until then the connection is not read."""
        await self._node.room(self.app.id)
        if self.open:
            self._node.client_event(self, event)

    async def _subscribe(self, request: events.Subscribe) -> None:
        try:
            await self._node.subscribe(self, request)
        except SubscriptionRefused as fault:
            note = self._node.refusals.subscription
            attempt(log, note, self.app.id, self.id, request.channel, fault.status, fault.logged)
            self.send(messages.subscription_error(request.channel, fault.type, fault.status, fault.message))
            self.send(messages.internal_subscription_error(request.channel, fault.type, fault.status, fault.message))

    def _answer(self, fault: Exception) -> None:
        """Say what was wrong. Never raises."""
        try:
            self._say_what_was_wrong(fault)
        except Exception as another:
            self.fail(another)

    def _say_what_was_wrong(self, fault: Exception) -> None:
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
        """Say what was wrong, or close the connection that has done this too often."""
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
        """Leave a line in the log: the server closes the connection because of its client. Never raises."""
        attempt(log, self._node.refusals.closed, self.app.id, self.id, self._transport.peer, code, reason)

    def refuse(self, code: int, reason: str) -> None:
        """Leave everything, send a ``pusher:error`` and close with the same code; nothing to a closed connection.

        Never raises: a transport that cannot send is aborted.
        """
        if not self.open:
            return
        log.debug("%r is closed: %d %s", self, code, reason)
        self.end()
        try:
            self.send(messages.error(code, reason))
            self._transport.close(code, reason)
        except Exception as fault:
            contain(log, fault, "%r could not be closed", self)
            self._transport.abort()

    def fail(self, fault: Exception) -> None:
        """Contain a fault that this connection has met, and close the connection with 1011. Never raises."""
        contain(log, fault, "A message of %r, or one for it, could not be served", self)
        self.refuse(CloseCode.INTERNAL_ERROR, "The server failed to serve this message.")

    def end(self) -> None:
        """The conversation is over, whoever ended it: leave all channels. Nothing the second time."""
        if self.open:
            self.open = False
            self._node.forget(self)


def new_socket_id() -> str:
    """Return two numbers that nobody can guess from those of another connection."""
    number = secrets.randbits(64)
    return f"{number >> 32}.{number & 0xFFFFFFFF}"
