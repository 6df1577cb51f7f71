"""The ports of webhooks: the queue that stores deliveries, and the targets that get them.

An event passes these stages:

1. The node or the roster appends a ``WebhookEvent`` to the ``EventLog`` of its cluster (``core/ports.py``).
2. ``deliveries.form`` turns events into deliveries, and a ``Queue`` stores them.
3. A sender takes deliveries from the queue and sends each to its ``Target``.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from soketpy.core.apps import App
from soketpy.core.deliveries import Delivery
from soketpy.core.grace import State
from soketpy.core.webhooks import Webhook

NO_HEADERS: Mapping[str, str] = MappingProxyType({})

FULL = "the queue of the endpoint was full"
"""The reason of a dead letter that was the oldest delivery of a full queue."""


class QueueUnavailable(Exception):
    """The queue cannot be reached now. The text gives the reason, for people to read."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A delivery that was given up, the Unix time (in seconds) when it was, and the reason."""

    delivery: Delivery
    died: float
    reason: str


@dataclass(frozen=True, slots=True)
class QueueLength:
    """The number of queued deliveries of one endpoint, and the Unix time (in seconds) when the oldest was formed."""

    app_id: str
    webhook_id: str
    target: str
    length: int
    oldest: float


@dataclass(frozen=True, slots=True)
class Revival:
    """The number of dead letters that were queued again, and of those that the full queue of an endpoint kept dead."""

    queued: int
    kept: int = 0


class OperatorsQueue(Protocol):
    """The part of a queue that an operator's command uses. All methods may raise QueueUnavailable."""

    async def lengths(self) -> Sequence[QueueLength]:
        """Return the number of deliveries of each endpoint that has any."""

    async def dead(self, limit: int) -> Sequence[DeadLetter]:
        """Return dead letters, the newest first."""

    async def revive(self, app_id: str | None = None, delivery_id: str | None = None) -> Revival:
        """Queue dead letters again: one, those of an app, or all.

        Each endpoint gets its oldest letters, up to its bound. Its other letters stay dead.
        """

    async def purge(self, app_id: str | None = None, delivery_id: str | None = None) -> int:
        """Remove dead letters: one, those of an app, or all. Return their number."""


class Queue(OperatorsQueue, Protocol):
    """Stores deliveries until they are delivered or given up. All methods may raise QueueUnavailable.

    1. ``put`` returns when the deliveries are stored. A durable queue has them after a ``kill -9``.
    2. The deliveries of one lane are taken in the order of ``put``, and one at a time: the next one is taken after
       ``finish`` or ``bury``. ``retry`` and ``postpone`` put a delivery back in front of its lane.
    3. If the process that took a delivery dies, the delivery is taken again.
    4. An endpoint has at most ``bound`` deliveries. If there are more, its oldest ones become dead letters.
    5. Dead letters are removed after ``keep_dead`` seconds.
    """

    async def start(self) -> None:
        """Open the queue. Call ``stop`` in any case."""

    async def stop(self) -> None:
        """Store the deliveries of earlier ``put`` calls, and close the queue. The caller cancels a waiting ``take``."""

    async def put(self, deliveries: Sequence[Delivery], states: Mapping[State, bool] | None = None) -> int:
        """Store deliveries, and note in the same transaction which states receivers now know as on or off.

        Return the number of deliveries that became dead letters because a queue of an endpoint was full.
        """

    async def states(self) -> Collection[State]:
        """Return the states that receivers know as on. A queue that is not durable returns none."""

    async def take(self) -> Sequence[Delivery]:
        """Wait until deliveries are due, and return them: at most one of each lane, each at the head of its lane."""

    async def finish(self, delivery: Delivery) -> None:
        """Remove a delivered delivery."""

    async def retry(self, delivery: Delivery, pause: float, error: str) -> None:
        """Make a delivery due again after ``pause`` seconds, with one more failed attempt."""

    async def postpone(self, delivery: Delivery, pause: float) -> None:
        """Make a delivery that was not tried due again after ``pause`` seconds. It keeps ``attempts`` and ``error``."""

    async def bury(self, delivery: Delivery, reason: str) -> None:
        """Make a delivery a dead letter."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one attempt. ``error`` is empty if the receiver has accepted the delivery.

    ``retry_after`` is the wish of the receiver in seconds. ``gone`` is true if there must be no further attempt.
    ``blocked`` is true if a setting of this server forbids the address. ``status`` is that of the receiver's answer.
    """

    error: str = ""
    retry_after: float | None = None
    gone: bool = False
    blocked: bool = False
    status: int | None = field(default=None, compare=False)


class Target(Protocol):
    """Sends deliveries to one kind of endpoint."""

    async def send(
        self, delivery: Delivery, app: App, webhook: Webhook, trace: Mapping[str, str] = NO_HEADERS
    ) -> Outcome:
        """Make one attempt. Faults of the network and of the receiver are outcomes, not exceptions.

        ``trace`` are further headers, which name the trace of the attempt.
        """

    async def close(self) -> None:
        """Close all connections."""
