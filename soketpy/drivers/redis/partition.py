"""One partition of what the nodes share: a session with Redis, and the ports that use it."""

import secrets
import time

from soketpy.core.webhooks import WebhookTypes
from soketpy.drivers.redis.answers import RedisAnswers
from soketpy.drivers.redis.bus import RedisBus
from soketpy.drivers.redis.cache import RedisCache
from soketpy.drivers.redis.history import RedisHistory
from soketpy.drivers.redis.in_flight import InFlight
from soketpy.drivers.redis.limits import RedisRateLimiter
from soketpy.drivers.redis.roster import RedisRoster
from soketpy.drivers.redis.session import Connect, Session
from soketpy.drivers.redis.tabs import RedisTabs
from soketpy.drivers.redis.topics import Topics
from soketpy.drivers.redis.webhooks.events import RedisEvents
from soketpy.drivers.redis.webhooks.flags import flags_of
from soketpy.drivers.window import Window


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
        history_size: int,
        idempotency_window: float,
        lease: float,
        webhook_types: WebhookTypes,
        grace: float,
    ) -> None:
        self.session = Session(connect, prefix, in_flight, unavailable, partitions=partitions, lease=lease, grace=grace)
        self.grace = grace
        self.topics = topics = Topics(self.session)
        self.bus = RedisBus(
            self.session,
            topics,
            in_flight,
            window,
            cache_ttl=cache_ttl,
            history_size=history_size,
            idempotency_window=idempotency_window,
        )
        self.roster = RedisRoster(self.session, topics, flags_of(webhook_types))
        self.cache = RedisCache(self.session, time.monotonic, cache_ttl)
        self.history = RedisHistory(self.session)
        self.tabs = RedisTabs(self.session)
        self.answers = RedisAnswers(self.session, idempotency_window)
        self.events = RedisEvents(self.session, secrets.token_hex(8))
        self.limiter = RedisRateLimiter(self.session, time.monotonic)
        topics.attach(self.bus, self.roster)
        self.session.attach(self.roster, topics.receive)
        self.session.watchers.append(self._connection_changed)

    def _connection_changed(self) -> None:
        if self.session.connected:
            self.bus.check_history()
