"""The ports of a cluster: what its nodes know together (the roster), tell each other (the bus), remember and limit.

``drivers/`` has one folder for each technology behind them; ``drivers/local`` is a cluster of one process.

``docs/design/roster.md`` has the words and the guarantees. In brief, of a roster:

1. Each edge is reported once, to one node: the first subscription of a channel and the last, a user's first
   connection on a presence channel and the last.
2. Whoever joins a presence channel gets a list, and is told exactly of the changes that are not in it: the verb that
   waits for ``join_as`` goes on between two of them.
3. Reading asks no other node.
"""

from collections.abc import Awaitable, Collection, Container, Generator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from soketpy.core.presence import Member, Members
from soketpy.core.steps import Soon
from soketpy.protocol.messages import Event


class Transition(StrEnum):
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


class Inbox(Protocol):
    """What a bus and a roster call on each node."""

    def deliver(self, app_id: str, channel: str, event: Event, exclude: str | None = None) -> None:
        """Send a message to this node's subscribers of a channel, but not to the socket ``exclude``."""

    def member_added(self, app_id: str, channel: str, member: Member) -> None:
        """Tell this node's subscribers of a presence channel that a member has come."""

    def member_removed(self, app_id: str, channel: str, member: Member) -> None:
        """Tell this node's subscribers of a presence channel that a member has gone."""

    def count_changed(self, app_id: str, channel: str, count: int) -> None:
        """Tell this node's subscribers of a channel how many they are in all."""

    def wants_counts(self, app_id: str) -> bool:
        """Whether the subscribers of the app's channels are to be told how many they are."""

    def end_user(self, app_id: str, user_id: str) -> None:
        """Close this node's connections of a user."""

    def notify_watchers(self, app_id: str, user_id: str, online: bool) -> None:
        """Tell this node's watchers of a user that the user came or went."""

    def report(self, transition: Transition, app_id: str, channel: str, user_id: str | None = None) -> None:
        """An edge, which no other node is told of in this way."""


class Roster(Protocol):
    """Who is subscribed, who is a member, and who is signed in, anywhere in the cluster.

    What may wait is a coroutine for ``steps``. Reading raises Unavailable where nobody can say; the others go on with
    what this node knows. The readings of a call share a bound: ``since``, by ``time.monotonic``, is when they began.
    """

    def attach(self, node: Inbox) -> None:
        """Tell a node from now on; called once, before anything else."""

    async def connect(self, app_id: str, on_this_node: int, limit: int | None) -> bool:
        """Count one connection of an app that has ``on_this_node``; return False, uncounted, above ``limit``."""

    def disconnect(self, app_id: str) -> None:
        """Count one connection less."""

    def limit(self, app_id: str, on_this_node: int, limit: int | None) -> None:
        """Take over the limit of an app that has ``on_this_node`` connections, which may not have been counted."""

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

    def send_count(self, app_id: str, channel: str) -> None:
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


Receipt = Awaitable[None]
"""The confirmation that every node gets a publication. Awaiting it raises Unavailable if that is not certain.

It can be awaited once. An operation that needs no confirmation drops it.
"""


class Receipts:
    """Several receipts as one."""

    __slots__ = ("_receipts",)

    def __init__(self, receipts: Sequence[Receipt]) -> None:
        self._receipts = receipts

    def __await__(self) -> Generator[Any, Any, None]:
        for receipt in reversed(self._receipts):  # once the last one is confirmed, most of the others are
            yield from receipt.__await__()


class Bus(Protocol):
    """Carries events to every node, this one included, in one order per app and channel.

    ``publish``, ``publish_cached`` and ``terminate`` raise Unavailable if they cannot send anything. They return a
    receipt, which need not be awaited, or None if every node already has the event.
    """

    @property
    def full(self) -> Container[str]:
        """The apps that have as much in flight to other nodes as they may have: wait for ``room`` before publishing."""

    @property
    def away(self) -> Collection[object]:
        """The parts of the bus that are disconnected. If there are any, call ``check`` before publishing."""

    def attach(self, node: Inbox) -> None:
        """Tell a node from now on; called once, before anything else."""

    def check(self, app_id: str, channels: Sequence[str]) -> None:
        """Raise Unavailable if one of these channels cannot be published on now."""

    async def room(self, app_id: str) -> None:
        """Wait until the app may publish."""

    def publish(self, app_id: str, channel: str, event: Event, exclude: str | None = None) -> Receipt | None:
        """Have every node deliver an event."""

    def publish_cached(self, app_id: str, channel: str, event: Event, exclude: str | None = None) -> Receipt | None:
        """Have every node deliver an event and the cache remember it, as one step."""

    def terminate(self, app_id: str, user_id: str) -> Receipt | None:
        """Have every node close the connections of a user."""


@dataclass(frozen=True, slots=True)
class CachedEvent:
    """An event as it was triggered: its name, the JSON text of its data, and when it is forgotten."""

    name: str
    data: bytes
    expires: float


class Cache(Protocol):
    """Remembers one event per cache channel, for a time."""

    async def get(self, app_id: str, channel: str) -> CachedEvent | None:
        """The event that is remembered, or None; for ``steps``, as a roster's verbs."""

    def ttl(self, event: CachedEvent) -> int:
        """Whole seconds for which the event will still be remembered."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a rate limit said to one call; ``limit`` and ``remaining`` are points, ``retry_after`` is seconds."""

    allowed: bool
    limit: int
    remaining: int
    retry_after: float


class RateLimiter(Protocol):
    """How often apps may call. A call that is refused costs nothing."""

    async def take(self, app_id: str, what: str, cost: int, limit: int) -> Allowance:
        """Let ``app_id`` do ``what`` for ``cost`` points, of which it has ``limit`` a second; for ``steps``."""


class Cluster(Protocol):
    """What joins a node to others, or lets it be on its own: the ports behind which that makes a difference."""

    bus: Bus
    roster: Roster
    cache: Cache
    limiter: RateLimiter

    def flush_soon(self, soon: Soon) -> Soon:
        """What calls a hub's flushes ``soon``, or somewhat later if more is about to come."""

    @property
    def connected(self) -> bool:
        """Whether the other nodes can be reached."""

    @property
    def links(self) -> tuple[int, int]:
        """The number of connections to the other nodes that work now, and of those that there should be."""

    async def start(self) -> None:
        """Join the others. Raises Unreachable where they cannot be reached in time; to be stopped in any case."""

    async def stop(self) -> None:
        """Leave, with nothing left behind."""
