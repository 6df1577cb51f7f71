"""The REST calls of one server that have no answer yet, and a bound for each app."""

from collections.abc import Callable
from typing import Generic, TypeVar

C = TypeVar("C")


class CallsInProgress(dict[C, tuple[str, Callable[[C], None]]], Generic[C]):
    """Calls that wait for their body, for other nodes, or for room. Each is counted once, however often it waits.

    A call that waits keeps an HTTP connection busy. One app may have at most ``most`` such calls, so that it cannot use
    all connections. A call that is answered at once is never entered.
    """

    def __init__(self, most: int | None = None) -> None:
        super().__init__()
        self._most = most
        self._of_app: dict[str, int] = {}
        self.full: set[str] = set()
        """The apps that have as many calls in progress as they may have."""

    def enter(self, call: C, app_id: str, ended: Callable[[C], None]) -> None:
        """Count a call of an app until it leaves. ``ended``, called with the call, replaces an earlier one."""
        if call not in self:
            number = self._of_app[app_id] = self._of_app.get(app_id, 0) + 1
            if self._most is not None and number >= self._most:
                self.full.add(app_id)
        self[call] = app_id, ended

    def leave(self, call: C) -> bool:
        """Stop counting a call. Return whether it was counted."""
        entry = self.pop(call, None)
        if entry is None:
            return False
        app_id, _ = entry
        left = self._of_app[app_id] - 1
        if self._most is not None and left < self._most:
            self.full.discard(app_id)
        if left:
            self._of_app[app_id] = left
        else:
            del self._of_app[app_id]
        return True
