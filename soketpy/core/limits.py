"""Token buckets: limits of how often something may happen."""

from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

Clock = Callable[[], float]

KEPT_IDLE = 1000
"""Values that a ``Pruned`` has before it drops idle ones for the first time."""


class Bucket:
    """A token bucket: it gets ``rate`` tokens a second and holds at most ``burst``. A new bucket is full."""

    __slots__ = ("burst", "rate", "tokens", "updated")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self.rate = rate
        self.burst = burst
        self.tokens = burst
        self.updated = now

    def take(self, cost: float, now: float) -> bool:
        """Take ``cost`` tokens; return False if there are too few. ``now`` is in seconds of a monotonic clock."""
        tokens = self.tokens + (now - self.updated) * self.rate
        if tokens > self.burst:
            tokens = self.burst
        self.updated = now
        if cost > tokens:
            self.tokens = tokens
            return False
        self.tokens = tokens - cost
        return True

    def full(self, now: float) -> bool:
        """Return whether the bucket holds its ``burst``, as a new bucket does."""
        return self.tokens + (now - self.updated) * self.rate >= self.burst

    def change(self, rate: float, now: float) -> None:
        """Change the rate, and the burst to the tokens of one second. The bucket keeps the tokens that still fit."""
        self.take(0, now)
        self.rate = self.burst = rate
        self.tokens = min(self.tokens, rate)

    def wait(self, cost: float) -> float:
        """Return the seconds from the last ``take`` to ``cost`` tokens or a full bucket; 60 if the rate is 0."""
        if not self.rate:
            return 60.0
        return max(0.0, (min(cost, self.burst) - self.tokens) / self.rate)


def bucket_for(rate: int, former: Bucket | None, now: float) -> Bucket:
    """Return ``former`` if it has this rate, else a full bucket with the tokens of one second."""
    return former if former is not None and former.rate == rate else Bucket(rate, rate, now)


class Pruned(Generic[K, V]):
    """A dict that drops idle values. It has at most ``KEPT_IDLE`` values, or twice as many as were in use.

    ``idle`` returns whether a value may be dropped, because a new one in its place has the same effect.
    """

    __slots__ = ("_idle", "_most", "_values", "get")

    def __init__(self, idle: Callable[[V], bool]) -> None:
        self._idle = idle
        self._most = KEPT_IDLE
        self._values: dict[K, V] = {}
        self.get = self._values.get

    def __len__(self) -> int:
        return len(self._values)

    def __setitem__(self, key: K, value: V) -> None:
        """Set the value of a key. If there are too many values, drop the idle ones first."""
        if len(self._values) >= self._most:
            for each in [each for each, found in self._values.items() if self._idle(found)]:
                del self._values[each]
            self._most = max(KEPT_IDLE, 2 * len(self._values))
        self._values[key] = value
