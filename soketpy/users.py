"""The signed-in connections of this node, by user, and who of them watches whom."""

from collections.abc import Iterable
from typing import Generic, TypeVar

C = TypeVar("C")


class Users(Generic[C]):
    """Connections by the user who is signed in on them, and by the users whom they watch."""

    def __init__(self) -> None:
        self._connections: dict[tuple[str, str], set[C]] = {}
        self._watchers: dict[tuple[str, str], set[C]] = {}

    def add(self, app_id: str, user_id: str, connection: C, watchlist: Iterable[str]) -> None:
        """A connection is the user's from now on, and watches the users of the watchlist."""
        self._connections.setdefault((app_id, user_id), set()).add(connection)
        for watched in watchlist:
            self._watchers.setdefault((app_id, watched), set()).add(connection)

    def remove(self, app_id: str, user_id: str, connection: C, watchlist: Iterable[str]) -> None:
        """Undo ``add``."""
        _discard(self._connections, (app_id, user_id), connection)
        for watched in watchlist:
            _discard(self._watchers, (app_id, watched), connection)

    def connections(self, app_id: str, user_id: str) -> tuple[C, ...]:
        """The connections of a user on this node."""
        return tuple(self._connections.get((app_id, user_id), ()))

    def watchers(self, app_id: str, user_id: str) -> tuple[C, ...]:
        """The connections on this node that watch a user."""
        return tuple(self._watchers.get((app_id, user_id), ()))


def _discard(sets: dict[tuple[str, str], set[C]], key: tuple[str, str], connection: C) -> None:
    """Take a connection out of one of the sets, and the set out with its last."""
    connections = sets[key]
    connections.discard(connection)
    if not connections:
        del sets[key]
