"""The lease of a node: when the node renews it, and when the node may declare others dead.

The other nodes notice a dead node within a lease and a third of it. The lease of the dead node ends at most one lease
after its last renewal. Every other node asks which leases have ended when it renews its own, three times in each lease.
"""

import time
from collections.abc import Callable


class Lease:
    """The times of one node's lease, by a clock in seconds.

    A node declares no other node dead before it has renewed its own lease for a whole lease without a gap: when Redis
    continues after a pause, all leases have ended, and the living nodes must first renew theirs.
    """

    def __init__(self, length: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.length = length
        self.milliseconds = round(1000 * length)
        self.clock = clock
        self._looked_at = self._due_at = self._steady_since = 0.0
        self._was_suspended = False

    def begin(self) -> None:
        """Note that the lease has just begun, or was renewed after a disconnection."""
        self._looked_at = self._steady_since = self.clock()
        self._due_at = self._looked_at + self.length / 3
        self._was_suspended = False

    def pause(self, most: float) -> float:
        """Return the seconds until the next look: until the renewal is due, but at most ``most``."""
        return most if self._was_suspended else max(0.0, min(most, self._due_at - self.clock()))

    def look(self, patience: float) -> bool:
        """Return whether this node was not suspended: its last look was at most ``patience`` seconds ago.

        A node that was suspended has not read yet what Redis sent, so it cannot conclude that Redis is silent.
        """
        before, self._looked_at = self._looked_at, self.clock()
        self._was_suspended = self._looked_at - before > patience
        return not self._was_suspended

    def due(self) -> bool:
        """Return whether to renew the lease now. The next renewal is then due in a third of the lease."""
        now, interval = self._looked_at, self.length / 3
        if now < self._due_at:
            return False
        if now > self._due_at + interval:
            self._steady_since = now  # this node, or Redis, was suspended
        self._due_at = now + interval
        return True

    def may_declare_dead(self) -> bool:
        """Return whether this node has renewed its lease for long enough to declare other nodes dead."""
        return self._looked_at - self._steady_since >= self.length
