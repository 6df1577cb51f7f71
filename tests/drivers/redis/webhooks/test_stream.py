"""The stream of webhook events: its content after faults, its bounds, and its cost for apps without webhooks."""

from typing import Any, cast

import pytest

from soketpy.drivers.redis import scripts
from soketpy.drivers.redis.commands import Commands
from soketpy.drivers.redis.webhooks import events as node_events
from soketpy.drivers.redis.webhooks.events import RedisEvents
from soketpy.protocol.event_types import EventType
from soketpy.protocol.messages import Event
from soketpy.protocol.webhooks import WebhookEvent
from tests.conftest import Contained
from tests.drivers.queues import cut_off
from tests.drivers.redis.test_transitions import ended
from tests.drivers.redis.webhooks.test_events import GRACE, Key, Node, Scene
from tests.drivers.redis.webhooks.test_events import scene as scene
from tests.drivers.redis.webhooks.test_events import (
    scripts_with_the_clock_of_the_test as scripts_with_the_clock_of_the_test,
)
from tests.patience import until

NEWS: Key = ("subscriptions", "news", "")
ADA: Key = ("member", "presence-room", "ada")
USER: Key = ("user", "ada", "")

ALL = (NEWS, ADA, USER)


def names(scene: Scene) -> list[str]:
    """Return the names of the events since the last call, without counts."""
    found = [event.name for event in scene.events if event.name != EventType.SUBSCRIPTION_COUNT]
    scene.events.clear()
    return found


async def come(scene: Scene, node: Node) -> None:
    for key in ALL:
        await scene.change(node, key, 1)
    await scene.read()


async def test_a_client_that_returns_on_another_node_causes_no_events(scene: Scene) -> None:
    first, second = scene.nodes
    await come(scene, first)
    assert names(scene) == ["channel_occupied", "channel_occupied", "member_added", "user_online"]
    for key in ALL:
        await scene.change(first, key, -1)
    await scene.pass_time(GRACE - 0.5)
    await come(scene, second)
    await scene.pass_time(2 * GRACE)
    assert names(scene) == []


async def test_a_client_of_a_dead_node_that_returns_in_time_causes_no_events(scene: Scene) -> None:
    first, second = scene.nodes
    await come(scene, first)
    names(scene)
    await scene.kill(first)
    await scene.pass_time(GRACE - 0.5)
    await come(scene, second)
    await scene.pass_time(2 * GRACE)
    assert names(scene) == []


async def test_the_clients_of_a_dead_node_leave_after_the_grace_period(scene: Scene) -> None:
    await come(scene, scene.nodes[0])
    names(scene)
    await scene.kill(scene.nodes[0])
    await scene.pass_time(GRACE - 0.5)
    assert names(scene) == []
    await scene.pass_time(0.5)
    assert sorted(names(scene)) == ["channel_vacated", "channel_vacated", "member_removed", "user_offline"]


async def test_the_members_of_a_channel_are_removed_before_it_is_vacated(scene: Scene) -> None:
    await come(scene, scene.nodes[0])
    names(scene)
    await scene.change(scene.nodes[0], ADA, -1)
    await scene.pass_time(GRACE)
    assert names(scene) == ["member_removed", "channel_vacated"]


async def command(scene: Scene, *words: Any) -> Any:
    """Send a command to Redis; ``%`` stands for the prefix of the keys."""
    [session] = scene.watch.sessions
    return await session.ask(*(each.replace("%", session.prefix) if isinstance(each, str) else each for each in words))


async def test_nothing_is_reported_again_when_redis_has_lost_its_data(scene: Scene) -> None:
    first, second = scene.nodes
    await come(scene, first)
    names(scene)
    for node in scene.nodes:
        await node.part()
    every = await command(scene, "KEYS", "{" + scene.prefix + ":0}:*")
    kept = [key for key in every if not key.endswith((b"leases", b"agreed", b"holder", b"seed", b"clock"))]
    await command(scene, "DEL", *kept)
    for node in scene.nodes:
        await command(scene, "ZREM", "%leases", node.session.id)
        await node.rejoin()
    await come(scene, second)
    await scene.change(first, NEWS, -1)
    await scene.pass_time(GRACE)
    assert names(scene) == []
    await scene.change(second, NEWS, -1)
    await scene.pass_time(GRACE)
    assert names(scene) == ["channel_vacated"]


async def test_keys_of_another_type_lose_no_event(scene: Scene) -> None:
    for name in ("events", "pending", "dropped", "returning"):
        await command(scene, "DEL", f"%{name}")
        await command(scene, "RPUSH", f"%{name}", "damaged")
    await come(scene, scene.nodes[0])
    assert len(names(scene)) == 4
    await command(scene, "SET", "%pending", "damaged")
    await scene.change(scene.nodes[0], NEWS, -1)
    await scene.pass_time(GRACE)
    assert names(scene) == ["channel_vacated"]


async def test_a_state_that_soketpy_has_not_written_is_removed(scene: Scene) -> None:
    await command(scene, "ZADD", "%pending", 0, "damaged")
    await scene.change(scene.nodes[0], NEWS, 1)
    await scene.pass_time(1)
    assert names(scene) == ["channel_occupied"]
    assert await command(scene, "ZCARD", "%pending") == 0


