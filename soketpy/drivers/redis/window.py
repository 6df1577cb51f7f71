"""A bound for what each app has on its way to Redis, so that a flood of one app delays nobody else.

A node sends the events of all apps over one connection (per partition), and its own heartbeat behind them. What Redis
has not yet taken is therefore bounded. An app that has filled its window waits until Redis has taken some of it;
nothing is refused or lost.
"""

import logging
from collections import deque
from typing import Any

from soketpy.core.containment import contain
from soketpy.core.steps import Future

log = logging.getLogger("soketpy.redis")

SIZE = 4 * 1024**2
"""Bytes that all apps together may have on their way: what Redis takes within some tens of milliseconds."""

SHARES = 8
"""One app may have an eighth of that, or less if more than eight apps have something on its way."""

COMMAND = 256
"""Bytes that each command counts for, beside its own: what this node and Redis keep about it."""


class Window:
    """The bytes of each app that are on their way, and the operations that wait for room.

    An app with less than its share may send one call more, whatever its size. So what is on its way can exceed ``size``
    by one call for each app, and an app that has nothing on its way never waits.
    """

    def __init__(self, size: int = SIZE) -> None:
        self._size = size
        self._on_their_way: dict[str, int] = {}
        self._waiting: dict[str, deque[Future[None]]] = {}

    def __contains__(self, app_id: object) -> bool:
        """Return whether the app has its share on its way."""
        in_flight: dict[Any, int] = self._on_their_way
        return in_flight.get(app_id, 0) * max(SHARES, len(in_flight)) >= self._size

    async def room(self, app_id: str) -> None:
        """Wait until the app has less than its share on its way. Operations continue in their order."""
        while app_id in self:
            future: Future[None] = Future()
            self._waiting.setdefault(app_id, deque()).append(future)
            await future

    def sent(self, app_id: str, size: int) -> int:
        """Reserve room for a command of so many bytes, before it is sent. Return the number to give to ``taken``."""
        weight = size + COMMAND
        self._on_their_way[app_id] = self._on_their_way.get(app_id, 0) + weight
        return weight

    def taken(self, app_id: str, weight: int) -> None:
        """Count a command no more: Redis has taken it, or it is lost. Let operations continue that now have room.

        An exception of one of these is contained.
        """
        left = self._on_their_way[app_id] - weight
        if left:
            self._on_their_way[app_id] = left
        else:
            del self._on_their_way[app_id]
        if self._waiting:
            self._continue(app_id)

    def _continue(self, app_id: str) -> None:
        waiting = self._waiting.get(app_id)
        while waiting and app_id not in self:
            future = waiting.popleft()
            try:
                future.set_result(None)
            except Exception as fault:
                contain(log, fault, "App %s: an operation failed when it had room to publish", app_id)
        if waiting is not None and not waiting:
            del self._waiting[app_id]
