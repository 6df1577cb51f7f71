"""Rate limits of apps, counted in this process."""

from soketpy.core.limits import Bucket, Clock
from soketpy.core.ports import Allowance


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
