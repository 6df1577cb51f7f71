"""The hub's invariants, one by one; ``test_hub_model`` has them in all combinations."""

from collections.abc import Callable

import pytest

from soketpy.core.hub import Hub
from tests.fakes import FakeLoop

APP, NEWS = "app-id", "news"


class Listener:
    """A subscriber that remembers each write."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    def fail(self, fault: Exception) -> None:
        raise AssertionError("no write raises here") from fault

    @property
    def heard(self) -> bytes:
        return b"".join(self.writes)


class Room:
    """One channel of a hub, and listeners to it."""

    def __init__(self, slice_size: int = 1000) -> None:
        self.loop = FakeLoop()
        self.hub = Hub(self.loop.call_soon, slice_size)

    def join(self, number: int = 1) -> list[Listener]:
        listeners = [Listener() for _ in range(number)]
        for listener in listeners:
            self.hub.join(APP, NEWS, listener)
        return listeners

    def leave(self, listener: Listener) -> None:
        self.hub.leave(APP, NEWS, listener)

    def publish(self, frames: str, exclude: Listener | None = None) -> None:
        """Publish each character as a frame."""
        for frame in frames:
            self.hub.publish(APP, NEWS, frame.encode(), exclude)


# Receivers (invariant 1)


def test_a_subscriber_gets_every_frame_once_and_in_order() -> None:
    room = Room()
    [listener] = room.join()
    room.publish("ab")
    room.loop.tick()
    room.publish("c")
    room.loop.settle()
    assert listener.heard == b"abc"


def test_a_subscriber_gets_nothing_from_before_its_join() -> None:
    room = Room()
    [early] = room.join()
    room.publish("ab")
    [late] = room.join()
    room.publish("c")
    room.loop.settle()
    assert early.heard == b"abc"
    assert late.heard == b"c"


def test_who_joins_after_the_last_frame_of_an_iteration_is_not_written_to() -> None:
    room = Room()
    room.join()
    room.publish("a")
    [late] = room.join()
    room.loop.settle()
    assert late.writes == []


def test_who_comes_back_within_one_iteration_misses_what_was_said_in_between() -> None:
    room = Room()
    listener, _ = room.join(2)
    room.publish("a")
    room.leave(listener)
    room.publish("b")
    room.hub.join(APP, NEWS, listener)
    room.publish("c")
    room.loop.settle()
    assert listener.heard == b"ac"


def test_a_channel_that_emptied_and_filled_again_gives_nothing_of_before() -> None:
    room = Room()
    [first] = room.join()
    room.publish("a")
    room.leave(first)
    [second] = room.join()
    room.publish("b")
    room.loop.settle()
    assert (first.heard, second.heard) == (b"a", b"b")


def test_channels_are_apart() -> None:
    room = Room()
    [listener] = room.join()
    other, foreign = Listener(), Listener()
    room.hub.join(APP, "sport", other)
    room.hub.join("other-app", NEWS, foreign)
    room.publish("a")
    room.loop.settle()
    assert (listener.heard, other.heard, foreign.heard) == (b"a", b"", b"")


# Coalescing (invariant 2)


def test_frames_of_one_iteration_are_one_write() -> None:
    room = Room()
    listeners = room.join(3)
    room.publish("abc")
    assert [listener.writes for listener in listeners] == [[], [], []]
    room.loop.tick()
    assert [listener.writes for listener in listeners] == [[b"abc"]] * 3


def test_a_frame_alone_is_written_as_it_is_without_a_copy() -> None:
    room = Room()
    [listener] = room.join()
    frame = bytes(1000)
    room.hub.publish(APP, NEWS, frame)
    room.loop.settle()
    assert listener.writes[0] is frame


def test_many_frames_are_joined_once_for_all() -> None:
    room = Room()
    first, second = room.join(2)
    room.publish("ab")
    room.loop.settle()
    assert first.writes[0] is second.writes[0]


def test_nothing_is_scheduled_where_nobody_listens() -> None:
    room = Room()
    assert room.hub.publish(APP, NEWS, b"a") == 0
    assert room.loop.tick() == 0


@pytest.mark.parametrize(
    ("frames", "excluded", "expected"),
    [("abc", "a", b"bc"), ("abc", "b", b"ac"), ("abc", "c", b"ab"), ("abc", "ac", b"b"), ("abc", "abc", b"")],
)
def test_who_is_excluded_from_some_frames_gets_the_others_in_order(frames: str, excluded: str, expected: bytes) -> None:
    room = Room()
    speaker, listener = room.join(2)
    for frame in frames:
        room.publish(frame, speaker if frame in excluded else None)
    room.loop.settle()
    assert speaker.heard == expected
    assert listener.writes == [b"abc"]


def test_who_is_excluded_from_everything_is_not_written_to() -> None:
    room = Room()
    speaker, _ = room.join(2)
    room.publish("a", speaker)
    room.loop.settle()
    assert speaker.writes == []


def test_each_of_several_speakers_is_excluded_from_its_own() -> None:
    room = Room()
    first, second, third = room.join(3)
    room.publish("a", first)
    room.publish("b", second)
    room.loop.settle()
    assert [first.heard, second.heard, third.heard] == [b"b", b"a", b"ab"]


def test_excluding_who_is_not_on_the_channel_changes_nothing() -> None:
    room = Room()
    [listener] = room.join()
    room.publish("a", Listener())
    room.loop.settle()
    assert listener.heard == b"a"


def test_an_exclusion_ends_with_its_frame() -> None:
    room = Room()
    [speaker] = room.join()
    room.publish("a", speaker)
    room.loop.tick()
    room.publish("b")
    room.loop.settle()
    assert speaker.heard == b"b"


def test_publishing_tells_how_many_will_have_it() -> None:
    room = Room()
    speaker, _ = room.join(2)
    assert room.hub.publish(APP, NEWS, b"a") == 2
    assert room.hub.publish(APP, NEWS, b"a", speaker) == 1
    assert room.hub.publish(APP, NEWS, b"a", Listener()) == 2


# Leaving (invariant 3)


def test_who_leaves_has_been_written_all_that_was_published_before() -> None:
    room = Room()
    leaver, stayer = room.join(2)
    room.publish("ab")
    room.leave(leaver)
    assert leaver.heard == b"ab"
    room.publish("c")
    room.loop.settle()
    assert leaver.writes == [b"ab"]
    assert stayer.writes == [b"abc"]


def test_who_joins_and_leaves_within_one_iteration_gets_what_was_said_in_between() -> None:
    room = Room()
    room.join()
    room.publish("a")
    [visitor] = room.join()
    room.publish("b")
    room.leave(visitor)
    assert visitor.heard == b"b"


def test_who_leaves_is_not_written_what_it_was_excluded_from() -> None:
    room = Room()
    speaker, _ = room.join(2)
    room.publish("a", speaker)
    room.publish("b")
    room.leave(speaker)
    assert speaker.heard == b"b"


def test_a_channel_goes_with_its_last_subscriber() -> None:
    room = Room()
    first, second = room.join(2)
    room.leave(first)
    assert len(room.hub) == 1
    room.leave(second)
    assert len(room.hub) == 0


# Long fan-outs (invariant 4)


def test_a_long_fan_out_yields_after_each_slice() -> None:
    room = Room(slice_size=2)
    listeners = room.join(5)
    room.publish("ab")
    reached = []
    while room.loop.tick():
        reached.append(sum(bool(listener.writes) for listener in listeners))
    assert reached == [2, 4, 5]
    assert [listener.writes for listener in listeners] == [[b"ab"]] * 5


def test_a_fan_out_of_one_slice_does_not_yield() -> None:
    room = Room(slice_size=5)
    listeners = room.join(5)
    room.publish("a")
    room.loop.tick()
    assert all(listener.writes for listener in listeners)
    assert room.loop.tick() == 0


def test_what_is_published_meanwhile_waits_for_the_next_round() -> None:
    room = Room(slice_size=2)
    listeners = room.join(4)
    room.publish("a")
    room.loop.tick()
    room.publish("bc")
    room.loop.settle()
    assert [listener.writes for listener in listeners] == [[b"a", b"bc"]] * 4


def test_what_is_published_between_two_rounds_goes_with_the_second() -> None:
    room = Room(slice_size=2)
    listeners = room.join(4)
    room.publish("a")
    room.loop.tick()
    room.publish("b")
    room.loop.tick()
    room.publish("c")
    room.loop.settle()
    assert [listener.writes for listener in listeners] == [[b"a", b"bc"]] * 4


def test_who_joins_in_the_midst_of_a_fan_out_gets_only_what_comes_after() -> None:
    room = Room(slice_size=2)
    room.join(4)
    room.publish("a")
    room.loop.tick()
    [late] = room.join()
    room.publish("b")
    room.loop.settle()
    assert late.heard == b"b"


def leave_at_once(room: Room, listeners: list[Listener]) -> None:
    for listener in listeners:
        room.leave(listener)


def leave_after_more(room: Room, listeners: list[Listener]) -> None:
    room.publish("b")
    leave_at_once(room, listeners)


@pytest.mark.parametrize(("leave", "heard"), [(leave_at_once, b"a"), (leave_after_more, b"ab")])
def test_whoever_leaves_in_the_midst_of_a_fan_out_has_everything_once(
    leave: Callable[[Room, list[Listener]], None], heard: bytes
) -> None:
    room = Room(slice_size=1)
    listeners = room.join(4)
    room.publish("a")
    room.loop.tick()
    leave(room, listeners)
    assert [listener.heard for listener in listeners] == [heard] * 4
    room.loop.settle()
    assert [listener.heard for listener in listeners] == [heard] * 4


def test_who_leaves_and_comes_back_in_the_midst_of_a_fan_out_gets_no_frame_twice() -> None:
    room = Room(slice_size=1)
    listeners = room.join(3)
    room.publish("a")
    room.loop.tick()
    for listener in listeners:
        room.leave(listener)
        room.hub.join(APP, NEWS, listener)
    room.publish("b")
    room.loop.settle()
    assert [listener.heard for listener in listeners] == [b"ab"] * 3


def test_a_speaker_is_excluded_from_a_long_fan_out_too() -> None:
    room = Room(slice_size=1)
    speaker, *others = room.join(4)
    room.publish("a", speaker)
    room.publish("b")
    room.loop.settle()
    assert speaker.heard == b"b"
    assert [other.heard for other in others] == [b"ab"] * 3


# Callers in the midst of it all (invariant 5)


def test_a_write_may_publish() -> None:
    room = Room(slice_size=2)

    class Echo(Listener):
        def write(self, data: bytes) -> None:
            super().write(data)
            if data == b"a":
                room.publish("b")

    echoes: list[Listener] = [Echo(), Echo(), Echo()]
    for echo in echoes:
        room.hub.join(APP, NEWS, echo)
    room.publish("a")
    room.loop.settle()
    assert [echo.heard for echo in echoes] == [b"abbb"] * 3


# Faults (invariant 6)


class Broken(Listener):
    """A subscriber whose writes raise."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[Exception] = []

    def write(self, data: bytes) -> None:
        raise RuntimeError("a bug")

    def fail(self, fault: Exception) -> None:
        self.faults.append(fault)


