"""The events that clients send to each other: their checks and limits, and the sending."""

from collections import Counter
from collections.abc import Callable
from typing import NoReturn

from soketpy.core.connection import Connection
from soketpy.core.history import rule_of
from soketpy.core.limits import bucket_for
from soketpy.core.ports import Bus, EventLog, RateLimiter, Unavailable
from soketpy.protocol import channels, events, grammar
from soketpy.protocol.errors import ClientEventRejected
from soketpy.protocol.event_types import CLIENT_EVENT
from soketpy.protocol.messages import Event
from soketpy.protocol.webhooks import WebhookEvent

Deliver = Callable[[str, str, Event, str], None]
"""Sends an event of an app and a channel to the subscribers on this node, except a connection."""


class ClientEvents:
    """Sends client events. An event that is refused costs nothing of a limit."""

    def __init__(
        self,
        bus: Bus,
        events: EventLog,
        limiter: RateLimiter,
        deliver: Deliver,
        clock: Callable[[], float],
        refused: Counter[str] | None = None,
    ) -> None:
        """Make the sender. ``refused`` counts the events that a limit refuses, by the name of the limit."""
        self._bus = bus
        self._events = events
        self._limiter = limiter
        self._deliver = deliver
        self._clock = clock
        self._refused: Counter[str] = Counter() if refused is None else refused

    def send(self, connection: Connection, event: events.ClientEvent, checked: bytes | None = None) -> None:
        """Send a client's event to the other subscribers of the channel. Raises ClientEventRejected (4301).

        The app has room for the event, and no limit of the events of all its connections: otherwise use
        ``send_when_allowed``. ``checked`` is the data of an event that is checked already.
        """
        data = self._check(connection, event) if checked is None else checked
        app, channel = connection.app, event.channel
        published = Event(event.name, data, connection.channels[channel])
        if app.webhook_types and CLIENT_EVENT in app.webhook_types:
            user_id = connection.channels[channel] or ""
            self._events.append(WebhookEvent(app.id, CLIENT_EVENT, channel, user_id, connection.id, event.name, data))
        rule = rule_of(app.history, channel) if app.history else None
        try:
            if rule is not None and rule.client_events:
                self._bus.publish_stored(app.id, channel, published, rule, connection.id)
            else:
                self._bus.publish(app.id, channel, published, connection.id)
        except Unavailable:
            self._deliver(app.id, channel, published, connection.id)  # to the subscribers on this node

    async def send_when_allowed(self, connection: Connection, event: events.ClientEvent) -> None:
        """Send a client's event as ``send`` does, when the app has room for it and its limit allows it."""
        await self._bus.room(connection.app.id)
        if not connection.open:
            return
        data, limit = self._check(connection, event), connection.app.max_total_client_events_per_second
        if limit is not None:
            await self._take_of_app(connection.app.id, event.channel, limit)
        if event.channel in connection.channels:  # not if the connection was closed or terminated during the wait
            self.send(connection, event, data)

    def _check(self, connection: Connection, event: events.ClientEvent) -> bytes:
        """Return the data of an event that the connection may send. Raises ClientEventRejected."""
        app, channel = connection.app, event.channel
        if not app.client_events:
            _reject(channel, "The app has client events switched off.")
        if channel not in connection.channels:
            _reject(channel, "The connection is not on this channel.")
        kind = channels.kind_of(channel)
        if not kind.guarded or kind.encrypted:
            _reject(channel, "Client events are for private and presence channels that are not encrypted.")
        if len(event.name) > app.max_event_name_length:
            _reject(channel, f"The event name is longer than the allowed {app.max_event_name_length} characters.")
        data, most = event.data, app.max_event_payload
        if len(data) > most:
            if (size := grammar.size(data)) > most:
                _reject(channel, f"The event data has {size} bytes; the app allows {most}.")
            data = grammar.compact(data)
        if app.max_client_events_per_second is not None:
            self._take(connection, channel, app.max_client_events_per_second)
        return data

    def _take(self, connection: Connection, channel: str, limit: int) -> None:
        """Count an event of a connection with a limit of them. Raises ClientEventRejected."""
        now = self._clock()
        bucket = connection.client_events = bucket_for(limit, connection.client_events, now)
        if not bucket.take(1, now):
            self._refused["max_client_events_per_second"] += 1
            _reject(channel, f"A connection may send {limit} client events a second.")

    async def _take_of_app(self, app_id: str, channel: str, limit: int) -> None:
        """Count an event of an app with a limit of them. Raises ClientEventRejected."""
        try:
            allowance = await self._limiter.take_one(app_id, "client events", limit)
        except Unavailable as fault:
            _reject(channel, str(fault))
        if not allowance.allowed:
            self._refused["max_total_client_events_per_second"] += 1
            _reject(channel, f"All connections of the app together may send {limit} client events a second.")


def _reject(channel: str, reason: str) -> NoReturn:
    raise ClientEventRejected(channel, reason)
