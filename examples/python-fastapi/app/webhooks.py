"""Webhooks of the realtime server, accepted only with a valid signature.

https://pusher.com/docs/channels/server_api/webhooks/
"""

import hmac
from hashlib import sha256
from typing import Annotated

from pydantic import BaseModel, Field

from . import settings

KEYS = {settings.KEY: settings.SECRET, **settings.MORE_KEYS}
"""The secrets by key. There are two while you replace a key."""

MOST_KNOWN = 10_000
"""Deliveries that are recognized if they come again."""

Text = Annotated[str, Field(max_length=200)]


class Event(BaseModel):
    """One event of a webhook. Other fields, such as the data of a client event, are ignored."""

    name: Text
    channel: Text = ""
    user_id: Text | None = None
    event: Text | None = None


class Webhook(BaseModel):
    """The body of a webhook."""

    time_ms: int = Field(ge=0, lt=2**53)
    events: list[Event]


class Entry(Event):
    """One event for the page."""

    id: str
    time_ms: int


def is_signed(body: bytes, key: str, signature: str) -> bool:
    """Return True if the signature is the hexadecimal HMAC-SHA256 of the body's bytes with the key's secret."""
    secret = KEYS.get(key)
    if secret is None:
        return False
    expected = hmac.new(secret.encode(), body, sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), signature.encode())


def entries_of(webhook: Webhook, delivery: str) -> list[Entry]:
    """Return the events of a delivery, each with an id that is the same if the delivery comes again."""
    return [
        Entry(**event.model_dump(), id=f"{delivery}-{number}", time_ms=webhook.time_ms)
        for number, event in enumerate(webhook.events)
    ]


class Deliveries:
    """The last deliveries that were stored. Several processes need a database instead.

    A delivery is not refused for its age: after an outage it arrives late.
    """

    def __init__(self) -> None:
        self._known: dict[str, None] = {}  # the oldest first

    def __contains__(self, delivery: str) -> bool:
        return delivery in self._known

    def add(self, delivery: str) -> None:
        """Note that the events of a delivery are stored."""
        self._known[delivery] = None
        if len(self._known) > MOST_KNOWN:
            del self._known[next(iter(self._known))]


deliveries = Deliveries()
