"""Flushes wait for what this node has published itself, and for no more than that."""

from soketpy.drivers.redis.in_flight import InFlight
from tests.fakes import FakeLoop


class Flushes:
    """The flushes that have run."""

    def __init__(self) -> None:
        self.loop = FakeLoop()
        self.in_flight = InFlight()
        self.done: list[str] = []
        self._soon = self.in_flight.flush_soon(self.loop.call_soon)

    def flush(self, name: str) -> None:
        self._soon(lambda: self.done.append(name))


def test_a_flush_is_the_next_thing_where_nothing_is_unanswered() -> None:
    flushes = Flushes()
    flushes.flush("a")
    assert flushes.done == []
    flushes.loop.tick()
    assert flushes.done == ["a"]


def test_a_flush_waits_for_what_was_sent_before_it_and_not_for_what_is_sent_later() -> None:
    flushes = Flushes()
    flushes.flush("a")
    flushes.in_flight.sent += 2  # in the same iteration, behind what is to be flushed
    flushes.loop.settle()
    flushes.in_flight.sent += 1
    flushes.flush("b")
    flushes.loop.settle()
    flushes.in_flight.returned()
    flushes.loop.settle()
    assert flushes.done == []
    flushes.in_flight.returned()
    assert flushes.done == [], "there may be more in what was read"
    flushes.loop.settle()
    assert flushes.done == ["a"]
    flushes.in_flight.returned()
    flushes.loop.settle()
    assert flushes.done == ["a", "b"]
