"""A failed write is repeated, until the state of the node and its counts in Redis agree."""

import logging
from dataclasses import replace

import pytest

from soketpy.core.ports import Transition
from soketpy.drivers.redis import writes
from soketpy.drivers.redis.session import Session
from soketpy.drivers.redis.writes import Entry
from tests.conftest import Contained
from tests.drivers.redis.test_failed_writes import agree, entries
from tests.drivers.redis.test_wrong_keys import Scene
from tests.fakes import APP, Client, House

ROOM = "presence-room"
COUNTED = replace(APP, subscription_count_events=True)
LIMITED = replace(APP, max_connections=3)

pytestmark = [
    pytest.mark.usefixtures("nodes"),
    pytest.mark.parametrize("nodes", ["two nodes"], indirect=True),
]


def renew(house: House, *sessions: Session) -> None:
    """Let nodes renew their leases now."""
    for each in sessions or house.sessions:
        each.lease._due_at = 0
        house._run(each._check_lease())
    house.loop.settle()


class Damage:
    """A key of another type instead of the right one, until the test repairs it."""

    def __init__(self, scene: Scene, key: str) -> None:
        self._scene, self._key = scene, key
        scene.ask("RENAME", key, f"{scene.house.sessions[1].prefix}saved")
        scene.ask("SET", key, "no hash")

    def put_right(self) -> None:
        self._scene.ask("RENAME", "saved", f"{self._scene.house.sessions[1].prefix}{self._key}")


def come(client: Client) -> None:
    client.subscribe(ROOM, "ada")
    client.subscribe("news")
    client.sign_in("ada")


KEYS = ["channels:app-id", f"connections:6:app-id:{ROOM}", f"members:6:app-id:{ROOM}", "users:app-id"]


