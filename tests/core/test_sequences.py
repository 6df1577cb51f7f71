"""The order of stored events on one node, when messages between nodes are lost, repeated or late."""

import random
from typing import Any

import pytest

from soketpy.core.history import HistoryRule, Page, Position, Query, RulesOf
from soketpy.core.hub import Hub
from soketpy.core.ports import Unavailable
from soketpy.core.sequences import RARELY, TICK, TICKS, Sequences
from soketpy.core.steps import Future
from soketpy.drivers.local.history import MemoryHistory
from soketpy.protocol.messages import Event
from tests.fakes import FakeLoop, now

KEY = "app", "room"


class Listener:
    """A subscriber of the hub that does nothing."""

    def write(self, frame: bytes) -> None:
        """Take a frame."""

    def fail(self, fault: Exception) -> None:
        raise AssertionError(fault)


class Log:
    """A log that other nodes write to. Its answers arrive when the test says so, or at once."""

    def __init__(self, rule: HistoryRule) -> None:
        self.rule = rule
        self.store = MemoryHistory(lambda: 0.0, app_size=10**9, size=10**9)
        self.waiting: list[Future[None]] = []
        self.at_once = True
        self.available = True
        self.touched: list[str] = []

    def touch(self, app_id: str, channel: str) -> None:
        self.touched.append(channel)

    def append(self, name: str) -> tuple[Event, Position]:
        event = Event(name, b'"{}"')
        return event, self.store.append(*KEY, event, self.rule)

    def drop_unruled(self, rules: RulesOf) -> None:
        pass

    async def read(self, app_id: str, channel: str, rule: HistoryRule, query: Query, *, begin: bool = False) -> Page:
        if not self.at_once:
            answered: Future[None] = Future()
            self.waiting.append(answered)
            await answered
        if not self.available:
            raise Unavailable
        return await self.store.read(app_id, channel, rule, query, begin=begin)

    def answer(self) -> None:
        waiting, self.waiting = self.waiting, []
        for each in waiting:
            each.set_result(None)


class Desk:
    """The sequences of one node, and what its subscribers get."""

    def __init__(self, **limits: Any) -> None:
        self.log = Log(HistoryRule(channels="room", **limits))
        self.got: list[str] = []
        self.closed: list[tuple[str, str]] = []
        self.loop = FakeLoop()
        self.hub = Hub(self.loop.call_soon)
        self.hub.join(*KEY, Listener())
        self.sequences = Sequences(
            self.log,
            self.hub,
            lambda app_id, channel: self.log.rule,
            lambda app_id, channel, event, exclude: self.got.append(event.name),
            self.closed.append,
            self.loop.call_later,
        )
        page = now(self.log.store.read(*KEY, self.log.rule, Query(1), begin=True))
        assert page.end is not None
        self.sequences.begin(*KEY, page.end)

    def arrive(self, message: tuple[Event, Position]) -> None:
        self.sequences.arrive(*KEY, *message, None)


def test_events_are_delivered_as_they_arrive() -> None:
    desk = Desk()
    for name in "abc":
        desk.arrive(desk.log.append(name))
    assert desk.got == ["a", "b", "c"]
    assert desk.sequences.gaps == 0


def test_an_event_that_arrives_again_is_dropped() -> None:
    desk = Desk()
    first, second = desk.log.append("a"), desk.log.append("b")
    for message in (first, first, second, first, second):
        desk.arrive(message)
    assert desk.got == ["a", "b"]


def test_missing_events_are_read_from_the_log() -> None:
    desk = Desk()
    desk.arrive(desk.log.append("a"))
    desk.log.append("lost")
    desk.arrive(desk.log.append("c"))
    assert desk.got == ["a", "lost", "c"]
    assert (desk.sequences.gaps, desk.sequences.unfilled) == (1, 0)


def test_missing_events_at_the_end_are_found_by_a_check() -> None:
    desk = Desk()
    desk.log.append("lost")
    desk.sequences.check()
    assert desk.got == ["lost"]
    desk.sequences.check()
    assert desk.got == ["lost"]


def test_events_that_arrive_while_the_log_is_read_are_delivered_once() -> None:
    desk = Desk()
    desk.log.at_once = False
    desk.log.append("lost")
    desk.arrive(desk.log.append("b"))
    desk.arrive(desk.log.append("c"))
    assert desk.got == []
    desk.log.answer()
    assert desk.got == ["lost", "b", "c"]
    desk.arrive(desk.log.append("d"))
    assert desk.got == ["lost", "b", "c", "d"]


