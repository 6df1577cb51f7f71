"""What this node has published or written, and what has not come back yet: what goes out meanwhile goes out with it."""

import logging
from collections import deque
from collections.abc import Callable

from soketpy.core.containment import contain
from soketpy.core.steps import Soon

log = logging.getLogger("soketpy.redis")


class InFlight:
    """Counts what is on its way to Redis and back, and holds flushes back for it.

    While a node writes to a thousand sockets, publications gather on both sides: in the sockets of its publishers, and
    in that of Redis. Were one half flushed while the other is on its way, the two halves would take turns for ever,
    and each subscriber would be written to twice as often. A flush waits for what was sent before it, and so for one
    round trip at most; what is sent later does not make it wait longer.
    """

    def __init__(self) -> None:
        self.sent = 0
        self.back = 0
        self._soon: Soon = lambda flush: flush()
        self._held: deque[tuple[int, Callable[[], None]]] = deque()

    def flush_soon(self, soon: Soon) -> Soon:
        """What calls a flush in the next iteration of the event loop, or when all is back that was sent before."""
        self._soon = soon
        return lambda flush: soon(lambda: self._flush(flush))

    def _flush(self, flush: Callable[[], None]) -> None:
        if self.back < self.sent:
            self._held.append((self.sent, flush))
        else:
            flush()

    def came(self) -> None:
        """One more is back, or lost. Never raises."""
        self.back += 1
        while self._held and self._held[0][0] <= self.back:
            flush = self._held.popleft()[1]
            try:
                self._soon(flush)  # not now: there may be more in what was read from Redis
            except Exception as fault:
                contain(log, fault, "A flush could not be scheduled")