@pytest.mark.parametrize("slice_size", [1, 2, 1000])
@pytest.mark.parametrize("excluding", [False, True])
def test_a_write_that_raises_keeps_nobody_else_from_being_written(slice_size: int, excluding: bool) -> None:
    room = Room(slice_size)
    [first] = room.join()
    broken = [Broken(), Broken()]
    for each in broken:
        room.hub.join(APP, NEWS, each)
    [last] = room.join()
    room.publish("a", Listener() if excluding else None)
    room.loop.settle()
    room.publish("b")
    room.loop.settle()
    assert (first.heard, last.heard) == (b"ab", b"ab")
    assert [str(fault) for each in broken for fault in each.faults] == ["a bug"] * 4


def test_who_leaves_and_cannot_be_written_to_has_left() -> None:
    room = Room()
    broken = Broken()
    room.hub.join(APP, NEWS, broken)
    room.publish("a")
    room.leave(broken)
    assert len(room.hub) == 0
    room.loop.settle()
    assert len(broken.faults) == 1


def test_who_is_not_on_a_channel_may_leave_it() -> None:
    room = Room()
    [listener] = room.join()
    room.hub.leave(APP, NEWS, Listener())
    room.hub.leave(APP, "nowhere", listener)
    assert len(room.hub) == 1
