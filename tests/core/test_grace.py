"""The grace period: for each state the reported events alternate, and a client that returns in time causes none."""

from hypothesis import given
from hypothesis import strategies as st

from soketpy.core.grace import GracePeriod, State
from soketpy.protocol.event_types import EventType
from soketpy.protocol.webhooks import WebhookEvent
from tests.fakes import FakeLoop

ON, OFF = EventType.CHANNEL_OCCUPIED, EventType.CHANNEL_VACATED


class Reports:
    """A grace period of 3 seconds, and what it has reported."""

    def __init__(self) -> None:
        self.loop = FakeLoop()
        self.events: list[WebhookEvent] = []
        self.known: set[State] = set()
        self.grace = GracePeriod(3, self.loop.time, self.loop.call_later, self._report)

    def _report(self, event: WebhookEvent, state: State, is_on: bool) -> None:
        assert (state in self.known) != is_on, "events of a state alternate"
        (self.known.add if is_on else self.known.remove)(state)
        self.events.append(event)

    def take(self) -> list[str]:
        names, self.events = [event.name for event in self.events], []
        return names


def test_the_first_event_is_reported_at_once() -> None:
    reports = Reports()
    reports.grace.turn_on(ON, "app", "news")
    assert reports.events == [WebhookEvent("app", ON, "news")]


def test_the_opposite_is_reported_after_the_grace_period() -> None:
    reports = Reports()
    reports.grace.turn_on(ON, "app", "news")
    reports.grace.turn_off(ON, "app", "news")
    reports.loop.advance(2.9)
    assert reports.take() == [ON]
    reports.loop.advance(0.2)
    assert reports.take() == [OFF]


def test_a_client_that_returns_in_time_causes_no_event() -> None:
    reports = Reports()
    reports.grace.turn_on(ON, "app", "news")
    reports.take()
    reports.grace.turn_off(ON, "app", "news")
    reports.loop.advance(2.9)
    reports.grace.turn_on(ON, "app", "news")
    reports.loop.advance(60)
    assert reports.take() == []


def test_the_second_period_is_not_shortened_by_the_first() -> None:
    reports = Reports()
    reports.grace.turn_on(ON, "app", "news")
    reports.grace.turn_off(ON, "app", "news")
    reports.loop.advance(2)
    reports.grace.turn_on(ON, "app", "news")
    reports.grace.turn_off(ON, "app", "news")
    reports.loop.advance(2)
    assert reports.take() == [ON]
    reports.loop.advance(1.1)
    assert reports.take() == [OFF]


def test_users_and_channels_are_separate_states() -> None:
    reports = Reports()
    reports.grace.turn_on(EventType.MEMBER_ADDED, "app", "presence-a", "ada")
    reports.grace.turn_on(EventType.USER_ONLINE, "app", user_id="ada")
    reports.grace.turn_off(EventType.MEMBER_ADDED, "app", "presence-a", "ada")
    reports.loop.advance(4)
    assert reports.take() == ["member_added", "user_online", "member_removed"]


def test_a_restored_state_is_reported_as_off_unless_the_client_returns() -> None:
    reports = Reports()
    returned, left = (str(ON), "app", "news", ""), (str(ON), "app", "old", "")
    reports.known |= {returned, left}
    reports.grace.restore([returned, left], 30)
    reports.grace.turn_on(ON, "app", "news")
    reports.loop.advance(31)
    assert reports.events == [WebhookEvent("app", OFF, "old")]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5)), max_size=60))
def test_reports_alternate_and_end_at_the_truth(steps: list[tuple[int, int]]) -> None:
    reports, on = Reports(), set[str]()
    for channel_number, seconds in steps:
        channel = f"channel-{channel_number}"
        (reports.grace.turn_off if channel in on else reports.grace.turn_on)(ON, "app", channel)
        on ^= {channel}
        reports.loop.advance(seconds)
    reports.loop.advance(4)
    assert {state[2] for state in reports.known} == on
    assert not len(reports.grace)


def test_the_long_period_after_a_restart_delays_no_other_report() -> None:
    reports = Reports()
    old = (str(ON), "app", "old", "")
    reports.known.add(old)
    reports.grace.restore([old], 30)
    reports.grace.turn_on(ON, "app", "news")
    reports.grace.turn_off(ON, "app", "news")
    reports.loop.advance(3.1)
    assert reports.take() == [ON, OFF]
    reports.loop.advance(27)
    assert reports.events == [WebhookEvent("app", OFF, "old")]
