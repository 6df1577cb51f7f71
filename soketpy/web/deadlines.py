"""Coarse timers for very many connections: one tick a second looks only at the deadlines that are due."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from soketpy.core.containment import contain

log = logging.getLogger("soketpy.deadlines")

RESOLUTION = 1.0
"""Seconds between two ticks. No deadline expires early, and none later than twice this time."""

SLICE_SIZE = 10
"""Deadlines that expire in one iteration of the event loop: some tenths of a millisecond if all close connections."""


class Timed(Protocol):
    """An object that has one deadline at a time."""

    due: int

    def expire(self, now: float) -> None:
        """Act on the deadline, and set the next one if there is one."""

    def abort(self) -> None:
        """End at once, because ``expire`` has raised."""


class Deadlines:
    """The next deadline of every connection, in buckets by tick. Setting and clearing take constant time."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._buckets: dict[int, set[Timed]] = {}
        self._swept = int(clock() / RESOLUTION)

    def set(self, timed: Timed, seconds: float) -> None:
        """Let ``timed`` expire after so many seconds, instead of at its present deadline."""
        if timed.due:
            self.clear(timed)
        timed.due = max(int((self._clock() + seconds) / RESOLUTION) + 1, self._swept + 1)
        bucket = self._buckets.get(timed.due)
        if bucket is None:
            bucket = self._buckets[timed.due] = set()
        bucket.add(timed)

    def clear(self, timed: Timed) -> None:
        """Remove the deadline of ``timed``."""
        bucket = self._buckets.get(timed.due)
        if bucket is not None:
            bucket.discard(timed)
            if not bucket:
                del self._buckets[timed.due]
        timed.due = 0

    def __len__(self) -> int:
        return sum(len(bucket) for bucket in self._buckets.values())

    def expire_all(self) -> None:
        """Expire all deadlines now, due or not."""
        buckets, self._buckets = self._buckets, {}
        for due, bucket in buckets.items():
            for timed in bucket:
                if timed.due == due:
                    self._expire(timed, self._clock())

    @asynccontextmanager
    async def ticking(self) -> AsyncIterator[None]:
        """Tick as long as the context is open."""
        task = asyncio.get_running_loop().create_task(self._keep_ticking())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _keep_ticking(self) -> None:
        while True:
            await asyncio.sleep(RESOLUTION)
            while self.tick():  # noqa: ASYNC110 - each iteration serves some deadlines and lets other callbacks run
                await asyncio.sleep(0)

    def tick(self) -> bool:
        """Expire deadlines that are due, at most ``SLICE_SIZE`` of them. Return whether more may be due.

        Call it every ``RESOLUTION`` seconds, and again as long as more are due. Never raises: if a deadline cannot be
        served, its connection is closed.
        """
        now, left = self._clock(), SLICE_SIZE
        while self._swept < int(now / RESOLUTION):
            tick = self._swept + 1
            # An object that expires may clear or move the deadline of another one, which then leaves this bucket.
            bucket = self._buckets.get(tick, set())
            while bucket:
                if not left:
                    return True
                left -= 1
                self._expire(bucket.pop(), now)
            self._buckets.pop(tick, None)
            self._swept = tick
        return False

    def _expire(self, timed: Timed, now: float) -> None:
        timed.due = 0
        try:
            timed.expire(now)
        except Exception as fault:
            contain(log, fault, "A deadline could not be served")
            timed.abort()
