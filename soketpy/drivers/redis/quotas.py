"""How many connections of apps with a limit this node has: each is let in by Redis, which knows of all."""

import logging

from soketpy.core import steps
from soketpy.core.containment import contain
from soketpy.drivers.redis.session import Session
from soketpy.drivers.redis.writes import Lost, Write

log = logging.getLogger("soketpy.redis")


class Quotas:
    """Counts the connections of apps that have, or had, a limit; the others cost nothing.

    If a change fails though Redis is there, nobody knows whether Redis has counted it. The count of this node is then
    written as a whole, once no change of the same app is on its way, and again until Redis has taken it.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._counts: dict[str, int] = {}
        self._on_their_way: dict[str, int] = {}  # changes of each app that have no answer
        self._in_doubt: set[str] = set()

    async def connect(self, app_id: str, on_this_node: int, limit: int | None) -> bool:
        """Count one connection of an app that has ``on_this_node``; return False, uncounted, above ``limit``."""
        self.limit(app_id, on_this_node, limit)
        if app_id not in self._counts:
            return True
        self._begin(app_id)
        try:
            counted = await self._connected(app_id, limit)
        except Exception:
            self._in_doubt.add(app_id)
            self._end(app_id)
            raise
        self._counts[app_id] += counted
        self._end(app_id)
        return counted

    def limit(self, app_id: str, on_this_node: int, limit: int | None) -> None:
        """Begin to count an app that has a limit now, and ``on_this_node`` connections.

        A node goes on counting an app whose limit is removed, so that the count is right if a limit comes back.
        """
        if limit is not None and app_id not in self._counts:
            self._counts[app_id] = on_this_node
            steps.begin(self._put(app_id))

    async def _connected(self, app_id: str, limit: int | None) -> bool:
        try:
            return bool(await self._session.write(["a", app_id, 1, -1 if limit is None else limit]))
        except Lost:
            counted = limit is None or self._counts[app_id] < limit
            if counted:
                self._session.write(["k", app_id, "", "", self._counts[app_id] + 1])
            return counted

    def disconnect(self, app_id: str) -> None:
        """Count one connection less."""
        if app_id in self._counts:
            self._counts[app_id] -= 1
            steps.begin(self._disconnected(app_id))

    async def _disconnected(self, app_id: str) -> None:
        self._begin(app_id)
        try:
            await self._session.write(["a", app_id, -1, 0])
        except Lost:
            self._session.write(self._leaf(app_id))
        except Exception as fault:
            self._doubt(app_id, fault)
        self._end(app_id)

    async def _put(self, app_id: str) -> None:
        """Write how many connections the app has here."""
        self._begin(app_id)
        try:
            await self._session.write(self._leaf(app_id))
        except Lost:
            pass  # Redis is away: all counts are written when it is back
        except Exception as fault:
            self._doubt(app_id, fault)
        self._end(app_id)

    def _leaf(self, app_id: str) -> Write:
        return ["k", app_id, "", "", self._counts.get(app_id, 0)]

    def _doubt(self, app_id: str, fault: Exception) -> None:
        contain(log, fault, "App %s: its number of connections has to be written again", app_id)
        self._in_doubt.add(app_id)

    def _begin(self, app_id: str) -> None:
        self._on_their_way[app_id] = self._on_their_way.get(app_id, 0) + 1

    def _end(self, app_id: str) -> None:
        """Note that a change is not on its way any more. After the last one write what is in doubt."""
        self._on_their_way[app_id] -= 1
        if self._on_their_way[app_id]:
            return
        del self._on_their_way[app_id]
        if app_id in self._in_doubt:
            self._in_doubt.discard(app_id)
            self._session.write_again(self._leaf(app_id))

    def write_again(self, app_id: str) -> None:
        """Write how many connections the app has here, once no change of it is on its way."""
        if app_id in self._on_their_way:
            self._in_doubt.add(app_id)
        else:
            self._session.write_again(self._leaf(app_id))

    def leaves(self) -> list[Write]:
        """Every write that says what this node has."""
        return [self._leaf(app_id) for app_id in self._counts]
