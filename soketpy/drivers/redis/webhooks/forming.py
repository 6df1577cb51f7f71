"""Forming deliveries: the holder of a partition reads events from the stream, and moves deliveries into the queue."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from uuid import UUID, uuid5

import msgpack

from soketpy.core.app_registry import RegistryUnavailable
from soketpy.core.apps import App, Load, all_loaded
from soketpy.core.containment import contain
from soketpy.core.deliveries import Delivery, form, has_batches
from soketpy.drivers.redis.webhooks.holder import Holder
from soketpy.protocol.webhooks import WebhookEvent

log = logging.getLogger("soketpy.webhooks")

PAUSE = 1.0
"""Seconds between two attempts to load the apps of events."""

MOST_BATCHED = 500
"""Events that are formed at a time if several of them share a request, so that Redis stores few deliveries."""

_NAMESPACE = UUID("5d8a0d0e-5f0b-4a52-9f0e-7a3d5f2c9b61")

Store = Callable[[Sequence[Delivery], Sequence[bytes]], Awaitable[int]]
"""Stores deliveries, and then removes the events with these ids. Returns how many deliveries became dead letters."""


class Forming:
    """Forms deliveries from the events of a partition.

    The id of a delivery follows from the ids of its events. So if a holder stores a delivery and dies before it removes
    the events, the next holder forms the same id again from the same events.

    ``heard`` gets the events too, for the callback of a program. It never blocks and never raises.
    """

    def __init__(
        self,
        holder: Holder,
        app_of: Callable[[str], App | None],
        store: Store,
        *,
        load: Load = all_loaded,
        batching: bool = False,
        batch_duration: float = 0.05,
        heard: Callable[[Sequence[WebhookEvent]], None] | None = None,
    ) -> None:
        self.dropped = 0
        self._holder = holder
        self._app_of = app_of
        self._store = store
        self._load = load
        self._batching = batching
        self._batch_duration = batch_duration
        self._heard = heard

    async def work(self) -> float | None:
        """Form deliveries until the stream is empty. Return the seconds until a grace period ends, or None."""
        batched = False
        while True:
            pause, dropped, found = await self._holder.script.run("read", *([MOST_BATCHED] if batched else []))
            if dropped:
                self.dropped += dropped
                log.error(
                    "Dropped %(count)d webhook events: too many waited in Redis",
                    {"event": "webhook_events_trimmed", "count": dropped},
                )
            if not found:
                return None if pause < 0 else pause / 1000
            ids = found[::2]
            pairs = ((_decode(packed), event_id) for event_id, packed in zip(ids, found[1::2], strict=True))
            decoded = [(event, event_id) for event, event_id in pairs if event is not None]
            events = [event for event, _ in decoded]
            await self._load_apps(events)
            if not batched and events and has_batches(self._app_of(events[0].app_id), self._batching):
                batched = True
                await asyncio.sleep(self._batch_duration)
                continue
            await self._store(self._form(events, [event_id for _, event_id in decoded]), ids)
            batched = batched and len(ids) >= MOST_BATCHED  # if more events wait, they need not wait longer
            if self._heard is not None:
                self._heard(events)

    async def _load_apps(self, events: Sequence[WebhookEvent]) -> None:
        """Load the apps of events. The events stay in the stream while the database of the apps does not answer."""
        while True:
            try:
                await self._load({event.app_id for event in events})
            except RegistryUnavailable:
                await asyncio.sleep(PAUSE)
            else:
                return

    def _form(self, events: Sequence[WebhookEvent], ids: Sequence[bytes]) -> list[Delivery]:
        """Return the deliveries of some events. If one event cannot be encoded, the others still have theirs."""
        create = partial(form, app_of=self._app_of, now=time.time(), batching=self._batching)
        try:
            return create(events, new_id=self._ids(ids))
        except Exception:  # every fault concerns single events
            deliveries = []
            for event, event_id in zip(events, ids, strict=True):
                try:
                    deliveries += create([event], new_id=self._ids([event_id]))
                except Exception as fault:
                    contain(log, fault, "App %s: no webhook could be formed for %s", event.app_id, event.name)
            return deliveries

    def _ids(self, ids: Sequence[bytes]) -> Callable[[str, Sequence[int]], str]:
        def new_id(lane: str, positions: Sequence[int]) -> str:
            parts = (self._holder.prefix, self._holder.seed, lane, *(ids[each].decode() for each in positions))
            return str(uuid5(_NAMESPACE, " ".join(parts)))

        return new_id


def _decode(packed: bytes) -> WebhookEvent | None:
    """Return an event; None, and log it, if soketpy has not written it."""
    try:
        *texts, data, number = msgpack.unpackb(packed, raw=True)
        app_id, name, channel, user_id, socket_id, event = [each.decode("utf-8", "surrogatepass") for each in texts]
    except (ValueError, TypeError, AttributeError) as fault:
        contain(log, fault, "An event for webhooks was not written by soketpy and is dropped")
        return None
    return WebhookEvent(app_id, name, channel, user_id, socket_id, event, data, number)
