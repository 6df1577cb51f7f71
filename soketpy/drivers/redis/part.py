"""The interface that a session needs of the roster whose writes it sends."""

from collections.abc import Iterable
from typing import Any, Protocol

from soketpy.core.ports import Transition
from soketpy.drivers.redis.writes import Leaf, Write


class Part(Protocol):
    """What a node has to say and hear again when it comes back."""

    def topics(self) -> list[bytes]:
        """Every topic that is to be heard."""

    def leaves(self) -> list[Write]:
        """Every write that says what this node has."""

    def write_again(self, leaves: Iterable[Leaf]) -> None:
        """Write what this node has of some leaves, whose writes have failed. Never raises."""

    def came_back(self, *, removals: bool) -> None:
        """The node is here again: tell its clients what they have missed; of those who went only with ``removals``."""

    def gone(self) -> None:
        """The node is on its own from now on."""

    def written(self, write: Write, answer: Any) -> None:
        """Redis has done a write; what it answered has not been acted on."""

    def report(self, transition: Transition, app_id: str, channel: str, user_id: str | None) -> None:
        """An edge that a life left behind."""
