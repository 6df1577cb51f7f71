"""The signed-in connections of this node, by user."""

from typing import Generic, TypeVar

C = TypeVar("C")


class Users(Generic[C]):
    """The signed-in connections of each user."""

    def __init__(self) -> None:
        self._connections: dict[tuple[str, str], set[C]] = {}

    def add(self, app_id: str, user_id: str, connection: C) -> None:
        """Add a connection of a user."""
        self._connections.setdefault((app_id, user_id), set()).add(connection)

    def remove(self, app_id: str, user_id: str, connection: C) -> None:
        """Remove a connection of a user. Do nothing if it was not added."""
        connections = self._connections.get((app_id, user_id), set())
        connections.discard(connection)
        if not connections:
            self._connections.pop((app_id, user_id), None)

    def connections(self, app_id: str, user_id: str) -> tuple[C, ...]:
        """Return the connections of a user on this node."""
        return tuple(self._connections.get((app_id, user_id), ()))
