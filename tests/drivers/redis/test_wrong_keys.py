"""Keys and entries in Redis that soketpy has not written harm only the channels and users that they are about."""

from collections.abc import Callable
from dataclasses import replace

import msgpack
import pytest

from soketpy.core.apps import Key
from soketpy.core.ports import Transition
from soketpy.drivers.redis.session import Session
from tests.conftest import Contained
from tests.drivers.redis.test_alone import Parted
from tests.drivers.redis.test_failed_writes import agree, enter_alone, ledger, sign_in, subscribe_alone
from tests.fakes import APP, Client, House

ROOM = "presence-empty"
OTHER = replace(APP, id="other", keys=(Key("other-key", "other-secret"),))
LIMITED = replace(APP, max_connections=100)

pytestmark = [
    pytest.mark.usefixtures("nodes"),
    pytest.mark.parametrize("nodes", ["two nodes"], indirect=True),
]


def on_first_node(house: House) -> Client:
    client = house.connect()
    while client.connection._node is not house.nodes[0]:
        client = house.connect()
    return client


class Scene:
    """A house with clients of another app on both nodes, and a client on the first node that meets the wrong key."""

    def __init__(self) -> None:
        self.house = house = Parted()
        self.victim = on_first_node(house)
        self.others = [house.connect(OTHER) for _ in range(2)]
        for number, client in enumerate(self.others):
            client.subscribe("news")
            client.subscribe("presence-room", f"user-{number}")
            client.sign_in(f"user-{number}")
            client.take()
        for client in self.others:
            client.take()
        self._lives = [each.id for each in house.sessions]

    def ask(self, *command: str | bytes | int, session: int = 1) -> object:
        """Ask Redis by the connection of a node. The key is what follows the prefix."""
        asked = self.house.sessions[session]
        operation, key, *rest = command
        key = key.encode() if isinstance(key, str) else key
        assert isinstance(key, bytes)
        return self.house._run(asked.ask(operation, asked.prefix.encode() + key, *rest))

    def check_others(self, *, same_lives: bool = True) -> None:
        """Assert that the nodes have not lost Redis, and that the other app is served by both of them."""
        house = self.house
        house.loop.settle()
        assert all(each.connected for each in house.sessions)
        if same_lives:
            assert [each.id for each in house.sessions] == self._lives
        assert house.channels(OTHER) == {"news": 2, "presence-room": 2}
        assert sorted(house.members("presence-room", OTHER)) == ["user-0", "user-1"]
        assert house.online("user-0", "user-1", "nobody", app=OTHER) == {"user-0", "user-1"}
        for _ in range(2):
            newcomer = house.connect(OTHER)
            newcomer.subscribe("presence-room", "eve")
            newcomer.subscribe("news")
            house.trigger("news", "said", app=OTHER)
            newcomer.leave()
            house.loop.settle()
            for client in self.others:
                assert sorted(client.heard()) == ["member_added", "member_removed", "said"]


def lose(house: House, *sessions: Session) -> None:
    """Have sessions lose their connections, and wait until they are back."""
    wires = [each.wire for each in sessions]
    for each in sessions:
        each._mark_lost("the test says so")
    house.until(
        lambda: all(each.connected and each.wire is not wire for each, wire in zip(sessions, wires, strict=True))
    )


WRONG_TYPES = [
    ("channels:app-id", subscribe_alone),
    ("channels:app-id", enter_alone),
    (f"connections:6:app-id:{ROOM}", enter_alone),
    (f"members:6:app-id:{ROOM}", enter_alone),
    ("users:app-id", sign_in),
]


@pytest.mark.parametrize(("key", "act"), WRONG_TYPES)
def test_a_key_of_another_type_fails_only_what_needs_it(
    key: str, act: Callable[[Client], None], contained: Contained
) -> None:
    scene = Scene()
    scene.ask("SET", key, "no hash")
    act(scene.victim)
    assert scene.victim.closed is not None
    assert scene.victim.closed[0] == 1011
    assert contained.count > 0
    scene.check_others()
    assert agree(scene.house)
    scene.ask("DEL", key)
    again = on_first_node(scene.house)
    act(again)
    assert again.closed is None
    assert scene.house.channels() == dict.fromkeys(again.connection.channels, 1)
    again.leave()
    assert agree(scene.house)
    for each in ("channels:app-id", "users:app-id", f"connections:6:app-id:{ROOM}", f"members:6:app-id:{ROOM}"):
        assert scene.ask("EXISTS", each) == 0
    scene.check_others()


