"""Topics: their names, the messages on them, and the subscriptions of this node."""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

import msgpack

from soketpy.core.containment import attempt, contain
from soketpy.drivers.redis.commands import Commands

log = logging.getLogger("soketpy.redis")

ScopedName = tuple[str, str]
"""An app and a channel, or an app and a user."""

CHANNEL, WATCH = b"t:", b"w:"
"""The topics of channels and of watched users begin with these, after the prefix of the partition."""

EVENT, STORED, TERMINATE = b"event", b"stored", b"terminate"
ADDED, REMOVED, COUNT, ONLINE = b"added", b"removed", b"count", b"online"
"""The kinds of messages. Each message is a list that begins with its kind.

``bus`` publishes EVENT and TERMINATE, the script all but TERMINATE.
"""

_OF_BUS = (EVENT, STORED, TERMINATE)

pack: Callable[[Sequence[Any]], bytes] = msgpack.Packer(use_bin_type=False, unicode_errors="surrogatepass").pack
"""Encodes a message."""

unpack: Callable[[bytes], list[Any]] = partial(msgpack.unpackb, raw=True)
"""Decodes a message, with every text in it as bytes."""


class Receiver(Protocol):
    """Processes the messages of topics."""

    def receive(self, app_id: str, name: str, message: list[Any]) -> None:
        """Process a message about a channel or a user of an app."""


class Topics:
    """The topics that this node is subscribed to. A topic stays as long as it has a listener."""

    def __init__(self, commands: Commands) -> None:
        self._prefix = commands.prefix.encode()
        self._commands = commands
        self._listeners: dict[bytes, int] = {}
        self._names: dict[bytes, ScopedName] = {}
        self._signals: dict[bytes, Callable[[bytes], None]] = {}

    def attach(self, bus: Receiver, roster: Receiver) -> None:
        """Pass messages to these from now on. Called once, before the node connects."""
        self.bus, self.roster = bus, roster

    def topic(self, kind: bytes, app_id: str, name: str) -> bytes:
        """Return the topic of an app's channel or user. No two have the same topic."""
        app = app_id.encode()
        return b"%b%b%d:%b:%b" % (self._prefix, kind, len(app), app, name.encode())

    def listen(self, kind: bytes, app_id: str, name: str) -> None:
        """Add a listener. If this raises, nothing has changed."""
        topic = self.topic(kind, app_id, name)
        listeners = self._listeners.get(topic, 0)
        if not listeners:
            self._commands.subscribe(topic)
            self._names[topic] = (app_id, name)
        self._listeners[topic] = listeners + 1

    def leave(self, kind: bytes, app_id: str, name: str) -> bool:
        """Remove a listener. Return whether there are others.

        Never raises: messages on a topic without a listener are dropped.
        """
        topic = self.topic(kind, app_id, name)
        listeners = self._listeners.get(topic, 0) - 1
        if listeners > 0:
            self._listeners[topic] = listeners
            return True
        self._listeners.pop(topic, None)
        self._names.pop(topic, None)
        try:
            self._commands.unsubscribe(topic)
        except Exception as fault:
            contain(log, fault, "App %s: the topic of %s could not be unsubscribed", app_id, name)
        return False

    def listen_for(self, signal: str, call: Callable[[bytes], None]) -> None:
        """Call a function with each message on the topic of a signal. An exception is contained."""
        topic = self._prefix + signal.encode()
        if topic not in self._signals:
            self._commands.subscribe(topic)
        self._signals[topic] = call

    def ignore(self, signal: str) -> None:
        """Undo ``listen_for``."""
        topic = self._prefix + signal.encode()
        if self._signals.pop(topic, None) is not None:
            self._commands.unsubscribe(topic)

    def all(self) -> list[bytes]:
        """Return every topic with a listener."""
        return [*self._names, *self._signals]

    def receive(self, topic: bytes, packed: bytes) -> None:
        """Pass a message to the bus or the roster. Drop it if its topic has no listener. An exception is contained."""
        name = self._names.get(topic)
        if name is None:
            if topic in self._signals:
                attempt(log, self._signals[topic], packed)
            return
        try:
            message = unpack(packed)
        except ValueError as fault:  # from another program on the same Redis
            contain(log, fault, "A message on %r was not written by soketpy and is dropped", topic)
            return
        try:
            if message[0] in _OF_BUS:
                self.bus.receive(*name, message)
            else:
                self.roster.receive(*name, message)
        except Exception as fault:  # also a message of another version
            contain(log, fault, "A message on %r could not be delivered", topic)


def add(counts: dict[ScopedName, int], name: ScopedName, change: int) -> int:
    """Change a count. Return the new count."""
    count = counts.get(name, 0) + change
    if count:
        counts[name] = count
    else:
        del counts[name]
    return count
