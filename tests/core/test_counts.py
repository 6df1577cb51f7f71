"""When a subscription_count is due (Pusher, "Subscription count")."""

from itertools import pairwise

import pytest

from soketpy.core.counts import SubscriptionCounts
from tests.fakes import FakeLoop

NEWS = ("app", "news")


class Told:
    """The channels whose counts were told and when, and the class that decides it."""

    def __init__(self) -> None:
        self.loop = FakeLoop()
        self.channels: list[tuple[str, str]] = []
        self.times: list[float] = []
        self.counts = SubscriptionCounts(self._tell, self.loop.call_later)

    def _tell(self, app_id: str, channel: str) -> None:
        self.channels.append((app_id, channel))
        self.times.append(self.loop.now)

    def change(self, *counts: int, channel: tuple[str, str] = NEWS) -> int:
        """Let the count become each of these; return how often it was told for that."""
        before = len(self.channels)
        for count in counts:
            self.counts.changed(*channel, count)
        return len(self.channels) - before

    def wait(self, seconds: float) -> int:
        """Let time pass; return how often a count was told in it."""
        before = len(self.channels)
        self.loop.advance(seconds)
        return len(self.channels) - before


@pytest.fixture
def told() -> Told:
    return Told()


def test_up_to_100_subscribers_the_first_change_is_told_at_once_and_the_next_ones_together(told: Told) -> None:
    assert told.change(1, 2, 3, 2, 99, 100, 99, 0) == 1
    assert told.wait(0.2) == 0
    assert told.wait(0.05) == 1, "the last of them, which nobody may miss"
    assert told.wait(60) == 0


def test_up_to_100_subscribers_a_change_after_a_quiet_while_is_told_at_once(told: Told) -> None:
    assert told.change(1) == 1
    assert told.wait(0.25) == 0, "nothing has changed"
    assert told.change(2) == 1


def test_up_to_100_subscribers_a_flood_of_changes_is_told_four_times_a_second(told: Told) -> None:
    for number in range(1000):
        told.change(50 + number % 2)
        told.wait(0.01)
    assert 40 <= len(told.times) <= 41


def test_above_100_the_first_change_is_told_and_the_next_ones_wait(told: Told) -> None:
    assert told.change(101, 102, 103) == 1
    assert told.wait(4.9) == 0
    assert told.wait(0.1) == 1
    assert told.wait(60) == 0


def test_above_100_nothing_is_told_where_nothing_changed(told: Told) -> None:
    assert told.change(101) == 1
    assert told.wait(60) == 0


def test_above_100_a_change_after_a_quiet_while_is_told_at_once(told: Told) -> None:
    told.change(101)
    told.wait(5)
    assert told.change(102) == 1


def test_above_100_two_tellings_are_never_less_than_5_s_apart(told: Told) -> None:
    for number in range(100):
        told.change(101 + number % 2)
        told.wait(0.5)
    assert len(told.times) == 11
    assert min(later - earlier for earlier, later in pairwise(told.times)) == 5


def test_a_channel_that_shrinks_to_100_does_not_wait_for_the_5_s(told: Told) -> None:
    told.change(102, 101)
    assert told.change(100, 99) == 0
    assert told.wait(0.25) == 1
    assert told.change(98) == 0
    assert told.wait(0.25) == 1
    assert told.wait(60) == 0


def test_a_channel_that_grows_over_100_waits_for_the_5_s_from_then_on(told: Told) -> None:
    told.change(100, 101)
    assert told.wait(0.25) == 1
    told.change(102)
    assert told.wait(4.9) == 0
    assert told.wait(0.1) == 1


def test_a_count_that_another_node_told_needs_no_telling(told: Told) -> None:
    told.change(1, 2)
    told.counts.heard(*NEWS, 2)
    assert told.wait(60) == 0


@pytest.mark.parametrize(("count", "seconds"), [(100, 0.25), (101, 5.5)])
def test_after_another_node_has_told_a_count_this_one_rests(told: Told, count: int, seconds: float) -> None:
    told.counts.heard(*NEWS, count)
    assert told.change(count) == 0
    assert told.wait(seconds - 0.01) == 0
    assert told.wait(0.01) == 1


def test_channels_and_apps_rest_apart(told: Told) -> None:
    assert told.change(101) == 1
    assert told.change(101, channel=("app", "sport")) == 1
    assert told.change(101, channel=("other", "news")) == 1
    assert told.channels == [NEWS, ("app", "sport"), ("other", "news")]
