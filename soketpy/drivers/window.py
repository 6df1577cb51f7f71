"""A limit of the bytes that each app has in flight to Redis or to the disk."""

import logging
from collections import deque
from typing import Any

from soketpy.core.containment import contain
from soketpy.core.steps import Future

log = logging.getLogger("soketpy.window")

SIZE = 4 * 1024**2
"""Bytes that all apps together may have in flight. Redis and a disk take that much within some tens of ms."""

SHARES = 8
"""One app may have an eighth of that in flight, or less if more than eight apps have something in flight."""

COMMAND = 256
"""Bytes that each command counts for besides its own: the objects of this node, and those of Redis."""


class Window:
    """Limits the bytes that each app has in flight, so that a flood of one app does not delay the others.

    A node sends the events of all apps over one connection to Redis (per partition), and its own heartbeat after them;
    or one thread writes them to the disk. An app that has filled its share waits until some of it is accepted. No event
    is refused or lost.

    An app below its share may send one more call of any size. The bytes in flight can therefore exceed ``size`` by one
    call for each app, and an app with nothing in flight never waits.
    """

    def __init__(self, size: int = SIZE) -> None:
        self._size = size
        self._in_flight: dict[str, int] = {}
        self._waiting: dict[str, deque[Future[None]]] = {}

    def __contains__(self, app_id: object) -> bool:
        """Return whether the app has its share in flight."""
        in_flight: dict[Any, int] = self._in_flight
        return in_flight.get(app_id, 0) * max(SHARES, len(in_flight)) >= self._size

    async def room(self, app_id: str) -> None:
        """Wait until the app has less than its share in flight. Operations resume in their order."""
        while app_id in self:
            future: Future[None] = Future()
            self._waiting.setdefault(app_id, deque()).append(future)
            await future

    def reserve(self, app_id: str, size: int) -> int:
        """Reserve room for ``size`` bytes before they are sent. Return its weight, for ``release``."""
        weight = size + COMMAND
        self._in_flight[app_id] = self._in_flight.get(app_id, 0) + weight
        return weight

    def release(self, app_id: str, weight: int) -> None:
        """Release room: what used it was accepted or is lost. Resume operations that now have room.

        An exception of a resumed operation is contained.
        """
        left = self._in_flight[app_id] - weight
        if left:
            self._in_flight[app_id] = left
        else:
            del self._in_flight[app_id]
        if self._waiting:
            self._resume(app_id)

    def _resume(self, app_id: str) -> None:
        waiting = self._waiting.get(app_id)
        while waiting and app_id not in self:
            future = waiting.popleft()
            try:
                future.set_result(None)
            except Exception as fault:
                contain(log, fault, "App %s: an operation failed when it had room to publish", app_id)
        if waiting is not None and not waiting:
            del self._waiting[app_id]
