"""The members of one presence channel: distinct users, each with one or more connections."""

from collections.abc import Iterator
from dataclasses import dataclass

from soketpy.protocol import ids, messages


@dataclass(slots=True)
class Member:
    """One user on one presence channel. ``info`` is JSON text; the escaped forms are made once, for all rosters."""

    user_id: str
    info: bytes
    escaped_id: bytes
    escaped_info: bytes
    connections: int = 0

    @classmethod
    def of(cls, user_id: str, info: bytes) -> "Member":
        """A member who has no connection yet."""
        return cls(user_id, info, messages.escape(ids.literal(user_id)), messages.escape(info) if info else b"")


class Members:
    """Who is on one presence channel.

    1. A user is a member from their first connection on the channel to their last; what they told of themselves at
       the first (user_info) stays until then.
    2. Each join and leave says whether it was that first or last one, so that each transition is told once.
    """

    __slots__ = ("_members",)

    def __init__(self) -> None:
        self._members: dict[str, Member] = {}

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, user_id: str) -> bool:
        return user_id in self._members

    def __iter__(self) -> Iterator[Member]:
        return iter(self._members.values())

    def join(self, user_id: str, info: bytes) -> Member | None:
        """Count one connection of a user; return the member if this made them one."""
        member = self._members.get(user_id)
        if member is not None:
            member.connections += 1
            return None
        member = self._members[user_id] = Member.of(user_id, info)
        member.connections = 1
        return member

    def leave(self, user_id: str) -> Member | None:
        """Take away one connection of a user; return the member if that was their last."""
        member = self._members[user_id]
        member.connections -= 1
        if member.connections:
            return None
        return self._members.pop(user_id)

    def roster(self) -> bytes:
        """The data, escaped, with which a joiner is greeted."""
        return messages.roster([(member.escaped_id, member.escaped_info) for member in self._members.values()])