async def test_clients_may_return_after_a_time_without_any_node(scene: Scene) -> None:
    node, other = scene.nodes
    await come(scene, node)
    names(scene)
    await scene.change(node, NEWS, -1)
    for each in (node, other):
        await each.cluster.stop()
    await scene.watch.stop()
    scene.nodes.clear()
    await scene.start()
    await scene.pass_time(2 * GRACE)
    assert names(scene) == []
    await scene.change(scene.nodes[0], ("subscriptions", "chat", ""), 1)
    await scene.change(scene.nodes[0], ("subscriptions", "chat", ""), -1)
    await scene.pass_time(2 * GRACE)
    assert names(scene) == ["channel_occupied", "channel_vacated"], "what is turned off later does not wait"
    await command(scene, "DEL", "%returning")
    await scene.read()
    assert sorted(names(scene)) == ["channel_vacated", "channel_vacated", "member_removed", "user_offline"]


async def test_clients_of_nodes_that_all_died_may_return(scene: Scene) -> None:
    await come(scene, scene.nodes[0])
    names(scene)
    dead = [scene.watch.sessions[0], *(node.session for node in scene.nodes)]
    for session in dead:
        await session.ask("ZADD", f"{session.prefix}leases", -1, session.id)
        await cut_off(session)
    scene.nodes.clear()
    await scene.start()
    for session in dead:
        await scene.nodes[0].session._clear(session.id)
    await scene.pass_time(2 * GRACE)
    await scene.change(scene.nodes[0], NEWS, 1)
    await scene.pass_time(2 * GRACE)
    assert names(scene) == []
    await scene.pass_time(30)
    assert sorted(names(scene)) == ["channel_vacated", "member_removed", "user_offline"]


# Events of nodes


def client_event(number: int) -> WebhookEvent:
    return WebhookEvent("app", EventType.CLIENT_EVENT, "news", event="client-said", data=b"%d" % number)


def numbers(scene: Scene) -> list[int]:
    return [int(event.data) for event in scene.events if event.name == EventType.CLIENT_EVENT]


async def test_events_of_a_node_wait_while_redis_is_unavailable(scene: Scene) -> None:
    node, _ = scene.nodes
    log = node.cluster.events
    log.append(client_event(1))
    await until(lambda: not node.session.busy)
    await node.part()
    for number in range(2, 500):
        log.append(client_event(number))
    await node.rejoin()
    log.append(client_event(500))
    await until(lambda: not node.session.busy)
    for _ in range(6):  # a read returns some of them
        await scene.read()
    assert numbers(scene) == list(range(1, 501))


