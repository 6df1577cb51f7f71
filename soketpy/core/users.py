"""The signed-in connections of this node, by user."""

from typing import Generic, TypeVar

C = TypeVar("C")


class Users(Generic[C]):
    """Connections by the user who is signed in on them."""

    def __init__(self) -> None:
        self._connections: dict[tuple[str, str], set[C]] = {}

    def add(self, app_id: str, user_id: str, connection: C) -> None:
        """A connection is the user's from now on."""
        self._connections.setdefault((app_id, user_id), set()).add(connection)

    def remove(self, app_id: str, user_id: str, connection: C) -> None:
        """Undo ``add``; nothing where that was not called."""
        connections = self._connections.get((app_id, user_id), set())
        connections.discard(connection)
        if not connections:
            self._connections.pop((app_id, user_id), None)

    def connections(self, app_id: str, user_id: str) -> tuple[C, ...]:
        """The connections of a user on this node."""
        return tuple(self._connections.get((app_id, user_id), ()))
