"""Transitions alternate whatever clients do on any node, and nothing is left of those that have disconnected."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, cast
from uuid import uuid4

import pytest

from soketpy.core import steps
from soketpy.core.ports import Transition
from soketpy.drivers.redis.cluster import RedisCluster
from soketpy.drivers.redis.connect import Address, connector
from tests.redis import LONG_LEASE

STEPS = 10_000


class Model:
    """The reported transitions: for each thing, how many more beginnings than ends."""

    def __init__(self) -> None:
        self.open = Counter[tuple[str, str | None]]()
        self.reports = Counter[str]()

    def report(self, transition: Transition, app_id: str, channel: str, user_id: str | None = None) -> None:
        self.reports[transition] += 1
        self.open[channel, user_id] += 1 if transition in (Transition.OCCUPIED, Transition.ADDED) else -1

    def check(self) -> set[tuple[str, str | None]]:
        """Return what has begun and not ended. Two nodes report in any order, but no transition twice."""
        assert set(self.open.values()) <= {0, 1}, self.open
        return {what for what, times in self.open.items() if times}


class Silent:
    """A node without clients."""

    def __init__(self, report: Callable[..., None]) -> None:
        self.report = report

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_: None


async def ended(operation: Coroutine[Any, Any, None]) -> None:
    """Wait in a task until an operation has ended. Raise its exception."""
    fault: list[BaseException] = []
    done = asyncio.Event()

    async def serve() -> None:
        try:
            await operation
        except BaseException as raised:
            fault.append(raised)
        done.set()

    steps.begin(serve())
    await done.wait()
    for raised in fault:
        raise raised


async def take(operation: Coroutine[Any, Any, object], results: list[object]) -> None:
    results.append(await operation)


class Visitor:
    """Comes to channels of one node and leaves them, at random; one thing after the other."""

    def __init__(self, cluster: RedisCluster, dice: random.Random) -> None:
        self._roster = cluster.roster
        self._dice = dice
        self._on: list[tuple[str, str | None]] = []

    def _come(self) -> tuple[str, str | None]:
        user_id = self._dice.choice([None, "ada", "bob"])
        return ("news" if user_id is None else "presence-room", user_id)

    async def step(self) -> None:
        if self._on and self._dice.random() < 0.6:
            channel, user_id = self._on.pop(self._dice.randrange(len(self._on)))
            if user_id is None:
                await self._roster.leave("app", channel)
            else:
                await self._roster.leave_as("app", channel, user_id)
            return
        channel, user_id = self._come()
        if user_id is None:
            await self._roster.join("app", channel)
        else:
            members = await self._roster.join_as("app", channel, user_id, b"{}", 100)
            assert user_id in members
        self._on.append((channel, user_id))

    async def leave(self) -> None:
        for channel, user_id in self._on:
            if user_id is None:
                await self._roster.leave("app", channel)
            else:
                await self._roster.leave_as("app", channel, user_id)


@pytest.mark.parametrize("seed", range(3))
async def test_transitions_alternate_whatever_two_nodes_do(redis: str, seed: int) -> None:
    dice, model, prefix = random.Random(seed), Model(), f"test-{uuid4()}"
    connect = partial(connector, Address(unix_socket=redis))
    clusters = [RedisCluster(connect, prefix, lease=LONG_LEASE) for _ in range(2)]
    for cluster in clusters:
        cluster.bus.attach(cast(Any, Silent(model.report)))
        cluster.roster.attach(cast(Any, Silent(model.report)))
        await cluster.start()
    visitors = [Visitor(cluster, dice) for cluster in clusters for _ in range(3)]
    for _ in range(STEPS // len(visitors)):
        await asyncio.gather(*(ended(visitor.step()) for visitor in visitors))
        model.check()
    for visitor in visitors:
        await ended(visitor.leave())
    assert model.check() == set()
    assert model.reports[Transition.OCCUPIED] > 10
    assert model.reports[Transition.ADDED] > 10
    for cluster in clusters:
        left: list[object] = []
        await ended(take(cluster.roster.channels("app", ""), left))
        assert left == [{}]
        await cluster.stop()
