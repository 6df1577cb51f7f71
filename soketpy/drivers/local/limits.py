"""The rate limits of apps in one process."""

from soketpy.core.limits import Bucket, Clock, Pruned
from soketpy.core.ports import Allowance


class LocalRateLimiter:
    """Token buckets in memory. The buckets of idle apps are dropped."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._buckets = Pruned[tuple[str, str], Bucket](lambda bucket: bucket.full(clock()))

    async def take(self, app_id: str, what: str, cost: int, limit: int) -> Allowance:
        """Take ``cost`` points of the ``limit`` that an app has each second for ``what``."""
        now = self._clock()
        bucket = self._buckets.get((app_id, what))
        if bucket is None:
            bucket = self._buckets[app_id, what] = Bucket(limit, limit, now)
        elif bucket.rate != limit:
            bucket.change(limit, now)
        allowed = bucket.take(cost, now)
        return Allowance(allowed, limit, int(bucket.tokens), 0.0 if allowed else bucket.wait(cost))

    async def take_one(self, app_id: str, what: str, limit: int) -> Allowance:
        """Take one point, as ``take`` does."""
        return await self.take(app_id, what, 1, limit)
