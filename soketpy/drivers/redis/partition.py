"""One partition of what the nodes share: a session with Redis, and the ports that use it."""

import time

from soketpy.drivers.redis.bus import RedisBus
from soketpy.drivers.redis.cache import RedisCache
from soketpy.drivers.redis.in_flight import InFlight, Window
from soketpy.drivers.redis.limits import RedisRateLimiter
from soketpy.drivers.redis.roster import RedisRoster
from soketpy.drivers.redis.session import Connect, Session
from soketpy.drivers.redis.topics import Topics


class Partition:
    """Some of the channels and users of a cluster. The names of its keys and topics begin with ``prefix``."""

    def __init__(
        self,
        connect: Connect,
        prefix: str,
        in_flight: InFlight,
        window: Window,
        unavailable: set[object],
        *,
        partitions: int,
        cache_ttl: float,
        lease: float,
    ) -> None:
        self.session = Session(connect, prefix, in_flight, unavailable, partitions=partitions, lease=lease)
        topics = Topics(self.session)
        self.bus = RedisBus(self.session, topics, in_flight, window, cache_ttl)
        self.roster = RedisRoster(self.session, topics)
        self.cache = RedisCache(self.session, time.monotonic)
        self.limiter = RedisRateLimiter(self.session)
        topics.attach(self.bus, self.roster)
        self.session.attach(self.roster, topics.receive)
