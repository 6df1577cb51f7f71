"""The counters of a node's commands to Redis stay correct after any fault, and a half-done operation is undone."""

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from soketpy.core import triggers
from soketpy.core.containment import failures
from soketpy.core.steps import Future
from soketpy.drivers.redis.in_flight import InFlight
from soketpy.drivers.redis.writes import Writes
from soketpy.drivers.window import COMMAND, SHARES, Window
from tests.conftest import Contained
from tests.drivers.redis.test_failed_writes import Bug, Scene, agree, enter_alone, entries, sign_in, subscribe_alone
from tests.fakes import APP, Client, House

LIMITED = replace(APP, max_connections=3)

pytestmark = [pytest.mark.usefixtures("nodes", "contained")]
over_redis = pytest.mark.parametrize("nodes", ["two nodes", "two nodes over a Redis Cluster"], indirect=True)
over_one_redis = pytest.mark.parametrize("nodes", ["two nodes"], indirect=True)
alone = pytest.mark.parametrize("nodes", ["one node"], indirect=True)


def raising(*_: object, **__: object) -> Any:
    raise Bug


def once(whole: Callable[..., Any], *, after: bool = False) -> Callable[..., Any]:
    """Let the first call of a function raise, before its work or after it."""
    calls: list[object] = []

    def call(*arguments: Any, **named: Any) -> Any:
        calls.append(arguments)
        if len(calls) > 1:
            return whole(*arguments, **named)
        if after:
            whole(*arguments, **named)
        raise Bug

    return call


def settled_by_a_bug(future: Future[Any]) -> None:
    """Let what waits for a future raise."""
    future.then(raising)


@alone
def test_operations_that_wait_for_room_continue_whatever_one_of_them_raises() -> None:
    window, continued = Window(size=SHARES * COMMAND), list[str]()
    weight = window.reserve("app", 0)
    futures = {name: Future[None]() for name in "abc"}
    for name, future in futures.items():
        window._waiting.setdefault("app", deque()).append(future)
        future.then(raising if name == "b" else lambda name=name: continued.append(name))  # type: ignore[misc]
    window.release("app", weight)
    assert continued == ["a", "c"]
    assert window._waiting == {}
    assert "app" not in window


@alone
def test_flushes_that_wait_for_redis_follow_whatever_one_of_them_raises() -> None:
    in_flight, flushed = InFlight(), list[str]()

    def soon(flush: Callable[..., None], *arguments: Any) -> None:
        flush(*arguments)

    flush_soon = in_flight.flush_soon(soon)
    in_flight.sent = 1
    flush_soon(raising)
    flush_soon(lambda: flushed.append("second"))
    before = failures.count
    in_flight.returned()
    assert in_flight.back == 1
    assert flushed == ["second"]
    assert failures.count == before + 1


@alone
def test_operations_hear_that_redis_is_away_though_a_write_cannot_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    writes = Writes(lambda write, answer: None)
    monkeypatch.setattr(writes, "defer", once(writes.defer))
    futures = [writes.add(["subscriptions", "app", channel, "", 1]) for channel in "ab"]
    told: list[Exception | None] = []
    for future in futures:
        future.then(lambda future=future: told.append(future._fault))  # type: ignore[misc]
    writes.abandon()
    assert len(told) == 2
    assert len(writes) == 1


@over_redis
def test_a_batch_whose_operations_all_raise_is_settled_and_the_next_one_is_sent(contained: Contained) -> None:
    scene = Scene()
    for session in scene.house.sessions:
        for _ in range(3):
            settled_by_a_bug(session.write(["online", APP.id, []]))
    scene.house.loop.settle()
    assert not any(session.busy for session in scene.house.sessions)
    in_flight = {id(session._in_flight): session._in_flight for session in scene.house.sessions}
    assert all(each.sent == each.back for each in in_flight.values())
    scene.check(contained)


@over_one_redis
def test_a_batch_that_cannot_be_sent_is_written_over_a_new_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    house = House()
    client = house.connect()
    while client.connection._node is not house.nodes[0]:
        client = house.connect()
    [session, _] = house.sessions
    monkeypatch.setattr(session, "send", once(session.send))
    client.connection.receive(b'{"event":"pusher:subscribe","data":{"channel":"news"}}')
    house.until(lambda: session.connected and not session.busy)
    assert agree(house)
    assert client.closed is None
    assert client.heard() == ["subscription_succeeded"]
    assert house.count("news") == 1


def windows(house: House) -> list[dict[str, int]]:
    """Return the bytes that each node counts as in flight."""
    return [node.room.__self__._in_flight for node in house.nodes]  # type: ignore[attr-defined]


