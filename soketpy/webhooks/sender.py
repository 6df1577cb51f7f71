"""The sender: takes deliveries from a queue, sends each to its target, and retries those that fail."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping

from soketpy.core.app_registry import RegistryUnavailable
from soketpy.core.apps import App
from soketpy.core.containment import contain
from soketpy.core.deliveries import Delivery
from soketpy.core.retries import is_over, pause_after
from soketpy.core.webhook_ports import Outcome, Queue, QueueUnavailable, Target
from soketpy.core.webhooks import Webhook
from soketpy.webhooks.endpoints import Endpoint, Endpoints
from soketpy.webhooks.statistics import Statistics

log = logging.getLogger("soketpy.webhooks")

PAUSE = 1.0
"""Seconds between two attempts to use a queue that is unavailable."""

STORE_ATTEMPTS = 60
"""Attempts to store the result of a delivery. After them the delivery is left to the queue, which repeats it."""

STOP_TIMEOUT = 3.0
"""Seconds that requests in flight may take when the server stops. The queue keeps the others."""

STORE_TIMEOUT = 2.0
"""Seconds after ``STOP_TIMEOUT`` in which results that have arrived must be stored."""

REMOVED = "the webhook was removed from the configuration"


class Sender:
    """Sends deliveries. Each delivery in flight has its own task, so a slow endpoint delays no other one.

    Senders of several queues share ``endpoints``, so that a failing endpoint is paused in all of them.

    The number of tasks is bounded by the lanes: a webhook has at most ``deliveries.LANES`` of them.
    """

    def __init__(
        self,
        queue: Queue,
        find_app: Callable[[str], Awaitable[App | None]],
        targets: Mapping[str, Target],
        *,
        retry_for: float = 300,
        statistics: Statistics | None = None,
        endpoints: Endpoints | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._queue = queue
        self._find_app = find_app
        self._targets = targets
        self._retry_for = retry_for
        self._statistics = statistics or Statistics()
        self._clock = clock
        self._endpoints = Endpoints() if endpoints is None else endpoints
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._unstored = 0  # results that the stop has given up

    async def run(self) -> None:
        """Send deliveries until the task is cancelled. Then ``stop`` waits for those in flight."""
        while True:
            try:
                for delivery in await self._queue.take():
                    task = asyncio.create_task(self._deliver(delivery))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
            except QueueUnavailable as fault:
                log.warning(
                    "The queue of webhooks is unavailable (%(reason)s): trying again",
                    {"event": "webhook_queue_unavailable", "reason": fault},
                )
                await asyncio.sleep(PAUSE)
            except Exception as fault:
                contain(log, fault, "Webhooks could not be taken from their queue")
                await asyncio.sleep(PAUSE)

    async def stop(self) -> None:
        """Wait for the requests in flight, for some seconds, and cancel the others. The queue keeps their deliveries.

        A result that has arrived is stored before this method returns, unless the queue cannot store the result within
        ``STORE_TIMEOUT``: then the delivery may be sent again.
        """
        self._stopping = True
        if self._tasks:
            _, unfinished = await asyncio.wait(self._tasks, timeout=STOP_TIMEOUT)
            for task in unfinished:
                task.cancel()
            if unfinished:
                await asyncio.wait(unfinished)
        if self._unstored:
            log.error(
                "The results of %(count)d webhooks could not be stored before the stop: they may be sent again",
                {"event": "webhook_results_lost", "count": self._unstored},
            )

    async def _deliver(self, delivery: Delivery) -> None:
        try:
            await self._attempt(delivery)
        except Exception as fault:
            contain(log, fault, "App %s: the result of a webhook could not be stored", delivery.app_id)

    async def _attempt(self, delivery: Delivery) -> None:
        try:
            app = await self._find_app(delivery.app_id)
        except RegistryUnavailable:
            await self._store(lambda: self._queue.postpone(delivery, PAUSE))
            return
        webhook = None if app is None else webhook_of(app, delivery)
        if app is None or webhook is None:
            self._endpoints.forget(delivery.endpoint)
            await self._bury(delivery, REMOVED)
            return
        with self._endpoints.use(delivery.endpoint) as endpoint:
            async with endpoint.attempt() as pause:
                if self._stopping:
                    return
                if not pause:
                    outcome = await self._send(delivery, app, webhook)
                    await self._conclude(delivery, endpoint, outcome)
                    return
            await self._postpone(delivery, endpoint, pause)

    async def _send(self, delivery: Delivery, app: App, webhook: Webhook) -> Outcome:
        kind = "lambda" if webhook.url is None else "http"
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            outcome = await self._targets[kind].send(delivery, app, webhook)
        except Exception as fault:
            contain(log, fault, "App %s: a webhook could not be delivered", delivery.app_id)
            outcome = Outcome(f"a fault of the server: {type(fault).__name__}")
        self._statistics.of(delivery).requested(loop.time() - began)
        return outcome

    async def _conclude(self, delivery: Delivery, endpoint: Endpoint, outcome: Outcome) -> None:
        """Store the result of an attempt, and count and log it."""
        traffic = self._statistics.of(delivery)
        if not outcome.error:
            traffic.sent += 1
            seconds = endpoint.succeed()
            await self._store(lambda: self._queue.finish(delivery))
            if seconds is not None:
                await self._statistics.recovered(self._queue, delivery, seconds)
            return
        traffic.failed += 1
        began = endpoint.fail(outcome)
        if outcome.gone or self._is_over(delivery):
            await self._bury(delivery, outcome.error)
        else:
            traffic.retried += 1
            own = pause_after(delivery.attempts + 1, outcome.retry_after, random.random)
            pause = max(own, endpoint.pause)
            await self._store(lambda: self._queue.retry(delivery, pause, outcome.error))
        if began:
            await self._statistics.began_to_fail(self._queue, delivery, outcome)

    async def _postpone(self, delivery: Delivery, endpoint: Endpoint, pause: float) -> None:
        """Put a delivery back, because another one of its endpoint has failed.

        If the endpoint has failed for the whole time of retries, give up deliveries that are as old, so that a dead
        endpoint does not keep them for hours.
        """
        if endpoint.failing_for >= self._retry_for and self._is_over(delivery):
            await self._bury(delivery, endpoint.error)
        else:
            await self._store(lambda: self._queue.postpone(delivery, pause))

    def _is_over(self, delivery: Delivery) -> bool:
        return is_over(delivery.created, self._clock(), self._retry_for)

    async def _bury(self, delivery: Delivery, reason: str) -> None:
        self._statistics.of(delivery).dead += 1
        await self._store(lambda: self._queue.bury(delivery, reason))

    async def _store(self, change: Callable[[], Awaitable[object]]) -> None:
        """Make a change to the queue. Repeat the change if the queue is unavailable.

        If this task is cancelled, wait for the change in progress, but at most ``STORE_TIMEOUT``.
        """
        try:
            for _ in range(STORE_ATTEMPTS):
                storing = asyncio.ensure_future(change())
                try:
                    await asyncio.shield(storing)
                except QueueUnavailable as fault:
                    log.warning(
                        "The result of a webhook could not be stored (%(reason)s): trying again",
                        {"event": "webhook_result_not_stored", "reason": fault},
                    )
                    await asyncio.sleep(PAUSE)
                else:
                    return
        except asyncio.CancelledError:
            self._unstored += not await _is_made(storing)
            raise
        log.error("The result of a webhook could not be stored: it may be sent again", {"event": "webhook_result_lost"})


async def _is_made(change: asyncio.Future[object]) -> bool:
    """Wait for a change, for some seconds, and then cancel it. Return whether it was made."""
    await asyncio.wait([change], timeout=STORE_TIMEOUT)
    if change.cancel():
        await asyncio.wait([change])
    return not change.cancelled() and change.exception() is None


def webhook_of(app: App, delivery: Delivery) -> Webhook | None:
    """Return the webhook of a delivery; if its event types or filter have changed, one with the same target."""
    same_target = None
    for webhook in app.webhooks:
        if webhook.id == delivery.webhook_id:
            return webhook
        if webhook.target == delivery.target:
            same_target = webhook
    return same_target