def test_a_log_that_has_dropped_the_missing_events_closes_the_subscribers() -> None:
    desk = Desk(events=2)
    for name in ("lost", "b", "c"):
        message = desk.log.append(name)
    desk.arrive(message)
    assert (desk.got, desk.closed, desk.sequences.unfilled) == ([], [KEY], 1)


def test_a_log_that_cannot_be_read_closes_the_subscribers() -> None:
    desk = Desk()
    desk.log.append("lost")
    desk.log.available = False
    desk.arrive(desk.log.append("b"))
    assert (desk.got, desk.closed) == ([], [KEY])


def test_a_log_that_has_started_again_continues_with_its_first_event() -> None:
    desk = Desk()
    desk.arrive(desk.log.append("a"))
    event = Event("b", b'"{}"')
    desk.sequences.arrive(*KEY, event, Position("f" * 16, 1), None)
    assert (desk.got, desk.closed) == (["a", "b"], [])


def test_a_log_that_has_started_again_and_whose_first_event_is_lost_closes_the_subscribers() -> None:
    desk = Desk()
    desk.arrive(desk.log.append("a"))
    desk.log.store._drop(*KEY)
    desk.log.append("lost")
    desk.arrive(desk.log.append("c"))
    assert (desk.got, desk.closed) == (["a"], [KEY])


def test_a_channel_without_subscribers_is_forgotten() -> None:
    desk = Desk()
    desk.sequences.forget(*KEY)
    assert desk.sequences.ends == {}
    assert desk.sequences.end_of(*KEY) is None


@pytest.mark.parametrize("seed", range(200))
def test_subscribers_get_every_event_once_and_in_order_or_are_closed(seed: int) -> None:
    chance = random.Random(seed)
    desk = Desk(events=chance.choice([5, 1000]))
    sent: list[str] = []
    in_flight: list[tuple[Event, Position]] = []
    for number in range(60):
        desk.log.at_once = chance.random() < 0.5
        step = chance.random()
        if step < 0.6:
            sent.append(str(number))
            in_flight.append(desk.log.append(str(number)))
        elif step < 0.7 and in_flight:
            del in_flight[chance.randrange(len(in_flight))]  # lost
        elif step < 0.75 and in_flight:
            in_flight.insert(0, in_flight[0])  # repeated
        elif step < 0.8:
            desk.sequences.check()
        if chance.random() < 0.5:
            # An answer of the log arrives after all messages that were sent before it.
            for message in in_flight:
                desk.arrive(message)
            in_flight.clear()
            desk.log.answer()
        if desk.closed:
            break
    if not desk.closed:
        for message in in_flight:
            desk.arrive(message)
        desk.log.at_once = True
        desk.log.answer()
        desk.sequences.check()
    assert desk.got == sent[: len(desk.got)]
    assert desk.closed or desk.got == sent


ROUND = TICK * TICKS


def test_logs_without_an_event_are_touched_while_they_have_subscribers() -> None:
    desk = Desk()
    for number in range(50):
        desk.sequences.begin("app", f"idle-{number}", Position("0" * 16, 0))
        desk.sequences.begin("app", f"busy-{number}", Position("0" * 16, 1))
    desk.loop.advance(2 * ROUND)
    desk.log.touched.clear()
    desk.loop.advance(ROUND)
    assert sorted(desk.log.touched) == sorted(["room", *(f"idle-{number}" for number in range(50))])
    for channel in list(desk.sequences.ends):
        desk.sequences.forget(*channel)
    desk.log.touched.clear()
    desk.loop.advance(2 * ROUND)
    assert desk.log.touched == []
    desk.sequences.begin("app", "again", Position("0" * 16, 0))
    desk.loop.advance(2 * ROUND)
    assert "again" in desk.log.touched


def test_logs_with_events_are_touched_rarely() -> None:
    desk = Desk()
    desk.sequences.begin(*KEY, Position("0" * 16, 1))
    desk.loop.advance(ROUND)
    desk.log.touched.clear()
    desk.loop.advance(RARELY * ROUND)
    assert desk.log.touched == ["room"]
