"""A node without Redis continues with what it knows. When it reconnects, its clients get what they missed."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from soketpy.core.ports import Unavailable
from soketpy.drivers.redis.session import Session
from soketpy.drivers.redis.writes import Lost
from tests.fakes import APP, Client, House

ROOM = "presence-room"

pytestmark = [
    pytest.mark.usefixtures("nodes"),
    pytest.mark.parametrize("nodes", ["two nodes"], indirect=True),
]


class Parted(House):
    """Two nodes that a test can disconnect from Redis and reconnect."""

    def part(self, *parted: Session) -> None:
        async def refuse(*_: object) -> None:
            raise ConnectionRefusedError("parted")

        for each in parted or self.sessions:
            self._connect = each._connect
            each._connect = refuse  # type: ignore[assignment]
            each._disconnect()

    def declare_dead(self) -> None:
        """Have the second node clear up after the first one, for which Redis is unavailable."""
        dead, other = self.sessions
        self._run(other._clear(dead.id, own=True))

    def join(self) -> None:
        for each in self.sessions:
            if not each.connected:
                each._connect = self._connect
        self.until(lambda: all(each.connected for each in self.sessions))
        self.loop.settle()  # the writes of one node reach the other one a moment later


@pytest.fixture
def house() -> Iterator[Parted]:
    house = Parted()
    yield house
    if not all(each.connected for each in house.sessions):
        house.join()


def member(house: House, user_id: str) -> Client:
    client = house.connect()
    client.subscribe(ROOM, user_id)
    client.take()
    return client


def test_clients_of_one_node_go_on_with_each_other(house: Parted) -> None:
    ada, bob, other = member(house, "ada"), member(house, "bob"), member(house, "ada")
    for client in (ada, bob, other):
        client.take()
    house.part()
    ada.say("client-said", {}, channel=ROOM)
    assert other.heard() == ["client-said"]
    assert bob.heard() == []
    other.leave()
    assert ada.heard() == [], "ada is still there with one connection"
    ada.subscribe("news")
    assert ada.heard() == ["subscription_succeeded"]
    ada.unsubscribe("news")


def test_who_comes_and_goes_is_told_here_at_once_and_elsewhere_later(house: Parted) -> None:
    ada, bob = member(house, "ada"), member(house, "bob")
    ada.take()
    house.part()
    cleo, dora = house.connect(), house.connect()
    cleo.subscribe(ROOM, "cleo")
    dora.subscribe(ROOM, "dora")
    assert cleo.take()[0]["data"]["presence"]["ids"] == ["ada", "bob", "cleo"]
    assert [message["data"]["user_id"] for message in ada.take()] == ["cleo"]
    assert [message["data"]["user_id"] for message in bob.take()] == ["dora"]
    dora.leave()
    assert [message["event"] for message in bob.take()] == ["pusher_internal:member_removed"]
    house.join()
    house.loop.settle()
    assert [message["data"]["user_id"] for message in bob.take()] == ["cleo"]
    assert ada.heard() == []
    assert sorted(house.members(ROOM)) == ["ada", "bob", "cleo"]
    assert house.count(ROOM) == 3


def test_a_room_that_nobody_was_in_is_a_room_of_this_node(house: Parted) -> None:
    house.part()
    ada, bob = house.connect(), house.connect()
    for client, user_id in ((ada, "ada"), (bob, "bob")):
        client.subscribe(ROOM, user_id)
        assert client.take()[0]["data"]["presence"]["ids"] == [user_id]
    house.join()
    assert [message["data"]["user_id"] for message in ada.take()] == ["bob"]
    assert [message["data"]["user_id"] for message in bob.take()] == ["ada"]


def test_the_limit_of_members_holds_for_what_is_known(house: Parted) -> None:
    small = replace(APP, max_presence_members_per_channel=1)
    house.part()
    ada, _, bob = house.connect(small), house.connect(small), house.connect(small)
    ada.subscribe(ROOM, "ada")
    bob.subscribe(ROOM, "bob")
    assert bob.heard() == ["subscription_error"]
    ada.unsubscribe(ROOM)


def test_watchers_are_told_what_they_missed(house: Parted) -> None:
    watcher = house.connect()
    watcher.sign_in("watcher", watchlist=["ada", "bob"])
    _, ada = house.connect(), house.connect()
    house.connect()
    bob = house.connect()
    ada.sign_in("ada")
    watcher.take()
    house.part()
    bob.sign_in("bob")
    ada.leave()
    near = house.connect()
    near.sign_in("near", watchlist=["watcher", "ada"])
    assert "watchlist_events" in near.heard()
    house.join()
    assert watcher.heard()


def test_publishers_are_told_that_nothing_was_sent(house: Parted) -> None:
    client = house.connect()
    client.subscribe("news")
    client.subscribe("cache-news")
    client.take()
    house.part()
    for channel in ("news", "cache-news"):
        with pytest.raises(Unavailable):
            house.trigger(channel, "said")
    with pytest.raises(Unavailable):
        house.terminate("ada")
    with pytest.raises(Unavailable):
        house.count("news")
    assert client.heard() == []
    late = house.connect()
    late.subscribe("cache-news")
    assert late.heard() == ["subscription_succeeded", "cache_miss"]


def test_a_return_that_fails_half_way_is_begun_again(house: Parted, monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = house.sessions
    ada, bob = member(house, "ada"), member(house, "bob")
    ada.take()
    transitions: list[tuple[str, ...]] = []
    for node in house.nodes:
        monkeypatch.setattr(node, "report", lambda transition, *what: transitions.append((transition, *what[1:])))
    house.part(first)
    house.declare_dead()
    assert transitions.pop() == ("member_removed", ROOM, "ada")
    script = first.script
    refused: list[object] = []

    async def refuse_once(operation: str, *arguments: str | bytes | int) -> object:
        if operation == "begin" and not refused:
            refused.append(arguments)
            raise Lost
        return await script(operation, *arguments)

    monkeypatch.setattr(first, "script", refuse_once)
    house.join()
    assert refused
    assert transitions == [("member_added", ROOM, "ada")]
    assert [message["event"] for message in bob.take()] == [
        "pusher_internal:member_removed",
        "pusher_internal:member_added",
    ]
    assert ada.heard() == []
    assert sorted(house.members(ROOM)) == ["ada", "bob"]


def test_who_left_one_of_two_connections_while_away_is_still_there(house: Parted) -> None:
    ada, bob = member(house, "ada"), member(house, "bob")
    ada.take()
    house.part()
    once, _, again = house.connect(), house.connect(), house.connect()
    for client in (once, again):
        client.subscribe(ROOM, "cleo", {"name": "Cleo"})
    once.leave()
    house.join()
    assert sorted(house.members(ROOM)) == ["ada", "bob", "cleo"]
    [told] = bob.take()
    assert told["data"] == {"user_id": "cleo", "user_info": {"name": "Cleo"}}


def test_who_was_refused_while_away_is_not_there_afterwards(house: Parted) -> None:
    small = replace(APP, max_presence_members_per_channel=2)
    ada, bob = house.connect(small), house.connect(small)
    ada.subscribe(ROOM, "ada")
    bob.subscribe(ROOM, "bob")
    house.part()
    cleo = house.connect(small)
    cleo.subscribe(ROOM, "cleo")
    assert cleo.heard() == ["subscription_error"]
    bob.leave()
    house.join()
    assert house.members(ROOM) == ["ada"]


def test_who_was_let_in_while_away_stays_in_though_others_were_let_in_elsewhere(house: Parted) -> None:
    small = replace(APP, max_presence_members_per_channel=2)
    ada, _ = house.connect(small), house.connect(small)
    ada.subscribe(ROOM, "ada")
    house.part()
    bob, cleo = house.connect(small), house.connect(small)
    bob.subscribe(ROOM, "bob")
    cleo.subscribe(ROOM, "cleo")
    house.join()
    assert sorted(house.members(ROOM)) == ["ada", "bob", "cleo"]
    cleo.leave()
    house.loop.settle()
    assert sorted(house.members(ROOM)) == ["ada", "bob"]


def test_an_id_that_is_a_number_stays_one_through_an_absence(house: Parted) -> None:
    kept = replace(APP, numeric_ids=True)
    ada, bob = house.connect(kept), house.connect(kept)
    ada.subscribe(ROOM, 1)
    bob.subscribe(ROOM, 2)
    ada.take()
    bob.take()
    house.part()
    cleo = house.connect(kept)
    cleo.subscribe(ROOM, 3)
    house.join()
    for client in (ada, bob):
        assert [message["data"] for message in client.take()] == [{"user_id": 3}]
    late = house.connect(kept)
    late.subscribe(ROOM, 4)
    assert sorted(late.take()[0]["data"]["presence"]["ids"]) == [1, 2, 3, 4]
    cleo.leave()
    house.loop.settle()
    assert {"event": "pusher_internal:member_removed", "channel": ROOM, "data": {"user_id": 3}} in ada.take()


def test_subscribers_are_told_how_many_they_are_after_an_absence_and_after_a_death(house: Parted) -> None:
    counted = replace(APP, subscription_count_events=True)
    first, second = house.connect(counted), house.connect(counted)
    for client in (first, second):
        client.subscribe("news")
        client.take()
    first.take()
    house.part()
    for client in (house.connect(counted), house.connect(counted)):
        client.subscribe("news")
    house.join()
    house.loop.settle()
    assert [message["data"]["subscription_count"] for message in first.take()][-1] == 4
    assert [message["data"]["subscription_count"] for message in second.take()][-1] == 4
    house.part(house.sessions[0])
    house.declare_dead()
    house.loop.settle()
    assert [message["data"]["subscription_count"] for message in second.take()][-1] == 2


@pytest.mark.usefixtures("contained")
def test_what_cannot_be_understood_is_an_absence_and_not_the_end(
    house: Parted, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ada = member(house, "ada")
    first = house.sessions[0]
    monkeypatch.setattr("soketpy.drivers.redis.session.PATIENCE", 0.1)
    monkeypatch.setattr(first, "_keep_lease", lambda: int("no number"))
    first._lost.set()
    house.until(lambda: "A reply of Redis is not valid" in caplog.text)
    monkeypatch.undo()
    house.until(lambda: first.connected)
    assert house.members(ROOM) == ["ada"]
    assert ada.heard() == []
