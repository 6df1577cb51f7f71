"""When a ``pusher_internal:subscription_count`` is due."""

from collections.abc import Callable

QUIET_ABOVE = 100
"""Subscribers up to which every change is told at once (Pusher, "Subscription count")."""

INTERVAL = 5.0
"""Seconds between two tellings to more subscribers than that."""

PATIENCE = 0.5
"""Seconds that a node waits longer than the one that has told last, so that they do not tell at the same time."""

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

    def heard(self, app_id: str, channel: str, count: int) -> None:
        """The subscribers have been told, by this node or another: what was still to tell is told with it."""
        key = (app_id, channel)
        if key in self._changed:
            self._changed[key] = False
        elif count > QUIET_ABOVE:
            self._rest(key, INTERVAL + PATIENCE)

    def _tell_and_rest(self, key: tuple[str, str]) -> None:
        self._rest(key, INTERVAL)
        self._tell(*key)

    def _rest(self, key: tuple[str, str], seconds: float) -> None:
        self._changed[key] = False
        self._later(seconds, lambda: self._rested(key))

    def _rested(self, key: tuple[str, str]) -> None:
        if self._changed.pop(key):
            self._tell_and_rest(key)
