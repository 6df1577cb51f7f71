"""The roster of a cluster of one."""

from collections.abc import Iterable, Mapping, Sequence

from soketpy.core.ports import ChannelFull, Inbox, Transition
from soketpy.core.presence import Members
from soketpy.drivers.local.transitions import Transitions
from soketpy.protocol.event_types import EventType

_NOBODY = Members()


class LocalRoster:
    """The subscriptions, members and signed-in users of this process. ``transitions`` reports changes to webhooks."""

    def __init__(self, transitions: Transitions | None = None) -> None:
        self._transitions = transitions
        self._counts: dict[str, dict[str, int]] = {}
        self._members: dict[tuple[str, str], Members] = {}
        self._users: dict[tuple[str, str], int] = {}

    def attach(self, inbox: Inbox) -> None:
        """Call this node from now on."""
        self._inbox = inbox

    async def connect(self, app_id: str, on_this_node: int, limit: int | None) -> bool:
        """Return whether an app that has ``on_this_node`` connections may have one more."""
        return limit is None or on_this_node < limit

    def disconnect(self, app_id: str) -> None:
        """Do nothing: the node itself counts its connections."""

    def limit(self, app_id: str, on_this_node: int, limit: int | None) -> None:
        """Do nothing: each connection is checked against the limit of its app."""

    async def join(self, app_id: str, channel: str) -> int:
        """Add one subscription. Return the number of subscriptions."""
        count = self._join(app_id, channel)
        if self._transitions is not None:
            self._transitions.counted(app_id, channel, count)
        return count

    def _join(self, app_id: str, channel: str) -> int:
        counts = self._counts.get(app_id)
        if counts is None:  # not setdefault, which would create a dict in each call
            counts = self._counts[app_id] = {}
        count = counts[channel] = counts.get(channel, 0) + 1
        if count == 1:
            self._inbox.report(Transition.OCCUPIED, app_id, channel)
            if self._transitions is not None:
                self._transitions.turned(EventType.CHANNEL_OCCUPIED, True, app_id, channel)
        return count

    async def leave(self, app_id: str, channel: str) -> int:
        """Remove one subscription. Return the number of those left."""
        count = self._leave(app_id, channel)
        if self._transitions is not None:
            self._transitions.counted(app_id, channel, count)
        return count

    def _leave(self, app_id: str, channel: str) -> int:
        counts = self._counts[app_id]
        count = counts[channel] - 1
        if count:
            counts[channel] = count
        else:
            del counts[channel]
            self._inbox.report(Transition.VACATED, app_id, channel)
            if self._transitions is not None:
                self._transitions.turned(EventType.CHANNEL_OCCUPIED, False, app_id, channel)
        return count

    async def join_as(self, app_id: str, channel: str, user_id: str, info: bytes, limit: int) -> Members:
        """Add one subscription of a presence channel. Return its members. Raise ChannelFull above ``limit`` members."""
        members = self._members.get((app_id, channel), _NOBODY)
        if user_id not in members and len(members) >= limit:
            raise ChannelFull
        if members is _NOBODY:
            members = Members()
        added = members.join(user_id, info)
        self._members[app_id, channel] = members
        self._join(app_id, channel)
        if added is not None:
            self._inbox.member_added(app_id, channel, added)
            self._inbox.report(Transition.ADDED, app_id, channel, user_id)
            if self._transitions is not None:
                self._transitions.turned(EventType.MEMBER_ADDED, True, app_id, channel, str(user_id))
        return members

    async def leave_as(self, app_id: str, channel: str, user_id: str) -> None:
        """Remove one subscription of a presence channel."""
        members = self._members[app_id, channel]
        try:
            removed = members.leave(user_id)
            if not members:
                del self._members[app_id, channel]
            if removed is not None:
                self._inbox.member_removed(app_id, channel, removed)
                self._inbox.report(Transition.REMOVED, app_id, channel, user_id)
                if self._transitions is not None:
                    self._transitions.turned(EventType.MEMBER_ADDED, False, app_id, channel, str(user_id))
        finally:
            self._leave(app_id, channel)

    def send_count(self, app_id: str, channel: str) -> None:
        """Send the number of subscribers to the subscribers."""
        self._inbox.count_changed(app_id, channel, self._count(app_id, channel))

    def _count(self, app_id: str, channel: str) -> int:
        return self._counts.get(app_id, {}).get(channel, 0)

    async def counts(self, app_id: str, channels: Sequence[str], since: float | None = None) -> list[int]:
        """Return the number of subscriptions of each channel."""
        return [self._count(app_id, channel) for channel in channels]

    async def member_counts(self, app_id: str, channels: Sequence[str], since: float | None = None) -> list[int]:
        """Return the number of members of each channel."""
        return [len(self._members.get((app_id, channel), _NOBODY)) for channel in channels]

    async def members(self, app_id: str, channel: str) -> Members:
        """Return the members of a presence channel; do not change them."""
        return self._members.get((app_id, channel), _NOBODY)

    async def channels(self, app_id: str, prefix: str, since: float | None = None) -> Mapping[str, int]:
        """Return the occupied channels whose names start with ``prefix``, with their counts."""
        counts = self._counts.get(app_id, {})
        return {channel: count for channel, count in counts.items() if channel.startswith(prefix)}

    async def sign_in(self, app_id: str, user_id: str, watchlist: Sequence[str]) -> set[str]:
        """Count one signed-in connection of a user. Return who of the watchlist is online."""
        count = self._users[app_id, user_id] = self._users.get((app_id, user_id), 0) + 1
        if count == 1:
            self._inbox.notify_watchers(app_id, user_id, True)
            if self._transitions is not None:
                self._transitions.turned(EventType.USER_ONLINE, True, app_id, user_id=str(user_id))
        return self._online(app_id, watchlist)

    def _online(self, app_id: str, user_ids: Iterable[str]) -> set[str]:
        return {user_id for user_id in user_ids if (app_id, user_id) in self._users}

    async def sign_out(self, app_id: str, user_id: str, watchlist: Sequence[str]) -> None:
        """Undo ``sign_in``."""
        count = self._users[app_id, user_id] - 1
        if count:
            self._users[app_id, user_id] = count
        else:
            del self._users[app_id, user_id]
            self._inbox.notify_watchers(app_id, user_id, False)
            if self._transitions is not None:
                self._transitions.turned(EventType.USER_ONLINE, False, app_id, user_id=str(user_id))
