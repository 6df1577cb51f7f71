"""The event log of a process that forms its own deliveries: a cluster of one."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from uuid import uuid4

from soketpy.core.apps import App
from soketpy.core.containment import contain
from soketpy.core.deliveries import form
from soketpy.core.grace import State
from soketpy.core.webhook_ports import Queue, QueueUnavailable
from soketpy.protocol.webhooks import WebhookEvent

log = logging.getLogger("soketpy.webhooks")

MOST_WAITING = 50_000
"""Events that wait for the queue, at most. If more arrive, the oldest ones are dropped."""

PAUSE = 1.0
"""Seconds between two attempts to store events in a queue that is unavailable."""

OnEvent = Callable[[WebhookEvent], Awaitable[None]]
"""Gets the events inside a Python program."""


def _random_id() -> str:
    return str(uuid4())


class Collector:
    """Collects events, forms deliveries from them and stores these in a queue.

    An event is accepted when the queue has stored it. Events of one ``put`` are stored in one transaction.
    """

    def __init__(
        self,
        queue: Queue,
        app_of: Callable[[str], App | None],
        *,
        batching: bool = False,
        batch_duration: float = 0.05,
        on_event: OnEvent | None = None,
    ) -> None:
        self.dropped = 0
        self._queue = queue
        self._app_of = app_of
        self._batching = batching
        self._batch_duration = batch_duration
        self._on_event = on_event
        self._events: list[WebhookEvent] = []
        self._states: dict[State, bool] = {}
        self._wake = asyncio.Event()

    def append(self, event: WebhookEvent) -> None:
        """Take an event. Never blocks and never raises."""
        self._events.append(event)
        self._wake.set()

    def record(self, event: WebhookEvent, state: State | None, is_on: bool) -> None:
        """Take an event that turned a state on or off."""
        if state is not None:
            self._states[state] = is_on
        self.append(event)

    async def run(self) -> None:
        """Store events until the task is cancelled. Then ``flush`` stores the rest."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(self._batch_duration if self._batches() else 0)
            try:
                await self.flush()
            except QueueUnavailable as fault:
                log.warning("Webhook events cannot be stored (%s): trying again", fault)
                self._drop_oldest()
                await asyncio.sleep(PAUSE)
            except Exception as fault:
                contain(log, fault, "Webhook events could not be stored, and are lost")

    def _batches(self) -> bool:
        """Return whether a webhook of the app of the first event sends several events in one request."""
        app = self._app_of(self._events[0].app_id) if self._events else None
        return app is not None and any(
            self._batching if each.batching is None else each.batching for each in app.webhooks
        )

    def _drop_oldest(self) -> None:
        excess = len(self._events) - MOST_WAITING
        if excess > 0:
            del self._events[:excess]
            self.dropped += excess
            log.error("Dropped %d webhook events: their queue was unavailable for too long", excess)

    async def flush(self) -> None:
        """Store all events that were taken until now. Raises QueueUnavailable, and then keeps the events."""
        self._wake.clear()
        events, self._events = self._events, []
        states, self._states = self._states, {}
        if not events and not states:
            return
        try:
            deliveries = form(events, self._app_of, time.time(), _random_id, batching=self._batching)
            await self._queue.put(deliveries, states)
        except QueueUnavailable:
            self._events = events + self._events
            self._states = states | self._states
            self._wake.set()
            raise
        if self._on_event is not None:
            for event in events:
                try:
                    await self._on_event(event)
                except Exception as fault:
                    contain(log, fault, "App %s: on_event failed for %s", event.app_id, event.name)
