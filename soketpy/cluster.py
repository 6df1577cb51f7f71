"""What nodes know together (the roster) and tell each other (the bus); here, for a cluster of one.

Invariants of a roster:

1. Each transition is reported once, to the call that made it: the first subscription of a channel and the last, a
   user's first connection on a presence channel and the last, a user's first sign-in and the last sign-out.
2. Counts are state: reading them asks nobody else.
"""

from collections.abc import Iterable, Iterator
from typing import Protocol

import msgspec

from soketpy.presence import Member, Members
from soketpy.protocol.messages import Message


class Joined(msgspec.Struct, frozen=True):
    """What a subscription changed. ``added`` is the member whom it made, if it made one."""

    occupied: bool
    added: Member | None = None


class Left(msgspec.Struct, frozen=True):
    """What the end of a subscription changed. ``removed`` is the member whose last connection it was, if it was."""

    vacated: bool
    removed: Member | None = None


class ChannelFull(Exception):
    """A presence channel has as many members as it may have."""


class Roster(Protocol):
    """Who is subscribed, who is a member, and who is signed in, anywhere in the cluster."""

    def join(self, app_id: str, channel: str) -> Joined:
        """Count one subscription."""

    def leave(self, app_id: str, channel: str) -> Left:
        """Take away one subscription."""

    def join_as(self, app_id: str, channel: str, user_id: str, info: bytes, limit: int) -> Joined:
        """Count one subscription of a presence channel. Raises ChannelFull for a member above ``limit``."""

    def leave_as(self, app_id: str, channel: str, user_id: str) -> Left:
        """Take away one subscription of a presence channel."""

    def count(self, app_id: str, channel: str) -> int:
        """How many connections are subscribed."""

    def members(self, app_id: str, channel: str) -> Members:
        """The members of a presence channel; not to be changed."""

    def channels(self, app_id: str, prefix: str) -> Iterator[tuple[str, int]]:
        """The occupied channels whose names start with ``prefix``, each with its count."""

    def sign_in(self, app_id: str, user_id: str) -> bool:
        """Count one connection of a user; say whether it is their first."""

    def sign_out(self, app_id: str, user_id: str) -> bool:
        """Take away one connection of a user; say whether it was their last."""

    def online(self, app_id: str, user_ids: Iterable[str]) -> set[str]:
        """Those of the users who are signed in on at least one connection."""


class Node(Protocol):
    """What a bus calls on each node."""

    def deliver(self, app_id: str, channel: str, message: Message, exclude: str | None = None) -> None:
        """Send a message to this node's subscribers of a channel, but not to the socket ``exclude``."""

    def end_user(self, app_id: str, user_id: str) -> None:
        """Close this node's connections of a user."""

    def tell_watchers(self, app_id: str, user_id: str, online: bool) -> None:
        """Tell this node's watchers of a user that the user came or went."""


class Bus(Protocol):
    """Carries to every node, this one included, what all must do. Keeps the order per app and channel."""

    def publish(self, app_id: str, channel: str, message: Message, exclude: str | None = None) -> None:
        """Have every node deliver a message."""

    def terminate(self, app_id: str, user_id: str) -> None:
        """Have every node close the connections of a user."""

    def announce(self, app_id: str, user_id: str, online: bool) -> None:
        """Have every node tell the watchers of a user that the user came or went."""


class LocalBus:
    """The bus of a cluster of one: hands everything straight to the node."""

    def __init__(self, node: Node) -> None:
        self.publish = node.deliver
        self.terminate = node.end_user
        self.announce = node.tell_watchers


_NOBODY = Members()


class LocalRoster:
    """The roster of a cluster of one: what this process knows."""

    def __init__(self) -> None:
        self._counts: dict[str, dict[str, int]] = {}
        self._members: dict[tuple[str, str], Members] = {}
        self._users: dict[tuple[str, str], int] = {}

    def join(self, app_id: str, channel: str) -> Joined:
        """Count one subscription."""
        counts = self._counts.setdefault(app_id, {})
        before = counts.get(channel, 0)
        counts[channel] = before + 1
        return Joined(occupied=not before)

    def leave(self, app_id: str, channel: str) -> Left:
        """Take away one subscription."""
        counts = self._counts[app_id]
        after = counts[channel] - 1
        if after:
            counts[channel] = after
        else:
            del counts[channel]
        return Left(vacated=not after)

    def join_as(self, app_id: str, channel: str, user_id: str, info: bytes, limit: int) -> Joined:
        """Count one subscription of a presence channel. Raises ChannelFull for a member above ``limit``."""
        members = self._members.get((app_id, channel), _NOBODY)
        if user_id not in members and len(members) >= limit:
            raise ChannelFull
        if members is _NOBODY:
            members = self._members[app_id, channel] = Members()
        added = members.join(user_id, info)
        return Joined(self.join(app_id, channel).occupied, added)

    def leave_as(self, app_id: str, channel: str, user_id: str) -> Left:
        """Take away one subscription of a presence channel."""
        members = self._members[app_id, channel]
        removed = members.leave(user_id)
        if not members:
            del self._members[app_id, channel]
        return Left(self.leave(app_id, channel).vacated, removed)

    def count(self, app_id: str, channel: str) -> int:
        """How many connections are subscribed."""
        return self._counts.get(app_id, {}).get(channel, 0)

    def members(self, app_id: str, channel: str) -> Members:
        """The members of a presence channel; not to be changed."""
        return self._members.get((app_id, channel), _NOBODY)

    def channels(self, app_id: str, prefix: str) -> Iterator[tuple[str, int]]:
        """The occupied channels whose names start with ``prefix``, each with its count."""
        return (pair for pair in self._counts.get(app_id, {}).items() if pair[0].startswith(prefix))

    def sign_in(self, app_id: str, user_id: str) -> bool:
        """Count one connection of a user; say whether it is their first."""
        before = self._users.get((app_id, user_id), 0)
        self._users[app_id, user_id] = before + 1
        return not before

    def sign_out(self, app_id: str, user_id: str) -> bool:
        """Take away one connection of a user; say whether it was their last."""
        after = self._users[app_id, user_id] - 1
        if after:
            self._users[app_id, user_id] = after
            return False
        del self._users[app_id, user_id]
        return True

    def online(self, app_id: str, user_ids: Iterable[str]) -> set[str]:
        """Those of the users who are signed in on at least one connection."""
        return {user_id for user_id in user_ids if (app_id, user_id) in self._users}
