"""The connections of apps with a connection limit. Redis counts those of all nodes, and accepts or refuses each one."""

import logging

from soketpy.core import steps
from soketpy.core.containment import contain
from soketpy.drivers.redis.commands import Commands
from soketpy.drivers.redis.writes import Lost, Write

log = logging.getLogger("soketpy.redis")

MOST_IDLE = 10_000
"""Apps that are counted, above which an app without connections on this node is forgotten."""


class Quotas:
    """Counts the connections of apps that have, or had, a limit. The other apps cost nothing.

    If a change fails while Redis is available, the node does not know whether Redis has counted it. As soon as no
    change of the same app is in flight, the node writes its whole count, and repeats this until Redis accepts it.
    """

    def __init__(self, commands: Commands) -> None:
        self._commands = commands
        self._counts: dict[str, int] = {}
        self._in_flight: dict[str, int] = {}  # the unanswered changes of each app
        self._uncertain: set[str] = set()

    async def connect(self, app_id: str, on_this_node: int, limit: int | None) -> bool:
        """Count one more connection of an app that has ``on_this_node``. Above ``limit``, return False instead."""
        self.limit(app_id, on_this_node, limit)
        if app_id not in self._counts:
            return True
        self._begin(app_id)
        try:
            counted = await self._connected(app_id, limit)
        except Exception:
            self._uncertain.add(app_id)
            self._end(app_id)
            raise
        self._counts[app_id] += counted
        self._end(app_id)
        return counted

    def limit(self, app_id: str, on_this_node: int, limit: int | None) -> None:
        """Begin to count an app that now has a limit, and has ``on_this_node`` connections.

        A node continues to count an app whose limit is removed, so that the count is right if the limit is set again.
        """
        if limit is not None and app_id not in self._counts:
            self._counts[app_id] = on_this_node
            steps.begin(self._put(app_id))

    async def _connected(self, app_id: str, limit: int | None) -> bool:
        try:
            return bool(await self._commands.write(["connection", app_id, 1, -1 if limit is None else limit]))
        except Lost:
            counted = limit is None or self._counts[app_id] < limit
            if counted:
                self._commands.write(["connections", app_id, "", "", self._counts[app_id] + 1])
            return counted

    def disconnect(self, app_id: str) -> None:
        """Count one connection of an app as closed."""
        if app_id in self._counts:
            self._counts[app_id] -= 1
            steps.begin(self._disconnected(app_id))

    async def _disconnected(self, app_id: str) -> None:
        self._begin(app_id)
        try:
            await self._commands.write(["connection", app_id, -1, 0])
        except Lost:
            self._commands.write(self._entry(app_id))
        except Exception as fault:
            self._retry(app_id, fault)
        else:
            self._end(app_id)
            self._forget_if_idle(app_id)
            return
        self._end(app_id)

    def _forget_if_idle(self, app_id: str) -> None:
        """Forget an app without connections if very many apps are counted. Redis has no connection of it either.

        The next connection of the app begins to count again. So the memory is bounded, however many apps come and go.
        """
        settled = app_id not in self._in_flight and app_id not in self._uncertain
        if settled and len(self._counts) > MOST_IDLE and not self._counts.get(app_id, 1):
            del self._counts[app_id]

    async def _put(self, app_id: str) -> None:
        """Write how many connections the app has on this node."""
        self._begin(app_id)
        try:
            await self._commands.write(self._entry(app_id))
        except Lost:
            pass  # all counts are written when Redis is available again
        except Exception as fault:
            self._retry(app_id, fault)
        self._end(app_id)

    def _entry(self, app_id: str) -> Write:
        return ["connections", app_id, "", "", self._counts.get(app_id, 0)]

    def _retry(self, app_id: str, fault: Exception) -> None:
        contain(log, fault, "App %s: its number of connections will be written again", app_id)
        self._uncertain.add(app_id)

    def _begin(self, app_id: str) -> None:
        self._in_flight[app_id] = self._in_flight.get(app_id, 0) + 1

    def _end(self, app_id: str) -> None:
        """Count a change as answered. After the last one, write the count if it is uncertain."""
        self._in_flight[app_id] -= 1
        if self._in_flight[app_id]:
            return
        del self._in_flight[app_id]
        if app_id in self._uncertain:
            self._uncertain.discard(app_id)
            self._commands.write_again(self._entry(app_id))

    def write_again(self, app_id: str) -> None:
        """Write how many connections the app has on this node, once no change of it is in flight."""
        if app_id in self._in_flight:
            self._uncertain.add(app_id)
        else:
            self._commands.write_again(self._entry(app_id))

    def entries(self) -> list[Write]:
        """Return the writes of all entries."""
        return [self._entry(app_id) for app_id in self._counts]
