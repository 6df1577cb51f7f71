"""Token buckets: limits of how often something may happen."""

from collections.abc import Callable

Clock = Callable[[], float]


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

    def wait(self, cost: float) -> float:
        """Return the seconds from the last ``take`` to ``cost`` tokens or a full bucket; 60 if the rate is 0."""
        if not self.rate:
            return 60.0
        return max(0.0, (min(cost, self.burst) - self.tokens) / self.rate)


def bucket_for(rate: int, former: Bucket | None, now: float) -> Bucket:
    """Return ``former`` if it has this rate, else a full bucket with the tokens of one second."""
    return former if former is not None and former.rate == rate else Bucket(rate, rate, now)
