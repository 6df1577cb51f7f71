"""The ports of a cluster: what its nodes share (roster, cache, rate limits), and what they send each other (bus).

``drivers/`` has one folder for each technology behind the ports; ``drivers/local`` is a cluster of one process.

``docs/design/roster.md`` defines the words and the guarantees. Those of a roster in brief:

1. Each transition is reported once, to one node: the first and the last subscription of a channel, a user's first and
   last connection on a presence channel.
2. A joiner of a presence channel gets a list, and then exactly the changes that are not in the list: the operation that
   awaits ``join_as`` resumes between two changes.
3. Reading asks no other node.
"""

from collections.abc import Awaitable, Callable, Collection, Container, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from soketpy.core.histograms import Histogram
from soketpy.core.history import HistoryRule, LogCounts, Page, Position, Query, RulesOf
from soketpy.core.idempotency import Once
from soketpy.core.presence import Member, Members
from soketpy.core.steps import Soon
from soketpy.core.tabs import Tabs
from soketpy.protocol.messages import Event
from soketpy.protocol.webhooks import WebhookEvent


class EventLog(Protocol):
    """Takes the events of this node for webhooks."""

    def append(self, event: WebhookEvent) -> None:
        """Take an event that at least one webhook of its app wants. Never blocks and never raises."""


class Transition(StrEnum):
    """A change that is reported once in a cluster. The names are those of Pusher's webhooks."""

    OCCUPIED = "channel_occupied"
    VACATED = "channel_vacated"
    ADDED = "member_added"
    REMOVED = "member_removed"


class ChannelFull(Exception):
    """A presence channel has reached its limit of members."""


class Unavailable(Exception):
    """The data that the nodes share cannot be reached now."""


class NotStored(Unavailable):
    """An event of a channel with history could not be stored, and it was sent to nobody. The text is for publishers."""


class PartlySent(Unavailable):
    """Some events of a call could not be stored or sent, and others were sent. The text is for publishers."""

    def __init__(self) -> None:
        super().__init__("Some events of this call could not be published now, and its other events were published.")


class HistoryUnavailable(Exception):
    """The store of logs cannot be used now. The text gives the reason, for operators."""


class TooSlow(Unavailable):
    """A read takes too long. The text tells the publisher what to do."""


class Unreachable(Exception):
    """A node could not join its cluster at the start. The text gives the reason, for people to read."""


class Inbox(Protocol):
    """The methods of a node that its bus and its roster call."""

    def deliver(self, app_id: str, channel: str, event: Event, exclude: str | None = None) -> None:
        """Send an event to this node's subscribers of a channel, except the connection ``exclude``."""

    def deliver_stored(
        self, app_id: str, channel: str, event: Event, position: Position, exclude: str | None = None
    ) -> None:
        """Send an event that is in the log of its channel to this node's subscribers, as ``deliver`` does."""

    def check_history(self) -> None:
        """Look for stored events that this node has missed while it was not connected to the other nodes."""

    def member_added(self, app_id: str, channel: str, member: Member) -> None:
        """Send member_added to this node's subscribers of a presence channel."""

    def member_removed(self, app_id: str, channel: str, member: Member) -> None:
        """Send member_removed to this node's subscribers of a presence channel."""

    def count_changed(self, app_id: str, channel: str, count: int) -> None:
        """Send the number of all subscribers to this node's subscribers of a channel."""

    def wants_counts(self, app_id: str) -> bool:
        """Return whether the app has subscription_count events."""

    def end_user(self, app_id: str, user_id: str) -> None:
        """Close this node's connections of a user."""

    def notify_watchers(self, app_id: str, user_id: str, online: bool) -> None:
        """Notify this node's watchers of a user that the user is online or offline."""

    def report(self, transition: Transition, app_id: str, channel: str, user_id: str | None = None) -> None:
        """Report a transition. This is called on one node only."""


