"""The events that wait in a process until their queue takes them: a bounded buffer with equal shares for all apps."""

from collections import OrderedDict
from itertools import islice

from soketpy.core.grace import State
from soketpy.protocol.webhooks import WebhookEvent

MOST = 50_000
"""Events that wait, at most, except those that turn a state on or off, since receivers rely on them to alternate."""

MOST_BYTES = 32 * 1024 * 1024
"""Bytes of data of the events that wait, at most. Client events may have 100 KB each."""

Taken = tuple[WebhookEvent, State | None, bool]
"""An event, the state that it turned on or off, and which of the two."""


class _OfApp:
    """The events of one app, and the bytes of their data."""

    __slots__ = ("bytes", "events")

    def __init__(self) -> None:
        self.events: OrderedDict[int, Taken] = OrderedDict()
        self.bytes = 0


class Waiting:
    """Events, in their order for each app. Apps have equal shares, so that a flood of one app delays no other one.

    If the buffer is full, an app that has its share of it cannot add an event without a state. An event that turns a
    state back then removes the waiting event that has turned it, so that the rest still alternates. The events of
    states are therefore bounded too: by the states that have changed, of which each client has a limited number.
    """

    def __init__(self) -> None:
        self._apps: OrderedDict[str, _OfApp] = OrderedDict()  # those with events; the next one to take from is first
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
        return next(iter(of_app.events.values()))[0]

    def _is_full(self, app_id: str) -> bool:
        if self._length < MOST and self._bytes < MOST_BYTES:
            return False
        of_app = self._apps.get(app_id)
        if of_app is None:
            return False
        apps = len(self._apps)
        return len(of_app.events) * apps >= MOST or of_app.bytes * apps >= MOST_BYTES

    def add(self, event: WebhookEvent, state: State | None = None, is_on: bool = False) -> int:
        """Append an event. Return the number of events that are lost instead: 0, or 1, or 2 of a state."""
        if self._is_full(event.app_id):
            if state is None:
                return 1
            events, last = self._apps[event.app_id].events, self._last.get(state)
            if last is not None and events[last][2] != is_on:
                del self._last[state]
                self._remove(event.app_id, last)
                return 2
        of_app = self._apps.get(event.app_id)
        if of_app is None:
            of_app = self._apps[event.app_id] = _OfApp()
        if state is not None:
            self._last[state] = self._number
        of_app.events[self._number] = event, state, is_on
        of_app.bytes += len(event.data)
        self._number += 1
        self._length += 1
        self._bytes += len(event.data)
        return 0

    def _remove(self, app_id: str, number: int) -> Taken:
        of_app = self._apps[app_id]
        removed = of_app.events.pop(number)
        size = len(removed[0].data)
        of_app.bytes -= size
        self._length -= 1
        self._bytes -= size
        if not of_app.events:
            del self._apps[app_id]
        return removed

    def take(self, most: int) -> list[Taken]:
        """Remove and return some events: the oldest ones of each app."""
        taken: list[Taken] = []
        while self._apps and len(taken) < most:
            share = max(1, (most - len(taken)) // len(self._apps))
            for app_id in list(self._apps)[: most - len(taken)]:
                self._apps.move_to_end(app_id)
                for number in list(islice(self._apps[app_id].events, share)):
                    each = self._remove(app_id, number)
                    if each[1] is not None and self._last.get(each[1]) == number:
                        del self._last[each[1]]
                    taken.append(each)
        return taken
