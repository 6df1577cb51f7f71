"""A queue of deliveries in memory: for tests, and for events that may be lost when the process ends."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import islice

import msgspec

from soketpy.core.deliveries import Delivery
from soketpy.core.grace import State
from soketpy.core.webhook_ports import FULL, DeadLetter, QueueLength, Revival

MOST_DEAD = 10_000
"""Dead letters that are kept, at most."""


class _Lane:
    """The deliveries of one lane. ``due`` is the time of the first one; ``taken`` says whether it is in flight."""

    __slots__ = ("deliveries", "due", "taken")

    def __init__(self) -> None:
        self.deliveries: deque[tuple[int, Delivery]] = deque()
        self.due = 0.0
        self.taken = False


class MemoryQueue:
    """Queues deliveries in this process."""

    def __init__(
        self, *, bound: int = 10_000, keep_dead: float = 7 * 86_400, clock: Callable[[], float] = time.time
    ) -> None:
        self._bound = bound
        self._keep_dead = keep_dead
        self._clock = clock
        self._endpoints: dict[tuple[str, str], dict[str, _Lane]] = {}
        self._dead: deque[DeadLetter] = deque(maxlen=MOST_DEAD)
        self._number = 0
        self._changed = asyncio.Event()

    async def start(self) -> None:
        """Do nothing."""

    async def stop(self) -> None:
        """Do nothing: what is queued is lost."""

    async def put(self, deliveries: Sequence[Delivery], states: Mapping[State, bool] | None = None) -> int:
        """Append deliveries. Return the number of those that became dead letters. The states are not stored."""
        buried = 0
        for delivery in deliveries:
            lanes = self._endpoints.setdefault(delivery.endpoint, {})
            self._number += 1
            lanes.setdefault(delivery.lane, _Lane()).deliveries.append((self._number, delivery))
            if self._length(delivery.endpoint) > self._bound:
                buried += self._bury_oldest(lanes)
        self._changed.set()
        return buried

    def _length(self, endpoint: tuple[str, str]) -> int:
        return sum(len(lane.deliveries) for lane in self._endpoints.get(endpoint, {}).values())

    def _bury_oldest(self, lanes: dict[str, _Lane]) -> int:
        """Bury the oldest delivery of an endpoint that is not in flight. Return the number of buried deliveries."""
        oldest: tuple[int, _Lane, int] | None = None
        for lane in lanes.values():
            for number, _ in islice(lane.deliveries, lane.taken, lane.taken + 1):
                if oldest is None or number < oldest[0]:
                    oldest = number, lane, int(lane.taken)
        if oldest is None:
            return 0
        _, lane, index = oldest
        _, delivery = lane.deliveries[index]
        del lane.deliveries[index]
        if index == 0:
            lane.due = 0.0
        if not lane.deliveries:
            del lanes[delivery.lane]
        self._dead.appendleft(DeadLetter(delivery, self._clock(), FULL))
        return 1

    async def states(self) -> Collection[State]:
        """Return nothing: states end with the process."""
        return ()

    async def take(self) -> Sequence[Delivery]:
        """Wait until deliveries are due, and return them."""
        while True:
            self._changed.clear()
            now, next_due = self._clock(), None
            taken = []
            for lanes in self._endpoints.values():
                for lane in lanes.values():
                    if lane.taken or not lane.deliveries:
                        continue
                    if lane.due <= now:
                        lane.taken = True
                        taken.append(lane.deliveries[0][1])
                    elif next_due is None or lane.due < next_due:
                        next_due = lane.due
            if taken:
                return taken
            try:
                async with asyncio.timeout(None if next_due is None else next_due - now):
                    await self._changed.wait()
            except TimeoutError:
                pass

    async def finish(self, delivery: Delivery) -> None:
        """Remove a delivery."""
        self._release(delivery)

    def _release(self, delivery: Delivery) -> None:
        lanes = self._endpoints[delivery.endpoint]
        lane = lanes[delivery.lane]
        lane.deliveries.popleft()
        lane.taken, lane.due = False, 0.0
        if not lane.deliveries:
            del lanes[delivery.lane]
            if not lanes:
                del self._endpoints[delivery.endpoint]
        self._changed.set()

    async def retry(self, delivery: Delivery, pause: float, error: str) -> None:
        """Make a delivery due again after ``pause`` seconds, with one more failed attempt."""
        lane = self._endpoints[delivery.endpoint][delivery.lane]
        number, _ = lane.deliveries[0]
        lane.deliveries[0] = number, msgspec.structs.replace(delivery, attempts=delivery.attempts + 1, error=error)
        await self.postpone(delivery, pause)

    async def postpone(self, delivery: Delivery, pause: float) -> None:
        """Make a delivery due again after ``pause`` seconds, as it is in the queue."""
        lane = self._endpoints[delivery.endpoint][delivery.lane]
        lane.taken, lane.due = False, self._clock() + pause
        self._changed.set()

    async def bury(self, delivery: Delivery, reason: str) -> None:
        """Make a delivery a dead letter."""
        self._release(delivery)
        self._dead.appendleft(DeadLetter(delivery, self._clock(), reason))

    async def lengths(self) -> Sequence[QueueLength]:
        """Return the number of deliveries of each endpoint that has any."""
        return [
            QueueLength(
                *endpoint,
                next(iter(lanes.values())).deliveries[0][1].target,
                self._length(endpoint),
                min(lane.deliveries[0][1].created for lane in lanes.values()),
            )
            for endpoint, lanes in self._endpoints.items()
        ]

    async def dead(self, limit: int) -> Sequence[DeadLetter]:
        """Return dead letters, the newest first."""
        self._forget_dead()
        return list(islice(self._dead, limit))

    def _forget_dead(self) -> None:
        while self._dead and self._dead[-1].died < self._clock() - self._keep_dead:
            self._dead.pop()

    async def revive(self, app_id: str | None = None, delivery_id: str | None = None) -> Revival:
        """Queue dead letters again: one, those of an app, or all. A full endpoint keeps its newest letters dead."""
        self._forget_dead()
        chosen = self._chosen(app_id, delivery_id)
        now, queued = self._clock(), 0
        for each in reversed(chosen):
            if self._length(each.delivery.endpoint) < self._bound:
                self._dead.remove(each)
                await self.put([msgspec.structs.replace(each.delivery, created=now, attempts=0, error="")])
                queued += 1
        return Revival(queued, len(chosen) - queued)

    async def purge(self, app_id: str | None = None, delivery_id: str | None = None) -> int:
        """Remove dead letters: one, those of an app, or all. Return their number."""
        chosen = self._chosen(app_id, delivery_id)
        for each in chosen:
            self._dead.remove(each)
        return len(chosen)

    def _chosen(self, app_id: str | None, delivery_id: str | None) -> list[DeadLetter]:
        return [
            each
            for each in self._dead
            if app_id in (None, each.delivery.app_id) and delivery_id in (None, each.delivery.id)
        ]
