"""The log lines about nodes that join, leave and die."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, cast
from uuid import uuid4

import pytest

from soketpy.drivers.redis.cluster import RedisCluster
from soketpy.drivers.redis.connect import Address, connector
from soketpy.drivers.redis.membership import Membership, leases
from tests.drivers.redis.test_lease import BOUND, Timed, two_nodes
from tests.drivers.redis.test_lease import LENGTH as SECONDS
from tests.fakes import NoNode
from tests.redis import LONG_LEASE

LENGTH = 9_000
"""Milliseconds of a lease."""


@pytest.fixture(autouse=True)
def info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def events(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str, int]]:
    """Event, node and number of nodes of each line about another node."""
    found = [cast("dict[str, Any]", record.args) for record in caplog.records if isinstance(record.args, dict)]
    return [(each["event"], each["node"], each["nodes"]) for each in found if each["event"].startswith("node_")]


def looking() -> Membership:
    """Return a node "me" that has looked at the leases of itself and of "you"."""
    membership = Membership(LENGTH)
    membership.announces = True
    membership.look({"me": 10_000 + LENGTH, "you": 12_000 + LENGTH}, "me")
    return membership


def test_the_nodes_at_the_start_are_counted_and_not_announced(caplog: pytest.LogCaptureFixture) -> None:
    assert len(looking()) == 2
    assert events(caplog) == []


def test_each_change_is_announced_once_with_the_number_of_nodes(caplog: pytest.LogCaptureFixture) -> None:
    membership = looking()
    for now in (13_000, 16_000):
        membership.look({"me": now + LENGTH, "you": 12_000 + LENGTH, "third": now + LENGTH}, "me")
    assert caplog.messages == ["Node third joined; 3 nodes"]
    membership.look({"me": 19_000 + LENGTH}, "me")
    assert events(caplog)[1:] == [("node_died", "you", 1), ("node_left", "third", 1)]
    assert caplog.messages[1:] == [
        "Node you died: it did not renew its lease; 1 node",
        "Node third left; 1 node",
    ]


@pytest.mark.parametrize(
    ("now", "event"),
    [(12_001, "node_left"), (15_000, "node_left"), (20_999, "node_died"), (21_001, "node_died"), (60_000, "node_died")],
)
def test_a_lease_that_was_removed_long_before_its_end_was_given_back(
    caplog: pytest.LogCaptureFixture, now: int, event: str
) -> None:
    looking().look({"me": now + LENGTH}, "me")
    assert events(caplog) == [(event, "you", 1)]


def test_a_node_that_was_without_redis_announces_no_difference(caplog: pytest.LogCaptureFixture) -> None:
    membership = looking()
    membership.forget()
    assert len(membership) == 0
    membership.look({"me again": 50_000 + LENGTH, "third": 50_000 + LENGTH}, "me again")
    assert events(caplog) == []
    assert len(membership) == 2


def test_a_node_that_is_not_to_announce_only_counts(caplog: pytest.LogCaptureFixture) -> None:
    membership = looking()
    membership.announces = False
    membership.look({"me": 13_000 + LENGTH}, "me")
    assert (len(membership), events(caplog)) == (1, [])


def test_a_node_whose_own_lease_is_gone_says_nothing_about_others(caplog: pytest.LogCaptureFixture) -> None:
    looking().look({"third": 13_000 + LENGTH}, "me")
    assert events(caplog) == []


@pytest.mark.parametrize("reply", [None, b"OK", 1, [b"a", 1.0], [[b"a"]], [["a", 1.0]], [[b"a", None]]])
def test_a_reply_of_another_form_is_refused(reply: object) -> None:
    with pytest.raises(ValueError, match="no leases"):
        leases(reply)


def test_the_leases_are_read_as_redis_sends_them() -> None:
    assert leases([[b"a", 1.5], [b"\xff", 2.0]]) == {"a": 1.5, "\ufffd": 2.0}


Start = Callable[..., Awaitable[RedisCluster]]


@pytest.fixture
async def start(redis: str) -> AsyncIterator[Start]:
    """Return a function that starts a node of one cluster."""
    prefix = f"test-{uuid4()}"
    async with AsyncExitStack() as stack:

        async def start(*, announces: bool = False, partitions: int = 2) -> RedisCluster:
            connect = partial(connector, Address(unix_socket=redis))
            cluster = RedisCluster(
                connect, prefix, partitions=partitions, lease=LONG_LEASE, advises=False, announces=announces
            )
            cluster.bus.attach(cast(Any, NoNode()))
            cluster.roster.attach(cast(Any, None))
            await cluster.start()
            stack.push_async_callback(cluster.stop)
            return cluster

        yield start


async def test_a_node_announces_the_changes_of_the_others_once_for_all_partitions(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    first = await start(announces=True)

    async def look() -> None:
        """Let the first node renew its leases now, and look at those of the others."""
        for each in first.sessions:
            each.lease._due_at = 0.0
            await each._check_lease()
            await each.ask("ECHO", "the leases have arrived")

    second = await start()
    name = second.sessions[0].id
    await look()
    await look()
    assert first.links.nodes == 2
    assert events(caplog) == [("node_joined", name, 2)]
    await second.stop()
    await look()
    assert events(caplog)[1:] == [("node_left", name, 1)]


@two_nodes
@pytest.mark.usefixtures("nodes")
def test_a_node_that_dies_is_announced_when_another_node_has_removed_it(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed = Timed(monkeypatch)
    timed.run(2 * SECONDS)
    caplog.clear()
    timed.die(timed.first)
    timed.run(2 * BOUND)
    assert events(caplog) == [("node_died", timed.first.id, 1)]
