"""Idempotency keys of events: an event with a key is published once on each channel."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple


class Once(NamedTuple):
    """The key of an event, and the MD5 of the event: a store remembers both for each channel."""

    key: str
    digest: str


class KeyReused(Exception):
    """A key was used lately for another event. The text is for publishers."""

    def __init__(self) -> None:
        super().__init__("An earlier call with this idempotency_key had another body. Use a new key for each event.")


def digest_of(name: str, data: bytes, channels: Sequence[str], socket_id: str | None) -> str:
    """Return the MD5 of an event. Equal events have equal digests, however their bodies are written."""
    found = hashlib.md5(usedforsecurity=False)
    for text in (name, socket_id or "", *channels):
        found.update(text.encode("utf-8", "surrogatepass") + b"\0")
    found.update(data)
    return found.hexdigest()