async def test_the_events_of_an_iteration_share_a_write_before_the_writes_that_follow(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, _ = scene.nodes
    writes: list[list[Any]] = []
    write = Commands.write

    def note(self: Commands, given: list[Any]) -> Any:
        future = write(self, given)
        writes.append(given)
        return future

    monkeypatch.setattr(Commands, "write", note)
    for number in range(1, 4):
        node.cluster.events.append(client_event(number))
    assert writes == []
    node.session.write(["nothing"])
    node.cluster.events.append(client_event(4))
    await until(lambda: not node.session.busy)
    assert [given[0] for given in writes] == ["append", "nothing", "append"]
    assert [len(given[3]) for given in writes if given[0] == "append"] == [3, 1]
    await scene.read()
    assert numbers(scene) == [1, 2, 3, 4]


async def test_an_event_is_appended_once_though_its_answer_was_lost(scene: Scene) -> None:
    node, _ = scene.nodes
    log = cast(RedisEvents, node.cluster.events)
    log.append(client_event(1))
    assert node.session.wire is not None
    node.session.wire._flush()  # Redis gets the write, and the node loses the answer
    await node.part()
    log.append(client_event(2))
    await node.rejoin()
    await command(scene, "ZREM", "%leases", node.session.id)  # a new session does not know its last batch
    log.append(client_event(3))
    await until(lambda: not log._waiting)
    await scene.read()
    assert numbers(scene) == [1, 2, 3]


async def test_too_many_waiting_events_of_a_node_displace_the_oldest(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(node_events, "MOST_WAITING", 5)
    node, _ = scene.nodes
    log = cast(RedisEvents, node.cluster.events)
    await node.part()
    for number in range(8):
        log.append(client_event(number))
    await node.rejoin()
    await scene.read()
    assert numbers(scene) == [3, 4, 5, 6, 7]
    assert log.dropped == 3
    assert "Dropped 3 webhook events that waited for Redis" in caplog.text


async def test_the_bytes_of_waiting_events_are_bounded(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_events, "MOST_WAITING_BYTES", 10_000)
    node, _ = scene.nodes
    log = cast(RedisEvents, node.cluster.events)
    await node.part()
    for number in range(8):
        log.append(WebhookEvent("app", EventType.CLIENT_EVENT, "news", data=b"%d" % number + b" " * 3000))
    await node.rejoin()
    await scene.read()
    assert numbers(scene) == [5, 6, 7]


@pytest.fixture
def small_stream(monkeypatch: pytest.MonkeyPatch, scripts_with_the_clock_of_the_test: None) -> None:
    source = scripts.SOURCES["webhooks/events.lua"]
    assert source.count("MOST_EVENTS = 50000") == 1
    monkeypatch.setitem(
        scripts.SOURCES, "webhooks/events.lua", source.replace("MOST_EVENTS = 50000", "MOST_EVENTS = 10")
    )


@pytest.mark.usefixtures("small_stream")
async def test_a_full_stream_drops_other_events_before_those_of_states(redis: str) -> None:
    scene = Scene(redis, 0)
    await scene.start()
    node, _ = scene.nodes
    for number in range(15):
        node.cluster.events.append(client_event(number))
    for number in range(15):
        await scene.change(node, ("user", f"user-{number}", ""), 1)
    _, dropped, found = await scene.script.run("read")
    assert dropped == 5 + 5
    assert len(found) / 2 == 20
    await scene.script.run("remove", *found[::2])
    await scene.close()


async def test_the_bytes_of_the_stream_are_bounded(
    redis: str, monkeypatch: pytest.MonkeyPatch, scripts_with_the_clock_of_the_test: None
) -> None:
    source = scripts.SOURCES["webhooks/events.lua"]
    assert source.count("MOST_EVENT_BYTES = 33554432") == 1
    small = source.replace("MOST_EVENT_BYTES = 33554432", "MOST_EVENT_BYTES = 2000")
    monkeypatch.setitem(scripts.SOURCES, "webhooks/events.lua", small)
    scene = Scene(redis, 0)
    await scene.start()
    node, _ = scene.nodes
    for _ in range(2):  # the second time, the bytes of the removed events count no more
        for number in range(8):
            node.cluster.events.append(
                WebhookEvent("app", EventType.CLIENT_EVENT, "news", data=b"%d" % number + b" " * 600)
            )
        await until(lambda: not node.session.busy)
        _, dropped, found = await scene.script.run("read")
        assert (dropped, len(found) / 2) == (4, 4)
        await scene.script.run("remove", *found[::2])
    await scene.close()


async def test_an_event_that_cannot_be_encoded_harms_no_other(scene: Scene, contained: Contained) -> None:
    node, _ = scene.nodes
    node.cluster.events.append(WebhookEvent("app", EventType.CLIENT_EVENT, "news", data=cast(Any, object())))
    node.cluster.events.append(client_event(1))
    await until(lambda: not node.session.busy)
    await scene.read()
    assert numbers(scene) == [1]
    assert contained.count == 1


# cache_miss


async def miss(scene: Scene, *nodes: Node) -> list[str]:
    for node in nodes:
        node.cluster.cache.note_miss("app", "cache-news")
        await until(lambda node=node: not node.session.busy)  # type: ignore[misc]
    await scene.read()
    return names(scene)


async def test_a_miss_is_reported_once_until_the_channel_is_filled(scene: Scene) -> None:
    first, second = scene.nodes
    assert await miss(scene, first, second, first) == ["cache_miss"]
    receipt = first.cluster.bus.publish_cached("app", "cache-news", Event("said", b"{}"))
    assert receipt is not None

    async def confirm() -> None:
        await receipt

    await ended(confirm())
    assert await miss(scene, second) == [], "the channel has an event"
    await command(scene, "DEL", "%last:3:app:cache-news")
    assert await miss(scene, second, first) == ["cache_miss"]
    assert 0 < await command(scene, "PTTL", "%last:3:app:cache-news") <= 1_800_000


async def test_no_miss_is_reported_while_redis_is_unavailable(scene: Scene) -> None:
    node, _ = scene.nodes
    await node.part()
    node.cluster.cache.note_miss("app", "cache-news")
    await node.rejoin()
    await scene.read()
    assert names(scene) == []


# Apps without webhooks


async def test_writes_of_an_app_without_webhooks_are_as_short_as_they_can_be(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, _ = scene.nodes
    written: list[list[Any]] = []
    add = node.session._writes.add

    def note(write: list[Any]) -> Any:
        written.append(write)
        return add(write)

    monkeypatch.setattr(node.session._writes, "add", note)
    before = set(await command(scene, "KEYS", "{" + scene.prefix + ":0}:*"))
    roster = node.cluster.roster

    async def visit() -> None:
        await roster.join("plain", "news")
        await roster.join_as("plain", "presence-room", "ada", b"{}", 100)
        await roster.sign_in("plain", "ada", [])

    await ended(visit())
    assert written == [
        ["subscriptions", "plain", "news", "", 1],
        ["member", "plain", "presence-room", "ada", 1, b"{}", 100, True],
        ["user", "plain", "ada", "", 1, []],
    ]
    ledger = await command(scene, "HVALS", f"%node:{node.session.id}")
    assert ledger == [b"1"] * 3
    after = set(await command(scene, "KEYS", "{" + scene.prefix + ":0}:*"))
    assert not {key for key in after - before if key.endswith((b":events", b":pending"))}
