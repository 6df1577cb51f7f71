"""A fault in one operation over Redis leaves all others served, the roster true, and the connection to Redis open."""

from collections.abc import Callable
from typing import Any

import pytest

from soketpy.core.containment import failures
from soketpy.core.ports import Transition
from tests.drivers.redis.test_alone import Parted, member
from tests.drivers.redis.test_failed_writes import agree, entries
from tests.drivers.redis.test_wrong_keys import on_first_node
from tests.fakes import APP, House

pytestmark = [
    pytest.mark.usefixtures("nodes", "contained"),
    pytest.mark.parametrize("nodes", ["two nodes"], indirect=True),
]


def fail_for(monkeypatch: pytest.MonkeyPatch, house: House, method: str, wrong: Callable[..., bool]) -> None:
    """Let a method of all nodes raise for some of its calls."""

    def failing(whole: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            if wrong(*arguments):
                raise IndexError("a fault")
            return whole(*arguments)

        return call

    for node in house.nodes:
        monkeypatch.setattr(node, method, failing(getattr(node, method)))


@pytest.fixture
def house() -> Parted:
    return Parted()


def session_ids(house: House) -> list[str]:
    return [each.id for each in house.sessions]


def test_a_transition_that_cannot_be_reported_harms_nobody(house: Parted, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_for(monkeypatch, house, "report", lambda transition, app_id, channel, *_: channel == "broken")
    before, former = failures.count, session_ids(house)
    clients = [house.connect() for _ in range(6)]
    for client, channel in zip(clients, ["broken", "sound"] * 3, strict=True):
        client.subscribe(channel)
    assert [client.heard() for client in clients] == [["subscription_succeeded"]] * 6
    assert house.channels() == {"broken": 3, "sound": 3}
    for channel in ("broken", "sound"):
        house.trigger(channel, "said")
    assert [client.heard() for client in clients] == [["said"]] * 6
    for client in clients:
        client.leave()
    house.loop.settle()
    assert house.channels() == {}
    assert session_ids(house) == former
    assert all(each.connected for each in house.sessions)
    assert failures.count == before + 2


def test_a_write_that_redis_cannot_do_fails_alone(house: Parted) -> None:
    """Another program has written a key of another type instead of the cache of one channel."""
    session, former = house.sessions[0], session_ids(house)
    key = f"{session.prefix}last:{len(APP.id)}:{APP.id}:cache-broken"
    house._run(session.ask("SET", key, "no hash"))
    before = failures.count
    broken, sound = house.connect(), house.connect()
    broken.subscribe("cache-broken")
    sound.subscribe("cache-sound")
    assert broken.heard() == sound.heard() == ["subscription_succeeded", "cache_miss"]
    house.trigger("cache-sound", "said")
    assert sound.heard() == ["said"]
    assert session_ids(house) == former
    assert all(each.connected for each in house.sessions)
    assert failures.count == before + 1


def test_what_a_dead_node_left_is_cleared_up_whatever_cannot_be_reported(
    house: Parted, monkeypatch: pytest.MonkeyPatch
) -> None:
    for channel in ("broken", "sound"):
        client = house.connect()
        while client.connection._node is not house.nodes[0]:
            client = house.connect()
        client.subscribe(channel)
    house.loop.settle()
    reported: list[str] = []

    def report(transition: Transition, app_id: str, channel: str, user_id: str | None = None) -> None:
        if channel == "broken":
            raise IndexError
        reported.append(f"{transition} {channel}")

    monkeypatch.setattr(house.nodes[1], "report", report)
    house.part(house.sessions[0])
    house.declare_dead()
    assert reported == ["channel_vacated sound"]
    assert house.sessions[1].connected
    house.join()


def test_clients_of_other_channels_are_told_what_they_missed(house: Parted, monkeypatch: pytest.MonkeyPatch) -> None:
    rooms = ("presence-broken", "presence-sound")
    for session in house.sessions[:1]:
        clients = []
        for room in rooms:
            client = house.connect()
            while client.connection._node is not house.nodes[0]:
                client = house.connect()
            client.subscribe(room, "ada")
            client.take()
            clients.append(client)
        house.part(session)
        for room in rooms:
            other = house.connect()
            while other.connection._node is not house.nodes[1]:
                other = house.connect()
            other.subscribe(room, "bob")
    fail_for(monkeypatch, house, "member_added", lambda app_id, channel, *_: channel == "presence-broken")
    house.join()

    def told() -> bool:
        house.loop.settle()
        return bool(clients[1].transport.frames)

    house.until(told)
    assert clients[1].heard() == ["member_added"]
    assert all(each.connected for each in house.sessions)


def test_a_message_that_cannot_be_delivered_leaves_the_others_delivered(
    house: Parted, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = failures.count
    client = member(house, "ada")
    client.subscribe("news")
    client.take()
    fail_for(monkeypatch, house, "deliver", lambda app_id, channel, event, *_: event.name == "broken")
    for name in ("first", "broken", "last"):
        house.trigger("news", name)
    assert client.heard() == ["first", "last"]
    assert all(each.connected for each in house.sessions)
    assert failures.count > before


def test_what_is_no_message_of_soketpy_is_skipped(house: Parted) -> None:
    before = failures.count
    client = house.connect()
    client.subscribe("news")
    client.take()
    session = house.sessions[0]
    topic = f"{session.prefix}t:{len(APP.id)}:{APP.id}:news"
    for message in (b"\xc1", b"", b"\x00", b"\x90", b"\x81\xa1a\x01"):
        house._run(session.ask("PUBLISH", topic, message))
    house.trigger("news", "said")
    assert client.heard() == ["said"]
    assert failures.count > before
    assert all(each.connected for each in house.sessions)


def test_members_and_watchers_are_told_what_they_missed_though_one_channel_cannot_be_read(house: Parted) -> None:
    """Another program has written a key of another type instead of the members of the first channel."""
    broken, sound = "presence-a-broken", "presence-b-sound"
    clients = {}
    for room in (broken, sound):
        clients[room] = on_first_node(house)
        clients[room].subscribe(room, "ada")
    watcher = on_first_node(house)
    watcher.sign_in("ada", watchlist=["bob"])
    first, second = house.sessions
    house.loop.settle()
    for client in (*clients.values(), watcher):
        client.take()
    house.part(first)
    other = house.connect()
    while other.connection._node is not house.nodes[1]:
        other = house.connect()
    other.subscribe(sound, "bob")
    other.sign_in("bob")
    key = f"{second.prefix}members:{len(APP.id)}:{APP.id}:{broken}"
    house._run(second.ask("DEL", key))
    house._run(second.ask("SET", key, "no hash"))
    house.join()
    house.until(lambda: clients[sound].transport.frames and watcher.transport.frames)
    assert clients[sound].heard() == ["member_added"]
    assert watcher.heard() == ["watchlist_events"]
    assert all(client.closed is None for client in clients.values())
    assert all(each.connected for each in house.sessions)


def test_what_a_node_was_answered_while_it_was_away_may_be_damaged(house: Parted) -> None:
    first, second = house.sessions
    client = on_first_node(house)
    client.connection.receive(b'{"event":"pusher:subscribe","data":{"channel":"news"}}')  # its write has no answer yet
    session_id = first.id
    assert first._writes.in_flight
    house.part(first)
    batch = f"{second.prefix}batch:{session_id}"
    house._run(second.ask("HSET", batch, "number", first._writes.number, "answer", b"\xc1"))
    house.join()
    assert first.id != session_id
    assert house.channels() == {"news": 1}
    assert agree(house)


def test_a_topic_that_cannot_be_left_is_heard_no_more(house: Parted, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(topic: bytes) -> None:
        raise IndexError

    bystander = house.connect()
    bystander.subscribe("presence-room", "bob")
    bystander.sign_in("bob", watchlist=["ada"])
    before = [entries(each) for each in house.sessions]
    with monkeypatch.context() as patched:
        for session in house.sessions:
            patched.setattr(session, "unsubscribe", fail)
        for _ in range(2):
            client = house.connect()
            for channel in ("news", "presence-room", "presence-empty"):
                client.subscribe(channel, "ada" if channel.startswith("presence-") else None)
            client.sign_in("ada", watchlist=["bob", "cleo", "dora"])
            assert client.closed is None
            client.leave()
            house.loop.settle()
    assert [entries(each) for each in house.sessions] == before
    assert agree(house)
    bystander.take()
    house.trigger("news", "said")
    again = [house.connect() for _ in range(2)]
    for client in again:
        client.subscribe("news")
        client.take()
    house.trigger("news", "said")
    assert [client.heard() for client in again] == [["said"]] * 2
    assert bystander.heard() == []
