"""When a ``pusher_internal:subscription_count`` is due."""

from collections.abc import Callable

QUIET_ABOVE = 100
"""Subscribers up to which every change is told at once (Pusher, "Subscription count")."""

INTERVAL = 5.0
"""Seconds between two tellings to more subscribers than that."""

Later = Callable[[float, Callable[[], None]], object]
"""Calls a function after some seconds, as ``loop.call_later`` does."""


class SubscriptionCounts:
    """Tells the subscribers of a channel how many they are, at every change or, where they are many, once in 5 s."""

    def __init__(self, tell: Callable[[str, str], None], later: Later) -> None:
        self._tell = tell
        self._later = later
        self._changed: dict[tuple[str, str], bool] = {}

    def changed(self, app_id: str, channel: str, count: int) -> None:
        """A subscription came or went, and ``count`` are left: ``tell`` is called, now or later."""
        key = (app_id, channel)
        resting = key in self._changed
        if resting:
            self._changed[key] = count > QUIET_ABOVE
        if count <= QUIET_ABOVE:
            self._tell(app_id, channel)
        elif not resting:
            self._tell_and_rest(key)

    def _tell_and_rest(self, key: tuple[str, str]) -> None:
        self._tell(*key)
        self._changed[key] = False
        self._later(INTERVAL, lambda: self._rested(key))

    def _rested(self, key: tuple[str, str]) -> None:
        if self._changed.pop(key):
            self._tell_and_rest(key)
