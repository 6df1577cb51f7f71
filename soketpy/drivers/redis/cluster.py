"""A node's part in a cluster over Redis: its partitions, joined and left together."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import hiredis

from soketpy.core.ports import Bus, Cache, RateLimiter, Roster, Unreachable
from soketpy.core.steps import Soon
from soketpy.drivers.redis import buffers
from soketpy.drivers.redis.in_flight import InFlight
from soketpy.drivers.redis.partition import Partition
from soketpy.drivers.redis.partitions import (
    PartitionedBus,
    PartitionedCache,
    PartitionedRateLimiter,
    PartitionedRoster,
    Partitions,
)
from soketpy.drivers.redis.session import LEASE, Connect, Session
from soketpy.drivers.redis.window import Window
from soketpy.drivers.redis.writes import Lost

log = logging.getLogger("soketpy.redis")


class RedisCluster:
    """Give its ``bus`` and ``roster`` to a node, then ``start`` it.

    ``prefix`` keeps clusters on one Redis apart. ``connect`` is given what the keys of a partition begin with: where
    Redis itself is a cluster, that says which of its nodes has them. With ``advises``, a warning says what should
    be set in Redis.
    """

    def __init__(
        self,
        connect: Callable[[str], Connect],
        prefix: str = "soketpy",
        *,
        partitions: int = 1,
        cache_ttl: float = 1800,
        lease: float = LEASE,
        start_timeout: float = 10,
        advises: bool = True,
    ) -> None:
        self._advises = advises
        self._start_timeout = start_timeout
        self._in_flight = InFlight()
        self._away = set[object]()
        window = Window()
        partition = partial(Partition, partitions=partitions, cache_ttl=cache_ttl, lease=lease)
        all_of_them = [
            partition(connect(base), base, self._in_flight, window, self._away)
            for base in (f"{{{prefix}:{number}}}:" for number in range(partitions))
        ]
        self.sessions: list[Session] = [each.session for each in all_of_them]
        self.bus: Bus
        self.roster: Roster
        self.cache: Cache
        self.limiter: RateLimiter
        if partitions == 1:
            [one] = all_of_them
            self.bus, self.roster, self.cache, self.limiter = one.bus, one.roster, one.cache, one.limiter
        else:
            many = Partitions(all_of_them)
            self.bus, self.roster = PartitionedBus(many, window), PartitionedRoster(many)
            self.cache, self.limiter = PartitionedCache(many), PartitionedRateLimiter(many)

    async def start(self) -> None:
        """Join the others. Raises Unreachable where Redis is not there in time."""
        first, *others = self.sessions
        try:
            await first.start(self._start_timeout)
            starts = (each.start(self._start_timeout) for each in others)
            for fault in await asyncio.gather(*starts, return_exceptions=True):
                if fault is not None:
                    raise fault
            nodes = await first.ask("ZCARD", f"{first.base}leases")
        except (OSError, Lost) as fault:
            raise Unreachable(str(fault)) from None
        log.info("Joined %s over Redis at %s; nodes: %d", first.base[:-1], first.place, nodes)
        if not self._advises:
            return
        with contextlib.suppress(Lost):
            first.send("CONFIG", "GET", buffers.NAME, then=partial(_check_buffers, first.place))

    async def stop(self) -> None:
        """Leave the cluster, and leave nothing behind."""
        await asyncio.gather(*(each.stop() for each in self.sessions))

    def flush_soon(self, soon: Soon) -> Soon:
        """What calls a flush ``soon``, or when what this node has published until then is back."""
        return self._in_flight.flush_soon(soon)

    @property
    def connected(self) -> bool:
        """Whether the other nodes can be reached."""
        return not self._away

    @property
    def links(self) -> tuple[int, int]:
        """The number of connections to Redis that work now, and of those that there should be."""
        return len(self.sessions) - len(self._away), len(self.sessions)


def _check_buffers(place: str, reply: Any) -> None:
    """Warn if Redis would soon close the connection of a node that does not read for some seconds."""
    if isinstance(reply, hiredis.ReplyError):
        log.debug("Redis at %s does not say what %s is: %s", place, buffers.NAME, reply)
        return
    found = buffers.too_low(reply)
    if found is not None:
        log.warning(
            "Redis at %s has %s %s: it closes the connection of a node that is suspended for a few seconds under load. "
            'Set "%s" in redis.conf, or run: redis-cli CONFIG SET %s "%s"',
            *(place, buffers.NAME, found, buffers.ADVICE, buffers.NAME, buffers.ADVICE.partition(" ")[2]),
        )