@pytest.mark.parametrize(
    ("key", "field", "act"),
    [
        ("channels:app-id", "nobody-else", subscribe_alone),
        ("channels:app-id", ROOM, enter_alone),
        (f"connections:6:app-id:{ROOM}", "ada", enter_alone),
        ("users:app-id", "ada", sign_in),
    ],
)
@pytest.mark.parametrize("value", ["many", "1.5", "", "9" * 30, "0x10"])
def test_a_total_that_is_no_number_fails_only_what_needs_it(
    key: str, field: str, value: str, act: Callable[[Client], None], contained: Contained
) -> None:
    scene = Scene()
    scene.ask("HSET", key, field, value)
    act(scene.victim)
    assert scene.victim.closed is not None
    assert contained.count > 0
    scene.check_others()
    assert agree(scene.house)
    assert scene.ask("HGET", key, field) == value.encode()
    scene.ask("HDEL", key, field)
    for each in ("channels:app-id", "users:app-id", f"connections:6:app-id:{ROOM}", f"members:6:app-id:{ROOM}"):
        assert scene.ask("EXISTS", each) == 0, "the write that failed has changed nothing"


@pytest.mark.parametrize("wrong", [("SET", "connected", "no hash"), ("HSET", "connected", "app-id", "many")])
def test_a_wrong_count_of_connections_refuses_only_those_of_its_app(
    wrong: tuple[str, ...], contained: Contained
) -> None:
    scene = Scene()
    scene.ask(*wrong)
    with pytest.raises(Exception, match=r"WRONGTYPE|not an integer|number"):
        scene.house.connect(LIMITED)
    assert contained.count > 0
    scene.check_others()
    scene.ask("DEL", "connected")
    scene.house.connect(LIMITED).leave()
    scene.check_others()


def test_a_count_that_cannot_be_told_fails_alone(contained: Contained) -> None:
    scene = Scene()
    scene.ask("HSET", "channels:app-id", "news", "many")
    scene.house.nodes[0].roster.send_count(APP.id, "news")
    scene.check_others()
    assert contained.count > 0


GARBAGE = [
    msgpack.packb(["z", "app-id", "news", ""]),
    msgpack.packb(["subscriptions", "app-id"]),
    msgpack.packb(["subscriptions", ["app-id"], 7, None]),
    msgpack.packb(["subscriptions", "app-id", "news", "", "more"]),
    msgpack.packb(["connection", "app-id", "1", "0"]),
    msgpack.packb(["nothing", "", "", ""]),
    msgpack.packb({"subscriptions": 1}),
    msgpack.packb(7),
    b"\xc1",
    b"",
    b"\x94\xadsubscriptions",
    b"\x94\xd9\x0dsubscriptions\xa6app-id\xabnobody-else\xa0",  # what the node has, but not written as it would
]


@pytest.mark.parametrize("entry", GARBAGE)
def test_an_unknown_entry_of_a_nodes_own_ledger_harms_nobody(entry: bytes, contained: Contained) -> None:
    scene = Scene()
    scene.ask("HSET", f"node:{scene.house.sessions[0].id}", entry, "1")
    subscribe_alone(scene.victim)
    enter_alone(scene.victim)
    assert scene.victim.closed is None
    scene.check_others()
    session_id = scene.house.sessions[0].id
    scene.house.part(scene.house.sessions[0])
    scene.house.sessions[0]._writes.overflowed = True  # so that it begins a new session, and clears the former one
    scene.house.join()
    assert scene.house.sessions[0].id != session_id
    assert scene.ask("EXISTS", f"node:{session_id}") == 0
    assert agree(scene.house)
    assert contained.count == 1
    scene.check_others(same_lives=False)