class Roster(Protocol):
    """The subscriptions, members and signed-in users of all nodes.

    A method that may wait is a coroutine for ``steps``. Reads raise Unavailable if the answer is unknown. The other
    methods continue with what this node knows. The reads of one call share a time limit: ``since``, by
    ``time.monotonic``, is when they began.
    """

    def attach(self, node: Inbox) -> None:
        """Call this node from now on. Called once, before anything else."""

    async def connect(self, app_id: str, on_this_node: int, limit: int | None) -> bool:
        """Count one more connection of an app that has ``on_this_node``. Above ``limit``, return False instead."""

    def disconnect(self, app_id: str) -> None:
        """Count one connection of an app as closed."""

    def limit(self, app_id: str, on_this_node: int, limit: int | None) -> None:
        """Apply the limit of an app that has ``on_this_node`` connections. They may not be counted yet."""

    async def join(self, app_id: str, channel: str) -> int:
        """Add one subscription, which gets all later messages of the channel. Return the number of subscriptions."""

    async def leave(self, app_id: str, channel: str) -> int:
        """Remove one subscription. Return the number of those left."""

    async def join_as(self, app_id: str, channel: str, user_id: str, info: bytes, limit: int) -> Members:
        """Add one subscription of a presence channel. Return its members; do not change them.

        Raise ChannelFull for a new member above ``limit``.
        """

    async def leave_as(self, app_id: str, channel: str, user_id: str) -> None:
        """Remove one subscription of a presence channel."""

    def send_count(self, app_id: str, channel: str) -> None:
        """Have every node send the number of subscribers to the subscribers."""

    async def counts(self, app_id: str, channels: Sequence[str], since: float | None = None) -> list[int]:
        """Return the number of subscriptions of each channel."""

    async def member_counts(self, app_id: str, channels: Sequence[str], since: float | None = None) -> list[int]:
        """Return the number of members of each channel."""

    async def members(self, app_id: str, channel: str) -> Members:
        """Return the members of a presence channel; do not change them."""

    async def channels(self, app_id: str, prefix: str, since: float | None = None) -> Mapping[str, int]:
        """Return the occupied channels whose names start with ``prefix``, with their counts."""

    async def sign_in(self, app_id: str, user_id: str, watchlist: Sequence[str]) -> set[str]:
        """Count one signed-in connection of a user, and watch its watchlist. Return who of these is online."""

    async def sign_out(self, app_id: str, user_id: str, watchlist: Sequence[str]) -> None:
        """Undo ``sign_in``."""


Receipt = Awaitable[None]
"""The confirmation that every node gets a publication. Awaiting it raises Unavailable if that is not certain.

It can be awaited once. An operation that needs no confirmation drops it.
"""


class Receipts:
    """Several receipts as one. ``is_sent`` is true if the call has sent another event, which needs no receipt.

    Awaiting it raises NotStored only if no event of the call was sent, and PartlySent if some were.
    """

    __slots__ = ("_is_sent", "_receipts")

    def __init__(self, receipts: Sequence[Receipt], *, is_sent: bool = False) -> None:
        self._receipts = receipts
        self._is_sent = is_sent

    def __await__(self) -> Generator[Any, Any, None]:
        is_sent, fault = self._is_sent, None
        for receipt in reversed(self._receipts):  # once the last one is confirmed, most of the others are
            try:
                yield from receipt.__await__()
                is_sent = True
            except NotStored as refusal:
                fault = refusal
        if fault is not None:
            raise PartlySent if is_sent else fault


class Bus(Protocol):
    """Carries events to every node, this one included, in one order per app and channel.

    ``terminate`` and the methods that publish raise Unavailable if they cannot send anything. They return a receipt,
    which need not be awaited, or None if every node already has the event.
    """

    @property
    def full(self) -> Container[str]:
        """The apps that have reached their limit of bytes in flight: wait for ``room`` before publishing."""

    @property
    def unavailable(self) -> Collection[object]:
        """The parts of the bus that are unavailable. If there are any, call ``check`` before publishing."""

    def attach(self, node: Inbox) -> None:
        """Call this node from now on. Called once, before anything else."""

    def check(self, app_id: str, channels: Sequence[str]) -> None:
        """Raise Unavailable if one of these channels cannot be published on now."""

    async def room(self, app_id: str) -> None:
        """Wait until the app may publish."""

    def publish(self, app_id: str, channel: str, event: Event, exclude: str | None = None) -> Receipt | None:
        """Have every node deliver an event."""

    def publish_cached(self, app_id: str, channel: str, event: Event, exclude: str | None = None) -> Receipt | None:
        """Have every node deliver an event and the cache remember it, as one step."""

    def publish_once(
        self,
        app_id: str,
        channel: str,
        event: Event,
        once: Once,
        rule: HistoryRule | None,
        exclude: str | None = None,
    ) -> Receipt | None:
        """Publish an event, unless one with the same key ``once`` was published on this channel lately, as one step.

        With a rule the event is also stored. A receipt of a repeated event confirms the first one. If the first one
        was another event, this method or its receipt raises KeyReused, and the event is not published.
        """

    def publish_stored(
        self, app_id: str, channel: str, event: Event, rule: HistoryRule, exclude: str | None = None
    ) -> Receipt | None:
        """Append an event to the log of its channel and have every node deliver it, as one step.

        The cache remembers the event if the channel is a cache channel. Without a receipt the event is in the log.
        """

    def terminate(self, app_id: str, user_id: str) -> Receipt | None:
        """Have every node close the connections of a user."""


