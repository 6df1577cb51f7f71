"""How many connections of apps with a limit this node has: each is let in by Redis, which knows of all."""

import logging

from soketpy import steps
from soketpy.containment import contain
from soketpy.drivers.redis.session import Session
from soketpy.drivers.redis.writes import Lost, Write

log = logging.getLogger("soketpy.redis")


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
            steps.begin(self._put(app_id, here))
        try:
            counted = bool(await self._session.write(["a", app_id, 1, -1 if limit is None else limit]))
        except Lost:
            counted = limit is None or self._counts[app_id] < limit
            if counted:
                self._session.write(["k", app_id, "", "", self._counts[app_id] + 1])
        self._counts[app_id] += counted
        return counted

    async def _put(self, app_id: str, here: int) -> None:
        """Write how many connections the app has here when the first one is counted."""
        try:
            await self._session.write(["k", app_id, "", "", here])
        except Lost:
            pass  # Redis is away: all counts are written when it is back
        except Exception as fault:
            self._write_again(app_id, here, fault)

    def _write_again(self, app_id: str, change: int, fault: Exception) -> None:
        """Write a change of the count that could not be written, behind those that were written since."""
        contain(log, fault, "App %s: a change of its number of connections has to be written again", app_id)
        self._session.write(["a", app_id, change, -1])

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
        except Exception as fault:
            self._write_again(app_id, -1, fault)

    def leaves(self) -> list[Write]:
        """Every write that says what this node has."""
        return [["k", app_id, "", "", count] for app_id, count in self._counts.items()]