@pytest.mark.parametrize("key", KEYS)
def test_the_end_of_a_client_that_could_not_be_written_is_written_later(
    key: str, contained: Contained, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, reported = Scene(), list[str]()

    def report(transition: Transition, app_id: str, channel: str, user_id: str | None = None) -> None:
        reported.append(f"{transition} {channel}")

    monkeypatch.setattr(scene.house.nodes[0], "report", report)
    bob = scene.house.connect()
    bob.subscribe(ROOM, "bob")
    bob.sign_in("bob", watchlist=["ada"])
    come(scene.victim)
    bob.take()
    damage = Damage(scene, key)
    scene.victim.leave()
    scene.house.loop.settle()
    assert not agree(scene.house)
    renew(scene.house)
    assert not agree(scene.house), "the key still has another type"
    assert scene.house.sessions[0].connected
    damage.put_right()
    renew(scene.house)
    assert agree(scene.house)
    assert scene.house.channels() == {ROOM: 1}
    assert scene.house.members(ROOM) == ["bob"]
    assert scene.house.online("ada", "bob") == {"bob"}
    assert sorted(bob.heard()) == ["member_removed", "watchlist_events"]
    assert sorted(reported) == [
        "channel_occupied news",
        "channel_vacated news",
        f"member_added {ROOM}",
        f"member_removed {ROOM}",
    ]
    assert not scene.house.sessions[0]._writes.failed()
    assert contained.count > 0
    scene.check_others()


def test_subscribers_are_told_their_number_once_it_could_be_batch_answered(contained: Contained) -> None:
    scene = Scene()
    scene.victim.leave()  # whose app does not want it
    gone, watcher = scene.house.connect(COUNTED), scene.house.connect(COUNTED)
    for client in (gone, watcher):
        client.subscribe("news")
    scene.house.loop.advance(1)
    watcher.take()
    damage = Damage(scene, "channels:app-id")
    gone.leave()
    scene.house.loop.advance(1)
    watcher.take()
    renew(scene.house)
    assert watcher.heard() == []
    damage.put_right()
    renew(scene.house)
    [told] = watcher.take()
    assert (told["event"], told["data"]) == ("pusher_internal:subscription_count", {"subscription_count": 1})
    assert agree(scene.house)
    assert contained.count > 0
    scene.check_others()


def test_connections_that_could_not_be_taken_off_the_count_of_their_app_are_taken_off_later(
    contained: Contained,
) -> None:
    scene = Scene()
    scene.victim.leave()
    clients = [scene.house.connect(LIMITED) for _ in range(3)]
    damage = Damage(scene, "connected")
    for client in clients:
        client.leave()
    scene.house.loop.settle()
    renew(scene.house)
    assert not agree(scene.house)
    damage.put_right()
    renew(scene.house)
    assert agree(scene.house)
    assert scene.ask("EXISTS", "connected") == 0
    for _ in range(3):
        scene.house.connect(LIMITED)
    assert contained.count > 0
    scene.check_others()


def test_a_count_of_connections_is_not_written_again_while_a_change_is_unanswered(contained: Contained) -> None:
    """Otherwise that change would be counted twice, or not at all."""
    scene = Scene()
    first = scene.house.sessions[0]
    scene.victim.leave()
    clients = [on_first_node_limited(scene.house) for _ in range(2)]
    damage = Damage(scene, "connected")
    clients[0].leave()
    scene.house.loop.settle()
    damage.put_right()
    clients[1].connection.end()  # whose change waits for its answer now
    first._state.write_again(first._writes.failed())
    assert agree(scene.house)
    assert [count for entry, count in entries(first).items() if entry[0] == "connections"] == []
    assert contained.count > 0
    scene.check_others()


def on_first_node_limited(house: House) -> Client:
    client = house.connect(LIMITED)
    while client.connection._node is not house.nodes[0]:
        client.leave()
        client = house.connect(LIMITED)
    return client


def test_an_entry_that_cannot_be_written_for_long_is_logged_once(
    contained: Contained, caplog: pytest.LogCaptureFixture
) -> None:
    scene = Scene()
    come(scene.victim)
    Damage(scene, "channels:app-id")
    scene.victim.unsubscribe("news")
    scene.house.loop.settle()
    before = contained.count
    caplog.clear()
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            renew(scene.house)
    assert not caplog.records
    assert contained.count == before
    scene.check_others()


def test_entries_that_cannot_be_written_take_turns(contained: Contained, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writes, "MOST_AGAIN", 2)
    scene = Scene()
    first = scene.house.sessions[0]
    for number in range(3):
        scene.victim.subscribe(f"news-{number}")
    damage = Damage(scene, "channels:app-id")
    for number in range(3):
        scene.victim.unsubscribe(f"news-{number}")
    scene.house.loop.settle()
    tried = [first._writes.failed(), first._writes.failed()]
    assert [len(each) for each in tried] == [2, 2]
    assert len({entry for each in tried for entry in each}) == 3
    damage.put_right()
    renew(scene.house, first)
    assert not agree(scene.house)
    renew(scene.house, first)
    assert agree(scene.house)
    assert contained.count > 0


def test_more_failed_entries_than_may_be_kept_are_all_written_when_the_node_comes_back(
    contained: Contained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writes, "MOST_WAITING", 2)
    scene = Scene()
    first = scene.house.sessions[0]
    for number in range(3):
        scene.victim.subscribe(f"news-{number}")
    Damage(scene, "channels:app-id")
    for number in range(3):
        scene.victim.unsubscribe(f"news-{number}")
    scene.house.loop.settle()
    assert first._writes.overflowed
    assert not first._writes.failed()
    assert contained.count > 0


@pytest.mark.parametrize(
    "entry",
    [
        ("subscriptions", "app-id", "news", ""),
        ("member", "app-id", ROOM, "ada"),
        ("user", "app-id", "ada", ""),
        ("connections", "app-id", "", ""),
    ],
)
def test_a_fault_where_an_entry_is_written_again_concerns_that_entry_alone(
    entry: Entry, contained: Contained, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene()
    first = scene.house.sessions[0]
    with monkeypatch.context() as patched:
        patched.setattr(first, "write_again", None)
        first._state.write_again([entry, entry])
    assert contained.count == 2
    scene.check_others()
