"""Several partitions as one: ports that pass each call on to the partition of its channel or user.

Everything about one channel, or about one user, is in one partition. Partitions therefore do not change the guarantees.
"""

import zlib
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from typing import Any

from soketpy.core.history import HistoryRule, Page, Query, RulesOf
from soketpy.core.idempotency import Once
from soketpy.core.ports import Allowance, CachedEvent, Inbox, Receipt
from soketpy.core.presence import Members
from soketpy.core.steps import gather
from soketpy.core.tabs import TabState
from soketpy.drivers.redis.bus import RedisBus
from soketpy.drivers.redis.partition import Partition
from soketpy.drivers.window import Window
from soketpy.protocol.channels import user_channel
from soketpy.protocol.messages import Event
from soketpy.protocol.webhooks import WebhookEvent


class Partitions:
    """The partitions of a cluster. All nodes must have the same number of them."""

    def __init__(self, partitions: Sequence[Partition]) -> None:
        self._partitions = partitions

    def __iter__(self) -> Iterator[Partition]:
        return iter(self._partitions)

    def of(self, app_id: str, channel: str) -> Partition:
        """Return the partition of a channel."""
        return self._partitions[zlib.crc32(f"{len(app_id)}:{app_id}:{channel}".encode()) % len(self._partitions)]

    def grouped(self, app_id: str, channels: Sequence[str]) -> dict[Partition, list[str]]:
        """Return channels, grouped by their partitions."""
        groups: dict[Partition, list[str]] = {}
        for channel in channels:
            groups.setdefault(self.of(app_id, channel), []).append(channel)
        return groups


class PartitionedBus:
    """A bus over several partitions, which share one ``window``."""

    def __init__(self, partitions: Partitions, window: Window) -> None:
        self._partitions = partitions
        self.full, self.room = window, window.room
        self.unavailable = next(iter(partitions)).bus.unavailable  # all partitions share it

    def attach(self, inbox: Inbox) -> None:
        """Attach a node to every partition."""
        for each in self._partitions:
            each.bus.attach(inbox)

    def _of(self, app_id: str, channel: str) -> RedisBus:
        return self._partitions.of(app_id, channel).bus

    def check(self, app_id: str, channels: Sequence[str]) -> None:
        """Raise Unavailable if one of these channels cannot be published on now."""
        for each, group in self._partitions.grouped(app_id, channels).items():
            each.bus.check(app_id, group)

    def publish(self, app_id: str, channel: str, event: Event, exclude: str | None = None) -> Receipt:
        """Have every node deliver an event. Raise Unavailable if Redis is unavailable."""
        return self._of(app_id, channel).publish(app_id, channel, event, exclude)

    def publish_cached(self, app_id: str, channel: str, event: Event, exclude: str | None = None) -> Receipt:
        """Have every node deliver an event, and Redis remember it. Raise Unavailable if Redis is unavailable."""
        return self._of(app_id, channel).publish_cached(app_id, channel, event, exclude)

    def publish_once(
        self,
        app_id: str,
        channel: str,
        event: Event,
        once: Once,
        rule: HistoryRule | None,
        exclude: str | None = None,
    ) -> Receipt:
        """Publish an event, unless one with the same key was published on this channel lately. Raises Unavailable."""
        return self._of(app_id, channel).publish_once(app_id, channel, event, once, rule, exclude)

    def publish_stored(
        self, app_id: str, channel: str, event: Event, rule: HistoryRule, exclude: str | None = None
    ) -> Receipt:
        """Append an event to the log of its channel and have every node deliver it. Raises Unavailable."""
        return self._of(app_id, channel).publish_stored(app_id, channel, event, rule, exclude)

    def terminate(self, app_id: str, user_id: str) -> Receipt:
        """Have every node close the connections of a user. Raises Unavailable."""
        return self._of(app_id, user_channel(user_id)).terminate(app_id, user_id)


