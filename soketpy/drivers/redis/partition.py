"""One partition of what a cluster knows: its session with Redis, and the ports that share it."""

import logging
import time

from soketpy.core.containment import contain
from soketpy.drivers.redis import topics
from soketpy.drivers.redis.bus import RedisBus
from soketpy.drivers.redis.cache import RedisCache
from soketpy.drivers.redis.in_flight import InFlight
from soketpy.drivers.redis.limits import RedisRateLimiter
from soketpy.drivers.redis.roster import RedisRoster
from soketpy.drivers.redis.session import Connect, Session
from soketpy.drivers.redis.topics import Topics
from soketpy.drivers.redis.window import Window

log = logging.getLogger("soketpy.redis")

_OF_BUS = (topics.EVENT, topics.TERMINATE)


class Partition:
    """Everything about some of the channels and users. ``base`` is what its keys and topics begin with."""

    def __init__(
        self,
        connect: Connect,
        base: str,
        in_flight: InFlight,
        window: Window,
        away: set[object],
        *,
        partitions: int,
        cache_ttl: float,
        lease: float,
    ) -> None:
        self.session = Session(connect, base, self._heard, in_flight, away, partitions=partitions, lease=lease)
        self._topics = Topics(base, self.session)
        self.bus = RedisBus(self.session, self._topics, in_flight, cache_ttl, window)
        self.roster = RedisRoster(self.session, self._topics)
        self.cache = RedisCache(self.session, time.monotonic)
        self.limiter = RedisRateLimiter(self.session)

    def _heard(self, topic: bytes, packed: bytes) -> None:
        name = self._topics.name(topic)
        if name is None:
            return
        try:
            message = topics.unpack(packed)
        except ValueError as fault:  # of a stranger on the same Redis
            contain(log, fault, "A message on %r is not one of soketpy", topic)
            return
        try:
            if message[0] in _OF_BUS:
                self.bus.heard(*name, message)
            else:
                self.roster.heard(name, message)
        except Exception as fault:  # also a message of a node of another version
            contain(log, fault, "A message on %r could not be delivered", topic)
