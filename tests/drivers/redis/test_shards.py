"""A Redis Cluster: channels in many partitions, masters that fail or hand over, with real processes."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import At, until
from tests.drivers.redis.conftest import StartNode
from tests.drivers.redis.test_faults import Place, hears, member, ready, reports
from tests.redis import Redis, Shards

PARTITIONS = 6


@pytest.fixture
def own_shards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shards]:
    """Start a Redis Cluster that the test may damage."""
    with Shards(tmp_path_factory.mktemp, replicas=True) as servers:
        yield servers


@pytest.fixture
def given(own_shards: Shards) -> dict[str, Any]:
    """Return the settings with which a node finds the Redis Cluster."""
    return {"cluster_nodes": own_shards.addresses, "partitions": PARTITIONS}


async def test_each_master_hears_of_its_own_partitions_only(
    start_node: StartNode, at: Place, own_shards: Shards, given: dict[str, Any]
) -> None:
    first, second = [at(start_node(**given)) for _ in range(2)]
    names = [f"news-{number}" for number in range(30)]
    clients = []
    for number, name in enumerate(names):
        clients.append(await [first, second][number % 2].client())
        await clients[-1].subscribe(name)
    for name, client in zip(names, clients, strict=True):
        assert (await first.trigger(name, "said")).status == 200
        message = await client.hear()
        assert (message["event"], message["channel"]) == ("said", name)
    assert set((await second.call("GET", "/channels")).json["channels"]) == set(names)
    heard = [len(master.ask("PUBSUB", "SHARDCHANNELS").split()) for master in own_shards.masters]
    assert sum(heard) == len(names)
    assert max(heard) < len(names)
    for number in range(PARTITIONS):
        master = own_shards.of(f"{{soketpy:{number}}}:leases")
        assert master.ask("ZCARD", f"{{soketpy:{number}}}:leases") == b"2\n"


@pytest.mark.parametrize("fails", [True, False], ids=["dies", "hands over"])
async def test_a_replica_takes_over(
    start_node: StartNode, at: Place, own_shards: Shards, given: dict[str, Any], fails: bool
) -> None:
    nodes = [start_node(**given), start_node(**given)]
    first, second = [at(node) for node in nodes]
    rooms = [f"presence-{number}" for number in range(8)]
    pairs = {room: (await member(first, "ada", room), await member(second, "bob", room)) for room in rooms}
    for ada, _ in pairs.values():
        await hears(ada, "member_added", "bob")
    reports(*nodes)
    former = own_shards.of("{soketpy:0}:leases")
    replica = own_shards.replicas[own_shards.masters.index(former)]
    if fails:
        former.kill()
        for peers in (first, second):
            await ready(peers, 503)
        replica.ask("CLUSTER", "FAILOVER", "TAKEOVER")
    else:
        replica.ask("CLUSTER", "FAILOVER")
    await until(lambda: asyncio.to_thread(_is_master, replica))
    for peers in (first, second):
        await _all_heard(peers, rooms)
        await ready(peers)
    for room in rooms:
        assert (await second.call("GET", f"/channels/{room}")).json["user_count"] == 2
    assert reports(*nodes) == []


def _is_master(redis: Redis) -> bool:
    return b"master" in redis.ask("ROLE")


async def _all_heard(peers: At, rooms: list[str]) -> None:
    """Wait until an event can be published in every room; a lost event is answered 503."""
    for room in rooms:

        async def taken(room: str = room) -> bool:
            return (await peers.trigger(room, "said")).status == 200

        await until(taken)