class PartitionedRoster:
    """A roster over several partitions."""

    def __init__(self, partitions: Partitions) -> None:
        self._partitions = partitions

    def attach(self, inbox: Inbox) -> None:
        """Attach a node to every partition."""
        for each in self._partitions:
            each.roster.attach(inbox)

    async def connect(self, app_id: str, on_this_node: int, limit: int | None) -> bool:
        """Count one more connection of an app that has ``on_this_node``. Above ``limit``, return False instead."""
        return await self._partitions.of(app_id, "").roster.connect(app_id, on_this_node, limit)

    def disconnect(self, app_id: str) -> None:
        """Count one connection of an app as closed."""
        self._partitions.of(app_id, "").roster.disconnect(app_id)

    def limit(self, app_id: str, on_this_node: int, limit: int | None) -> None:
        """Begin to count an app that now has a limit, and has ``on_this_node`` connections."""
        self._partitions.of(app_id, "").roster.limit(app_id, on_this_node, limit)

    async def join(self, app_id: str, channel: str) -> int:
        """Add one subscription, which gets all later messages of the channel. Return the number of subscriptions."""
        return await self._partitions.of(app_id, channel).roster.join(app_id, channel)

    async def leave(self, app_id: str, channel: str) -> int:
        """Remove one subscription. Return the number of those left."""
        return await self._partitions.of(app_id, channel).roster.leave(app_id, channel)

    async def join_as(self, app_id: str, channel: str, user_id: str, info: bytes, limit: int) -> Members:
        """Add one subscription of a presence channel. Return its members. Raise ChannelFull above ``limit`` members."""
        return await self._partitions.of(app_id, channel).roster.join_as(app_id, channel, user_id, info, limit)

    async def leave_as(self, app_id: str, channel: str, user_id: str) -> None:
        """Remove one subscription of a presence channel."""
        await self._partitions.of(app_id, channel).roster.leave_as(app_id, channel, user_id)

    def send_count(self, app_id: str, channel: str) -> None:
        """Have every node send the number of subscribers to the subscribers."""
        self._partitions.of(app_id, channel).roster.send_count(app_id, channel)

    async def counts(self, app_id: str, channels: Sequence[str], since: float | None = None) -> list[int]:
        """Return the number of subscriptions of each channel. Raises Unavailable."""
        groups = self._partitions.grouped(app_id, channels)
        asked = (each.roster.counts(app_id, group, since) for each, group in groups.items())
        return _in_order(channels, groups, await gather(*asked))

    async def member_counts(self, app_id: str, channels: Sequence[str], since: float | None = None) -> list[int]:
        """Return the number of members of each channel. Raises Unavailable."""
        groups = self._partitions.grouped(app_id, channels)
        asked = (each.roster.member_counts(app_id, group, since) for each, group in groups.items())
        return _in_order(channels, groups, await gather(*asked))

    async def members(self, app_id: str, channel: str) -> Members:
        """Return the members of a presence channel. Raises Unavailable."""
        return await self._partitions.of(app_id, channel).roster.members(app_id, channel)

    async def channels(self, app_id: str, prefix: str, since: float | None = None) -> Mapping[str, int]:
        """Return the occupied channels whose names start with ``prefix``, with their counts. Raises Unavailable."""
        whole: dict[str, int] = {}
        for part in await gather(*(each.roster.channels(app_id, prefix, since) for each in self._partitions)):
            whole.update(part)
        return whole

    async def sign_in(self, app_id: str, user_id: str, watchlist: Sequence[str]) -> set[str]:
        """Count one signed-in connection of a user, and watch its watchlist. Return who of these is online."""
        home, near, far = self._split(app_id, user_id, watchlist)
        entered: list[Partition] = []

        async def enter(each: Partition, operation: Coroutine[Any, Any, set[str]]) -> None:
            await operation
            entered.append(each)

        watches = (enter(each, each.roster.users.watch(app_id, group)) for each, group in far.items())
        try:
            await gather(enter(home, home.roster.sign_in(app_id, user_id, near)), *watches)
            # After the first answer, users may have signed in or out. This connection was not notified of that.
            return {each for each in watchlist if self._of_user(app_id, each).roster.users.is_online(app_id, each)}
        except Exception:
            for each in entered:
                if each is not home:
                    each.roster.users.unwatch(app_id, far[each])
            if home in entered:
                await home.roster.sign_out(app_id, user_id, near)
            raise

    async def sign_out(self, app_id: str, user_id: str, watchlist: Sequence[str]) -> None:
        """Undo ``sign_in``."""
        home, near, far = self._split(app_id, user_id, watchlist)
        for each, group in far.items():
            each.roster.users.unwatch(app_id, group)
        await home.roster.sign_out(app_id, user_id, near)

    def _of_user(self, app_id: str, user_id: str) -> Partition:
        """Return the partition of a user: that of the channel of the user's own events."""
        return self._partitions.of(app_id, user_channel(user_id))

    def _split(
        self, app_id: str, user_id: str, watchlist: Sequence[str]
    ) -> tuple[Partition, list[str], dict[Partition, list[str]]]:
        """Return the partition of a user, the watched users in it, and the others grouped by their partitions."""
        groups: dict[Partition, list[str]] = {}
        for each in watchlist:
            groups.setdefault(self._of_user(app_id, each), []).append(each)
        home = self._of_user(app_id, user_id)
        return home, groups.pop(home, []), groups


