"""Nodes die, Redis dies, the network parts them: what clients and webhooks see of it, with real processes."""

import asyncio
from collections.abc import Callable

import pytest

from benchmarks.chaos import chaos
from tests.clients.programs import Balancer, free_port
from tests.conftest import At, Peers, Reply, Socket, until
from tests.drivers.redis.conftest import Node, StartNode
from tests.redis import LEASE, LONG_LEASE, SLOW_REDIS, Redis, Sentinel
from tests.slices.sitecustomize import environment

ROOM = "presence-room"

Place = Callable[[Node], At]


async def member(peers: At, user_id: str, room: str = ROOM) -> Socket:
    """A client in a room."""
    client = await peers.client()
    answer = await client.subscribe(room, {"user_id": user_id})
    assert answer["event"] == "pusher_internal:subscription_succeeded", answer
    return client


async def hears(client: Socket, event: str, user_id: str) -> None:
    """Assert that the next message is a member change."""
    message = await client.hear()
    assert (message["event"], message["data"]["user_id"]) == (f"pusher_internal:{event}", user_id)


async def occupied(peers: At) -> dict[str, int]:
    """The channels, with how many are subscribed."""
    reply: Reply = await peers.call("GET", "/channels")
    assert reply.status == 200, reply.text
    return {name: channel["subscription_count"] for name, channel in reply.json["channels"].items()}


async def ready(peers: Peers, status: int = 200) -> None:
    """Wait until /ready answers a load balancer with this status."""

    async def look() -> bool:
        return (await peers.request("GET", "/ready")).status == status

    await until(look)


def reports(*nodes: Node) -> list[tuple[str, str]]:
    """Return the transitions that all nodes have reported."""
    return sorted(report for node in nodes for report in node.reports())


async def test_what_a_killed_node_held_is_gone_and_each_departure_told_once(start_node: StartNode, at: Place) -> None:
    doomed, second, third = [start_node(lease=LEASE) for _ in range(3)]
    watchers = [await member(at(second), "bob"), await member(at(third), "cleo")]
    await hears(watchers[0], "member_added", "cleo")
    await member(at(doomed), "ada")
    for watcher in watchers:
        await hears(watcher, "member_added", "ada")
    await (await at(doomed).client()).subscribe("news")
    assert await occupied(at(second)) == {ROOM: 3, "news": 1}
    reports(second, third)
    doomed.end(kill=True)
    for watcher in watchers:
        await hears(watcher, "member_removed", "ada")

    async def forgotten() -> bool:
        return await occupied(at(third)) == {ROOM: 2}

    await until(forgotten)
    assert reports(second, third) == [("channel_vacated", "news"), ("member_removed", ROOM)]


async def test_a_node_that_is_stopped_leaves_at_once(start_node: StartNode, at: Place) -> None:
    leaving, staying = start_node(), start_node()
    watcher = await member(at(staying), "bob")
    client = await member(at(leaving), "ada")
    await hears(watcher, "member_added", "ada")
    stopping = asyncio.get_running_loop().run_in_executor(None, leaving.end)
    assert (await client.closed())[0] == 4200
    await hears(watcher, "member_removed", "ada")
    await stopping
    assert await occupied(at(staying)) == {ROOM: 1}


@pytest.mark.parametrize("with_data", [True, False], ids=["with its data", "without its data"])
async def test_redis_may_restart(start_node: StartNode, at: Place, own_redis: Redis, with_data: bool) -> None:
    # Without the data of Redis, a node removes members only after a lease: other nodes may still be reconnecting.
    lease = LONG_LEASE if with_data else LEASE
    nodes = [start_node(lease=lease), start_node(lease=lease)]
    first, second = [at(node) for node in nodes]
    ada, bob, cleo = await member(first, "ada"), await member(second, "bob"), await member(second, "cleo")
    await hears(ada, "member_added", "bob")
    await hears(ada, "member_added", "cleo")
    await hears(bob, "member_added", "cleo")
    reports(*nodes)
    if with_data:
        own_redis.save()
    own_redis.kill()
    for peers in (first, second):
        await ready(peers, 503)
        assert (await peers.trigger(ROOM, "lost")).status == 503
        for path in ("/channels", "/channels/news", f"/channels/{ROOM}", f"/channels/{ROOM}/users"):
            assert (await peers.call("GET", path)).status == 503, path
    # The node itself still serves old clients and new ones.
    await bob.say("client-hello", {}, channel=ROOM)
    assert (await cleo.hear())["event"] == "client-hello"
    await cleo.peer.close()
    await hears(bob, "member_removed", "cleo")
    dora = await member(first, "dora")
    await hears(ada, "member_added", "dora")
    own_redis.start()
    for peers in (first, second):
        await ready(peers)
    # When Redis is available again, each side gets once what it has missed.
    await hears(bob, "member_added", "dora")
    await hears(ada, "member_removed", "cleo")
    await hears(dora, "member_removed", "cleo")

    async def all_there() -> bool:
        return await occupied(first) == {ROOM: 3}

    await until(all_there)
    assert (await second.trigger(ROOM, "heard")).status == 200
    for client in (ada, bob, dora):
        assert (await client.hear())["event"] == "heard"
    # Nobody knows of a member who left while Redis lost its data.
    assert reports(*nodes) == [("member_added", ROOM), *([("member_removed", ROOM)] if with_data else [])]


