"""The operations that begin and end the subscriptions of this node's connections.

An operation that may have to ask other nodes is a coroutine (``steps``). Each one checks after each wait whether the
connection is still open.
"""

import logging
from collections.abc import Callable
from functools import partial

from soketpy.core import authorization, steps
from soketpy.core.apps import App
from soketpy.core.connection import Connection
from soketpy.core.containment import attempt
from soketpy.core.counts import SubscriptionCounts
from soketpy.core.history import Start
from soketpy.core.hub import Hub
from soketpy.core.limits import bucket_for
from soketpy.core.ports import Cache, CachedEvent, ChannelFull, EventLog, RateLimiter, Roster, Unavailable
from soketpy.core.presence import Members
from soketpy.core.read_limits import ReadLimits
from soketpy.core.replays import Replays
from soketpy.core.resume import Resume
from soketpy.core.sequences import Sequences
from soketpy.core.steps import Future, Later
from soketpy.core.subscribe_queue import SubscribeQueue
from soketpy.protocol import channels, events, messages
from soketpy.protocol.channels import Kind
from soketpy.protocol.errors import Code, SubscriptionRefused
from soketpy.protocol.event_types import EventType
from soketpy.protocol.webhooks import WebhookEvent

log = logging.getLogger("soketpy.node")


