"""Deliveries and dead letters as messages of SQS: ASCII text, and compressed if it is long."""

import base64
import json
import zlib
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, TypeVar

import msgspec

from soketpy.core.deliveries import Delivery
from soketpy.core.webhook_ports import DeadLetter

T = TypeVar("T", Delivery, DeadLetter)

COMPRESS_ABOVE = 32 * 1024
"""Bytes of a message that is not compressed. SQS charges for each 64 KiB."""

MOST_DECODED = 64 * 1024 * 1024
"""Bytes of the content of a compressed message, at most."""

_COMPRESSED = "z:"


class NotOurs(ValueError):
    """A message that soketpy did not write."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A message to send. Messages of one group are received in their order.

    Within five minutes, SQS stores only one message with the same ``once`` (the deduplication id).
    """

    body: str
    group: str
    once: str


def entry_of(delivery: Delivery, *, again: str = "") -> Entry:
    """Return the message of a delivery. ``again`` differs each time that a dead letter is revived."""
    once = delivery.id if not again else digest(f"{delivery.id} {again}")
    return Entry(encode(delivery), digest(delivery.lane), once)


def dead_entry(letter: DeadLetter, message_id: str) -> Entry:
    """Return the message of a dead letter. ``message_id`` is the id of the message that it was before."""
    once = digest(f"{letter.delivery.id} {message_id}")
    return Entry(encode(letter), once, once)


def failed(delivery: Delivery, error: str) -> Delivery:
    """Return a delivery after one more failed attempt."""
    return msgspec.structs.replace(delivery, attempts=delivery.attempts + 1, error=error)


def renewed(delivery: Delivery, now: float) -> Delivery:
    """Return a dead delivery as if it was formed now, with the same id and body."""
    return msgspec.structs.replace(delivery, created=now, attempts=0, error="")


def digest(text: str) -> str:
    """Return a text for a group or a deduplication id, which may have few characters only."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=24).hexdigest()


def encode(value: Delivery | DeadLetter) -> str:
    """Return the body of a message. SQS refuses some characters of Unicode, so the body is ASCII."""
    text = json.dumps(msgspec.to_builtins(value), separators=(",", ":"))
    if len(text) <= COMPRESS_ABOVE:
        return text
    return _COMPRESSED + base64.b64encode(zlib.compress(msgspec.msgpack.encode(value), 1)).decode()


def decode(body: str, kind: type[T]) -> T:
    """Return the delivery or the dead letter of a message. Raise NotOurs for any other message."""
    try:
        if not body.startswith(_COMPRESSED):
            return msgspec.json.decode(body, type=kind)
        packed = base64.b64decode(body.removeprefix(_COMPRESSED), validate=True)
        unpacking = zlib.decompressobj()
        content = unpacking.decompress(packed, MOST_DECODED)
        if unpacking.unconsumed_tail:
            raise NotOurs("too long")
        return msgspec.msgpack.decode(content, type=kind)
    except (ValueError, zlib.error) as fault:
        raise NotOurs(str(fault)) from None


def batches(entries: list[Entry], most_bytes: int) -> list[list[Entry]]:
    """Divide messages into batches that SQS takes: ten messages at most, and ``most_bytes`` together."""
    divided: list[list[Entry]] = []
    size = 0
    for entry in entries:
        if not divided or len(divided[-1]) == MOST_IN_BATCH or size + len(entry.body) > most_bytes:
            divided.append([])
            size = 0
        divided[-1].append(entry)
        size += len(entry.body)
    return divided


def rounds(entries: list[Entry]) -> list[list[Entry]]:
    """Divide messages into rounds, which are sent one after the other. A round has one message of each group.

    SQS may refuse any message of a batch. A later message of its group must not have been stored then.
    """
    divided: list[list[Entry]] = []
    number: dict[str, int] = {}
    for entry in entries:
        at = number.get(entry.group, 0)
        number[entry.group] = at + 1
        if at == len(divided):
            divided.append([])
        divided[at].append(entry)
    return divided


MOST_IN_BATCH = 10
"""Messages in one call of SQS, at most."""


def batch_of(entries: list[Entry]) -> list[dict[str, Any]]:
    """Return the arguments of SendMessageBatch."""
    return [
        {"Id": str(at), "MessageBody": each.body, "MessageGroupId": each.group, "MessageDeduplicationId": each.once}
        for at, each in enumerate(entries)
    ]
