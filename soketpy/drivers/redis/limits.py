"""Rate limits over Redis: the calls of an app count on whichever node they arrive."""

from soketpy.core.ports import Allowance, Unavailable
from soketpy.drivers.redis.commands import Commands
from soketpy.drivers.redis.writes import Lost


class RedisRateLimiter:
    """Token buckets from which all nodes take."""

    def __init__(self, commands: Commands) -> None:
        self._commands = commands

    async def take(self, app_id: str, what: str, cost: int, limit: int) -> Allowance:
        """Take ``cost`` points of the ``limit`` that an app has each second for ``what``. Raises Unavailable."""
        try:
            taken, left = await self._commands.write(["take", app_id, what, cost, limit])
        except Lost:
            raise Unavailable from None
        tokens = float(left)
        wait = 0.0 if taken else (min(cost, limit) - tokens) / limit if limit else 60.0
        return Allowance(bool(taken), limit, int(tokens), max(0.0, wait))
