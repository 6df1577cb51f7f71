"""A fault in one operation over Redis leaves all others served, the roster true, and the connection to Redis open."""

from collections.abc import Callable
from typing import Any

import pytest

from soketpy.cluster import Edge
from soketpy.containment import failures
from tests.drivers.redis.test_alone import Parted, member
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


def lives(house: House) -> list[str]:
    return [each.life for each in house.sessions]


def test_an_edge_that_cannot_be_reported_harms_nobody(house: Parted, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_for(monkeypatch, house, "report", lambda edge, app_id, channel, *_: channel == "broken")
    before, former = failures.count, lives(house)
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
    assert lives(house) == former
    assert all(each.here for each in house.sessions)
    assert failures.count == before + 2


def test_a_write_that_redis_cannot_do_fails_alone(house: Parted) -> None:
    """Somebody has put a key of another type where the cache of one channel is."""
    session, former = house.sessions[0], lives(house)
    key = f"{session.base}last:{len(APP.id)}:{APP.id}:cache-broken"
    house._run(session.ask("SET", key, "no hash"))
    before = failures.count
    broken, sound = house.connect(), house.connect()
    broken.subscribe("cache-broken")
    sound.subscribe("cache-sound")
    assert broken.heard() == sound.heard() == ["subscription_succeeded", "cache_miss"]
    house.trigger("cache-sound", "said")
    assert sound.heard() == ["said"]
    assert lives(house) == former
    assert all(each.here for each in house.sessions)
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

    def report(edge: Edge, app_id: str, channel: str, user_id: str | None = None) -> None:
        if channel == "broken":
            raise IndexError
        reported.append(f"{edge} {channel}")

    monkeypatch.setattr(house.nodes[1], "report", report)
    house.part(house.sessions[0])
    house.declare_dead()
    assert reported == ["channel_vacated sound"]
    assert house.sessions[1].here
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
    assert all(each.here for each in house.sessions)


def test_a_message_that_cannot_be_delivered_leaves_the_others_delivered(
    house: Parted, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = failures.count
    client = member(house, "ada")
    client.subscribe("news")
    client.take()
    fail_for(monkeypatch, house, "deliver", lambda app_id, channel, message, *_: b"broken" in message.text)
    for name in ("first", "broken", "last"):
        house.trigger("news", name)
    assert client.heard() == ["first", "last"]
    assert all(each.here for each in house.sessions)
    assert failures.count > before


def test_what_is_no_message_of_soketpy_is_skipped(house: Parted) -> None:
    before = failures.count
    client = house.connect()
    client.subscribe("news")
    client.take()
    session = house.sessions[0]
    topic = f"{session.base}t:{len(APP.id)}:{APP.id}:news"
    for message in (b"\xc1", b"", b"\x00", b"\x90", b"\x81\xa1a\x01"):
        house._run(session.ask("PUBLISH", topic, message))
    house.trigger("news", "said")
    assert client.heard() == ["said"]
    assert failures.count > before
    assert all(each.here for each in house.sessions)