@pytest.mark.parametrize("entry", GARBAGE)
def test_an_unknown_entry_that_a_dead_node_left_is_removed_and_logged_once(
    entry: bytes, contained: Contained, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, reported = Scene(), list[str]()
    subscribe_alone(scene.victim)
    enter_alone(scene.victim)

    def report(transition: Transition, app_id: str, channel: str, user_id: str | None = None) -> None:
        reported.append(f"{transition} {app_id} {channel}")

    monkeypatch.setattr(scene.house.nodes[1], "report", report)
    dead = scene.house.sessions[0]
    scene.ask("HSET", f"node:{dead.id}", entry, "1")
    scene.house.part(dead)
    scene.house.declare_dead()
    assert scene.ask("EXISTS", f"node:{dead.id}") == 0
    assert scene.ask("ZSCORE", "dying", dead.id) is None
    assert contained.count == 1
    assert sorted(reported) == [
        "channel_vacated app-id nobody-else",
        f"channel_vacated app-id {ROOM}",
        f"member_removed app-id {ROOM}",
        "member_removed other presence-room",
    ]
    assert scene.house.sessions[1].connected
    scene.house.join()
    assert agree(scene.house)
    for client in scene.others:
        client.take()
    scene.check_others(same_lives=False)


@pytest.mark.parametrize(("key", "act"), WRONG_TYPES)
def test_what_a_dead_node_left_is_cleared_up_though_a_key_has_another_type(
    key: str, act: Callable[[Client], None], contained: Contained
) -> None:
    scene = Scene()
    dead = scene.house.sessions[0]
    act(scene.victim)
    scene.house.loop.settle()
    scene.ask("DEL", key)
    scene.ask("SET", key, "no hash")
    scene.house.part(dead)
    scene.house.declare_dead()
    assert scene.ask("EXISTS", f"node:{dead.id}") == 0
    assert contained.count > 0
    assert scene.house.sessions[1].connected
    for each in ("channels:app-id", "users:app-id", f"connections:6:app-id:{ROOM}", f"members:6:app-id:{ROOM}"):
        assert scene.ask("EXISTS", each) == (each == key), "all that can be taken away is"
    scene.victim.leave()
    scene.ask("DEL", key)
    scene.house.join()
    assert agree(scene.house)
    for client in scene.others:
        client.take()
    scene.check_others(same_lives=False)


def test_a_ledger_of_another_type_that_a_dead_node_left_is_removed(contained: Contained) -> None:
    scene = Scene()
    dead = scene.house.sessions[0]
    scene.house.part(dead)
    scene.ask("DEL", f"node:{dead.id}")
    scene.ask("SET", f"node:{dead.id}", "no hash")
    scene.house.declare_dead()
    assert scene.ask("EXISTS", f"node:{dead.id}") == 0
    assert scene.ask("ZSCORE", "dying", dead.id) is None
    assert contained.count > 0
    assert scene.house.sessions[1].connected
    scene.house.join()


def test_a_node_whose_own_ledger_has_another_type_begins_anew(contained: Contained) -> None:
    scene = Scene()
    session_id = scene.house.sessions[0].id
    scene.ask("DEL", f"node:{session_id}")
    scene.ask("SET", f"node:{session_id}", "no hash")
    scene.victim.connection.receive(b'{"event":"pusher:subscribe","data":{"channel":"news"}}')
    first = scene.house.sessions[0]
    scene.house.until(lambda: first.connected and first.id != session_id)
    assert agree(scene.house)
    assert scene.victim.closed is None
    assert scene.victim.heard() == ["subscription_succeeded"]
    assert scene.ask("EXISTS", f"node:{session_id}") == 0


def test_a_count_in_a_nodes_own_ledger_that_is_no_number_counts_as_none(contained: Contained) -> None:
    scene = Scene()
    subscribe_alone(scene.victim)
    session = scene.house.sessions[0]
    field = msgpack.packb(["subscriptions", "app-id", "nobody-else", ""])
    scene.ask("HSET", f"node:{session.id}", field, "many")
    scene.victim.unsubscribe("nobody-else")
    scene.victim.subscribe("nobody-else")
    assert scene.victim.closed is None
    assert ledger(scene.house, session)["subscriptions", "app-id", "nobody-else", ""] == 1
    scene.check_others()
    assert agree(scene.house)


@pytest.mark.parametrize("value", ["many", "1.5", "nan"])
def test_a_count_that_a_dead_node_left_and_that_is_no_number_is_removed(value: str, contained: Contained) -> None:
    scene = Scene()
    dead = scene.house.sessions[0]
    scene.ask("HSET", f"node:{dead.id}", msgpack.packb(["subscriptions", "app-id", "nobody-else", ""]), value)
    scene.house.part(dead)
    scene.house.declare_dead()
    assert scene.ask("EXISTS", f"node:{dead.id}") == 0
    assert contained.count == 1
    scene.house.join()


@pytest.mark.parametrize("key", ["leases", "dying", "agreed", "partitions"])
def test_a_key_of_another_type_that_all_nodes_need_is_removed(key: str) -> None:
    scene = Scene()
    scene.ask("DEL", key)
    scene.ask("RPUSH", key, "no such thing")
    lose(scene.house, *scene.house.sessions)
    scene.house.loop.settle()
    for client in scene.others:
        client.take()
    assert agree(scene.house)
    scene.check_others(same_lives=key != "leases")


def test_a_number_of_partitions_that_is_none_is_written_anew() -> None:
    scene = Scene()
    scene.ask("HSET", "agreed", "partitions", "many")
    newcomer, other = scene.house.sessions
    newcomer._writes.overflowed = True  # so that it begins a new session
    lose(scene.house, newcomer)
    assert scene.ask("HGET", "agreed", "partitions") == b"1"
    assert other.connected


def test_an_answer_of_another_shape_when_a_node_clears_up_ends_nothing(
    contained: Contained, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene()
    dead, other = scene.house.sessions
    scene.house.part(dead)
    whole = other.script

    async def odd(operation: str, *arguments: str | bytes | int) -> object:
        return [1, b"\xc1", []] if operation == "clear" else await whole(operation, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(other, "script", odd)
        scene.house.declare_dead()
    assert contained.count == 1
    assert other.connected
    scene.house.join()
