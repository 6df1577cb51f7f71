"""Token buckets: limits of how often something may happen."""

from collections.abc import Callable

Clock = Callable[[], float]


class Bucket:
    """A token bucket: ``rate`` tokens a second flow in, and at most ``burst`` of them wait. Starts full."""

    __slots__ = ("burst", "rate", "tokens", "updated")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self.rate = rate
        self.burst = burst
        self.tokens = burst
        self.updated = now

    def take(self, cost: float, now: float) -> bool:
        """Take ``cost`` tokens if they are there. ``now`` is in seconds of any clock that does not go back."""
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
        """Seconds from the last ``take`` until ``cost`` tokens, or a full bucket, are there; 60 if none ever flow."""
        if not self.rate:
            return 60.0
        return max(0.0, (min(cost, self.burst) - self.tokens) / self.rate)


def bucket_for(rate: int, former: Bucket | None, now: float) -> Bucket:
    """Return the former bucket or, if there is none of this rate, a full one that holds the tokens of one second."""
    return former if former is not None and former.rate == rate else Bucket(rate, rate, now)
