"""What nodes know together (the roster) and tell each other (the bus); here, for a cluster of one.

``docs/design/roster.md`` has the words and the guarantees. In brief, of a roster:

1. Each edge is reported once, to one node: the first subscription of a channel and the last, a user's first
   connection on a presence channel and the last.
2. Whoever joins a presence channel gets a list, and is told exactly of the changes that are not in it: the verb that
   waits for ``join_as`` goes on between two of them.
3. Reading asks no other node.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Protocol

from soketpy.cache import Cache, LocalCache
from soketpy.limits import LocalRateLimiter, RateLimiter
from soketpy.presence import Member, Members
from soketpy.protocol.messages import Message
from soketpy.steps import Soon


class Edge(StrEnum):
    """A transition of what a cluster knows; named as Pusher's webhooks name it."""

    OCCUPIED = "channel_occupied"
    VACATED = "channel_vacated"
    ADDED = "member_added"
    REMOVED = "member_removed"


class ChannelFull(Exception):
    """A presence channel has as many members as it may have."""


class Unavailable(Exception):
    """What the nodes share cannot be reached now."""


class TooSlow(Unavailable):
    """A reading that takes longer than it may; the text says what to do, for the publisher to read."""


class Unreachable(Exception):
    """What the nodes share could not be reached at the start; the text says what, for people to read."""


class Node(Protocol):
    """What a bus and a roster call on each node."""

    def deliver(self, app_id: str, channel: str, message: Message, exclude: str | None = None) -> None:
        """Send a message to this node's subscribers of a channel, but not to the socket ``exclude``."""

    def member_added(self, app_id: str, channel: str, member: Member) -> None:
        """Tell this node's subscribers of a presence channel that a member has come."""

    def member_removed(self, app_id: str, channel: str, member: Member) -> None:
        """Tell this node's subscribers of a presence channel that a member has gone."""

    def count_told(self, app_id: str, channel: str, count: int) -> None:
        """Tell this node's subscribers of a channel how many they are in all."""

    def tells_counts(self, app_id: str) -> bool:
        """Whether the subscribers of the app's channels are to be told how many they are."""

    def end_user(self, app_id: str, user_id: str) -> None:
        """Close this node's connections of a user."""

    def tell_watchers(self, app_id: str, user_id: str, online: bool) -> None:
        """Tell this node's watchers of a user that the user came or went."""

    def report(self, edge: Edge, app_id: str, channel: str, user_id: str | None = None) -> None:
        """An edge, which no other node is told of in this way."""


class Roster(Protocol):
    """Who is subscribed, who is a member, and who is signed in, anywhere in the cluster.

    What may wait is a coroutine for ``steps``. Reading raises Unavailable where nobody can say; the others go on with
    what this node knows. The readings of a call share a bound: ``since``, by ``time.monotonic``, is when they began.
    """

    def attach(self, node: Node) -> None:
        """Tell a node from now on; called once, before anything else."""

    async def connect(self, app_id: str, here: int, limit: int | None) -> bool:
        """Count one connection of an app, which has ``here`` on this node; False, and not counted, above ``limit``."""

    def disconnect(self, app_id: str) -> None:
        """Count one connection less."""

    def limit(self, app_id: str, here: int, limit: int | None) -> None:
        """Take over the limit of an app that has ``here`` connections on this node, which may not have been counted."""

    async def join(self, app_id: str, channel: str) -> int:
        """Count one subscription, which hears the channel from now on; how many there are then."""

    async def leave(self, app_id: str, channel: str) -> int:
        """Take away one subscription; how many are left."""

    async def join_as(self, app_id: str, channel: str, user_id: str, info: bytes, limit: int) -> Members:
        """Count one subscription of a presence channel; who is there, not to be changed.

        Raises ChannelFull for a member above ``limit``.
        """

    async def leave_as(self, app_id: str, channel: str, user_id: str) -> None:
        """Take away one subscription of a presence channel."""

    def tell_count(self, app_id: str, channel: str) -> None:
        """Have every node tell the channel's subscribers how many they are."""

    async def counts(self, app_id: str, channels: Sequence[str], since: float | None = None) -> list[int]:
        """How many connections are subscribed to each."""

    async def member_counts(self, app_id: str, channels: Sequence[str], since: float | None = None) -> list[int]:
        """How many members each has."""

    async def members(self, app_id: str, channel: str) -> Members:
        """The members of a presence channel; not to be changed."""

    async def channels(self, app_id: str, prefix: str, since: float | None = None) -> Mapping[str, int]:
        """The occupied channels whose names start with ``prefix``, each with its count."""

    async def sign_in(self, app_id: str, user_id: str, watchlist: Sequence[str]) -> set[str]:
        """Count one connection of a user, which hears of the watched; who of them is signed in anywhere."""

    async def sign_out(self, app_id: str, user_id: str, watchlist: Sequence[str]) -> None:
        """Undo ``sign_in``."""


