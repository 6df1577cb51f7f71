"""The state of a node, in the form in which a session writes it to Redis."""

from collections.abc import Iterable
from typing import Any, Protocol

from soketpy.core.ports import Transition
from soketpy.drivers.redis.writes import Entry, Write


class NodeState(Protocol):
    """The topics to subscribe to and the entries to write, whenever the node connects to Redis."""

    def topics(self) -> list[bytes]:
        """Return every topic that the node subscribes to."""

    def entries(self) -> list[Write]:
        """Return the writes of all entries of the node's ledger."""

    def write_again(self, entries: Iterable[Entry]) -> None:
        """Write the current counts of entries whose writes have failed. Never raises."""

    def reconnected(self, *, removals: bool) -> None:
        """Send the node's clients what they missed. With ``removals``, also notify them of members who left."""

    def disconnected(self) -> None:
        """Note that Redis is unavailable: the node works without Redis from now on."""

    def written(self, write: Write, answer: Any) -> None:
        """Report what a write has changed. Called with the answer of Redis, before other code uses that answer."""

    def report(self, transition: Transition, app_id: str, channel: str, user_id: str | None) -> None:
        """Report a transition that follows from the end of a session."""
