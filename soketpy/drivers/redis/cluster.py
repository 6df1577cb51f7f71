"""A node's part in a cluster over Redis: one session, and the bus and the roster that share it."""

import logging
import time

from soketpy.cache import Cache
from soketpy.cluster import Bus, Roster, Unreachable
from soketpy.drivers.redis import topics
from soketpy.drivers.redis.bus import RedisBus
from soketpy.drivers.redis.cache import RedisCache
from soketpy.drivers.redis.limits import RedisRateLimiter
from soketpy.drivers.redis.returning import Returning
from soketpy.drivers.redis.roster import RedisRoster
from soketpy.drivers.redis.session import LEASE, Connect, Session
from soketpy.drivers.redis.topics import Topics
from soketpy.limits import RateLimiter
from soketpy.steps import Soon

log = logging.getLogger("soketpy.redis")

_OF_BUS = (topics.EVENT, topics.TERMINATE)


class RedisCluster:
    """Give its ``bus`` and ``roster`` to a node, then ``start`` it. ``prefix`` keeps clusters on one Redis apart."""

    def __init__(
        self,
        connect: Connect,
        prefix: str = "soketpy",
        *,
        cache_ttl: float = 1800,
        lease: float = LEASE,
        start_timeout: float = 10,
    ) -> None:
        base = f"{{{prefix}:0}}:"
        self._start_timeout = start_timeout
        self.session = Session(connect, base, self._heard, lease=lease)
        self._topics = Topics(base, self.session.tell)
        self._returning = Returning()
        self._bus = RedisBus(self.session, self._topics, self._returning, cache_ttl)
        self._roster = RedisRoster(self.session, self._topics)
        self.bus: Bus = self._bus
        self.roster: Roster = self._roster
        self.cache: Cache = RedisCache(self.session, time.monotonic)
        self.limiter: RateLimiter = RedisRateLimiter(self.session)

    async def start(self) -> None:
        """Join the others. Raises Unreachable where Redis is not there in time."""
        try:
            await self.session.start(self._start_timeout)
        except OSError as fault:
            raise Unreachable(str(fault)) from None

    async def stop(self) -> None:
        """Leave the cluster, and leave nothing behind."""
        await self.session.stop()

    def flush_soon(self, soon: Soon) -> Soon:
        """What calls a flush ``soon``, or when what this node has published until then is back."""
        return self._returning.flush_soon(soon)

    @property
    def here(self) -> bool:
        """Whether the other nodes can be reached."""
        return self.session.here

    def _heard(self, topic: bytes, packed: bytes) -> None:
        name = self._topics.name(topic)
        if name is None:
            return
        try:
            message = topics.unpack(packed)
            if message[0] in _OF_BUS:
                self._bus.heard(*name, message)
            else:
                self._roster.heard(name, message)
        except Exception:  # of a node of another version, or a stranger on the same Redis
            log.exception("A message on %r could not be served", topic)
