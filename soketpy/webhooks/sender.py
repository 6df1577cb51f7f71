"""The sender: takes deliveries from a queue, sends each to its target, and retries those that fail."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping

from soketpy.core.apps import App
from soketpy.core.containment import contain
from soketpy.core.deliveries import Delivery
from soketpy.core.retries import is_over, pause_after
from soketpy.core.webhook_ports import Outcome, Queue, QueueUnavailable, Target
from soketpy.core.webhooks import Webhook

log = logging.getLogger("soketpy.webhooks")

PAUSE = 1.0
"""Seconds between two attempts to use a queue that is unavailable."""

STOP_TIMEOUT = 5.0
"""Seconds that requests in flight may take when the server stops. The queue keeps the others."""

REMOVED = "the webhook was removed from the configuration"


class Sender:
    """Sends deliveries. Each delivery in flight has its own task, so a slow endpoint delays no other one.

    The number of tasks is bounded by the lanes: a webhook has at most ``deliveries.LANES`` of them.
    """

    def __init__(
        self,
        queue: Queue,
        app_of: Callable[[str], App | None],
        targets: Mapping[str, Target],
        *,
        retry_for: float = 300,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._queue = queue
        self._app_of = app_of
        self._targets = targets
        self._retry_for = retry_for
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Send deliveries until the task is cancelled. Then ``stop`` waits for those in flight."""
        while True:
            try:
                for delivery in await self._queue.take():
                    task = asyncio.create_task(self._deliver(delivery))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
            except QueueUnavailable as fault:
                log.warning("The queue of webhooks is unavailable (%s): trying again", fault)
                await asyncio.sleep(PAUSE)
            except Exception as fault:
                contain(log, fault, "Webhooks could not be taken from their queue")
                await asyncio.sleep(PAUSE)

    async def stop(self) -> None:
        """Wait for the deliveries in flight, for some seconds. The queue keeps those that do not end."""
        if self._tasks:
            _, unfinished = await asyncio.wait(self._tasks, timeout=STOP_TIMEOUT)
            for task in unfinished:
                task.cancel()
            if unfinished:
                await asyncio.wait(unfinished)

    async def _deliver(self, delivery: Delivery) -> None:
        try:
            await self._attempt(delivery)
        except Exception as fault:
            contain(log, fault, "App %s: a webhook could not be delivered", delivery.app_id)
            await self._store(self._queue.retry(delivery, self._pause(delivery, None), repr(fault)))

    async def _attempt(self, delivery: Delivery) -> None:
        app = self._app_of(delivery.app_id)
        webhook = None if app is None else webhook_of(app, delivery)
        if app is None or webhook is None:
            await self._store(self._queue.bury(delivery, REMOVED))
            return
        kind = "lambda" if webhook.url is None else "http"
        outcome = await self._targets[kind].send(delivery, app, webhook)
        if not outcome.error:
            await self._store(self._queue.finish(delivery))
        elif outcome.gone or is_over(delivery.created, self._clock(), self._retry_for):
            await self._store(self._queue.bury(delivery, outcome.error))
        else:
            await self._store(self._queue.retry(delivery, self._pause(delivery, outcome), outcome.error))

    def _pause(self, delivery: Delivery, outcome: Outcome | None) -> float:
        retry_after = None if outcome is None else outcome.retry_after
        return pause_after(delivery.attempts + 1, retry_after, random.random)

    async def _store(self, change: Awaitable[object]) -> None:
        """Make a change to the queue. If the queue is unavailable, the delivery is repeated later."""
        try:
            await change
        except QueueUnavailable as fault:
            log.warning("The result of a webhook could not be stored (%s): it may be sent again", fault)


def webhook_of(app: App, delivery: Delivery) -> Webhook | None:
    """Return the webhook of a delivery; if its event types or filter have changed, one with the same target."""
    same_target = None
    for webhook in app.webhooks:
        if webhook.id == delivery.webhook_id:
            return webhook
        if webhook.target == delivery.target:
            same_target = webhook
    return same_target
