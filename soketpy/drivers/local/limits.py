"""The rate limits of apps in a cluster of one."""

from soketpy.core.limits import Bucket, Clock
from soketpy.core.ports import Allowance


class LocalRateLimiter:
    """Token buckets in memory. A bucket is replaced when its app's limit changes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._buckets: dict[tuple[str, str], Bucket] = {}

    async def take(self, app_id: str, what: str, cost: int, limit: int) -> Allowance:
        """Take ``cost`` points of the ``limit`` that an app has each second for ``what``."""
        now = self._clock()
        bucket = self._buckets.get((app_id, what))
        if bucket is None or bucket.burst != limit:
            bucket = self._buckets[app_id, what] = Bucket(limit, limit, now)
        allowed = bucket.take(cost, now)
        return Allowance(allowed, limit, int(bucket.tokens), 0.0 if allowed else bucket.wait(cost))
