"""The measures of a hub: the durations of fan-outs, and the channels by kind."""

import pytest

from soketpy.core.hub import SAMPLED, Hub
from tests.core.test_hub import APP, Room
from tests.fakes import FakeLoop


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time in seconds, as the hub sees it."""
    now = [100.0]
    monkeypatch.setattr("soketpy.core.hub.monotonic", lambda: now[0])
    return now


def measured(room: Room) -> tuple[int, float]:
    """The number of fan-outs that were measured, and their sum in seconds."""
    return sum(room.hub.fan_outs.classes), room.hub.fan_outs.seconds


def test_a_fan_out_lasts_from_the_first_event_to_the_last_write(clock: list[float]) -> None:
    room = Room()
    room.join(3)
    room.publish("a")
    clock[0] += 0.5
    room.publish("b")
    assert measured(room) == (0, 0)
    clock[0] += 0.25
    room.loop.settle()
    assert measured(room) == (1, 0.75)


def test_a_flush_is_measured_again_after_some_frames(clock: list[float]) -> None:
    room = Room()
    room.join()
    for _ in range(3 * SAMPLED):
        room.publish("a")
        room.loop.settle()
    assert measured(room)[0] == 3


def test_a_long_fan_out_lasts_until_the_write_of_its_last_slice(clock: list[float]) -> None:
    room = Room(slice_size=2)
    room.join(5)
    room.publish("a")
    for _ in range(3):
        assert measured(room) == (0, 0)
        clock[0] += 1
        room.loop.tick()
    assert measured(room) == (1, 3)


def test_events_that_wait_for_a_long_fan_out_count_their_wait(clock: list[float]) -> None:
    room = Room(slice_size=2)
    listeners = room.join(3)
    room.publish("a" * SAMPLED)
    room.loop.tick()
    room.publish("b")  # measured, although the slices of the others are being written
    clock[0] += 1
    room.loop.settle()
    assert measured(room) == (2, 2)
    assert {listener.heard for listener in listeners} == {b"a" * SAMPLED + b"b"}


def test_channels_are_counted_by_kind_while_they_have_subscribers() -> None:
    hub = Hub(FakeLoop().call_soon)
    names = {"news": "public", "private-a": "private", "presence-cache-a": "presence-cache"}
    names |= {"#server-to-user-1": "user", "#watchers-of-1": "internal", "private-encrypted-b": "private-encrypted"}
    room = Room()
    listeners = room.join(2)
    for name in names:
        for listener in listeners:
            hub.join(APP, name, listener)
    assert dict(hub.kinds) == dict.fromkeys(names.values(), 1)
    for name in names:
        hub.leave(APP, name, listeners[0])
    assert dict(hub.kinds) == dict.fromkeys(names.values(), 1)
    for name in names:
        hub.leave(APP, name, listeners[1])
    assert not any(hub.kinds.values())
