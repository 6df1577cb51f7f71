"""The events that wait in a process until their queue takes them: a buffer of bounded size."""

from collections import OrderedDict

from soketpy.core.grace import State
from soketpy.protocol.webhooks import WebhookEvent

MOST = 50_000
"""Events that wait, at most, except those that turn a state on or off, since receivers rely on them to alternate."""

MOST_BYTES = 32 * 1024 * 1024
"""Bytes of data of the events that wait, at most. Client events may have 100 KB each."""

Taken = tuple[WebhookEvent, State | None, bool]
"""An event, the state that it turned on or off, and which of the two."""


class Waiting:
    """Events in their order.

    If the buffer is full, an event without a state is refused. An event that turns a state back removes the waiting
    event that has turned it, so that the rest still alternates. The events of states are therefore bounded too: by the
    states that have changed, of which each client has a limited number.
    """

    def __init__(self) -> None:
        self._events: OrderedDict[int, Taken] = OrderedDict()
        self._last: dict[State, int] = {}  # the number of the last waiting event of each state
        self._number = 0
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._events)

    @property
    def first(self) -> WebhookEvent:
        """Return the oldest event."""
        return next(iter(self._events.values()))[0]

    def add(self, event: WebhookEvent, state: State | None = None, is_on: bool = False) -> int:
        """Append an event. Return the number of events that are lost instead: 0, or 1, or 2 of a state."""
        is_full = len(self._events) >= MOST or self._bytes + len(event.data) > MOST_BYTES
        if state is None:
            if is_full:
                return 1
        else:
            last = self._last.get(state)
            if is_full and last is not None and self._events[last][2] != is_on:
                del self._events[last], self._last[state]
                return 2
            self._last[state] = self._number
        self._events[self._number] = event, state, is_on
        self._number += 1
        self._bytes += len(event.data)
        return 0

    def take(self, most: int) -> list[Taken]:
        """Remove and return the oldest events."""
        taken = []
        for _ in range(min(most, len(self._events))):
            number, each = self._events.popitem(last=False)
            event, state, _ = each
            self._bytes -= len(event.data)
            if state is not None and self._last.get(state) == number:
                del self._last[state]
            taken.append(each)
        return taken
