"""How often something may happen: token buckets, for one connection or for a whole app."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

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


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a rate limit said to one call; ``limit`` and ``remaining`` are points, ``retry_after`` is seconds."""

    allowed: bool
    limit: int
    remaining: int
    retry_after: float


class RateLimiter(Protocol):
    """How often apps may call. A call that is refused costs nothing."""

    async def take(self, app_id: str, what: str, cost: int, limit: int) -> Allowance:
        """Let ``app_id`` do ``what`` for ``cost`` points, of which it has ``limit`` a second; for ``steps``."""


class LocalRateLimiter:
    """Counts in this process. A bucket lives as long as its app's limit stays the same."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._buckets: dict[tuple[str, str], Bucket] = {}

    async def take(self, app_id: str, what: str, cost: int, limit: int) -> Allowance:
        """Let ``app_id`` do ``what`` for ``cost`` points, of which it has ``limit`` a second."""
        now = self._clock()
        bucket = self._buckets.get((app_id, what))
        if bucket is None or bucket.burst != limit:
            bucket = self._buckets[app_id, what] = Bucket(limit, limit, now)
        allowed = bucket.take(cost, now)
        return Allowance(allowed, limit, int(bucket.tokens), 0.0 if allowed else bucket.wait(cost))
