"""Coarse timers for very many connections."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soketpy.web.deadlines import SLICE_SIZE, Deadlines
from tests.conftest import Contained
from tests.fakes import FakeLoop


class Alarm:
    """Remembers when it rang, and does then what it was told to do."""

    def __init__(self, ring: Callable[[], None] = lambda: None) -> None:
        self.due = 0
        self.rang: list[float] = []
        self.aborted = False
        self.ring = ring

    def expire(self, now: float) -> None:
        self.rang.append(now)
        self.ring()

    def abort(self) -> None:
        self.aborted = True


class Tower:
    """Deadlines whose clock moves only when told, and ticks as it should."""

    def __init__(self, now: float = 1000.0) -> None:
        self.loop = FakeLoop()
        self.loop.now = now
        self.deadlines = Deadlines(self.loop.time)

    def wait(self, ticks: int) -> None:
        for _ in range(ticks):
            self.loop.advance(1)
            while self.deadlines.tick():
                pass


@pytest.fixture
def tower() -> Tower:
    return Tower()


def test_a_deadline_comes_once(tower: Tower) -> None:
    alarm = Alarm()
    tower.deadlines.set(alarm, 3)
    tower.wait(10)
    assert alarm.rang == [1004.0]


@given(st.floats(0, 10_000, exclude_max=True), st.floats(0, 20))
def test_a_deadline_is_never_early_and_never_late_by_more_than_two_ticks(start: float, seconds: float) -> None:
    tower = Tower(start)
    alarm = Alarm()
    tower.deadlines.set(alarm, seconds)
    tower.wait(23)
    [rang] = alarm.rang
    # One tick for its being found, and one for the clock's not standing at a whole second between two ticks.
    assert start + seconds <= rang <= start + seconds + 2


def test_setting_again_moves_the_deadline(tower: Tower) -> None:
    alarm = Alarm()
    tower.deadlines.set(alarm, 3)
    tower.deadlines.set(alarm, 8)
    assert len(tower.deadlines) == 1
    tower.wait(7)
    assert alarm.rang == []
    tower.wait(5)
    assert len(alarm.rang) == 1


def test_a_cleared_deadline_never_comes(tower: Tower) -> None:
    first, second = Alarm(), Alarm()
    tower.deadlines.set(first, 3)
    tower.deadlines.set(second, 3)
    tower.deadlines.clear(first)
    tower.wait(10)
    assert (first.rang, len(second.rang)) == ([], 1)


def test_clearing_what_was_never_set_is_harmless(tower: Tower) -> None:
    tower.deadlines.clear(Alarm())
    assert len(tower.deadlines) == 0


def test_nothing_is_kept_of_deadlines_that_are_over(tower: Tower) -> None:
    alarms = [Alarm() for _ in range(10)]
    for seconds, alarm in enumerate(alarms):
        tower.deadlines.set(alarm, seconds)
    tower.deadlines.clear(alarms[0])
    tower.wait(12)
    assert len(tower.deadlines) == 0
    assert tower.deadlines._buckets == {}


def test_who_expires_may_set_the_next_deadline(tower: Tower) -> None:
    alarm = Alarm(lambda: tower.deadlines.set(alarm, 2))
    tower.deadlines.set(alarm, 0)
    tower.wait(8)
    assert alarm.rang == [1001.0, 1004.0, 1007.0]


def test_a_deadline_in_the_past_comes_with_the_next_tick(tower: Tower) -> None:
    alarm = Alarm()
    tower.deadlines.set(alarm, -50)
    tower.wait(2)
    assert alarm.rang == [1001.0]


def test_a_tick_that_comes_late_finds_all_who_were_due(tower: Tower) -> None:
    alarms = [Alarm() for _ in range(5)]
    for seconds, alarm in enumerate(alarms):
        tower.deadlines.set(alarm, seconds)
    tower.loop.advance(60)
    tower.deadlines.tick()
    assert [alarm.rang for alarm in alarms] == [[1060.0]] * 5


def test_very_many_who_are_due_together_come_in_slices_between_which_the_loop_has_its_turn(tower: Tower) -> None:
    alarms = [Alarm() for _ in range(2 * SLICE_SIZE + 1)]
    for alarm in alarms:
        tower.deadlines.set(alarm, 1)
    tower.loop.advance(3)
    come = []
    while tower.deadlines.tick():
        come.append(sum(len(alarm.rang) for alarm in alarms))
    assert come == [SLICE_SIZE, 2 * SLICE_SIZE]
    assert [len(alarm.rang) for alarm in alarms] == [1] * len(alarms)


def test_one_who_is_set_between_two_slices_comes_at_its_time(tower: Tower) -> None:
    alarms = [Alarm() for _ in range(SLICE_SIZE + 1)]
    for alarm in alarms:
        tower.deadlines.set(alarm, 0)
    late = Alarm()
    tower.loop.advance(1)
    assert tower.deadlines.tick()
    tower.deadlines.set(late, 0)
    assert not tower.deadlines.tick()
    assert late.rang == []
    tower.wait(1)
    assert late.rang == [1002.0]


def test_two_ticks_within_a_second_are_one(tower: Tower) -> None:
    alarm = Alarm()
    tower.deadlines.set(alarm, 0)
    tower.deadlines.tick()
    assert alarm.rang == []
    tower.wait(1)
    tower.deadlines.tick()
    assert len(alarm.rang) == 1


@pytest.mark.parametrize("expire", [lambda tower: tower.wait(4), lambda tower: tower.deadlines.expire_all()])
def test_one_that_is_cleared_by_another_in_the_same_tick_does_not_expire(
    tower: Tower, expire: Callable[[Tower], None]
) -> None:
    alarms: list[Alarm] = []

    def clear_the_others() -> None:
        for alarm in alarms:
            tower.deadlines.clear(alarm)

    alarms += [Alarm(clear_the_others) for _ in range(3)]
    for alarm in alarms:
        tower.deadlines.set(alarm, 3)
    expire(tower)
    assert sum(len(alarm.rang) for alarm in alarms) == 1


def test_one_that_is_moved_by_another_in_the_same_tick_expires_at_its_new_time(tower: Tower) -> None:
    alarms: list[Alarm] = []

    def move_the_others() -> None:
        for alarm in alarms:
            if not alarm.rang:
                tower.deadlines.set(alarm, 5)

    alarms += [Alarm(move_the_others) for _ in range(2)]
    for alarm in alarms:
        tower.deadlines.set(alarm, 0)
    tower.wait(1)
    assert sorted(len(alarm.rang) for alarm in alarms) == [0, 1]
    tower.wait(7)
    assert [len(alarm.rang) for alarm in alarms] == [1, 1]


def test_everyone_can_be_expired_at_once(tower: Tower) -> None:
    alarms = [Alarm() for _ in range(5)]
    for seconds, alarm in enumerate(alarms):
        tower.deadlines.set(alarm, seconds)
    tower.deadlines.expire_all()
    assert [alarm.rang for alarm in alarms] == [[1000.0]] * 5
    tower.wait(10)
    assert [alarm.rang for alarm in alarms] == [[1000.0]] * 5


def test_one_who_raises_is_ended_and_keeps_nobody_else_from_expiring(tower: Tower, contained: Contained) -> None:
    def fail() -> None:
        raise RuntimeError("broken")

    alarms = [Alarm(fail), Alarm(), Alarm(fail)]
    for alarm in alarms:
        tower.deadlines.set(alarm, 1)
    tower.loop.advance(3)
    tower.deadlines.tick()
    assert [alarm.rang for alarm in alarms] == [[1003.0]] * 3
    assert [alarm.aborted for alarm in alarms] == [True, False, True]
    assert contained.count == 2
    assert len(tower.deadlines) == 0
