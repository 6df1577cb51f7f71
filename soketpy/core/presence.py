"""The members of one presence channel: distinct users, each with one or more connections."""

from collections.abc import Iterator
from dataclasses import dataclass

from soketpy.protocol import ids, messages


@dataclass(slots=True)
class Member:
    """One user on one presence channel. ``info`` is JSON text. The escaped forms are computed once for all messages."""

    user_id: str
    info: bytes
    escaped_id: bytes
    escaped_info: bytes
    connections: int = 0

    @classmethod
    def of(cls, user_id: str, info: bytes) -> "Member":
        """Return a member without connections."""
        return cls(user_id, info, messages.escape(ids.literal(user_id)), messages.escape(info) if info else b"")


class Members:
    """The members of one presence channel.

    1. A user is a member from the first to the last of their subscriptions. The user_info of the first one is valid
       until then.
    2. ``join`` and ``leave`` return the member for the first and last subscription only, so that each member_added and
       member_removed is sent once.
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
        """Add one connection of a user. Return the member if it is the first one, else None."""
        member = self._members.get(user_id)
        if member is not None:
            member.connections += 1
            return None
        member = self._members[user_id] = Member.of(user_id, info)
        member.connections = 1
        return member

    def leave(self, user_id: str) -> Member | None:
        """Remove one connection of a user. Return the member if it was the last one, else None."""
        member = self._members[user_id]
        member.connections -= 1
        if member.connections:
            return None
        return self._members.pop(user_id)

    def roster(self) -> bytes:
        """Return the escaped data of subscription_succeeded: the members and their number."""
        return messages.roster([(member.escaped_id, member.escaped_info) for member in self._members.values()])
