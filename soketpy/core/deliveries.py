"""Deliveries: the requests that webhooks send, formed from events.

A delivery is formed once, before it enters a queue. Its body and its id never change afterwards, so that a receiver can
detect a repeated one. A delivery has events of one app for one webhook only.

The events of one subject (a channel, a user or a connection) are always in the same *lane*. A queue delivers a lane one
delivery at a time and in order. A later event of a channel therefore never overtakes an earlier one, and the requests
of a webhook in flight are limited. (If the batching, the event types or the filter of a webhook change, its lanes
change: then an event may overtake another one that is queued.)
"""

import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from soketpy.core.apps import App
from soketpy.core.webhooks import Webhook
from soketpy.protocol import webhooks
from soketpy.protocol.webhooks import WebhookEvent

LANES = 16
"""Requests that one webhook without batching has in flight at most."""

BATCH_LANES = 2
"""Requests that one webhook with batching has in flight at most. Fewer lanes make larger batches."""

MOST_EVENTS = 500
"""Events in one batch."""

MOST_BYTES = 64 * 1024
"""Bytes of events in one batch. A single event may be larger. Express reads bodies of up to 100 KB by default."""


class Delivery(msgspec.Struct, frozen=True):
    """One request of a webhook. ``created`` is a Unix time in seconds; ``events`` is the number of events in the body.

    ``attempts`` counts the failed attempts, and ``error`` is the reason of the last one.
    """

    id: str
    app_id: str
    webhook_id: str
    target: str
    lane: str
    body: bytes
    events: int
    created: float
    attempts: int = 0
    error: str = ""

    @property
    def endpoint(self) -> tuple[str, str]:
        """Return the app and the webhook: one endpoint, which has a bounded queue of its own."""
        return self.app_id, self.webhook_id


def is_batched(webhook: Webhook, batching: bool) -> bool:
    """Return whether a webhook sends several events in one request. ``batching`` is the server's setting."""
    return batching if webhook.batching is None else webhook.batching


def has_batches(app: App | None, batching: bool) -> bool:
    """Return whether a webhook of the app sends several events in one request."""
    return app is not None and any(is_batched(each, batching) for each in app.webhooks)


@dataclass(frozen=True, slots=True)
class _Route:
    """The lane in which a webhook gets the events of one subject."""

    app_id: str
    webhook: Webhook
    lane: str
    batched: bool


@dataclass(slots=True)
class _Batch:
    route: _Route
    events: list[bytes] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    size: int = 0

    def delivery(self, id: str, now: float) -> Delivery:
        """Return the delivery of the events."""
        route = self.route
        return Delivery(
            id=id,
            app_id=route.app_id,
            webhook_id=route.webhook.id,
            target=route.webhook.target,
            lane=route.lane,
            body=webhooks.body(self.events, int(now * 1000)),
            events=len(self.events),
            created=now,
        )


def form(
    events: Iterable[WebhookEvent],
    app_of: Callable[[str], App | None],
    now: float,
    new_id: Callable[[str, Sequence[int]], str],
    *,
    batching: bool,
) -> list[Delivery]:
    """Return the deliveries of some events, in the order of the events.

    Events of apps that no longer exist, and events that no webhook wants, have no delivery. ``batching`` is the
    server's setting, which a webhook may override. ``now`` is a Unix time in seconds. ``new_id`` returns the id of a
    delivery from its lane and the positions of its events in ``events``.
    """
    formed: list[_Batch] = []
    open_batches: dict[str, _Batch] = {}
    routes: dict[tuple[str, str, str, str], list[_Route]] = {}
    for position, event in enumerate(events):
        channel = event.channel
        alike = event.app_id, event.name, channel, channel or event.subject
        if (found := routes.get(alike)) is None:
            found = routes[alike] = _routes(event, app_of(event.app_id), batching)
        if not found:
            continue
        text = event.encode()
        for route in found:
            batch = open_batches.get(route.lane) if route.batched else None
            if batch is None or len(batch.events) >= MOST_EVENTS or batch.size + len(text) > MOST_BYTES:
                batch = open_batches[route.lane] = _Batch(route)
                formed.append(batch)
            batch.events.append(text)
            batch.positions.append(position)
            batch.size += len(text)
    return [batch.delivery(new_id(batch.route.lane, batch.positions), now) for batch in formed]


def _routes(event: WebhookEvent, app: App | None, batching: bool) -> list[_Route]:
    """Return the webhooks of an app that want an event, each with the lane of the event."""
    routes = []
    subject = zlib.crc32(event.subject.encode("utf-8", "surrogatepass"))
    for webhook in () if app is None else app.webhooks:
        if webhook.wants(event.name, event.channel):
            batched = is_batched(webhook, batching)
            lane = f"{event.app_id}:{webhook.id}:{subject % (BATCH_LANES if batched else LANES)}"
            routes.append(_Route(event.app_id, webhook, lane, batched))
    return routes
