"""The operations of the server: connect, subscribe, publish, sign in, terminate.

The modules ``subscriptions``, ``client_events`` and ``sign_ins`` have the operations that clients ask for. An operation
that may have to ask other nodes is a coroutine (``steps``). In a cluster of one, such an operation never waits, and
nothing interrupts it.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial

from soketpy.core.access import AccessLog
from soketpy.core.apps import App
from soketpy.core.client_events import ClientEvents
from soketpy.core.connection import Connection, Transport, new_socket_id
from soketpy.core.contained_inbox import ContainedInbox
from soketpy.core.containment import attempt, contain
from soketpy.core.counts import SubscriptionCounts
from soketpy.core.history import KIB, HistoryRule, Position, rule_of
from soketpy.core.history_counts import CountedHistory
from soketpy.core.hub import Hub
from soketpy.core.ports import Cluster, PartlySent, RateLimiter, Receipt, Receipts, Transition, Unavailable
from soketpy.core.postponed import Postponed
from soketpy.core.presence import Member
from soketpy.core.refusals import Refusals
from soketpy.core.reload import update_connections
from soketpy.core.replays import Replays
from soketpy.core.resume import Resume
from soketpy.core.sequences import Sequences
from soketpy.core.sign_ins import WATCHERS, SignIns
from soketpy.core.slices import in_slices
from soketpy.core.steps import Later
from soketpy.core.subscriptions import Subscriptions
from soketpy.core.tabs import Tab
from soketpy.core.traffic import TrafficByApp
from soketpy.core.triggers import Trigger
from soketpy.core.users import Users
from soketpy.protocol import channels, frames, messages
from soketpy.protocol.errors import Code, ConnectionRefused
from soketpy.protocol.event_types import EventType
from soketpy.protocol.messages import Event, Message
from soketpy.protocol.webhooks import WebhookEvent

log = logging.getLogger("soketpy.node")

_TEXT = int(frames.Opcode.TEXT)

KNOWN_CODES = frozenset((*range(1000, 1016), *map(int, Code)))
"""The close codes that are counted separately. Clients may send any code from 1000 to 4999."""

UNKNOWN_CODE = 0
"""Stands for all other close codes."""


class Node:
    """One process of the server: its connections, and the operations on them."""

    def __init__(
        self,
        hub: Hub,
        cluster: Cluster,
        clock: Callable[[], float],
        later: Later,
        *,
        activity_timeout: float = 120,
        max_connections: int | None = None,
        bad_messages: int = 20,
        limiter: RateLimiter | None = None,
        resume_window: float = 300,
        replay_events: int = 1_000,
        replay_size: int = 512 * KIB,
        unread_size: int = 1024 * KIB,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.roster = cluster.roster
        self.cache = cluster.cache
        self.history = CountedHistory(cluster.history)
        self.answers = cluster.answers
        self.clock = clock
        self.bad_messages = bad_messages
        self.traffic = TrafficByApp()
        self.refusals = Refusals(clock, later)
        self.access: AccessLog | None = None
        self.slow_readers = 0  # connections that were closed because they read too slowly
        self.closes: Counter[int] = Counter()  # ended connections by close code, or UNKNOWN_CODE
        self.total = 0
        self.hub = self._hub = hub
        self.full, self.room = cluster.bus.full, cluster.bus.room
        self._bus = cluster.bus
        self._users: Users[Connection] = Users()
        self._connections: dict[str, dict[str, Connection]] = {}
        self._later = later
        self._counts = SubscriptionCounts(cluster.roster.send_count, later)
        self._events = cluster.events
        self._limiter = limiter = limiter or cluster.limiter
        self.sequences = Sequences(
            cluster.history, hub, self._history_rule, self.deliver, self._close_subscribers, later
        )
        self.resume = Resume(cluster.tabs, hub, self.sequences.end_of, wall_clock, later, resume_window)
        replays = Replays(
            self.history,
            self.resume,
            self.sequences,
            Postponed(self.history, later),
            limit=replay_events,
            size=replay_size,
            unread=unread_size,
        )
        self.pong = self.resume.pong
        self._subscriptions = Subscriptions(
            hub,
            self.roster,
            self.cache,
            replays,
            self.resume,
            self.sequences,
            self._counts,
            self._events,
            limiter,
            clock,
            later,
        )
        self._sign_ins = SignIns(hub, self.roster, self._users, self.refusals)
        self.subscribe, self.unsubscribe = self._subscriptions.subscribe, self._subscriptions.unsubscribe
        self.read_history = self._subscriptions.read_history
        self.sign_in = self._sign_ins.sign_in
        self._client_events = ClientEvents(
            cluster.bus, self._events, limiter, self.deliver, clock, self.refusals.limits
        )
        self.client_event = self._client_events.send
        self.client_event_when_allowed = self._client_events.send_when_allowed
        self._activity_timeout = activity_timeout
        self._max_connections = max_connections
        cluster.bus.attach(self)
        cluster.roster.attach(ContainedInbox(self))

    # Connections

    async def connect(
        self, app: App, transport: Transport, key: str | None = None, tab: str | None = None
    ) -> Connection:
        """Add a client that connected with ``key`` (default: the app's first key), and send connection_established.

        ``tab`` is the id of its browser tab, if it has one.

        Raises ConnectionRefused if the app has reached its limit of connections (4004) or of new ones in a second
        (4100), or this node its limit (4100).
        """
        if app.max_connects_per_second is not None:
            await self._take_connect(app.id, app.max_connects_per_second)
        if not await self.roster.connect(app.id, len(self.connections(app.id)), app.max_connections):
            reason = f"The app has reached its connection limit ({app.max_connections})."
            raise ConnectionRefused(Code.OVER_QUOTA, reason)
        if self._max_connections is not None and self.total >= self._max_connections:
            self.roster.disconnect(app.id)
            reason = f"The server has reached its connection limit ({self._max_connections})."
            raise ConnectionRefused(Code.OVER_CAPACITY, reason)
        try:
            while (socket_id := new_socket_id()) in self.connections(app.id):
                pass
            connection = Connection(socket_id, app, key or app.key, transport, self, None if tab is None else Tab(tab))
        except Exception:
            self.roster.disconnect(app.id)
            raise
        self._connections.setdefault(app.id, {})[socket_id] = connection
        self.total += 1
        self.traffic[app.id].connections += 1
        if app.webhook_types and EventType.CONNECTION_OPENED in app.webhook_types:
            self._events.append(WebhookEvent(app.id, EventType.CONNECTION_OPENED, socket_id=socket_id))
        try:
            connection.send(messages.connection_established(socket_id, self._activity_timeout))
        except Exception:
            connection.end()
            raise
        log.debug("%r connected", connection)
        if self.access is not None:
            attempt(log, self.access.opened, app.id, socket_id, transport.peer)
        return connection

    async def _take_connect(self, app_id: str, limit: int) -> None:
        """Count a new connection of an app with a limit of them. Raises ConnectionRefused (4100)."""
        try:
            allowance = await self._limiter.take_one(app_id, "connects", limit)
        except Unavailable as fault:
            raise ConnectionRefused(Code.OVER_CAPACITY, str(fault)) from None
        if not allowance.allowed:
            self.refusals.limits["max_connects_per_second"] += 1
            reason = f"The app may have {limit} new connections a second; reconnect in a while."
            raise ConnectionRefused(Code.OVER_CAPACITY, reason)

    def forget(self, connection: Connection, code: int) -> None:
        """Remove a connection that has ended: leave its channels, sign it out, and lower the counts. Never raises.

        A step that fails does not prevent the other steps.
        """
        log.debug("%r disconnected", connection)
        app = connection.app
        app_id = app.id
        if self.access is not None:
            attempt(log, self.access.ended, app_id, connection.id, code)
        if app.max_total_subscribes_per_second is not None or connection.reads is not None:
            self._subscriptions.stop_waiting(connection)
        if connection.tab is not None:
            attempt(log, self.resume.forget, connection)
        for channel in list(connection.channels):
            try:
                self._subscriptions.leave(connection, channel)
            except Exception as fault:
                contain(log, fault, "%r could not leave %s", connection, channel)
        try:
            if connection.user is not None:
                self._sign_ins.sign_out(connection, connection.user)
        except Exception as fault:
            contain(log, fault, "%r could not sign out", connection)
        of_app = self._connections[app_id]
        del of_app[connection.id]
        if not of_app:
            del self._connections[app_id]  # an empty dict keeps the memory of its former size
        self.total -= 1
        self.traffic[app_id].disconnections += 1
        self.closes[code if code in KNOWN_CODES else UNKNOWN_CODE] += 1
        if app.webhook_types and EventType.CONNECTION_CLOSED in app.webhook_types:
            user_id = "" if connection.user is None else connection.user.id
            closed = EventType.CONNECTION_CLOSED
            self._events.append(WebhookEvent(app_id, closed, user_id=user_id, socket_id=connection.id, number=code))
        try:
            self.roster.disconnect(app_id)
        except Exception as fault:
            contain(log, fault, "%r could not be subtracted from the count of its app", connection)

    def connections(self, app_id: str) -> dict[str, Connection]:
        """Return the connections of an app on this node by socket id. Do not change the dict."""
        return self._connections.get(app_id, {})

    def every_connection(self) -> list[Connection]:
        """Return all connections on this node."""
        return [connection for of_app in self._connections.values() for connection in of_app.values()]

    def update(self, apps: Callable[[str], App | None], only: Iterable[str] | None = None) -> int:
        """Apply changed apps to logs and connections. Return the number of connections to be closed, in slices.

        ``only`` are the ids of the apps that may have changed, None for all; then ``apps`` must not change later.
        """
        affected = self._connections
        if only is not None:
            apps = {app_id: apps(app_id) for app_id in only}.get
            affected = {app_id: self._connections[app_id] for app_id in only if app_id in self._connections}
        attempt(log, self.history.drop_unruled, lambda app_id: None if (app := apps(app_id)) is None else app.history)
        return update_connections(affected, apps, self.roster, partial(self._later, 0))

    @property
    def waiting_subscriptions(self) -> int:
        """Return the number of subscriptions that wait because of a rate limit."""
        return self._subscriptions.waiting

    # Events

    def publish(self, app: App, *triggers: Trigger) -> Receipt | None:
        """Send events to the subscribers of their channels; cache channels remember them.

        Return one receipt, or None if every node has the events. If other nodes cannot be reached, raise Unavailable
        and publish nothing. If one channel fails, publish on the others, and then raise the exception, or PartlySent
        instead of Unavailable.
        """
        for trigger in triggers if self._bus.unavailable else ():
            self._bus.check(app.id, trigger.channels)
        receipts: list[Receipt] = []
        faults: list[Exception] = []
        is_sent = False
        for trigger in triggers:
            event, exclude = Event(trigger.name, trigger.data), trigger.socket_id
            if log.isEnabledFor(logging.DEBUG):
                log.debug("App %s sends %s to %s", app.id, event.name, ", ".join(trigger.channels))
            once, rules = trigger.once, app.history
            for channel in trigger.channels:
                try:
                    rule = rule_of(rules, channel) if rules else None
                    if once is not None:
                        receipt = self._bus.publish_once(app.id, channel, event, once, rule, exclude)
                    elif rule is not None:
                        receipt = self._bus.publish_stored(app.id, channel, event, rule, exclude)
                    elif channels.kind_of(channel).cache:
                        receipt = self._bus.publish_cached(app.id, channel, event, exclude)
                    else:
                        receipt = self._bus.publish(app.id, channel, event, exclude)
                    if receipt is not None:
                        receipts.append(receipt)
                    else:
                        is_sent = True
                except Exception as fault:
                    faults.append(fault)
        if faults:
            raise PartlySent if (is_sent or receipts) and isinstance(faults[0], Unavailable) else faults[0]
        if not receipts:
            return None
        return Receipts(receipts, is_sent=is_sent) if is_sent or len(receipts) > 1 else receipts[0]

    def terminate(self, app_id: str, user_id: str) -> Receipt | None:
        """Close every connection of a user, on all nodes. Return a receipt, or None if every node knows of it."""
        return self._bus.terminate(app_id, user_id)

    # The inbox: calls of the bus and the roster

    def deliver(self, app_id: str, channel: str, event: Event, exclude: str | None = None) -> None:
        """Send an event to this node's subscribers of a channel, except the connection ``exclude``."""
        if (app_id, channel) in self._hub.channels:
            text = messages.event_text(channel, event.name, event.data, event.user_id)
            excluded = None if exclude is None else self.connections(app_id).get(exclude)
            receivers = self._hub.publish(app_id, channel, frames.encode(_TEXT, text), excluded)
            try:  # not attempt(), which costs each event a call
                self.traffic[app_id].sent(receivers, receivers * len(text))
            except Exception as fault:
                contain(log, fault, "App %s: an event could not be counted", app_id)

    def deliver_stored(
        self, app_id: str, channel: str, event: Event, position: Position, exclude: str | None = None
    ) -> None:
        """Send an event that is in the log of its channel to this node's subscribers, except ``exclude``."""
        if self.sequences.arrive(app_id, channel, event, position, exclude):
            self.resume.note(app_id, channel)

    def check_history(self) -> None:
        """Look for stored events that this node has missed, and send them."""
        self.sequences.check()

    def _history_rule(self, app_id: str, channel: str) -> HistoryRule | None:
        """Return the rule for a channel that has subscribers on this node."""
        connection = next(iter(self.connections(app_id).values()), None)
        return None if connection is None else rule_of(connection.app.history, channel)

    def _close_subscribers(self, key: tuple[str, str]) -> None:
        """Close the subscribers of a channel that have missed events, in slices, so that they come back."""
        channel = self._hub.channels.get(key)
        reason = "Events were lost between the nodes of the server; please reconnect."
        if channel is not None:
            connections = [each for each in channel.subscribers if isinstance(each, Connection)]
            in_slices(connections, lambda each: each.refuse(Code.RECONNECT, reason), partial(self._later, 0))

    def _send(self, app_id: str, channel: str, message: Message) -> None:
        """Send a message to this node's subscribers of a channel."""
        receivers = self._hub.publish(app_id, channel, message.frame)
        if receivers:
            attempt(log, self.traffic[app_id].sent, receivers, receivers * len(message.text))

    def member_added(self, app_id: str, channel: str, member: Member) -> None:
        """Send member_added to this node's subscribers of a presence channel."""
        self._send(app_id, channel, messages.member_added(channel, member.escaped_id, member.escaped_info))

    def member_removed(self, app_id: str, channel: str, member: Member) -> None:
        """Send member_removed to this node's subscribers of a presence channel."""
        self._send(app_id, channel, messages.member_removed(channel, member.escaped_id))

    def wants_counts(self, app_id: str) -> bool:
        """Return whether the app has subscription_count events; False if the app has no connection on this node."""
        connection = next(iter(self.connections(app_id).values()), None)
        return connection is not None and connection.app.subscription_count_events

    def count_changed(self, app_id: str, channel: str, count: int) -> None:
        """Send the number of all subscribers to this node's subscribers of a channel."""
        self._counts.sent_elsewhere(app_id, channel, count)
        self._send(app_id, channel, messages.subscription_count(channel, count))

    def end_user(self, app_id: str, user_id: str) -> None:
        """Close this node's connections of a user, in slices."""
        reason, connections = "The connection was terminated by the app.", self._users.connections(app_id, user_id)
        in_slices(connections, lambda each: each.refuse(Code.UNAUTHORIZED, reason), partial(self._later, 0))

    def notify_watchers(self, app_id: str, user_id: str, online: bool) -> None:
        """Notify this node's watchers of a user that the user is online or offline."""
        if (app_id, WATCHERS + user_id) in self._hub.channels:
            message = messages.watchlist_events([user_id] if online else [], [] if online else [user_id])
            self._send(app_id, WATCHERS + user_id, message)

    def report(self, transition: Transition, app_id: str, channel: str, user_id: str | None = None) -> None:
        """Log a transition. The roster reports each transition to one node only."""
        log.debug("App %s: %s %s", app_id, transition, channel)
