"""Many partitions as one: the ports of a cluster, each verb of which goes to the partition of its channel or user.

All that is about one channel, or about one user, is in one partition, so each keeps the guarantees of a single one.
"""

import zlib
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from typing import Any

from soketpy.core.ports import Allowance, CachedEvent, Inbox, Receipt
from soketpy.core.presence import Members
from soketpy.core.steps import gather
from soketpy.drivers.redis.bus import RedisBus
from soketpy.drivers.redis.partition import Partition
from soketpy.drivers.redis.window import Window
from soketpy.protocol.channels import user_channel
from soketpy.protocol.messages import Event


class Partitions:
    """The partitions of a cluster. All nodes must have the same number of them."""

    def __init__(self, partitions: Sequence[Partition]) -> None:
        self._partitions = partitions

    def __iter__(self) -> Iterator[Partition]:
        return iter(self._partitions)

    def of(self, app_id: str, channel: str) -> Partition:
        """Where a channel is."""
        return self._partitions[zlib.crc32(f"{len(app_id)}:{app_id}:{channel}".encode()) % len(self._partitions)]

    def by_place(self, app_id: str, channels: Sequence[str]) -> dict[Partition, list[str]]:
        """Channels by where they are."""
        groups: dict[Partition, list[str]] = {}
        for channel in channels:
            groups.setdefault(self.of(app_id, channel), []).append(channel)
        return groups


class PartitionedBus:
    """A bus of many; ``window`` is that of all of them."""

    def __init__(self, partitions: Partitions, window: Window) -> None:
        self._partitions = partitions
        self.full, self.room = window, window.room
        self.away = next(iter(partitions)).bus.away  # all partitions share it

    def attach(self, inbox: Inbox) -> None:
        """Tell a node from now on."""
        for each in self._partitions:
            each.bus.attach(inbox)

    def _of(self, app_id: str, channel: str) -> RedisBus:
        return self._partitions.of(app_id, channel).bus

    def check(self, app_id: str, channels: Sequence[str]) -> None:
        """Raise Unavailable if one of these channels cannot be published on now."""
        for each, group in self._partitions.by_place(app_id, channels).items():
            each.bus.check(app_id, group)

    def publish(self, app_id: str, channel: str, event: Event, exclude: str | None = None) -> Receipt:
        """Have every node deliver an event. Raise Unavailable if Redis is disconnected."""
        return self._of(app_id, channel).publish(app_id, channel, event, exclude)

    def publish_cached(self, app_id: str, channel: str, event: Event, exclude: str | None = None) -> Receipt:
        """Have every node deliver an event, and Redis remember it. Raise Unavailable if Redis is disconnected."""
        return self._of(app_id, channel).publish_cached(app_id, channel, event, exclude)

    def terminate(self, app_id: str, user_id: str) -> Receipt:
        """Have every node close the connections of a user. Raises Unavailable."""
        return self._of(app_id, user_channel(user_id)).terminate(app_id, user_id)


