"""Publications and writes in flight to Redis: a limit for each app, and the flushes that wait for them."""

import logging
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from soketpy.core.containment import contain
from soketpy.core.steps import Future, Soon

log = logging.getLogger("soketpy.redis")

SIZE = 4 * 1024**2
"""Bytes that all apps together may have in flight. Redis takes that much within some tens of milliseconds."""

SHARES = 8
"""One app may have an eighth of that in flight, or less if more than eight apps have something in flight."""

COMMAND = 256
"""Bytes that each command counts for besides its own: what this node and Redis store about the command."""


class InFlight:
    """Counts commands in flight, and delays flushes for them.

    While a node writes to a thousand sockets, new publications gather on both sides: in the sockets of its publishers
    and in the socket of Redis. If a node flushed one half while the other half is in flight, the two halves would
    alternate for ever, and each subscriber would be written to twice as often. A flush therefore waits for the commands
    that were sent before it, so for one round trip at most. Commands that are sent later do not extend the wait.
    """

    def __init__(self) -> None:
        self.sent = 0
        self.back = 0
        self._soon: Callable[..., object] = lambda flush: flush()
        self._held: deque[tuple[int, Callable[[], None]]] = deque()

    def flush_soon(self, soon: Callable[..., object]) -> Soon:
        """Return a function that calls a flush ``soon``, or when all earlier commands are no longer in flight."""
        self._soon = soon
        return partial(soon, self._flush)

    def _flush(self, flush: Callable[[], None]) -> None:
        if self.back < self.sent:
            self._held.append((self.sent, flush))
        else:
            flush()

    def returned(self) -> None:
        """Count one command as no longer in flight: Redis has replied, or the connection has ended. Never raises."""
        self.back += 1
        while self._held and self._held[0][0] <= self.back:
            flush = self._held.popleft()[1]
            try:
                self._soon(flush)  # not at once: more may follow in the bytes that were read from Redis
            except Exception as fault:
                contain(log, fault, "A flush could not be scheduled")


class Window:
    """Limits the bytes that each app has in flight, so that a flood of one app does not delay the others.

    A node sends the events of all apps over one connection (per partition), and its own heartbeat after them. An app
    that has filled its share waits until Redis has accepted some of it. No event is refused or lost.

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
        """Reserve room for a command of ``size`` bytes before it is sent. Return its weight, for ``release``."""
        weight = size + COMMAND
        self._in_flight[app_id] = self._in_flight.get(app_id, 0) + weight
        return weight

    def release(self, app_id: str, weight: int) -> None:
        """Release the room of a command that Redis has accepted, or that is lost. Resume operations that now have room.

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
