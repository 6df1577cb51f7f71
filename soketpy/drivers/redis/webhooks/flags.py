"""The flags of a write: the kinds of events that the webhooks of its app want, for ``events.lua``."""

from collections.abc import Callable
from functools import cache

from soketpy.core.webhooks import WebhookTypes
from soketpy.protocol.event_types import EventType

QUIET = 16
"""Receivers already know what a write turns on."""

_FLAGS = {
    EventType.CHANNEL_OCCUPIED: 1,
    EventType.CHANNEL_VACATED: 1,
    EventType.MEMBER_ADDED: 2,
    EventType.MEMBER_REMOVED: 2,
    EventType.USER_ONLINE: 4,
    EventType.USER_OFFLINE: 4,
    EventType.SUBSCRIPTION_COUNT: 8,
}

Flags = Callable[[str], tuple[int, ...]]
"""Returns the last argument of a write of an app: the flags, or nothing if its webhooks want no event of a roster."""


def no_webhooks(app_id: str) -> frozenset[str]:
    """Return no event."""
    return frozenset()


def flags_of(wanted: WebhookTypes) -> Flags:
    """Return a function from an app to its flags."""
    return lambda app_id: _flags(wanted(app_id))


@cache
def _flags(types: frozenset[str]) -> tuple[int, ...]:
    flags = 0
    for name in types:
        flags |= _FLAGS.get(EventType(name), 0)
    return (flags,) if flags else ()
