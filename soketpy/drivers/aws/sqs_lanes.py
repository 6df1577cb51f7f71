"""The messages of SQS that this process has received, by lane, and the number of known deliveries.

1. A lane is a message group of SQS. SQS returns no message of a group while another one of it is in flight.
2. Of the received messages of a lane only the first one, the head, is given to the sender.
3. While a head waits for its next attempt, SQS has all messages of the lane. This process has only the receipt of the
   head.
"""

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from soketpy.core.deliveries import Delivery
from soketpy.core.webhook_ports import QueueLength
from soketpy.drivers.aws.fifo import Received

MOST_REMEMBERED = 10_000
"""Deliveries in SQS whose attempts and errors are remembered. SQS has no place for them."""

Endpoint = tuple[str, str]


@dataclass(slots=True, eq=False)
class Held:
    """A message that SQS keeps invisible for this process until ``until`` (a time of the event loop)."""

    id: str
    receipt: str
    delivery: Delivery
    until: float
    is_taken: bool = False
    failed: float | None = None
    """The time of the first failure to store the end of its attempt."""


@dataclass(slots=True)
class _Waiting:
    """The deliveries of one endpoint that are known and have not ended: their times by id, the oldest first."""

    target: str
    created: dict[str, float] = field(default_factory=dict)


class Lanes:
    """The received messages. ``counts`` is false if other processes take from the queue too."""

    def __init__(self, *, counts: bool) -> None:
        self._counts = counts
        self._lanes: dict[str, deque[Held]] = {}
        self._held: dict[str, Held] = {}
        self._paused: dict[str, Held] = {}
        self._waiting: dict[Endpoint, _Waiting] = {}
        self._failures: OrderedDict[str, tuple[int, str]] = OrderedDict()
        self.size = 0

    @property
    def held(self) -> list[Held]:
        """Return all messages that SQS keeps invisible for this process, but not those that wait for an attempt."""
        return list(self._held.values())

    def note(self, delivery: Delivery) -> None:
        """Count a delivery that was put, or that another process has put."""
        if self._counts:
            waiting = self._waiting.setdefault(delivery.endpoint, _Waiting(delivery.target))
            waiting.created.setdefault(delivery.id, delivery.created)

    def forget(self, delivery: Delivery) -> None:
        """Remove a delivery from the count."""
        waiting = self._waiting.get(delivery.endpoint)
        if waiting is not None:
            waiting.created.pop(delivery.id, None)
            if not waiting.created:
                del self._waiting[delivery.endpoint]

    def length(self, endpoint: Endpoint) -> int:
        """Return the number of known deliveries of an endpoint."""
        waiting = self._waiting.get(endpoint)
        return 0 if waiting is None else len(waiting.created)

    def lengths(self) -> list[QueueLength]:
        """Return the number of known deliveries of each endpoint that has any."""
        return [
            QueueLength(*endpoint, waiting.target, len(waiting.created), min(waiting.created.values()))
            for endpoint, waiting in self._waiting.items()
        ]

    def add(self, message: Received, delivery: Delivery, until: float) -> Held | None:
        """Append a received message to its lane. Return None if it is held already: only its receipt is new."""
        if (held := self._held.get(message.id)) is not None:
            held.receipt, held.until = message.receipt, until
            return None
        self._paused.pop(delivery.id, None)
        attempts, error = self._failures.get(delivery.id, (message.receives - 1, ""))
        delivery = msgspec.structs.replace(delivery, attempts=attempts, error=error)
        held = Held(message.id, message.receipt, delivery, until)
        self._held[message.id] = held
        self._lanes.setdefault(delivery.lane, deque()).append(held)
        self.size += len(delivery.body)
        self.note(delivery)
        return held

    def is_head(self, held: Held) -> bool:
        """Return whether a message is the first one of its lane."""
        return self._lanes[held.delivery.lane][0] is held

    def take(self) -> list[Delivery]:
        """Return the deliveries at the heads of their lanes that nobody has taken yet."""
        heads = [lane[0] for lane in self._lanes.values() if not lane[0].is_taken]
        for head in heads:
            head.is_taken = True
        return [head.delivery for head in heads]

    def head(self, delivery: Delivery) -> Held | None:
        """Return the message of a delivery that was taken, or None if SQS has given it to others."""
        lane = self._lanes.get(delivery.lane)
        return lane[0] if lane and lane[0].delivery.id == delivery.id else None

    def end(self, held: Held) -> None:
        """Forget a delivery that is delivered or dead."""
        self._drop(held)
        self._paused.pop(held.delivery.id, None)
        self._failures.pop(held.delivery.id, None)
        self.forget(held.delivery)

    def pause(self, held: Held, delivery: Delivery, due: float) -> None:
        """Give a head back to SQS until ``due``, and remember its receipt. Its lane has no other message.

        ``delivery`` is the delivery with its attempts and its error at the next take.
        """
        self._drop(held)
        self._remember(delivery)
        if self._counts:
            self._paused[delivery.id] = Held(held.id, held.receipt, delivery, due)

    def restore(self, held: Held) -> None:
        """Undo ``pause``, which SQS did not accept."""
        self._paused.pop(held.delivery.id, None)
        self._held[held.id] = held
        self._lanes.setdefault(held.delivery.lane, deque()).appendleft(held)
        self.size += len(held.delivery.body)

    def release(self, held: Held) -> None:
        """Give a message back to SQS: another process may have it."""
        self._drop(held)
        if self._paused.pop(held.delivery.id, None) is None:
            self._remember(held.delivery)

    def tail(self, held: Held) -> list[Held]:
        """Return the messages of a lane behind its head, the last one first."""
        return list(self._lanes.get(held.delivery.lane, ()))[:0:-1]

    def oldest(self, endpoint: Endpoint, now: float) -> Held | None:
        """Return the oldest delivery of an endpoint whose receipt is known and valid, and that is not in flight."""
        waiting = self._waiting.get(endpoint)
        found = {each.delivery.id: each for each in self._free(endpoint, now)}
        return next((found[id] for id in waiting.created if id in found), None) if waiting is not None else None

    def _free(self, endpoint: Endpoint, now: float) -> Iterator[Held]:
        for each in (*self._held.values(), *self._paused.values()):
            if not each.is_taken and each.delivery.endpoint == endpoint and each.until > now:
                yield each

    def _remember(self, delivery: Delivery) -> None:
        self._failures[delivery.id] = delivery.attempts, delivery.error
        self._failures.move_to_end(delivery.id)
        if len(self._failures) > MOST_REMEMBERED:
            self._failures.popitem(last=False)

    def _drop(self, held: Held) -> None:
        if self._held.pop(held.id, None) is None:
            return
        self.size -= len(held.delivery.body)
        lane = self._lanes[held.delivery.lane]
        lane.remove(held)
        if not lane:
            del self._lanes[held.delivery.lane]
