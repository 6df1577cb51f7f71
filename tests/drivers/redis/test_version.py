"""Nodes whose versions write different formats never share data: one refuses to join, or discards what is left."""

import asyncio
import logging
from collections.abc import Iterator
from functools import partial
from typing import Any

import msgpack
import pytest

from soketpy.core.ports import Unreachable
from soketpy.drivers.redis import version
from soketpy.drivers.redis.cluster import RedisCluster
from soketpy.drivers.redis.connect import Address, connector
from soketpy.drivers.redis.wire import Wire
from tests.drivers.redis import conftest
from tests.drivers.redis.conftest import StartNode
from tests.drivers.redis.test_alone import Parted
from tests.fakes import APP, Client, House
from tests.redis import LEASE, SLOW_REDIS, Redis

OWN = version.FORMAT
OTHER = OWN + 1

over_redis = pytest.mark.parametrize("nodes", ["two nodes", "two nodes over a Redis Cluster"], indirect=True)
over_one_redis = pytest.mark.parametrize("nodes", ["two nodes"], indirect=True)


class Scene(Parted):
    """Two nodes, and a third one whose version may be another."""

    def __init__(self) -> None:
        super().__init__()
        redis = self.redis
        assert redis is not None
        self.prefix = self.sessions[0].prefix.removeprefix("{").removesuffix(":0}:")
        connect = partial(connector, Address(unix_socket=redis.unix_socket, cluster_nodes=redis.cluster_nodes))
        self.third = RedisCluster(connect, self.prefix, partitions=redis.partitions, lease=60, start_timeout=0.2)
        self.third.roster.attach(self.node)
        self.third.bus.attach(self.node)
        self._third_started = False

    def command(self, *arguments: Any, number: int = 0) -> Any:
        """Send a command to the Redis of a partition; ``%`` stands for the prefix of its keys."""
        third = self.third.sessions[number]
        prefix = third.prefix
        texts = [each.replace("%", prefix) if isinstance(each, str) else each for each in arguments]
        if third.connected:
            return self._run(third.ask(*texts))

        async def ask() -> Any:
            wire = await third._connect(lambda: Wire(lambda *_: None, lambda: None), 5)
            try:
                return await wire.ask(*texts)
            finally:
                wire.discard()

        return self._run(ask())

    def start_third(self) -> None:
        self._third_started = True
        self._run(self.third.start())

    def stop_third(self) -> None:
        self._third_started = False
        self._run(self.third.stop())

    def kill(self) -> None:
        """Let the two nodes lose Redis for good, and their leases end."""
        self.part()
        for number, session in enumerate(self.sessions[: len(self.third.sessions)]):
            assert session.prefix == self.third.sessions[number].prefix
            for session_id in self.command("ZRANGE", "%leases", 0, -1, number=number):
                self.command("ZADD", "%leases", 1, session_id, number=number)

    def keys(self) -> set[str]:
        """Return the names of all keys of the cluster, without the prefix of their partition."""
        found = set()
        for number, session in enumerate(self.third.sessions):
            names = self.command("KEYS", "{" + self.prefix + ":*", number=number)
            found |= {name.decode().removeprefix(session.prefix) for name in names if session.prefix.encode() in name}
        return found

    def close(self) -> None:
        if self._third_started:
            self.stop_third()
        super().close()


@pytest.fixture
def scene(nodes: None) -> Scene:
    return Scene()


