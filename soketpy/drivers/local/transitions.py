"""The webhook events that follow from the roster of a cluster of one."""

from collections.abc import Callable, Iterable
from functools import partial

from soketpy.core.counts import INTERVAL, QUIET_ABOVE
from soketpy.core.grace import OPPOSITE, GracePeriod, State
from soketpy.core.steps import Later
from soketpy.core.webhooks import WebhookTypes
from soketpy.protocol.event_types import EventType
from soketpy.protocol.webhooks import WebhookEvent


class NoWebhooks:
    """An event log that drops events, for a server without webhooks."""

    def append(self, event: WebhookEvent) -> None:
        """Do nothing."""


NO_WEBHOOKS = NoWebhooks()


class _Waiting:
    """The newest number of subscribers of a channel, until its interval ends."""

    count = 0


class Transitions:
    """Reports what changes in the roster to the webhooks that want it, with the grace period.

    ``record`` gets each event and, if it turned a state on or off, the state. ``wanted`` returns the events that the
    webhooks of an app want.
    """

    def __init__(
        self,
        wanted: WebhookTypes,
        record: Callable[[WebhookEvent, State | None, bool], None],
        clock: Callable[[], float],
        later: Later,
        *,
        grace: float = 3,
    ) -> None:
        self.wanted = wanted
        self._record = record
        self._later = later
        self._grace = GracePeriod(grace, clock, later, record)
        self._counts: dict[tuple[str, str], _Waiting] = {}  # of channels that are reported every 5 s

    def restore(self, states: Iterable[State], seconds: float) -> None:
        """Note the states that receivers know as on from before a restart. See ``GracePeriod.restore``."""
        self._grace.restore(filter(self.wants, states), seconds)

    def wants(self, state: State) -> bool:
        """Return whether a webhook asks for the events that turn this state on or off."""
        return self._wants(EventType(state[0]), state[1])

    def turned(self, on: EventType, is_on: bool, app_id: str, channel: str = "", user_id: str = "") -> None:
        """Note that a channel is occupied, a member is present or a user is online; or that it no longer is."""
        if self._wants(on, app_id):
            turn = self._grace.turn_on if is_on else self._grace.turn_off
            turn(on, app_id, channel, user_id)

    def _wants(self, on: EventType, app_id: str) -> bool:
        wanted = self.wanted(app_id)
        return bool(wanted) and (on in wanted or OPPOSITE[on] in wanted)

    def counted(self, app_id: str, channel: str, count: int) -> None:
        """Note the number of subscribers of a channel without members. Above 100 it is reported once per 5 s."""
        wanted = self.wanted(app_id)
        if not wanted or EventType.SUBSCRIPTION_COUNT not in wanted:
            return
        key = (app_id, channel)
        if count <= QUIET_ABOVE:
            self._counts.pop(key, None)
            self._report_count(key, count)
        else:
            waiting = self._counts.get(key)
            if waiting is None:
                waiting = self._counts[key] = _Waiting()
                self._later(INTERVAL, partial(self._end_interval, key, waiting))
            waiting.count = count

    def _end_interval(self, key: tuple[str, str], waiting: "_Waiting") -> None:
        if self._counts.get(key) is waiting:  # otherwise the channel was reported with few subscribers meanwhile
            del self._counts[key]
            self._report_count(key, waiting.count)

    def _report_count(self, key: tuple[str, str], count: int) -> None:
        app_id, channel = key
        self._record(WebhookEvent(app_id, EventType.SUBSCRIPTION_COUNT, channel, number=count), None, False)
