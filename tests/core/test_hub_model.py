"""The hub against a simple model: random joins, leaves, exclusions, publishes and loop iterations."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from soketpy.core.hub import Hub
from tests.fakes import FakeLoop

APPS = ("one", "other")
CHANNELS = ("news", "sport")

places = st.tuples(st.sampled_from(APPS), st.sampled_from(CHANNELS))
Place = tuple[str, str]


class Listener:
    """A subscriber, what it was written, and what it should have been."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.due: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.heard += [data[start : start + 4] for start in range(0, len(data), 4)]

    def fail(self, fault: Exception) -> None:
        raise AssertionError("no write raises here") from fault


class HubMachine(RuleBasedStateMachine):
    """In the model, a frame is due at once to all who are on the channel at that moment, but to the excluded one."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = FakeLoop()
        self.listeners = [Listener() for _ in range(7)]
        self.subscribed: dict[Place, list[Listener]] = {(app, name): [] for app in APPS for name in CHANNELS}
        self.frames: dict[bytes, Place] = {}

    @initialize(slice_size=st.sampled_from([1, 2, 3]), crowd=st.integers(0, 7))
    def start(self, slice_size: int, crowd: int) -> None:
        self.hub = Hub(self.loop.call_soon, slice_size)
        for listener in self.listeners[:crowd]:
            self._join(("one", "news"), listener)

    def _join(self, place: Place, listener: Listener) -> None:
        self.hub.join(*place, listener)
        self.subscribed[place].append(listener)

    @rule(place=places, number=st.integers(0, 6))
    def join(self, place: Place, number: int) -> None:
        listener = self.listeners[number]
        if listener not in self.subscribed[place]:
            self._join(place, listener)

    @precondition(lambda self: any(self.subscribed.values()))
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        place = data.draw(st.sampled_from([place for place, there in self.subscribed.items() if there]))
        listener = data.draw(st.sampled_from(self.subscribed[place]))
        self.hub.leave(*place, listener)
        self.subscribed[place].remove(listener)
        # A subscriber that has left gets nothing more.
        self._check(listener, {frame for frame, said in self.frames.items() if said == place})

    @rule(place=places, exclude=st.none() | st.integers(0, 6))
    def publish(self, place: Place, exclude: int | None) -> None:
        frame = b"%04d" % len(self.frames)
        self.frames[frame] = place
        excluded = None if exclude is None else self.listeners[exclude]
        due = [listener for listener in self.subscribed[place] if listener is not excluded]
        assert self.hub.publish(*place, frame, excluded) == len(due)
        for listener in due:
            listener.due.append(frame)

    @rule()
    def tick(self) -> None:
        self.loop.tick()

    @rule()
    def settle(self) -> None:
        self.loop.settle()
        for listener in self.listeners:
            self._check(listener, set(self.frames))

    @invariant()
    def nobody_hears_what_is_not_due_and_order_holds_on_each_channel(self) -> None:
        for listener in self.listeners:
            for place in self.subscribed:
                heard = [frame for frame in listener.heard if self.frames[frame] == place]
                due = [frame for frame in listener.due if self.frames[frame] == place]
                assert heard == due[: len(heard)]

    @invariant()
    def a_channel_is_there_while_somebody_is_on_it(self) -> None:
        if hasattr(self, "hub"):
            assert len(self.hub) == sum(bool(there) for there in self.subscribed.values())

    def _check(self, listener: Listener, frames: set[bytes]) -> None:
        """Of these frames, the listener has heard all that it is due."""
        assert {*listener.heard} & frames == {*listener.due} & frames

    def teardown(self) -> None:
        self.loop.settle()
        for listener in self.listeners:
            self._check(listener, set(self.frames))


TestHub = HubMachine.TestCase
TestHub.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
