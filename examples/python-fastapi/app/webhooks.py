"""Webhooks: what the realtime server says has happened, believed only once its signature holds.

https://pusher.com/docs/channels/server_api/webhooks/
"""

import hmac
import time
from collections import deque
from hashlib import sha256
from typing import Annotated

from pydantic import BaseModel, Field

from . import settings

KEYS = {settings.KEY: settings.SECRET, **settings.MORE_KEYS}
"""Secrets by key. While a key is exchanged for another there are two."""

MAX_AGE = 300_000
"""Milliseconds after which a webhook is too old to be believed; Pusher's libraries have the same bound."""

MOST_KEPT = 100

Text = Annotated[str, Field(max_length=200)]


class Event(BaseModel):
    """One event of a webhook. Other fields, such as the data of a client event, are passed over."""

    name: Text
    channel: Text = ""
    user_id: Text | None = None
    event: Text | None = None


class Webhook(BaseModel):
    """The body of a webhook."""

    time_ms: int = Field(ge=0, lt=2**53)
    events: list[Event]


class Entry(Event):
    """One event, as the page shows it."""

    id: str
    time_ms: int


def is_signed(body: bytes, key: str, signature: str) -> bool:
    """Whether the signature is the HMAC-SHA256 of the very bytes of the body, in hexadecimal, by the key's secret."""
    secret = KEYS.get(key)
    if secret is None:
        return False
    expected = hmac.new(secret.encode(), body, sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), signature.encode())


class Feed:
    """The last events, each once however often its webhook comes. Several processes need a database instead."""

    def __init__(self) -> None:
        self.entries: deque[Entry] = deque(maxlen=MOST_KEPT)
        self._known: dict[str, int] = {}  # when those that may still come again were made, by signature

    def add(self, webhook: Webhook, signature: str) -> list[Entry]:
        """Keep the events; return those that are new. Raises ValueError where the webhook is too old."""
        oldest = time.time() * 1000 - MAX_AGE
        if webhook.time_ms < oldest:
            raise ValueError("This webhook is too old.")
        self._known = {known: made for known, made in self._known.items() if made >= oldest}
        if signature in self._known:
            return []
        self._known[signature] = webhook.time_ms
        entries = [
            Entry(**event.model_dump(), id=f"{signature[:16]}-{number}", time_ms=webhook.time_ms)
            for number, event in enumerate(webhook.events)
        ]
        self.entries.extend(entries)
        return entries


feed = Feed()