class Bus(Protocol):
    """Carries to every node, this one included, what all must do. Keeps one order per app and channel."""

    def attach(self, node: Node) -> None:
        """Tell a node from now on; called once, before anything else."""

    def check(self, app_id: str, channels: Sequence[str]) -> None:
        """Begin a call, for which alone ``sent`` waits. Raise Unavailable if one of these cannot be published on."""

    def full(self, app_id: str) -> bool:
        """Return whether the app has as much on its way to other nodes as it may have: then wait for ``room``."""

    async def room(self, app_id: str) -> None:
        """Wait until the app may publish."""

    def publish(self, app_id: str, channel: str, message: Message, exclude: str | None = None) -> None:
        """Have every node deliver a message. Raises Unavailable where ``check`` would."""

    def publish_cached(
        self, app_id: str, channel: str, message: Message, exclude: str | None, name: str, data: bytes
    ) -> None:
        """Have every node deliver a message, and the cache remember the event that it carries, as one step."""

    def terminate(self, app_id: str, user_id: str) -> None:
        """Have every node close the connections of a user."""

    async def sent(self) -> None:
        """Wait until all that was published before is on its way to every node. Raises Unavailable if it is not."""


class Cluster(Protocol):
    """What joins a node to others, or lets it be on its own: the ports behind which that makes a difference."""

    bus: Bus
    roster: Roster
    cache: Cache
    limiter: RateLimiter

    def flush_soon(self, soon: Soon) -> Soon:
        """What calls a hub's flushes ``soon``, or somewhat later if more is about to come."""

    @property
    def here(self) -> bool:
        """Whether the other nodes can be reached."""

    @property
    def links(self) -> tuple[int, int]:
        """The number of connections to the other nodes that work now, and of those that there should be."""

    async def start(self) -> None:
        """Join the others. Raises Unreachable where they cannot be reached in time; to be stopped in any case."""

    async def stop(self) -> None:
        """Leave, with nothing left behind."""


class LocalBus:
    """The bus of a cluster of one: hands everything straight to the node."""

    def __init__(self, cache: LocalCache) -> None:
        self._cache = cache

    def attach(self, node: Node) -> None:
        """Tell a node from now on."""
        self.publish = node.deliver
        self.terminate = node.end_user

    def check(self, app_id: str, channels: Sequence[str]) -> None:
        """They can."""

    def full(self, app_id: str) -> bool:
        """Return False: nothing is ever on its way."""
        return False

    async def room(self, app_id: str) -> None:
        """Wait for nothing: there is always room."""

    def publish_cached(
        self, app_id: str, channel: str, message: Message, exclude: str | None, name: str, data: bytes
    ) -> None:
        """Deliver a message, and remember the event that it carries."""
        self._cache.put(app_id, channel, name, data)
        self.publish(app_id, channel, message, exclude)

    async def sent(self) -> None:
        """It is."""


_NOBODY = Members()