async def test_redis_may_come_back_with_the_data_of_a_moment_before(
    start_node: StartNode, at: Place, own_redis: Redis
) -> None:
    nodes = [start_node(), start_node()]
    first, second = [at(node) for node in nodes]
    await (await first.client()).subscribe("news")
    own_redis.save()
    await (await second.client()).subscribe("news")
    await (await second.client()).subscribe("later")
    own_redis.kill()
    for peers in (first, second):
        await ready(peers, 503)
    own_redis.start()

    async def all_there() -> bool:
        reply = await second.call("GET", "/channels")
        return reply.status == 200 and await occupied(second) == {"news": 2, "later": 1}

    await until(all_there)
    assert [report for report in reports(*nodes) if report[0] == "channel_vacated"] == []


async def test_while_redis_stands_still_nobody_is_taken_for_dead(
    start_node: StartNode, at: Place, own_redis: Redis
) -> None:
    nodes = [start_node(lease=LEASE) for _ in range(2)]
    first, second = [at(node) for node in nodes]
    ada, bob = await member(first, "ada"), await member(second, "bob")
    await hears(ada, "member_added", "bob")
    reports(*nodes)
    with own_redis.standing_still():
        for peers in (first, second):
            await ready(peers, 503)
        await asyncio.sleep(1.5 * LEASE)  # at least: all leases have ended
    for peers in (first, second):
        await ready(peers)
    assert (await first.trigger(ROOM, "heard")).status == 200
    for client in (ada, bob):
        assert (await client.hear())["event"] == "heard"
    assert await occupied(second) == {ROOM: 2}
    assert reports(*nodes) == []


async def test_a_node_that_was_cut_off_and_declared_dead_comes_back_once(
    start_node: StartNode, at: Place, own_redis: Redis
) -> None:
    with Balancer(own_redis.port) as network:
        nodes = [start_node(host="127.0.0.1", port=network.port, lease=LEASE), start_node(lease=LEASE)]
        cut_off, other = [at(node) for node in nodes]
        ada, bob, cleo = await member(cut_off, "ada"), await member(other, "bob"), await member(other, "cleo")
        await hears(ada, "member_added", "bob")
        await hears(ada, "member_added", "cleo")
        await hears(bob, "member_added", "cleo")
        reports(*nodes)
        network.cut()
        await hears(bob, "member_removed", "ada")
        await hears(cleo, "member_removed", "ada")
        await ready(cut_off, 503)
        await cleo.peer.close()
        await hears(bob, "member_removed", "cleo")
        network.mend()
        await hears(bob, "member_added", "ada")
        await ready(cut_off)
        await hears(ada, "member_removed", "cleo")
        assert (await cut_off.trigger(ROOM, "heard")).status == 200
        for client in (ada, bob):
            assert (await client.hear())["event"] == "heard"
        assert await occupied(other) == {ROOM: 2}
        assert reports(*nodes) == [("member_added", ROOM), ("member_removed", ROOM), ("member_removed", ROOM)]


async def test_sentinels_lead_to_the_redis_that_takes_over(
    start_node: StartNode, at: Place, own_redis: Redis, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folders = [tmp_path_factory.mktemp(name) for name in ("replica", "sentinel")]
    follows = ("--replicaof", f"127.0.0.1 {own_redis.port}")
    with Redis(folders[0], *follows, tcp=True) as replica, Sentinel(folders[1], own_redis) as sentinel:
        nowhere = f"127.0.0.1:{free_port()}"
        given = {"sentinels": [nowhere, f"127.0.0.1:{sentinel.port}"], "sentinel_master": "chat"}
        nodes = [start_node(**given), start_node(**given)]
        first, second = [at(node) for node in nodes]
        ada, bob = await member(first, "ada"), await member(second, "bob")
        await hears(ada, "member_added", "bob")
        await until(lambda: asyncio.to_thread(replica.follows))
        await until(lambda: asyncio.to_thread(sentinel.knows_a_replica))
        reports(*nodes)
        own_redis.kill()
        for peers in (first, second):
            await ready(peers, 503)
        sentinel.notice()
        for peers in (first, second):
            await ready(peers)
        assert (await first.trigger(ROOM, "heard")).status == 200
        for client in (ada, bob):
            assert (await client.hear())["event"] == "heard"
        assert await occupied(second) == {ROOM: 2}
        assert reports(*nodes) == []


async def test_a_rolling_restart_under_load_loses_nothing_of_those_who_stay_connected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in environment(SLOW_REDIS).items():
        monkeypatch.setenv(name, value)
    run = await chaos(seconds=6, nodes=3, clients=60, rate=100, gently=True)
    assert run.ledger.kills > 0
    assert run.ledger.faults().total() == 0, run.ledger.faults()
    assert run.exact
    assert any(numbers for _, numbers in run.ledger.heard)
