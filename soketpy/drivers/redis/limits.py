"""Rate limits over Redis: how often apps have called, whichever node they called."""

from soketpy.core.ports import Allowance, Unavailable
from soketpy.drivers.redis.session import Session
from soketpy.drivers.redis.writes import Lost


class RedisRateLimiter:
    """Token buckets that all nodes take from."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def take(self, app_id: str, what: str, cost: int, limit: int) -> Allowance:
        """Let ``app_id`` do ``what`` for ``cost`` points, of which it has ``limit`` a second. Raises Unavailable."""
        try:
            taken, left = await self._session.write(["r", app_id, what, cost, limit])
        except Lost:
            raise Unavailable from None
        tokens = float(left)
        wait = 0.0 if taken else (min(cost, limit) - tokens) / limit if limit else 60.0
        return Allowance(bool(taken), limit, int(tokens), max(0.0, wait))
