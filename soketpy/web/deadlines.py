"""Coarse timers for very many: one tick a second looks only at those who are due."""

import logging
from collections.abc import Callable
from typing import Protocol

from soketpy.core.containment import contain

log = logging.getLogger("soketpy.deadlines")

RESOLUTION = 1.0
"""Seconds between two ticks; nothing is found early, and nothing later than twice that."""

SLICE_SIZE = 10
"""Those who are served before the event loop gets its turn: some tenths of a millisecond where all are closed."""


class Timed(Protocol):
    """Someone who has one deadline at a time."""

    due: int

    def expire(self, now: float) -> None:
        """The deadline has come; set the next one, if there is to be one."""

    def abort(self) -> None:
        """End at once, because ``expire`` has raised."""


class Deadlines:
    """Everyone's next deadline, in buckets by tick. Setting and clearing cost the same however many there are."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._buckets: dict[int, set[Timed]] = {}
        self._swept = int(clock() / RESOLUTION)

    def set(self, timed: Timed, seconds: float) -> None:
        """Let ``timed`` expire so many seconds from now, in the place of any deadline that it had."""
        if timed.due:
            self.clear(timed)
        timed.due = max(int((self._clock() + seconds) / RESOLUTION) + 1, self._swept + 1)
        bucket = self._buckets.get(timed.due)
        if bucket is None:
            bucket = self._buckets[timed.due] = set()
        bucket.add(timed)

    def clear(self, timed: Timed) -> None:
        """Let ``timed`` have no deadline."""
        bucket = self._buckets.get(timed.due)
        if bucket is not None:
            bucket.discard(timed)
            if not bucket:
                del self._buckets[timed.due]
        timed.due = 0

    def __len__(self) -> int:
        return sum(len(bucket) for bucket in self._buckets.values())

    def expire_all(self) -> None:
        """Expire everyone now, due or not."""
        buckets, self._buckets = self._buckets, {}
        for due, bucket in buckets.items():
            for timed in bucket:
                if timed.due == due:
                    self._expire(timed, self._clock())

    def tick(self) -> bool:
        """Expire those who are due, but only ``SLICE_SIZE`` of them; whether there may be more, who come next time.

        To be called every ``RESOLUTION`` seconds, and as long as there are more. Never raises: one whose deadline
        cannot be served is ended.
        """
        now, left = self._clock(), SLICE_SIZE
        while self._swept < int(now / RESOLUTION):
            tick = self._swept + 1
            # One who expires may clear or move the deadline of another, who is then in this bucket no more.
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
