"""How many connections of apps with a limit this node has: each is let in by Redis, which knows of all."""

from soketpy import steps
from soketpy.drivers.redis.session import Session
from soketpy.drivers.redis.writes import Lost, Write


class Quotas:
    """Counts the connections of apps that have, or had, a limit; the others cost nothing."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._counts: dict[str, int] = {}

    async def connect(self, app_id: str, here: int, limit: int | None) -> bool:
        """Count one connection of an app, which has ``here`` on this node; False, and not counted, above ``limit``."""
        if app_id not in self._counts:
            if limit is None:
                return True
            self._counts[app_id] = here
            self._session.write(["k", app_id, "", "", here])
        try:
            counted = bool(await self._session.write(["a", app_id, 1, -1 if limit is None else limit]))
        except Lost:
            counted = limit is None or self._counts[app_id] < limit
            if counted:
                self._session.write(["k", app_id, "", "", self._counts[app_id] + 1])
        self._counts[app_id] += counted
        return counted

    def disconnect(self, app_id: str) -> None:
        """Count one connection less."""
        if app_id in self._counts:
            self._counts[app_id] -= 1
            steps.begin(self._disconnected(app_id))

    async def _disconnected(self, app_id: str) -> None:
        try:
            await self._session.write(["a", app_id, -1, 0])
        except Lost:
            self._session.write(["k", app_id, "", "", self._counts[app_id]])

    def leaves(self) -> list[Write]:
        """Every write that says what this node has."""
        return [["k", app_id, "", "", count] for app_id, count in self._counts.items()]