class PartitionedRoster:
    """A roster of many."""

    def __init__(self, partitions: Partitions) -> None:
        self._partitions = partitions

    def attach(self, inbox: Inbox) -> None:
        """Tell a node from now on."""
        for each in self._partitions:
            each.roster.attach(inbox)

    async def connect(self, app_id: str, on_this_node: int, limit: int | None) -> bool:
        """Count one connection of an app that has ``on_this_node``; return False, uncounted, above ``limit``."""
        return await self._partitions.of(app_id, "").roster.connect(app_id, on_this_node, limit)

    def disconnect(self, app_id: str) -> None:
        """Count one connection less."""
        self._partitions.of(app_id, "").roster.disconnect(app_id)

    def limit(self, app_id: str, on_this_node: int, limit: int | None) -> None:
        """Take over the limit of an app that has ``on_this_node`` connections, which may not have been counted."""
        self._partitions.of(app_id, "").roster.limit(app_id, on_this_node, limit)

    async def join(self, app_id: str, channel: str) -> int:
        """Count one subscription, which hears the channel from now on; how many there are then."""
        return await self._partitions.of(app_id, channel).roster.join(app_id, channel)

    async def leave(self, app_id: str, channel: str) -> int:
        """Take away one subscription; how many are left."""
        return await self._partitions.of(app_id, channel).roster.leave(app_id, channel)

    async def join_as(self, app_id: str, channel: str, user_id: str, info: bytes, limit: int) -> Members:
        """Count one subscription of a presence channel; who is there. Raises ChannelFull for one above ``limit``."""
        return await self._partitions.of(app_id, channel).roster.join_as(app_id, channel, user_id, info, limit)

    async def leave_as(self, app_id: str, channel: str, user_id: str) -> None:
        """Take away one subscription of a presence channel."""
        await self._partitions.of(app_id, channel).roster.leave_as(app_id, channel, user_id)

    def send_count(self, app_id: str, channel: str) -> None:
        """Have every node tell the channel's subscribers how many they are."""
        self._partitions.of(app_id, channel).roster.send_count(app_id, channel)

    async def counts(self, app_id: str, channels: Sequence[str], since: float | None = None) -> list[int]:
        """How many connections are subscribed to each. Raises Unavailable."""
        groups = self._partitions.by_place(app_id, channels)
        asked = (each.roster.counts(app_id, group, since) for each, group in groups.items())
        return _in_order(channels, groups, await gather(*asked))

    async def member_counts(self, app_id: str, channels: Sequence[str], since: float | None = None) -> list[int]:
        """How many members each has. Raises Unavailable."""
        groups = self._partitions.by_place(app_id, channels)
        asked = (each.roster.member_counts(app_id, group, since) for each, group in groups.items())
        return _in_order(channels, groups, await gather(*asked))

    async def members(self, app_id: str, channel: str) -> Members:
        """The members of a presence channel. Raises Unavailable."""
        return await self._partitions.of(app_id, channel).roster.members(app_id, channel)

    async def channels(self, app_id: str, prefix: str, since: float | None = None) -> Mapping[str, int]:
        """The occupied channels whose names start with ``prefix``, each with its count. Raises Unavailable."""
        whole: dict[str, int] = {}
        for part in await gather(*(each.roster.channels(app_id, prefix, since) for each in self._partitions)):
            whole.update(part)
        return whole

    async def sign_in(self, app_id: str, user_id: str, watchlist: Sequence[str]) -> set[str]:
        """Count one connection of a user, which hears of the watched; who of them is signed in anywhere."""
        home, near, far = self._split(app_id, user_id, watchlist)
        entered: list[Partition] = []

        async def enter(each: Partition, operation: Coroutine[Any, Any, set[str]]) -> None:
            await operation
            entered.append(each)

        watches = (enter(each, each.roster.users.watch(app_id, group)) for each, group in far.items())
        try:
            await gather(enter(home, home.roster.sign_in(app_id, user_id, near)), *watches)
            # Who came or went since the first answer has been heard of, but not been told to who signs in.
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
        """Where a user is: with the channel of the events for that user."""
        return self._partitions.of(app_id, user_channel(user_id))

    def _split(
        self, app_id: str, user_id: str, watchlist: Sequence[str]
    ) -> tuple[Partition, list[str], dict[Partition, list[str]]]:
        """Where a user is, and the watched by where they are: those who are there too, and the others."""
        groups: dict[Partition, list[str]] = {}
        for each in watchlist:
            groups.setdefault(self._of_user(app_id, each), []).append(each)
        home = self._of_user(app_id, user_id)
        return home, groups.pop(home, []), groups


class PartitionedCache:
    """A cache of many."""

    def __init__(self, partitions: Partitions) -> None:
        self._partitions = partitions

    async def get(self, app_id: str, channel: str) -> CachedEvent | None:
        """The event that is remembered, or None; also None while Redis is away."""
        return await self._partitions.of(app_id, channel).cache.get(app_id, channel)

    def ttl(self, event: CachedEvent) -> int:
        """Whole seconds for which the event will still be remembered."""
        return next(iter(self._partitions)).cache.ttl(event)


class PartitionedRateLimiter:
    """Token buckets, each in the partition of its app and of what is counted."""

    def __init__(self, partitions: Partitions) -> None:
        self._partitions = partitions

    async def take(self, app_id: str, what: str, cost: int, limit: int) -> Allowance:
        """Let ``app_id`` do ``what`` for ``cost`` points, of which it has ``limit`` a second. Raises Unavailable."""
        return await self._partitions.of(app_id, what).limiter.take(app_id, what, cost, limit)


def _in_order(channels: Sequence[str], groups: Mapping[Partition, list[str]], found: list[list[int]]) -> list[int]:
    """What was found of channels by groups, in the order of the channels."""
    of_channel = {
        channel: count
        for group, counts in zip(groups.values(), found, strict=True)
        for channel, count in zip(group, counts, strict=True)
    }
    return [of_channel[channel] for channel in channels]