class LocalRoster:
    """The roster of a cluster of one: what this process knows."""

    def __init__(self) -> None:
        self._counts: dict[str, dict[str, int]] = {}
        self._members: dict[tuple[str, str], Members] = {}
        self._users: dict[tuple[str, str], int] = {}

    def attach(self, node: Node) -> None:
        """Tell a node from now on."""
        self._node = node

    async def connect(self, app_id: str, here: int, limit: int | None) -> bool:
        """Whether an app that has ``here`` connections may have one more."""
        return limit is None or here < limit

    def disconnect(self, app_id: str) -> None:
        """The node itself knows how many there are."""

    def limit(self, app_id: str, here: int, limit: int | None) -> None:
        """Do nothing: each connection is checked against the limit of its app."""

    async def join(self, app_id: str, channel: str) -> int:
        """Count one subscription; how many there are then."""
        return self._join(app_id, channel)

    def _join(self, app_id: str, channel: str) -> int:
        counts = self._counts.setdefault(app_id, {})
        count = counts[channel] = counts.get(channel, 0) + 1
        if count == 1:
            self._node.report(Edge.OCCUPIED, app_id, channel)
        return count

    async def leave(self, app_id: str, channel: str) -> int:
        """Take away one subscription; how many are left."""
        return self._leave(app_id, channel)

    def _leave(self, app_id: str, channel: str) -> int:
        counts = self._counts[app_id]
        count = counts[channel] - 1
        if count:
            counts[channel] = count
        else:
            del counts[channel]
            self._node.report(Edge.VACATED, app_id, channel)
        return count

    async def join_as(self, app_id: str, channel: str, user_id: str, info: bytes, limit: int) -> Members:
        """Count one subscription of a presence channel. Raises ChannelFull for a member above ``limit``."""
        members = self._members.get((app_id, channel), _NOBODY)
        if user_id not in members and len(members) >= limit:
            raise ChannelFull
        if members is _NOBODY:
            members = Members()
        added = members.join(user_id, info)
        self._members[app_id, channel] = members
        self._join(app_id, channel)
        if added is not None:
            self._node.member_added(app_id, channel, added)
            self._node.report(Edge.ADDED, app_id, channel, user_id)
        return members

    async def leave_as(self, app_id: str, channel: str, user_id: str) -> None:
        """Take away one subscription of a presence channel."""
        members = self._members[app_id, channel]
        try:
            removed = members.leave(user_id)
            if not members:
                del self._members[app_id, channel]
            if removed is not None:
                self._node.member_removed(app_id, channel, removed)
                self._node.report(Edge.REMOVED, app_id, channel, user_id)
        finally:
            self._leave(app_id, channel)

    def tell_count(self, app_id: str, channel: str) -> None:
        """Have the channel's subscribers told how many they are."""
        self._node.count_told(app_id, channel, self._count(app_id, channel))

    def _count(self, app_id: str, channel: str) -> int:
        return self._counts.get(app_id, {}).get(channel, 0)

    async def counts(self, app_id: str, channels: Sequence[str], since: float | None = None) -> list[int]:
        """How many connections are subscribed to each."""
        return [self._count(app_id, channel) for channel in channels]

    async def member_counts(self, app_id: str, channels: Sequence[str], since: float | None = None) -> list[int]:
        """How many members each has."""
        return [len(self._members.get((app_id, channel), _NOBODY)) for channel in channels]

    async def members(self, app_id: str, channel: str) -> Members:
        """The members of a presence channel; not to be changed."""
        return self._members.get((app_id, channel), _NOBODY)

    async def channels(self, app_id: str, prefix: str, since: float | None = None) -> Mapping[str, int]:
        """The occupied channels whose names start with ``prefix``, each with its count."""
        counts = self._counts.get(app_id, {})
        return {channel: count for channel, count in counts.items() if channel.startswith(prefix)}

    async def sign_in(self, app_id: str, user_id: str, watchlist: Sequence[str]) -> set[str]:
        """Count one connection of a user; who of the watched is signed in."""
        count = self._users[app_id, user_id] = self._users.get((app_id, user_id), 0) + 1
        if count == 1:
            self._node.tell_watchers(app_id, user_id, True)
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
            self._node.tell_watchers(app_id, user_id, False)


class LocalCluster:
    """A cluster of one."""

    here = True
    links = (0, 0)

    def __init__(self, clock: Callable[[], float], *, cache_ttl: float = 1800, cached_events: int = 100_000) -> None:
        cache = LocalCache(cache_ttl, cached_events, clock)
        self.bus: Bus = LocalBus(cache)
        self.roster: Roster = LocalRoster()
        self.cache: Cache = cache
        self.limiter: RateLimiter = LocalRateLimiter(clock)

    def flush_soon(self, soon: Soon) -> Soon:
        """``soon``: what comes at all is there at once."""
        return soon

    async def start(self) -> None:
        """There is nobody to join."""

    async def stop(self) -> None:
        """There is nobody to leave."""
