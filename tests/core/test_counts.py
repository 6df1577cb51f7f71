"""The schedule of subscription_count events (Pusher, "Subscription count")."""

from itertools import pairwise

import pytest

from soketpy.core.counts import SubscriptionCounts
from tests.fakes import FakeLoop

NEWS = ("app", "news")


class Sent:
    """The subscription counts under test, and the events that they have sent."""

    def __init__(self) -> None:
        self.loop = FakeLoop()
        self.channels: list[tuple[str, str]] = []
        self.times: list[float] = []
        self.counts = SubscriptionCounts(self._send, self.loop.call_later)

    def _send(self, app_id: str, channel: str) -> None:
        self.channels.append((app_id, channel))
        self.times.append(self.loop.now)

    def change(self, *counts: int, channel: tuple[str, str] = NEWS) -> int:
        """Change the count to each of these values; return the number of events sent."""
        before = len(self.channels)
        for count in counts:
            self.counts.changed(*channel, count)
        return len(self.channels) - before

    def wait(self, seconds: float) -> int:
        """Advance the clock; return the number of events sent."""
        before = len(self.channels)
        self.loop.advance(seconds)
        return len(self.channels) - before


@pytest.fixture
def sent() -> Sent:
    return Sent()


def test_up_to_100_subscribers_the_first_change_is_sent_at_once_and_the_next_ones_together(sent: Sent) -> None:
    assert sent.change(1, 2, 3, 2, 99, 100, 99, 0) == 1
    assert sent.wait(0.2) == 0
    assert sent.wait(0.05) == 1, "the last of them, which nobody may miss"
    assert sent.wait(60) == 0


def test_up_to_100_subscribers_a_change_after_a_quiet_while_is_sent_at_once(sent: Sent) -> None:
    assert sent.change(1) == 1
    assert sent.wait(0.25) == 0, "nothing has changed"
    assert sent.change(2) == 1


def test_up_to_100_subscribers_a_flood_of_changes_is_sent_four_times_a_second(sent: Sent) -> None:
    for number in range(1000):
        sent.change(50 + number % 2)
        sent.wait(0.01)
    assert 40 <= len(sent.times) <= 41


def test_above_100_the_first_change_is_sent_and_the_next_ones_wait(sent: Sent) -> None:
    assert sent.change(101, 102, 103) == 1
    assert sent.wait(4.9) == 0
    assert sent.wait(0.1) == 1
    assert sent.wait(60) == 0


def test_above_100_nothing_is_sent_where_nothing_changed(sent: Sent) -> None:
    assert sent.change(101) == 1
    assert sent.wait(60) == 0


def test_above_100_a_change_after_a_quiet_while_is_sent_at_once(sent: Sent) -> None:
    sent.change(101)
    sent.wait(5)
    assert sent.change(102) == 1


def test_above_100_two_events_are_never_less_than_5_s_apart(sent: Sent) -> None:
    for number in range(100):
        sent.change(101 + number % 2)
        sent.wait(0.5)
    assert len(sent.times) == 11
    assert min(later - earlier for earlier, later in pairwise(sent.times)) == 5


def test_a_channel_that_shrinks_to_100_does_not_wait_for_the_5_s(sent: Sent) -> None:
    sent.change(102, 101)
    assert sent.change(100, 99) == 0
    assert sent.wait(0.25) == 1
    assert sent.change(98) == 0
    assert sent.wait(0.25) == 1
    assert sent.wait(60) == 0


def test_a_channel_that_grows_over_100_waits_for_the_5_s_from_then_on(sent: Sent) -> None:
    sent.change(100, 101)
    assert sent.wait(0.25) == 1
    sent.change(102)
    assert sent.wait(4.9) == 0
    assert sent.wait(0.1) == 1


def test_a_count_that_another_node_told_needs_no_event(sent: Sent) -> None:
    sent.change(1, 2)
    sent.counts.sent_elsewhere(*NEWS, 2)
    assert sent.wait(60) == 0


@pytest.mark.parametrize(("count", "seconds"), [(100, 0.25), (101, 5.5)])
def test_after_another_node_has_sent_a_count_this_one_waits(sent: Sent, count: int, seconds: float) -> None:
    sent.counts.sent_elsewhere(*NEWS, count)
    assert sent.change(count) == 0
    assert sent.wait(seconds - 0.01) == 0
    assert sent.wait(0.01) == 1


def test_channels_and_apps_are_independent(sent: Sent) -> None:
    assert sent.change(101) == 1
    assert sent.change(101, channel=("app", "sport")) == 1
    assert sent.change(101, channel=("other", "news")) == 1
    assert sent.channels == [NEWS, ("app", "sport"), ("other", "news")]