class PartitionedCache:
    """A cache over several partitions."""

    def __init__(self, partitions: Partitions) -> None:
        self._partitions = partitions

    async def get(self, app_id: str, channel: str) -> CachedEvent | None:
        """Return the last event, or None. Also None while Redis is unavailable."""
        return await self._partitions.of(app_id, channel).cache.get(app_id, channel)

    def ttl(self, event: CachedEvent) -> int:
        """Return for how many whole seconds the event is still remembered."""
        return next(iter(self._partitions)).cache.ttl(event)

    def note_miss(self, app_id: str, channel: str) -> None:
        """Report cache_miss to webhooks, once until the channel has an event again."""
        self._partitions.of(app_id, channel).cache.note_miss(app_id, channel)


class PartitionedHistory:
    """Logs over several partitions."""

    def __init__(self, partitions: Partitions) -> None:
        self._partitions = partitions

    def touch(self, app_id: str, channel: str) -> None:
        """Keep an empty log for some more minutes."""
        self._partitions.of(app_id, channel).history.touch(app_id, channel)

    def drop_unruled(self, rules: RulesOf) -> None:
        """Do nothing: another node may still have a rule for the channel."""

    async def read(self, app_id: str, channel: str, rule: HistoryRule, query: Query, *, begin: bool = False) -> Page:
        """Return a page of a log. Raises Unavailable."""
        history = self._partitions.of(app_id, channel).history
        return await history.read(app_id, channel, rule, query, begin=begin)


class PartitionedAnswers:
    """The answers to calls with an idempotency key, over several partitions."""

    def __init__(self, partitions: Partitions) -> None:
        self._partitions = partitions

    async def find(self, app_id: str, key: str) -> bytes | None:
        """Return the answer to the call with a key, or None. Raises Unavailable."""
        return await self._partitions.of(app_id, key).answers.find(app_id, key)

    def put(self, app_id: str, key: str, answer: bytes) -> None:
        """Remember the answer to a call."""
        self._partitions.of(app_id, key).answers.put(app_id, key, answer)


class PartitionedTabs:
    """The states of tabs over several partitions."""

    durable = True

    def __init__(self, partitions: Partitions) -> None:
        self._partitions = partitions

    async def claim(self, app_id: str, tab_id: str, socket_id: str) -> TabState | None:
        """Return the state of a tab, and let only this connection save it. Raises Unavailable."""
        return await self._partitions.of(app_id, tab_id).tabs.claim(app_id, tab_id, socket_id)

    def save(self, app_id: str, tab_id: str, socket_id: str, state: TabState, kept: float | None = None) -> None:
        """Save the state of a tab, unless another connection has claimed it."""
        self._partitions.of(app_id, tab_id).tabs.save(app_id, tab_id, socket_id, state, kept)


class PartitionedEvents:
    """An event log over several partitions. The events of one channel, and of one connection, are in one partition."""

    def __init__(self, partitions: Partitions) -> None:
        self._partitions = partitions

    def append(self, event: WebhookEvent) -> None:
        """Take an event."""
        self._partitions.of(event.app_id, event.subject).events.append(event)


class PartitionedRateLimiter:
    """Token buckets. Each is in the partition of its app and its kind of call."""

    def __init__(self, partitions: Partitions) -> None:
        self._partitions = partitions

    async def take(self, app_id: str, what: str, cost: int, limit: int) -> Allowance:
        """Take ``cost`` points of the ``limit`` that an app has each second for ``what``. Raises Unavailable."""
        return await self._partitions.of(app_id, what).limiter.take(app_id, what, cost, limit)

    async def take_one(self, app_id: str, what: str, limit: int) -> Allowance:
        """Take one point for something frequent. Raises Unavailable."""
        return await self._partitions.of(app_id, what).limiter.take_one(app_id, what, limit)


def _in_order(channels: Sequence[str], groups: Mapping[Partition, list[str]], found: list[list[int]]) -> list[int]:
    """Return the counts of grouped channels in the order of the channels."""
    of_channel = {
        channel: count
        for group, counts in zip(groups.values(), found, strict=True)
        for channel, count in zip(group, counts, strict=True)
    }
    return [of_channel[channel] for channel in channels]
