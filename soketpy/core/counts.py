"""The schedule of ``pusher_internal:subscription_count`` events."""

import logging
from collections.abc import Callable

from soketpy.core.containment import contain
from soketpy.core.steps import Later

log = logging.getLogger("soketpy.counts")

QUIET_ABOVE = 100
"""Number of subscribers up to which each change is sent soon (Pusher, "Subscription count")."""

INTERVAL = 5.0
"""Seconds between two events if the channel has more than ``QUIET_ABOVE`` subscribers."""

SHORT_INTERVAL = 0.25
"""Seconds between two events on a smaller channel: a client that reconnects quickly must not flood the others."""

PATIENCE = 0.5
"""Seconds that a node waits longer than the node that sent last, so that two nodes do not send at the same time."""


class _Interval:
    """The interval after an event, in which changes are collected.

    ``many`` says whether the newest count is above ``QUIET_ABOVE``.
    """

    __slots__ = ("changed", "long", "many")

    def __init__(self, many: bool, changed: bool) -> None:
        self.long = self.many = many
        self.changed = changed


class SubscriptionCounts:
    """Decides when a channel's subscribers get the count of subscribers: at the first change, then once per interval.

    An interval lasts 0.25 s or, above 100 subscribers, 5 s. The last change is always sent.
    """

    def __init__(self, send: Callable[[str, str], None], later: Later) -> None:
        self._send_count = send
        self._later = later
        self._intervals: dict[tuple[str, str], _Interval] = {}

    def changed(self, app_id: str, channel: str, count: int) -> None:
        """Note that the channel now has ``count`` subscriptions: ``send`` is called, now or later."""
        key, many = (app_id, channel), count > QUIET_ABOVE
        interval = self._intervals.get(key)
        if interval is None:
            self._send(key, many)
        elif interval.long and not many:
            self._begin(key, SHORT_INTERVAL, _Interval(many, changed=True))
        else:
            interval.changed, interval.many = True, many

    def sent_elsewhere(self, app_id: str, channel: str, count: int) -> None:
        """Note that this node or another one has sent the count, which includes every change that waited."""
        key, many = (app_id, channel), count > QUIET_ABOVE
        interval = self._intervals.get(key)
        if interval is not None and (interval.long or not many):
            interval.changed = False
        else:
            self._begin(key, INTERVAL + PATIENCE if many else SHORT_INTERVAL, _Interval(many, changed=False))

    def _send(self, key: tuple[str, str], many: bool) -> None:
        self._begin(key, INTERVAL if many else SHORT_INTERVAL, _Interval(many, changed=False))
        try:
            self._send_count(*key)
        except Exception as fault:
            contain(log, fault, "App %s: the subscription count of %s could not be sent", *key)

    def _begin(self, key: tuple[str, str], seconds: float, interval: _Interval) -> None:
        """Collect changes for so many seconds. An interval that has not ended is replaced."""
        self._intervals[key] = interval
        self._later(seconds, lambda: self._end(key, interval))

    def _end(self, key: tuple[str, str], interval: _Interval) -> None:
        if self._intervals.get(key) is interval:
            del self._intervals[key]
            if interval.changed:
                self._send(key, interval.many)