@pytest.fixture
def other_version(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Let the nodes that join from now on be of another version."""
    with monkeypatch.context() as patched:
        patched.setattr(version, "FORMAT", OTHER)
        yield patched


def member(house: House, channel: str, user_id: str | None = None) -> Client:
    client = house.connect()
    client.subscribe(channel, user_id)
    client.take()
    return client


@over_redis
def test_a_node_of_another_version_refuses_to_join(scene: Scene, other_version: pytest.MonkeyPatch) -> None:
    client = member(scene, "news")
    with pytest.raises(Unreachable) as refused:
        scene.start_third()
    said = str(refused.value)
    cluster = f"{{{scene.prefix}:0}}"
    assert f"writes data format {OTHER}, but the nodes of {cluster} there write format {OWN}: stop them" in said
    scene.trigger("news", "said")
    assert client.heard() == ["said"]
    assert scene.channels() == {"news": 1}


@over_redis
def test_a_node_of_the_same_version_joins(scene: Scene) -> None:
    scene.start_third()
    assert scene.third.connected


@over_one_redis
def test_a_node_that_finds_another_version_when_it_comes_back_keeps_trying(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "soketpy.redis")
    client = member(scene, "news")
    scene.kill()
    with monkeypatch.context() as patched:
        patched.setattr(version, "FORMAT", OTHER)
        scene.start_third()
    refused = (
        f"this version of soketpy writes data format {OWN}, but the nodes of {{{scene.prefix}:0}} there write format"
    )
    for each in scene.sessions:
        each._connect = scene._connect
    scene.until(lambda: refused in caplog.text)
    assert not any(each.connected for each in scene.sessions)
    scene.stop_third()
    scene.until(lambda: all(each.connected for each in scene.sessions))
    scene.loop.settle()
    scene.trigger("news", "said")
    assert client.heard() == ["said"]
    assert scene.channels() == {"news": 1}


@over_redis
def test_what_dead_nodes_of_another_version_have_left_is_discarded(
    scene: Scene, other_version: pytest.MonkeyPatch
) -> None:
    for channel, user_id in (("news", None), ("presence-a", "ada"), ("cache-news", None)):
        member(scene, channel, user_id)
    scene.trigger("cache-news", "said")
    scene.kill()
    strangers = f"{scene.prefix}:0:news", "{" + scene.prefix + "x:0}:news"
    if scene.redis is not None and not scene.redis.cluster_nodes:
        for stranger in strangers:
            scene.command("SET", stranger, "of another program")
    before = scene.keys()
    assert {"channels:app-id", "leases", "connections:6:app-id:presence-a"} <= before
    scene.start_third()
    assert scene.keys() == {"leases", "agreed", "partitions"}
    if scene.redis is not None and not scene.redis.cluster_nodes:
        for stranger in strangers:
            assert scene.command("GETDEL", stranger) == b"of another program"


@over_one_redis
def test_data_of_the_same_version_is_never_discarded(scene: Scene) -> None:
    member(scene, "cache-news")
    scene.trigger("cache-news", "said")
    scene.kill()
    scene.start_third()
    assert {"channels:app-id", "last:6:app-id:cache-news"} <= scene.keys()


@over_one_redis
def test_nothing_is_discarded_while_a_node_is_alive(scene: Scene) -> None:
    member(scene, "news")
    session = scene.sessions[0]
    assert scene._run(session.script("discard", "", OTHER, f"{session.prefix}channels:app-id")) == 0
    assert scene.channels() == {"news": 1}


def write_unversioned(scene: Scene, expires: str) -> None:
    """Write what a node of a version before the format leaves: its lease, its partitions, and a subscription."""
    scene.command("DEL", "%agreed", "%leases")
    scene.command("SET", "%partitions", "1")
    scene.command("ZADD", "%leases", expires, "0123456789abcdef")
    scene.command("HSET", "%node:0123456789abcdef", msgpack.packb(["s", APP.id, "old", ""]), "1")
    scene.command("HSET", f"%channels:{APP.id}", "old", "1")


@over_one_redis
def test_a_living_node_of_a_version_without_a_format_is_left_alone(scene: Scene) -> None:
    scene.kill()
    write_unversioned(scene, "inf")
    with pytest.raises(Unreachable, match="there write format 0: stop them all first"):
        scene.start_third()
    assert scene.command("HGET", f"%channels:{APP.id}", "old") == b"1"
    assert scene.command("GET", "%partitions") == b"1"


@over_one_redis
def test_what_a_version_without_a_format_has_left_is_discarded(scene: Scene) -> None:
    scene.kill()
    write_unversioned(scene, "1")
    scene.start_third()
    assert scene.keys() == {"leases", "agreed", "partitions"}


@over_one_redis
def test_a_version_without_a_format_is_not_mistaken_for_this_one_after_a_downgrade(scene: Scene) -> None:
    scene.kill()
    write_unversioned(scene, "inf")
    scene.command("HSET", "%agreed", "format", version.FORMAT, "partitions", 1)
    with pytest.raises(Unreachable, match="there write format 0"):
        scene.start_third()


@over_one_redis
def test_versions_without_a_format_find_a_number_of_partitions_that_is_never_theirs(scene: Scene) -> None:
    assert scene.command("GET", "%partitions") == b"0"


async def test_a_process_of_another_version_says_why_and_ends_with_1(
    start_node: StartNode, own_redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {"unix_socket": own_redis.socket, "lease": LEASE}
    start_node(**given)
    monkeypatch.setattr(conftest, "SLOW_REDIS", {**SLOW_REDIS, "soketpy.drivers.redis.version.FORMAT": OTHER})
    with pytest.raises(AssertionError) as failed:
        await asyncio.to_thread(start_node, start_timeout=2, **given)
    said = str(failed.value)
    assert f"cannot use Redis at {own_redis.socket}: this version of soketpy writes data format {OTHER}" in said
    assert "Traceback" not in said
