"""Leases, by a clock of the test in the nodes and in Redis: when a node that has died is noticed, and when not."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from soketpy.core.ports import Transition
from soketpy.drivers.redis import scripts
from soketpy.drivers.redis.lease import Lease
from soketpy.drivers.redis.session import Session
from tests.conftest import Contained
from tests.drivers.redis.test_alone import Parted
from tests.drivers.redis.test_wrong_keys import on_first_node
from tests.fakes import House
from tests.patience import attempts

LENGTH = 12.0
"""Seconds of a lease, by the clock of the test."""

LOOK = 0.5
"""Seconds between two looks of a node, at most."""

BOUND = LENGTH + LENGTH / 3
"""Seconds within which a node is noticed that has died, as docs/scaling.md says."""


class Clock:
    """Seconds that pass only when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_lease_is_renewed_in_each_third_of_it() -> None:
    clock = Clock()
    lease = Lease(LENGTH, clock)
    lease.begin()
    renewed = []
    while clock.now < LENGTH:
        clock.now += lease.pause(LOOK)
        assert lease.look(patience=2)
        if lease.due():
            renewed.append(clock.now)
    assert renewed == pytest.approx([LENGTH / 3, 2 * LENGTH / 3, LENGTH])


def test_a_node_that_stood_still_first_reads_what_redis_has_sent() -> None:
    clock = Clock()
    lease = Lease(LENGTH, clock)
    lease.begin()
    clock.now += LENGTH
    assert lease.pause(LOOK) == 0
    assert not lease.look(patience=2)
    assert lease.pause(LOOK) == LOOK
    clock.now += LOOK
    assert lease.look(patience=2)
    assert lease.due()


@pytest.mark.parametrize(
    ("gap", "may"),
    [(LENGTH / 3, True), (LENGTH / 3 + LOOK, True), (LENGTH, False)],
    ids=["as always", "a late one", "too late"],
)
def test_a_node_condemns_nobody_before_it_was_there_for_a_whole_lease(gap: float, may: bool) -> None:
    clock = Clock()
    lease = Lease(LENGTH, clock)
    lease.begin()
    for _ in range(3):
        assert not lease.may_declare_dead()
        clock.now += LENGTH / 3
        assert lease.look(patience=LENGTH)
        assert lease.due()
    assert lease.may_declare_dead()
    clock.now += gap
    assert lease.look(patience=LENGTH)
    assert lease.due()
    assert lease.may_declare_dead() == may


class Timed:
    """Two nodes over a Redis, all with the clock of the test; the second node begins ``behind`` seconds later."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, behind: float = 0.0) -> None:
        assert House.redis is not None
        monkeypatch.setattr(House, "redis", replace(House.redis, lease=LENGTH))
        by_clock = "local time = {redis.call('GET', KEYS[1] .. 'clock') or '0', 0}"
        script = scripts.SOURCES["webhooks/events.lua"].replace("local time = redis.call('TIME')", by_clock)
        assert script != scripts.SOURCES["webhooks/events.lua"]
        monkeypatch.setitem(scripts.SOURCES, "webhooks/events.lua", script)
        self.house = house = Parted()
        self.first, self.second = house.sessions
        self.reported: list[tuple[float, str]] = []
        for node in house.nodes:
            monkeypatch.setattr(node, "report", self._report)
        self.clock = Clock()
        self._looks: dict[Session, float] = {}
        for each in house.sessions:
            assert each._running is not None
            each._running.cancel()  # the test alone has it look
            each.lease.clock = self.clock
            each.lease.begin()
            self._looks[each] = self.clock.now + each.lease.pause(LOOK)
            self.clock.now += behind
        self.client = on_first_node(house)
        self.client.subscribe("news")
        house.loop.settle()
        self.reported.clear()

    def _report(self, transition: Transition, app_id: str, channel: str, user_id: str | None = None) -> None:
        self.reported.append((self.clock.now, f"{transition} {channel}"))

    def set(self, now: float) -> None:
        """Let the clock of the nodes and that of Redis say so many seconds."""
        self.clock.now = now
        # The script takes whole seconds and microseconds; a fraction of a second is fine for its arithmetic.
        self.house._run(self.second.ask("SET", f"{self.second.prefix}clock", repr(now)))

    def run_until(self, condition: Callable[[], object]) -> None:
        """Have each node look whenever it would, until a condition holds."""
        for _ in attempts():
            if condition():
                return
            each = min(self._looks, key=self._looks.__getitem__)
            self.set(max(self.clock.now, self._looks[each]))
            self.house._run(each._check_lease())
            self._looks[each] = self.clock.now + each.lease.pause(LOOK)

    def run(self, seconds: float) -> None:
        """Have each node look whenever it would for some time."""
        until = self.clock.now + seconds
        self.run_until(lambda: self.clock.now >= until)

    def die(self, session: Session) -> None:
        """Part a node from Redis for ever."""
        self.house.part(session)
        del self._looks[session]


two_nodes = pytest.mark.parametrize("nodes", ["two nodes"], indirect=True)


@two_nodes
@pytest.mark.usefixtures("nodes")
@pytest.mark.parametrize("behind", [0.0, 0.1, LENGTH / 9, LENGTH / 6, LENGTH / 3 - 0.1])
def test_a_node_that_dies_is_noticed_within_a_lease_and_a_third(behind: float, monkeypatch: pytest.MonkeyPatch) -> None:
    timed = Timed(monkeypatch, behind)
    timed.run(2 * LENGTH)
    before = timed.first.lease._due_at
    timed.run_until(lambda: timed.first.lease._due_at > before)  # it has just renewed its lease: the worst case
    died_at = timed.clock.now
    timed.die(timed.first)
    timed.run_until(lambda: timed.reported or timed.clock.now > died_at + 2 * BOUND)
    [(noticed_at, transition)] = timed.reported
    assert transition == "channel_vacated news"
    assert LENGTH <= noticed_at - died_at <= BOUND + 0.001  # Redis counts in milliseconds


@two_nodes
@pytest.mark.usefixtures("nodes")
def test_after_all_have_stood_still_nobody_is_taken_for_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    timed = Timed(monkeypatch)
    timed.run(2 * LENGTH)
    timed.set(timed.clock.now + 4 * LENGTH)
    timed.run(2 * LENGTH)
    assert timed.reported == []
    assert timed.house.channels() == {"news": 1}
    timed.die(timed.first)
    timed.run(2 * BOUND)
    assert [transition for _, transition in timed.reported] == ["channel_vacated news"]


@two_nodes
@pytest.mark.usefixtures("nodes")
def test_a_life_whose_name_is_no_text_is_cleared_like_any_other(
    contained: Contained, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed = Timed(monkeypatch)
    timed.run(2 * LENGTH)
    for key in ("leases", "dying"):
        timed.house._run(timed.second.ask("ZADD", f"{timed.second.prefix}{key}", 1, b"\xff\xfe" + key.encode()))
    timed.run(LENGTH)
    leases = timed.house._run(timed.second.ask("ZRANGE", f"{timed.second.prefix}leases", 0, -1))
    assert sorted(leases) == sorted(each.id.encode() for each in timed.house.sessions)
    assert timed.house._run(timed.second.ask("EXISTS", f"{timed.second.prefix}dying")) == 0
    assert all(each.connected for each in timed.house.sessions)
    timed.client.unsubscribe("news")
    timed.house.loop.settle()
    assert timed.house.channels() == {}
    assert contained.count == 0
