"""Topics: what they are called, what is said on them, and which of them this node hears."""

import logging
from typing import Any

import msgpack

from soketpy.core.containment import contain
from soketpy.drivers.redis.session import Session

log = logging.getLogger("soketpy.redis")

ScopedName = tuple[str, str]
"""An app and a channel, or an app and a user."""

CHANNEL, WATCH = b"t:", b"w:"
"""What the topics of channels and of watched users begin with, behind the base."""

EVENT, TERMINATE, ADDED, REMOVED, COUNT, ONLINE = b"event", b"terminate", b"added", b"removed", b"count", b"online"
"""Kinds of messages, each the first part of one; ``roster.lua`` publishes all but the first two."""


_packer = msgpack.Packer(use_bin_type=False, unicode_errors="surrogatepass")


def pack(*message: Any) -> bytes:
    """Encode a message."""
    packed: bytes = _packer.pack(message)
    return packed


def unpack(message: bytes) -> list[Any]:
    """What a message says, every text of it as bytes."""
    unpacked: list[Any] = msgpack.unpackb(message, raw=True)
    return unpacked


class Topics:
    """The topics that this node hears, each for as long as somebody listens to it."""

    def __init__(self, base: str, session: Session) -> None:
        self._base = base.encode()
        self._session = session
        self._listeners: dict[bytes, int] = {}
        self._names: dict[bytes, ScopedName] = {}

    def topic(self, kind: bytes, app_id: str, name: str) -> bytes:
        """The topic of an app's channel or user; no two are written alike."""
        app = app_id.encode()
        return b"%b%b%d:%b:%b" % (self._base, kind, len(app), app, name.encode())

    def listen(self, kind: bytes, app_id: str, name: str) -> None:
        """One more listens. If this raises, nothing has changed."""
        topic = self.topic(kind, app_id, name)
        listeners = self._listeners.get(topic, 0)
        if not listeners:
            self._session.subscribe(topic)
            self._names[topic] = (app_id, name)
        self._listeners[topic] = listeners + 1

    def leave(self, kind: bytes, app_id: str, name: str) -> bool:
        """One less listens; whether anybody still does. Never raises: what still comes on the topic is dropped."""
        topic = self.topic(kind, app_id, name)
        listeners = self._listeners.get(topic, 0) - 1
        if listeners > 0:
            self._listeners[topic] = listeners
            return True
        self._listeners.pop(topic, None)
        self._names.pop(topic, None)
        try:
            self._session.unsubscribe(topic)
        except Exception as fault:
            contain(log, fault, "App %s: the topic of %s could not be unsubscribed", app_id, name)
        return False

    def name(self, topic: bytes) -> ScopedName | None:
        """Whose topic it is; None for one to which nobody listens any more."""
        return self._names.get(topic)

    def all(self) -> list[bytes]:
        """Every topic that is heard."""
        return list(self._names)


def add(counts: dict[ScopedName, int], name: ScopedName, change: int) -> int:
    """Change a count; what it is then."""
    count = counts.get(name, 0) + change
    if count:
        counts[name] = count
    else:
        del counts[name]
    return count
