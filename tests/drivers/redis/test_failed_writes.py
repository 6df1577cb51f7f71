"""A write that fails though Redis is there: what this node counts and what Redis counts for it agree afterwards."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgpack
import pytest

from soketpy.core import steps
from soketpy.core.steps import Future
from soketpy.drivers.redis.session import Session
from soketpy.drivers.redis.writes import Entry, Write, entry_of
from tests.conftest import Contained
from tests.fakes import APP, Client, House

LIMITED = replace(APP, max_connections=100)
COUNTED = replace(APP, subscription_count_events=True)
ROOM = "presence-room"

pytestmark = pytest.mark.usefixtures("nodes")
over_redis = pytest.mark.parametrize("nodes", ["two nodes", "two nodes over a Redis Cluster"], indirect=True)


class Bug(Exception):
    """An exception that no code of the server expects."""


def never_sent(session: Session, whole: Callable[[Write], Future[Any]], write: Write) -> Future[Any]:
    """Have a write that cannot be encoded in the place of this one."""
    return whole([*write, object()])


def raised(session: Session, whole: Callable[[Write], Future[Any]], write: Write) -> Future[Any]:
    raise Bug


def done_all_the_same(session: Session, whole: Callable[[Write], Future[Any]], write: Write) -> Future[Any]:
    """Let Redis do the write, and the operation that awaits it fail."""
    outcome: Future[Any] = Future()

    async def fail() -> None:
        await whole(write)
        outcome.set_exception(Bug())

    steps.begin(fail())
    return outcome


Fault = Callable[[Session, Callable[[Write], Future[Any]], Write], Future[Any]]


class Failing:
    """Lets one write of a house fail: the first of a kind, of one user if it is about one."""

    def __init__(self, house: House, fault: Fault, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.failed: list[Write] = []
        for session in house.sessions:
            self._wrap(session, session.write, fault, kind, monkeypatch)

    def _wrap(
        self,
        session: Session,
        whole: Callable[[Write], Future[Any]],
        fault: Fault,
        kind: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def write(what: Write) -> Future[Any]:
            if what[0] != kind or self.failed:
                return whole(what)
            self.failed.append(what)
            return fault(session, whole, what)

        monkeypatch.setattr(session, "write", write)


def ledger(house: House, session: Session) -> dict[Entry, int]:
    """Return the ledger of a node in Redis."""
    flat = house._run(session.ask("HGETALL", f"{session.prefix}node:{session.id}"))
    pairs = flat.items() if isinstance(flat, dict) else zip(flat[::2], flat[1::2], strict=True)
    return {tuple(msgpack.unpackb(field)): int(count) for field, count in pairs}


def entries(session: Session) -> dict[Entry, int]:
    """Return the entries of a node by its own count."""
    return {entry_of(write): write[4] for write in session._state.entries() if write[4]}


def agree(house: House) -> bool:
    house.loop.settle()
    return all(ledger(house, each) == entries(each) for each in house.sessions)


def bystanders(house: House, app: Any = APP) -> list[Client]:
    """Two clients on each node that do everything."""
    clients = [house.connect(app) for _ in range(4)]
    for number, client in enumerate(clients):
        client.subscribe("news")
        client.subscribe(ROOM, f"user-{number}")
        client.sign_in(f"user-{number}", watchlist=["ada"])
    for client in clients:
        client.take()
    return clients


def subscribe(client: Client) -> None:
    client.subscribe("news")


def subscribe_alone(client: Client) -> None:
    client.subscribe("nobody-else")


def enter(client: Client) -> None:
    client.subscribe(ROOM, "ada")


def enter_alone(client: Client) -> None:
    client.subscribe("presence-empty", "ada")


def enter_again(client: Client) -> None:
    """Join as a user who is already in the room with another connection."""
    client.subscribe(ROOM, "user-1")


def sign_in(client: Client) -> None:
    client.sign_in("ada", watchlist=["user-0", "user-1", "user-2", "user-3", "nobody"])


ACTS = [
    ("subscriptions", subscribe),
    ("subscriptions", subscribe_alone),
    ("member", enter),
    ("member", enter_alone),
    ("member", enter_again),
    ("user", sign_in),
]


@over_redis
@pytest.mark.parametrize("fault", [never_sent, raised, done_all_the_same])
@pytest.mark.parametrize(("kind", "act"), ACTS)
def test_what_could_not_begin_is_undone(
    fault: Fault,
    kind: str,
    act: Callable[[Client], None],
    contained: Contained,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = Scene()
    house = scene.house
    victim = house.connect()
    failing = Failing(house, fault, kind, monkeypatch)
    act(victim)
    house.loop.settle()
    assert failing.failed
    assert victim.closed is not None
    scene.check(contained)


@pytest.mark.parametrize("nodes", ["two nodes over a Redis Cluster"], indirect=True)
@pytest.mark.parametrize("fault", [never_sent, raised, done_all_the_same])
def test_a_sign_in_whose_watchlist_could_not_be_read_in_one_partition_is_undone_in_all(
    fault: Fault, contained: Contained, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene()
    house = scene.house
    heard = [each._state.topics() for each in house.sessions]
    victim = house.connect()
    failing = Failing(house, fault, "online", monkeypatch)
    sign_in(victim)
    house.loop.settle()
    assert failing.failed
    assert victim.closed is not None
    assert [each._state.topics() for each in house.sessions] == heard
    scene.check(contained)


@over_redis
@pytest.mark.parametrize("fault", [never_sent, raised, done_all_the_same])
@pytest.mark.parametrize(("kind", "act"), ACTS)
def test_what_could_not_end_is_ended_all_the_same(
    fault: Fault,
    kind: str,
    act: Callable[[Client], None],
    contained: Contained,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = Scene()
    house = scene.house
    victim = house.connect()
    act(victim)
    victim.take()
    failing = Failing(house, fault, kind, monkeypatch)
    victim.leave()
    house.loop.settle()
    assert failing.failed
    scene.check(contained)


@over_redis
@pytest.mark.parametrize("fault", [never_sent, raised, done_all_the_same])
@pytest.mark.parametrize("kind", ["connections", "connection"])
def test_a_connection_whose_count_could_not_be_written_is_counted_or_refused(
    fault: Fault, kind: str, contained: Contained, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House()
    clients = [house.connect() for _ in range(4)]  # before the app had a limit
    failing = Failing(house, fault, kind, monkeypatch)
    for _ in range(4):
        try:
            clients.append(house.connect(LIMITED))
        except Exception:
            continue
    assert failing.failed
    assert agree(house)
    assert len(clients) == (8 if kind == "connections" else 7)
    for client in clients:
        client.leave()
    assert agree(house)
    assert house.total == 0
    assert contained.count >= (kind == "connections")


@over_redis
@pytest.mark.parametrize("fault", [never_sent, raised, done_all_the_same])
def test_a_disconnection_that_could_not_be_written_is_written_again(
    fault: Fault, contained: Contained, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House()
    clients = [house.connect(LIMITED) for _ in range(4)]
    failing = Failing(house, fault, "connection", monkeypatch)
    for client in clients[:2]:
        client.leave()
    assert failing.failed
    assert agree(house)
    assert (
        sum(count for each in house.sessions for entry, count in entries(each).items() if entry[0] == "connections")
        == 2
    )
    assert contained.count > 0


def check_served(house: House, clients: list[Client]) -> None:
    """Assert that only the bystanders are present, and that they get a newcomer."""
    assert house.count("news") == len(clients)
    assert sorted(house.members(ROOM)) == [f"user-{number}" for number in range(len(clients))]
    assert house.online("ada") == set()
    for client in clients:
        client.take()
    newcomer = house.connect()
    newcomer.subscribe(ROOM, "eve")
    newcomer.subscribe("news")
    assert len(newcomer.take()[0]["data"]["presence"]["ids"]) == len(clients) + 1
    house.trigger("news", "said")
    for client in clients:
        assert sorted(client.heard()) == ["member_added", "said"]


class Scene:
    """A house with bystanders, and its entries before an operation fails."""

    def __init__(self) -> None:
        self.house = House()
        self._clients = bystanders(self.house)
        self._before = [entries(each) for each in self.house.sessions]

    def check(self, contained: Contained) -> None:
        """Assert that the fault was contained, that the operation left nothing, and that all others are served."""
        assert agree(self.house)
        assert [entries(each) for each in self.house.sessions] == self._before
        check_served(self.house, self._clients)
        assert contained.count > 0


@over_redis
def test_members_who_wait_for_a_list_that_could_not_be_asked_for_get_one(
    contained: Contained, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first of several that join at once asks for the list of members, for all of them."""
    house = House()
    roster = house.nodes[0].roster
    others = house.connect()
    while others.connection._node is house.nodes[0]:
        others = house.connect()
    others.subscribe(ROOM, "zoe")
    Failing(house, never_sent, "member", monkeypatch)
    joined: list[list[str]] = []

    async def join(user_id: str) -> None:
        members = await roster.join_as(APP.id, ROOM, user_id, b"{}", 100)
        joined.append(sorted(member.user_id for member in members))

    for user_id in ("ada", "bob", "cleo"):
        steps.begin(join(user_id))
    assert agree(house)
    assert joined[-1] == ["bob", "cleo", "zoe"]
    assert len(joined) == 2
    assert contained.count == 2, "the write, and the operation of ada"


@pytest.mark.parametrize("nodes", ["two nodes over a Redis Cluster"], indirect=True)
def test_a_sign_in_that_fails_once_all_partitions_have_answered_is_undone(
    contained: Contained, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House()
    watcher = house.connect()
    watcher.sign_in("bob", watchlist=["ada"])
    watcher.take()
    before = [entries(each) for each in house.sessions]
    heard = [each._state.topics() for each in house.sessions]

    def fail(app_id: str, user_id: str) -> bool:
        raise Bug

    victim = house.connect()
    with monkeypatch.context() as patched:
        for session in house.sessions:
            roster: Any = session._state
            patched.setattr(roster.users, "is_online", fail)
        victim.sign_in("ada", watchlist=[f"user-{number}" for number in range(12)])
    house.loop.settle()
    assert victim.closed is not None
    assert [entries(each) for each in house.sessions] == before
    assert [each._state.topics() for each in house.sessions] == heard
    assert agree(house)
    assert contained.count > 0
    assert house.online("ada", "bob") == {"bob"}
    watcher.take()
    house.connect().sign_in("ada")
    assert watcher.heard() == ["watchlist_events"]
