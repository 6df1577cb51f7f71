"""The rate limiters of all nodes of a cluster, and the clock of their buckets, which stands still."""

from itertools import cycle

import pytest

from soketpy.core.ports import Allowance, Unavailable
from soketpy.drivers.local.limits import LocalRateLimiter
from soketpy.drivers.redis import scripts
from soketpy.drivers.redis.cluster import RedisCluster
from tests.fakes import House

START = 1000.0


def stop_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let time stand still for the buckets of new servers, in this process and in Redis."""
    begin = LocalRateLimiter.__init__
    monkeypatch.setattr(LocalRateLimiter, "__init__", lambda self, clock: begin(self, lambda: START))
    _stop_redis(monkeypatch)


def _stop_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, real, instead in (
        ("webhooks/events.lua", "redis.call('TIME')", f"{{redis.call('GET', prefix .. 'clock') or '{START}', '0'}}"),
        ("roster.lua", "redis.call('PEXPIRE', key, 10000)", ""),
    ):
        assert scripts.SOURCES[name].count(real) == 1
        monkeypatch.setitem(scripts.SOURCES, name, scripts.SOURCES[name].replace(real, instead))


class Unreached:
    """A limiter that cannot be asked."""

    async def take(self, app_id: str, what: str, cost: int, limit: int) -> Allowance:
        raise Unavailable

    async def take_one(self, app_id: str, what: str, limit: int) -> Allowance:
        raise Unavailable


class Limited:
    """Takes points on alternating nodes of a house. Only ``advance`` lets time pass, in the nodes and in Redis."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        _stop_redis(monkeypatch)
        self.house = House()
        for cluster in self.house._clusters:
            for partition in cluster.partitions if isinstance(cluster, RedisCluster) else ():
                partition.limiter._clock = self.house.loop.time
        self._turn = cycle(self.house._clusters)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.house.loop.advance(seconds)
        passed = self.house.loop.now - START
        for session in self.house.sessions:
            self.house._run(session.ask("SET", f"{session.prefix}clock", str(START + passed)))

    def take(self, what: str, cost: int, limit: int, app_id: str = "app") -> Allowance:
        """Take points on the next node."""
        return self.house.ask(next(self._turn).limiter.take(app_id, what, cost, limit))

    def take_one(self, what: str, limit: int, app_id: str = "app") -> Allowance:
        """Take one point, of something frequent, on the next node."""
        return self.house.ask(next(self._turn).limiter.take_one(app_id, what, limit))