@over_one_redis
@pytest.mark.parametrize("channel", ["news", "cache-news"])
@pytest.mark.parametrize("method", ["publish", "write"])
def test_a_publication_that_cannot_be_sent_gives_its_room_back(
    channel: str, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House()
    client = house.connect()
    client.subscribe(channel)
    client.take()
    event = triggers.parse_event(b'{"name":"said","channel":"%b","data":"{}"}' % channel.encode())
    fails = (method == "write") == (channel == "cache-news")
    with monkeypatch.context() as patched:
        session = house.sessions[0]
        patched.setattr(session if method == "write" else session.wire, method, raising)
        if fails:
            with pytest.raises(Bug):
                house.node.publish(APP, triggers.check(event, APP))
            assert windows(house) == [{}, {}]
    for _ in range(2):
        house.trigger(channel, "said")
    house.loop.settle()
    assert windows(house) == [{}, {}]
    assert client.heard() == ["said", "said"]


@over_one_redis
def test_a_publication_is_counted_once_whatever_the_operations_that_await_it_raise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    house = House()
    of_one: Any = house.node._bus
    monkeypatch.setattr(of_one._in_flight, "_soon", raising)
    event = triggers.check(triggers.parse_event(b'{"name":"e","channel":"news","data":"{}"}'), APP)
    for _ in range(3):
        receipt: Any = house.node.publish(APP, event)
        receipt.then(raising)
    house.confirm(house.node.publish(APP, event))
    assert windows(house) == [{}, {}]
    assert of_one._in_flight.sent == of_one._in_flight.back
    assert not of_one._unanswered


@over_redis
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    ("owner", "method", "act"),
    [
        ("roster", "_added", enter_alone),
        ("users", "_found", sign_in),
        ("session", "subscribe", subscribe_alone),
        ("session", "subscribe", enter_alone),
        ("session", "subscribe", sign_in),
    ],
)
def test_a_join_that_fails_after_its_write_is_undone(
    owner: str,
    method: str,
    act: Callable[[Client], None],
    after: bool,
    contained: Contained,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = Scene()
    house = scene.house
    heard = [each._state.topics() for each in house.sessions]
    victim = house.connect()
    for session in house.sessions:
        roster: Any = session._state
        its = {"roster": roster, "users": roster.users, "session": session}[owner]
        whole = getattr(its, method)
        monkeypatch.setattr(its, method, raising if owner == "roster" else once(whole, after=after))
    act(victim)
    house.loop.settle()
    assert victim.closed is not None
    monkeypatch.undo()
    assert [each._state.topics() for each in house.sessions] == heard
    scene.check(contained)


@over_one_redis
def test_a_member_whose_id_is_not_utf_8_is_skipped_and_logged_once(contained: Contained) -> None:
    house = House()
    room = f"presence-{uuid4()}"
    session = house.sessions[0]
    key = f"{session.prefix}members:{len(APP.id)}:{APP.id}:{room}"
    house._run(session.ask("HSET", key, b"\xff\xfe", b"{}", b"zoe", b"{}", b"broken-info", b"\xff"))
    clients = [house.connect() for _ in range(4)]
    for number, client in enumerate(clients):
        client.subscribe(room, f"user-{number}")
        assert client.closed is None
        [greeting] = [each for each in client.take() if each["event"].endswith("subscription_succeeded")]
        there = {*(f"user-{each}" for each in range(number + 1)), "zoe"}
        assert set(greeting["data"]["presence"]["ids"]) == there
    assert sorted(house.members(room)) == [*(f"user-{each}" for each in range(4)), "zoe"]
    assert contained.count == 2, "once for each of the two"
    assert all(each.connected for each in house.sessions)
    assert agree(house)


@pytest.mark.parametrize("nodes", ["one node", "two nodes", "two nodes over a Redis Cluster"], indirect=True)
@pytest.mark.parametrize("what", ["new_socket_id", "Connection"])
def test_a_connection_that_could_not_be_made_is_not_counted(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    house = House()
    house.connect(LIMITED)
    with monkeypatch.context() as patched:
        patched.setattr(f"soketpy.core.node.{what}", raising)
        for _ in range(4):
            with pytest.raises(Bug):
                house.connect(LIMITED)
    house.loop.settle()
    assert house.total == 1
    clients = [house.connect(LIMITED) for _ in range(2)]
    with pytest.raises(Exception, match="reached its connection limit"):
        house.connect(LIMITED) if house.redis else [house.connect(LIMITED) for _ in range(9)]
    if house.redis:
        assert agree(house)
    for client in clients:
        client.leave()
    house.connect(LIMITED)


def counted(house: House) -> list[int]:
    """Return the nodes' own counts of connections."""
    return [count for each in house.sessions for entry, count in entries(each).items() if entry[0] == "connections"]


@over_redis
def test_changes_of_a_count_that_fail_together_are_written_as_one_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    house = House()
    clients = [house.connect(LIMITED) for _ in range(3)]

    def fail_after(whole: Callable[..., Future[Any]]) -> Callable[..., Future[Any]]:
        def write(what: list[Any]) -> Future[Any]:
            if what[0] != "connection":
                return whole(what)
            outcome: Future[Any] = Future()
            whole(what).then(lambda: outcome.set_exception(Bug()))
            return outcome

        return write

    with monkeypatch.context() as patched:
        for session in house.sessions:
            patched.setattr(session, "write", fail_after(session.write))
        for client in clients[:2]:
            client.leave()
        house.loop.settle()
    assert agree(house)
    assert sum(counted(house)) == 1
