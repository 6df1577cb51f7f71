"""The event log of a process that forms its own deliveries: a cluster of one."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import uuid4

from soketpy.core.app_registry import RegistryUnavailable
from soketpy.core.apps import App, Load, all_loaded
from soketpy.core.containment import contain
from soketpy.core.deliveries import Delivery, form, has_batches
from soketpy.core.grace import State
from soketpy.core.webhook_ports import Queue, QueueUnavailable
from soketpy.protocol.webhooks import WebhookEvent
from soketpy.webhooks.callback import Callback
from soketpy.webhooks.statistics import Statistics
from soketpy.webhooks.waiting import Taken, Waiting

log = logging.getLogger("soketpy.webhooks")

MOST_AT_ONCE = 1_000
"""Events that are formed and stored at a time: some milliseconds of work."""

PAUSE = 1.0
"""Seconds between two attempts to store events in a queue that is unavailable."""


def _random_id(lane: str, positions: Sequence[int]) -> str:
    return str(uuid4())


@dataclass(slots=True)
class _Formed:
    """Events, and their deliveries."""

    taken: Taken
    deliveries: list[Delivery]


class Collector:
    """Collects events, forms deliveries from them and stores these in a queue.

    An event is accepted when the queue has stored it. Events of one ``put`` are stored in one transaction.

    The callback of a program gets each event at once. While no app has webhooks, ``stores`` is false, and events are
    only for the callback.
    """

    def __init__(
        self,
        queue: Queue,
        app_of: Callable[[str], App | None],
        *,
        load: Load = all_loaded,
        batching: bool = False,
        batch_duration: float = 0.05,
        statistics: Statistics | None = None,
        callback: Callback | None = None,
    ) -> None:
        self.dropped = 0
        self.stores = True
        self._queue = queue
        self._app_of = app_of
        self._load = load
        self._batching = batching
        self._batch_duration = batch_duration
        self._statistics = statistics or Statistics()
        self._callback = callback
        self._events = Waiting()
        self._taken: Taken | None = None  # events whose apps are not loaded
        self._formed: _Formed | None = None
        self._wake = asyncio.Event()
        self._flushing = asyncio.Lock()

    @property
    def waiting(self) -> int:
        """Return the number of events that wait."""
        return len(self._events)

    def append(self, event: WebhookEvent) -> None:
        """Take an event. Never blocks and never raises."""
        self.record(event, None, False)

    def record(self, event: WebhookEvent, state: State | None, is_on: bool) -> None:
        """Take an event that turned a state on or off."""
        if self._callback is not None:
            self._callback.offer((event,))
        if not self.stores:
            return
        if lost := self._events.add(event, state, is_on):
            self._drop(event, lost)
        else:
            self._wake.set()

    def _drop(self, event: WebhookEvent, number: int) -> None:
        if not self.dropped:
            log.error("Dropping webhook events: too many wait for their queue", {"event": "webhook_events_dropped"})
        self.dropped += number
        self._statistics.traffic[event.app_id, ""].dropped += number

    @property
    def has_events(self) -> bool:
        """True if events wait to be stored."""
        return bool(self._events) or self._is_unfinished

    async def wait(self) -> None:
        """Wait until there are events to store."""
        await self._wake.wait()

    async def run(self) -> None:
        """Store events until the task is cancelled. Then ``flush`` stores the rest."""
        while True:
            await self.wait()
            await asyncio.sleep(self._batch_duration if self._batches() else 0)
            try:
                await self._store(len(self._events))
            except QueueUnavailable as fault:
                log.warning(
                    "Webhook events cannot be stored (%(reason)s): trying again",
                    {"event": "webhook_events_not_stored", "reason": fault},
                )
                await asyncio.sleep(PAUSE)

    def _batches(self) -> bool:
        """Return whether a webhook of the app of the first event sends several events in one request."""
        app = self._app_of(self._events.first.app_id) if self._events else None
        return has_batches(app, self._batching)

    async def flush(self) -> None:
        """Store all events. Raises QueueUnavailable, and then keeps the events."""
        while self.has_events:
            await self._store(len(self._events))

    @property
    def _is_unfinished(self) -> bool:
        """Return whether an attempt to store events has failed."""
        return self._formed is not None or self._taken is not None

    async def _store(self, most: int) -> None:
        """Store the first ``most`` events. Events that are taken meanwhile wait, so that they make larger batches."""
        async with self._flushing:  # the flush at the end waits for the one of ``run``, and repeats no ``put``
            self._wake.clear()
            try:
                while self._is_unfinished or (most > 0 and self._events):
                    most -= await self._store_some()
            finally:
                if self.has_events:
                    self._wake.set()

    def _form(self, events: Sequence[WebhookEvent]) -> list[Delivery]:
        """Return the deliveries of some events. If one event cannot be encoded, the others still have theirs."""
        create = partial(form, app_of=self._app_of, now=time.time(), new_id=_random_id, batching=self._batching)
        try:
            return create(events)
        except Exception:  # every fault concerns single events
            deliveries = []
            for event in events:
                try:
                    deliveries += create([event])
                except Exception as fault:
                    contain(log, fault, "App %s: no webhook could be formed for %s", event.app_id, event.name)
            return deliveries

    async def _take(self) -> Taken:
        """Take events, and load their apps. If that fails, the same events are taken the next time."""
        if self._taken is None:
            self._taken = self._events.take(MOST_AT_ONCE)
        try:
            await self._load(self._taken.apps)
        except RegistryUnavailable as fault:
            raise QueueUnavailable(f"the apps cannot be read: {fault}") from None
        return self._taken

    async def _store_some(self) -> int:
        """Form deliveries once, and store them. Return the number of their events.

        If that fails, the same deliveries are stored the next time.
        """
        if self._formed is None:
            taken = await self._take()
            self._formed, self._taken = _Formed(taken, self._form(taken.events)), None
        formed = self._formed
        try:
            buried = await self._queue.put(formed.deliveries, formed.taken.states)
        except QueueUnavailable:
            raise
        except Exception as fault:
            contain(log, fault, "%d webhook events could not be stored, and are lost", len(formed.taken.events))
            buried = 0
        self._formed = None
        if buried:
            await self._statistics.overflowed(self._queue, formed.deliveries, buried)
        return len(formed.taken.events)
