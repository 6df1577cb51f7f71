"""The grace period: a client that returns in time causes neither an event nor its opposite.

Pusher delays ``channel_vacated`` and ``member_removed`` by up to three seconds, and drops them if the client has
returned by then.
"""

import heapq
from collections.abc import Callable, Iterable
from functools import partial
from math import inf

from soketpy.core.steps import Later
from soketpy.protocol.event_types import EventType
from soketpy.protocol.webhooks import WebhookEvent

State = tuple[str, str, str, str]
"""A state that is on or off: a channel is occupied, a user is a member of a channel, or a user is online.

The fields are the name of the event that turns the state on, the app, the channel and the user. The channel or the user
may be empty.
"""

STEP = 0.02
"""Seconds between two checks for grace periods that have ended. One check ends all of them."""

OPPOSITE = {
    EventType.CHANNEL_OCCUPIED: EventType.CHANNEL_VACATED,
    EventType.MEMBER_ADDED: EventType.MEMBER_REMOVED,
    EventType.USER_ONLINE: EventType.USER_OFFLINE,
}
"""The event that turns a state off, by the event that turns it on."""


class GracePeriod:
    """Turns states on and off, and reports the changes that receivers must get.

    Invariant: for each state, the reported events alternate, and begin with the one that turns the state on. An event
    that turns a state on is reported at once. Its opposite is reported ``seconds`` after the state was turned off,
    unless the state was turned on again.

    ``report`` gets each event with its state, and whether the state is now on.
    """

    def __init__(
        self,
        seconds: float,
        clock: Callable[[], float],
        later: Later,
        report: Callable[[WebhookEvent, State, bool], None],
    ) -> None:
        self._seconds = seconds
        self._clock = clock
        self._later = later
        self._report = report
        self._due: dict[State, float] = {}  # states that are off and still reported as on, with the ends of the periods
        self._ends: list[tuple[float, State]] = []  # a heap; an entry with another end than in _due is obsolete
        self._check_at = inf  # the time of the next check

    def __len__(self) -> int:
        return len(self._due)

    def turn_on(self, on: EventType, app_id: str, channel: str = "", user_id: str = "") -> None:
        """Turn a state on. It must be off."""
        state = (str(on), app_id, channel, user_id)
        if self._due.pop(state, None) is None:
            self._report(_event(on, state), state, True)

    def turn_off(self, on: EventType, app_id: str, channel: str = "", user_id: str = "") -> None:
        """Turn a state off that ``on`` has turned on."""
        self._turn_off((str(on), app_id, channel, user_id), self._seconds)

    def restore(self, states: Iterable[State], seconds: float) -> None:
        """Note states that are off and still reported as on. Each has ``seconds`` to be turned on again.

        Call this once, before any other method.
        """
        for state in states:
            self._turn_off(state, seconds)

    def _turn_off(self, state: State, seconds: float) -> None:
        end = self._due[state] = self._clock() + seconds
        heapq.heappush(self._ends, (end, state))
        self._schedule()

    def _schedule(self) -> None:
        """Schedule a check for the next end, unless a check is scheduled that is earlier, or at most ``STEP`` later."""
        if self._ends and self._ends[0][0] + STEP < self._check_at:
            now = self._clock()
            at = self._check_at = max(now + STEP, self._ends[0][0])
            self._later(at - now, partial(self._end, at))

    def _end(self, at: float) -> None:
        """Report the states whose grace period has ended, and wait for the next ones."""
        if at != self._check_at:
            return  # an earlier check was scheduled afterwards, and replaced this one
        self._check_at = inf
        now = self._clock()
        while self._ends and self._ends[0][0] <= now:
            end, state = heapq.heappop(self._ends)
            if self._due.get(state) == end:
                del self._due[state]
                self._report(_event(OPPOSITE[EventType(state[0])], state), state, False)
        self._schedule()


def _event(name: EventType, state: State) -> WebhookEvent:
    _, app_id, channel, user_id = state
    return WebhookEvent(app_id, name, channel, user_id)