class Subscriptions:
    """Subscribes connections to channels. The roster of the cluster counts each subscription."""

    def __init__(
        self,
        hub: Hub,
        roster: Roster,
        cache: Cache,
        replays: Replays,
        resume: Resume,
        sequences: Sequences,
        counts: SubscriptionCounts,
        events: EventLog,
        limiter: RateLimiter,
        clock: Callable[[], float],
        later: Later,
    ) -> None:
        self._hub = hub
        self._roster = roster
        self._cache = cache
        self._replays = replays
        self._resume = resume
        self._sequences = sequences
        self._counts = counts
        self._events = events
        self._clock = clock
        self._later = later
        self._queue = SubscribeQueue(limiter, later)
        self._slowed = 0  # connections that subscribe faster than they may, and wait
        self._reads = ReadLimits(clock, later)

    def stop_waiting(self, connection: Connection) -> None:
        """End the waits of a connection that has ended."""
        self._queue.forget(connection)
        if connection.reads is not None:
            self._reads.forget(connection)

    @property
    def waiting(self) -> int:
        """Return the number of subscriptions that wait because of a rate limit."""
        return len(self._queue) + self._slowed

    async def subscribe(self, connection: Connection, request: events.Subscribe) -> None:
        """Subscribe the connection to a channel and answer it. Raises SubscriptionRefused.

        A connection that subscribes faster than its app allows waits, and its next messages wait too. So does each
        connection if all of them together subscribe too fast.
        """
        wait = self._wait_to_subscribe(connection, connection.app.max_subscribes_per_second)
        if wait > 0 and not await self._wait_turn(connection, wait):
            return
        total = connection.app.max_total_subscribes_per_second
        if total is not None:
            await self._queue.wait(connection, total)
            if not connection.open:
                return
        app, channel = connection.app, request.channel
        fault = channels.name_fault(channel, app.max_channel_name_length)
        if fault is not None:
            if len(channel) > app.max_channel_name_length:
                raise authorization.limit_reached(fault)
            raise SubscriptionRefused("InvalidChannel", Code.UNAUTHORIZED, fault)
        kind = channels.kind_of(channel)
        if kind.user:
            authorization.check_user_channel(connection.user, channel)
            connection.send(messages.subscription_succeeded(channel))
            return
        if channel not in connection.channels:
            if len(connection.channels) >= app.max_subscriptions_per_connection:
                most = f"A connection may be on {app.max_subscriptions_per_connection} channels at most."
                raise authorization.limit_reached(most, Code.OVER_QUOTA)
            if kind.guarded:
                authorization.check_channel(app, connection.id, request)
            if app.history:
                await self._replays.wait_for_reader(connection, channel)
                if not connection.open:
                    return
            await self._join(connection, request, kind)
            return
        members = await self._roster.members(app.id, channel) if kind.presence else None
        last = await self._last_event(app, channel) if kind.cache else None
        if connection.open:
            connection.greet(channel, kind, members, last)

    async def read_history(self, connection: Connection, request: events.HistoryRequest) -> None:
        """Send a connection a part of a channel's log. Raises ClientEventRejected.

        A connection that reads too fast waits, and its next messages wait too.
        """
        if await self._reads.wait(connection):
            await self._replays.answer(connection, request)

    async def _wait_turn(self, connection: Connection, wait: float) -> bool:
        """Wait while a connection subscribes faster than its app allows. Return whether it is still open."""
        while wait > 0:
            refilled: Future[None] = Future()
            self._slowed += 1
            self._later(wait, partial(refilled.set_result, None))
            await refilled
            self._slowed -= 1
            if not connection.open:
                return False
            wait = self._wait_to_subscribe(connection, connection.app.max_subscribes_per_second)
        return True

    async def _last_event(self, app: App, channel: str) -> CachedEvent | None:
        """Return the last event of a cache channel. If there is none, report that to webhooks."""
        last = await self._cache.get(app.id, channel)
        if last is None and app.webhook_types and EventType.CACHE_MISS in app.webhook_types:
            attempt(log, self._cache.note_miss, app.id, channel)
        return last

    def _wait_to_subscribe(self, connection: Connection, rate: int | None) -> float:
        """Return the seconds until the connection may subscribe again. If the result is 0, a token was taken."""
        if rate is None:
            return 0
        now = self._clock()
        bucket = connection.subscribes = bucket_for(rate, connection.subscribes, now)
        return 0 if bucket.take(1, now) else bucket.wait(1) + 0.01

    def unsubscribe(self, connection: Connection, channel: str) -> None:
        """End the connection's subscription of a channel. Do nothing if it is not subscribed."""
        if channel in connection.channels:
            self.leave(connection, channel)

    async def _join(self, connection: Connection, request: events.Subscribe, kind: Kind) -> None:
        """Add the subscription and greet the connection. It gets each change that the greeting does not contain."""
        app, channel = connection.app, request.channel
        members = user_id = None
        count = 0
        if kind.presence:
            member = authorization.member_of(app, connection.user, request)
            user_id = member.user_id
            members = await self._join_as(app, channel, user_id, member.user_info)
        else:
            count = await self._roster.join(app.id, channel)
        if not connection.open:  # the client left during the wait
            await self._left(app, channel, user_id)
            return
        connection.channels[channel] = user_id  # the end of the connection now also ends the subscription
        if app.webhook_types:
            self._report(EventType.SUBSCRIBED, connection, channel, user_id)
        last = await self._last_event(app, channel) if kind.cache else None
        # Nothing may wait between this and the join: the stored events end where the frames of the hub begin.
        start, is_postponed = None, False
        if app.history:
            try:
                start = await self._start(connection, request, kind)
            except Unavailable:
                is_postponed = True
        if channel not in connection.channels:
            return
        connection.authorized |= kind.guarded
        if not is_postponed:  # an event would come without those that the client may have missed before it
            self._hub.join(app.id, channel, connection)
        if app.subscription_count_events and not kind.presence:
            attempt(log, self._counts.changed, app.id, channel, count)
        connection.greet(channel, kind, members, last, start)
        if start is not None:
            self._sequences.begin(app.id, channel, start.position)
            self._resume.begin(connection, channel, start)

    async def _start(self, connection: Connection, request: events.Subscribe, kind: Kind) -> Start | None:
        """Return the beginning of a subscription to a channel with history. If it is refused, end the subscription."""
        try:
            return await self._replays.start(connection, request, kind)
        except SubscriptionRefused:
            if request.channel in connection.channels:
                self.leave(connection, request.channel)
            raise

    async def _join_as(self, app: App, channel: str, user_id: str, info: bytes) -> Members:
        """Add a member to a presence channel. The roster notifies the other subscribers."""
        most = app.max_presence_members_per_channel
        try:
            return await self._roster.join_as(app.id, channel, user_id, info, most)
        except ChannelFull:
            reason = f"A presence channel may have {most} members at most."
            raise authorization.limit_reached(reason, Code.OVER_CAPACITY) from None

    def leave(self, connection: Connection, channel: str) -> None:
        """End a subscription that exists, and notify the other subscribers of the channel."""
        user_id, app = connection.channels.pop(channel), connection.app
        if app.webhook_types:
            self._report(EventType.UNSUBSCRIBED, connection, channel, user_id)
        try:
            self._hub.leave(app.id, channel, connection)
            if connection.tab is not None:
                self._resume.end(connection, channel)
            if self._sequences.ends and (app.id, channel) not in self._hub.channels:
                self._sequences.forget(app.id, channel)
        finally:
            steps.begin(self._left(app, channel, user_id))

    def _report(self, name: EventType, connection: Connection, channel: str, user_id: str | None) -> None:
        """Report a subscription or its end, if a webhook of the app wants that."""
        app = connection.app
        if name in app.webhook_types:
            self._events.append(WebhookEvent(app.id, name, channel, user_id or "", connection.id))

    async def _left(self, app: App, channel: str, user_id: str | None) -> None:
        """Remove a subscription from the roster, and send the new count to the other subscribers."""
        if user_id is not None:
            await self._roster.leave_as(app.id, channel, user_id)
            return
        count = await self._roster.leave(app.id, channel)
        if app.subscription_count_events:
            attempt(log, self._counts.changed, app.id, channel, count)
