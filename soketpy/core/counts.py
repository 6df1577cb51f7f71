"""When a ``pusher_internal:subscription_count`` is due."""

import logging
from collections.abc import Callable

from soketpy.core.containment import contain
from soketpy.core.steps import Later

log = logging.getLogger("soketpy.counts")

QUIET_ABOVE = 100
"""Subscribers up to which a change is told soon (Pusher, "Subscription count")."""

INTERVAL = 5.0
"""Seconds between two tellings to more subscribers than that."""

SHORT_INTERVAL = 0.25
"""Seconds between two tellings to fewer: a client that comes and goes quickly must not flood the others."""

PATIENCE = 0.5
"""Seconds that a node waits longer than the one that has told last, so that they do not tell at the same time."""


class _Rest:
    """The time after a telling in which changes are collected. ``many`` is about the newest count."""

    __slots__ = ("changed", "long", "many")

    def __init__(self, many: bool, changed: bool) -> None:
        self.long = self.many = many
        self.changed = changed


class SubscriptionCounts:
    """Tells the subscribers of a channel how many they are: the first change at once, later ones together.

    Between two tellings are 0.25 s or, above 100 subscribers, 5 s. The last change is always told.
    """

    def __init__(self, tell: Callable[[str, str], None], later: Later) -> None:
        self._tell = tell
        self._later = later
        self._rests: dict[tuple[str, str], _Rest] = {}

    def changed(self, app_id: str, channel: str, count: int) -> None:
        """Take note that a subscription came or went, and ``count`` are left: ``tell`` is called, now or later."""
        key, many = (app_id, channel), count > QUIET_ABOVE
        rest = self._rests.get(key)
        if rest is None:
            self._tell_and_rest(key, many)
        elif rest.long and not many:
            self._begin_rest(key, SHORT_INTERVAL, _Rest(many, changed=True))
        else:
            rest.changed, rest.many = True, many

    def heard(self, app_id: str, channel: str, count: int) -> None:
        """Take note that this node or another one has told the count: a change that waited was told with it."""
        key, many = (app_id, channel), count > QUIET_ABOVE
        rest = self._rests.get(key)
        if rest is not None and (rest.long or not many):
            rest.changed = False
        else:
            self._begin_rest(key, INTERVAL + PATIENCE if many else SHORT_INTERVAL, _Rest(many, changed=False))

    def _tell_and_rest(self, key: tuple[str, str], many: bool) -> None:
        self._begin_rest(key, INTERVAL if many else SHORT_INTERVAL, _Rest(many, changed=False))
        try:
            self._tell(*key)
        except Exception as fault:
            contain(log, fault, "App %s: the subscription count of %s could not be sent", *key)

    def _begin_rest(self, key: tuple[str, str], seconds: float, rest: _Rest) -> None:
        """Collect changes for so many seconds, in the place of a rest that has not ended."""
        self._rests[key] = rest
        self._later(seconds, lambda: self._end_rest(key, rest))

    def _end_rest(self, key: tuple[str, str], rest: _Rest) -> None:
        if self._rests.get(key) is rest:
            del self._rests[key]
            if rest.changed:
                self._tell_and_rest(key, rest.many)
