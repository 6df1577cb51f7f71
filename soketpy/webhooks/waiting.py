"""The events that wait in a process until their queue takes them: a bounded buffer with equal shares for all apps."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

from soketpy.core.grace import State
from soketpy.protocol.webhooks import WebhookEvent

MOST = 50_000
"""Events that wait, at most, except those that turn a state on or off, since receivers rely on them to alternate."""

MOST_BYTES = 32 * 1024 * 1024
"""Bytes of data of the events that wait, at most. Client events may have 100 KB each."""


@dataclass(slots=True)
class Taken:
    """Events that were taken, the states that they turn on or off, and their apps."""

    events: list[WebhookEvent] = field(default_factory=list)
    states: dict[State, bool] = field(default_factory=dict)
    apps: set[str] = field(default_factory=set)


class _OfApp:
    """The events of one app by their numbers, and the bytes of their data."""

    __slots__ = ("bytes", "events")

    def __init__(self) -> None:
        self.events: dict[int, WebhookEvent] = {}
        self.bytes = 0


class Waiting:
    """Events, in their order for each app. Apps have equal shares, so that a flood of one app delays no other one.

    If the buffer is full, an app that has its share of it cannot add an event without a state. An event that turns a
    state back then removes the waiting event that has turned it, so that the rest still alternates. The events of
    states are therefore bounded too: by the states that have changed, of which each client has a limited number.
    """

    def __init__(self) -> None:
        self._apps: OrderedDict[str, _OfApp] = OrderedDict()  # those with events; the next one to take from is first
        self._turned: dict[int, tuple[State, bool]] = {}  # event that has turned a state: the state, and on or off
        self._last: dict[State, int] = {}  # the number of the last waiting event of each state
        self._number = 0
        self._length = 0
        self._bytes = 0

    def __len__(self) -> int:
        return self._length

    @property
    def first(self) -> WebhookEvent:
        """Return the event that is taken next."""
        of_app = next(iter(self._apps.values()))
        return next(iter(of_app.events.values()))

    def _has_its_share(self, app_id: str) -> bool:
        """Return whether an app has its share of the buffer, which is full."""
        of_app = self._apps.get(app_id)
        if of_app is None:
            return False
        apps = len(self._apps)
        return len(of_app.events) * apps >= MOST or of_app.bytes * apps >= MOST_BYTES

    def add(self, event: WebhookEvent, state: State | None = None, is_on: bool = False) -> int:
        """Append an event. Return the number of events that are lost instead: 0, or 1, or 2 of a state."""
        app_id = event.app_id
        if (self._length >= MOST or self._bytes >= MOST_BYTES) and self._has_its_share(app_id):
            if state is None:
                return 1
            last = self._last.get(state)
            if last is not None and self._turned[last][1] != is_on:
                self._remove(app_id, [last])
                return 2
        of_app = self._apps.get(app_id)
        if of_app is None:
            of_app = self._apps[app_id] = _OfApp()
        number, size = self._number, len(event.data)
        if state is not None:
            self._turned[number] = state, is_on
            self._last[state] = number
        of_app.events[number] = event
        of_app.bytes += size
        self._number = number + 1
        self._length += 1
        self._bytes += size
        return 0

    def _remove(self, app_id: str, numbers: Sequence[int]) -> dict[State, bool]:
        """Remove events of an app. Return the states that the events have turned."""
        of_app = self._apps[app_id]
        if len(numbers) == len(of_app.events):
            del self._apps[app_id]
            size = of_app.bytes
        else:
            size = sum([len(of_app.events.pop(number).data) for number in numbers])
            of_app.bytes -= size
        self._bytes -= size
        self._length -= len(numbers)
        states = {}
        for number in numbers if self._turned else ():
            if (turned := self._turned.pop(number, None)) is not None:
                state, states[state] = turned
                if self._last.get(state) == number:
                    del self._last[state]
        return states

    def take(self, most: int) -> Taken:
        """Remove and return some events: the oldest ones of each app."""
        taken = Taken()
        events = taken.events
        while self._apps and len(events) < most:
            share = max(1, (most - len(events)) // len(self._apps))
            for app_id in list(self._apps)[: most - len(events)]:
                self._apps.move_to_end(app_id)
                of_app = self._apps[app_id].events
                events += islice(of_app.values(), share)
                taken.states |= self._remove(app_id, list(islice(of_app, share)))
                taken.apps.add(app_id)
        return taken
