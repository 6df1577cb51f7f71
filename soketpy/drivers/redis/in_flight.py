"""Publications and writes in flight to Redis, and the flushes that wait for them."""

import logging
from collections import deque
from collections.abc import Callable
from functools import partial

from soketpy.core.containment import contain
from soketpy.core.steps import Soon

log = logging.getLogger("soketpy.redis")


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