class History(Protocol):
    """The logs of channels with history."""

    @property
    def touch(self) -> Callable[[str, str], None] | None:
        """A function that keeps an empty log of an app and a channel for some more minutes. It never blocks or raises.

        None if the store keeps the empty logs of channels with subscribers by itself.
        """

    async def read(self, app_id: str, channel: str, rule: HistoryRule, query: Query, *, begin: bool = False) -> Page:
        """Return a page of a log; a coroutine for ``steps``. Raise Unavailable if the log cannot be read now.

        With ``begin``, begin the log if there is none, so that the page has an epoch.

        The operation that awaits the page resumes between two events of the channel: this node has delivered exactly
        the events up to ``Page.last``. An event that is older than the rule allows is not in the page.
        """

    def drop_unruled(self, rules: RulesOf) -> None:
        """Drop the logs of channels that no longer have a rule. Logs that several nodes share are kept.

        Events that are published on such a channel are not stored. A new log has a new epoch and shows that.
        """


@dataclass(frozen=True, slots=True)
class CachedEvent:
    """The last event of a cache channel: its name, the JSON text of its data, and the time when it is forgotten."""

    name: str
    data: bytes
    expires: float


class Cache(Protocol):
    """Remembers the last event of each cache channel, for a time."""

    async def get(self, app_id: str, channel: str) -> CachedEvent | None:
        """Return the last event, or None. A coroutine for ``steps``."""

    def ttl(self, event: CachedEvent) -> int:
        """Return for how many whole seconds the event is still remembered."""

    def note_miss(self, app_id: str, channel: str) -> None:
        """Report cache_miss to webhooks: once for any number of subscribers, until the channel has an event again."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """The answer of a rate limit to one call. ``limit`` and ``remaining`` are points, ``retry_after`` is seconds."""

    allowed: bool
    limit: int
    remaining: int
    retry_after: float


class RateLimiter(Protocol):
    """Limits what an app may do in a second, on all nodes together. A refusal costs nothing.

    Each app has a token bucket for each kind of thing (``what``), with the points of one second. If its limit changes,
    the bucket keeps the points that it has. The methods are coroutines for ``steps``. They raise Unavailable if the
    points cannot be counted now.
    """

    async def take(self, app_id: str, what: str, cost: int, limit: int) -> Allowance:
        """Take ``cost`` points of the ``limit`` that an app has each second for ``what``."""

    async def take_one(self, app_id: str, what: str, limit: int) -> Allowance:
        """Take one point for something frequent: a node may take several points together and keep some for later."""


@dataclass(frozen=True, slots=True)
class Links:
    """The connections of one node to the others, as metrics show them.

    ``up`` of ``expected`` connections work. ``nodes`` is the number of living nodes at the last renewal of the lease, 0
    while the node is not connected. ``writes`` and ``events`` wait until they can be sent; ``dropped`` events were too
    many. ``round_trips`` are those of the heartbeat.
    """

    up: int = 0
    expected: int = 0
    nodes: int = 1
    writes: int = 0
    events: int = 0
    dropped: int = 0
    round_trips: Histogram = field(default_factory=Histogram)


class Answers(Protocol):
    """The answers to calls with an idempotency key, for a time."""

    async def find(self, app_id: str, key: str) -> bytes | None:
        """Return the answer to the call with a key, or None; a coroutine for ``steps``. Raise Unavailable."""

    def put(self, app_id: str, key: str, answer: bytes) -> None:
        """Remember the answer to a call. Never blocks and never raises."""


class Cluster(Protocol):
    """The ports of one node, and its connection to the other nodes of its cluster."""

    bus: Bus
    roster: Roster
    cache: Cache
    history: History
    tabs: Tabs
    answers: Answers
    limiter: RateLimiter
    events: EventLog

    def flush_soon(self, soon: Callable[..., object]) -> Soon:
        """Return a function that schedules the flushes of a hub: with ``soon``, or later if more events will arrive.

        ``soon`` calls a function with arguments in the next event loop iteration, as ``loop.call_soon`` does.
        """

    @property
    def connected(self) -> bool:
        """Return whether this node is connected to the other nodes."""

    @property
    def links(self) -> Links:
        """The connections to the other nodes, for metrics."""

    @property
    def log_counts(self) -> LogCounts:
        """The counts of the logs, for metrics."""

    async def start(self) -> None:
        """Join the other nodes. Raise Unreachable if that fails in time. Call ``stop`` in any case."""

    async def stop(self) -> None:
        """Leave the cluster, and remove what this node has written."""
