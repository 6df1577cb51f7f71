"""A cluster over Redis: a node joins and leaves all its partitions together."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import hiredis

from soketpy.core.histograms import Histogram
from soketpy.core.history import LogCounts
from soketpy.core.ports import Answers, Bus, Cache, EventLog, History, Links, RateLimiter, Roster, Unreachable
from soketpy.core.steps import Soon
from soketpy.core.tabs import Tabs
from soketpy.core.webhooks import WebhookTypes
from soketpy.drivers.redis import buffers
from soketpy.drivers.redis.in_flight import InFlight
from soketpy.drivers.redis.partition import Partition
from soketpy.drivers.redis.partitions import (
    PartitionedAnswers,
    PartitionedBus,
    PartitionedCache,
    PartitionedEvents,
    PartitionedHistory,
    PartitionedRateLimiter,
    PartitionedRoster,
    PartitionedTabs,
    Partitions,
)
from soketpy.drivers.redis.session import LEASE, Connect, Session
from soketpy.drivers.redis.webhooks.flags import no_webhooks
from soketpy.drivers.redis.writes import Lost
from soketpy.drivers.window import Window

log = logging.getLogger("soketpy.redis")


HISTORY_SIZE = 64 * 1024 * 1024
"""The most bytes of all logs of an app, by default."""


class RedisCluster:
    """The ports of one node. Attach a node to ``bus`` and ``roster`` before ``start``.

    ``prefix`` separates clusters on one Redis. ``connect`` gets the prefix of a partition's keys: in a Redis Cluster,
    the prefix decides which Redis node has the keys. With ``advises``, a warning says what should be set in Redis; with
    ``announces``, a line says which node has joined, left or died.
    ``webhook_types`` returns the events that the webhooks of an app want; ``grace`` is their grace period in seconds.
    """

    def __init__(
        self,
        connect: Callable[[str], Connect],
        prefix: str = "soketpy",
        *,
        partitions: int = 1,
        cache_ttl: float = 1800,
        history_size: int = HISTORY_SIZE,
        idempotency_window: float = 120,
        lease: float = LEASE,
        start_timeout: float = 10,
        advises: bool = True,
        announces: bool = True,
        webhook_types: WebhookTypes = no_webhooks,
        grace: float = 3,
    ) -> None:
        self._advises = advises
        self._start_timeout = start_timeout
        self._in_flight = InFlight()
        self._away = set[object]()
        window = Window()
        partition = partial(
            Partition,
            partitions=partitions,
            cache_ttl=cache_ttl,
            history_size=history_size // partitions,
            idempotency_window=idempotency_window,
            lease=lease,
            webhook_types=webhook_types,
            grace=grace,
        )
        self.partitions = all_of_them = [
            partition(connect(keys), keys, self._in_flight, window, self._away) for keys in prefixes(prefix, partitions)
        ]
        self.sessions: list[Session] = [each.session for each in all_of_them]
        self.sessions[0].membership.announces = announces
        self.bus: Bus
        self.roster: Roster
        self.cache: Cache
        self.history: History
        self.tabs: Tabs
        self.answers: Answers
        self.limiter: RateLimiter
        self.events: EventLog
        if partitions == 1:
            [one] = all_of_them
            self.bus, self.roster, self.cache, self.limiter = one.bus, one.roster, one.cache, one.limiter
            self.events, self.history, self.tabs = one.events, one.history, one.tabs
            self.answers = one.answers
        else:
            many = Partitions(all_of_them)
            self.bus, self.roster = PartitionedBus(many, window), PartitionedRoster(many)
            self.cache, self.limiter = PartitionedCache(many), PartitionedRateLimiter(many)
            self.events, self.history = PartitionedEvents(many), PartitionedHistory(many)
            self.tabs, self.answers = PartitionedTabs(many), PartitionedAnswers(many)

    @property
    def log_counts(self) -> LogCounts:
        """The counts of the logs, for metrics."""
        return LogCounts(stored=sum(each.bus.stored for each in self.partitions))

    async def start(self) -> None:
        """Join the other nodes. Raise Unreachable if Redis cannot be used in time, or the nodes do not agree."""
        first, *others = self.sessions
        try:
            await first.start(self._start_timeout)
            starts = (each.start(self._start_timeout) for each in others)
            for fault in await asyncio.gather(*starts, return_exceptions=True):
                if fault is not None:
                    raise fault
            nodes = await first.ask("ZCARD", f"{first.prefix}leases")
        except (OSError, Lost) as fault:
            raise Unreachable(str(fault)) from None
        log.info(
            "Joined %(cluster)s over Redis at %(host)s as node %(node)s; nodes: %(nodes)d",
            {
                "event": "cluster_joined",
                "cluster": first.prefix[:-1],
                "host": first.address,
                "node": first.id,
                "nodes": nodes,
            },
        )
        if not self._advises:
            return
        with contextlib.suppress(Lost):
            first.send("CONFIG", "GET", buffers.NAME, then=partial(_check_buffers, first.address))

    async def stop(self) -> None:
        """Leave the cluster, and remove what this node has written."""
        await asyncio.gather(*(each.stop() for each in self.sessions))

    def flush_soon(self, soon: Callable[..., object]) -> Soon:
        """Return a function that calls a flush ``soon``, or when this node's earlier publications are not in flight."""
        return self._in_flight.flush_soon(soon)

    @property
    def connected(self) -> bool:
        """Return whether all partitions are connected."""
        return not self._away

    @property
    def links(self) -> Links:
        """The connections to Redis, one for each partition."""
        every = self.sessions
        return Links(
            len(every) - len(self._away),
            len(every),
            max(len(each.membership) for each in every),
            sum(each.waiting for each in every),
            sum(each.events.waiting for each in self.partitions),
            sum(each.events.dropped for each in self.partitions),
            sum((each.round_trips for each in every), Histogram()),
        )


def prefixes(prefix: str, partitions: int) -> Iterator[str]:
    """Yield the prefix of the keys of each partition."""
    return (f"{{{prefix}:{number}}}:" for number in range(partitions))


def _check_buffers(address: str, reply: Any) -> None:
    """Warn if Redis would soon close the connection of a node that does not read for some seconds."""
    if isinstance(reply, hiredis.ReplyError):
        log.debug("Redis at %s does not say what %s is: %s", address, buffers.NAME, reply)
        return
    found = buffers.too_low(reply)
    if found is not None:
        log.warning(
            "Redis at %(host)s has %(name)s %(found)s: it closes the connection of a node that is suspended for a few"
            " seconds under load. "
            'Set "%(line)s" in redis.conf, or run: redis-cli CONFIG SET %(name)s "%(limit)s"',
            {
                "event": "redis_buffers_too_small",
                "host": address,
                "name": buffers.NAME,
                "found": found,
                "line": buffers.ADVICE,
                "limit": buffers.ADVICE.partition(" ")[2],
            },
        )
