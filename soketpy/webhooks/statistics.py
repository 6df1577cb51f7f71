"""The counters of webhooks, and the log lines about endpoints that begin to fail, recover, or have a full queue."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from soketpy.core.deliveries import Delivery
from soketpy.core.webhook_ports import Outcome, Queue, QueueLength, QueueUnavailable
from soketpy.core.webhook_traffic import WebhookTraffic, WebhookTrafficByHost
from soketpy.core.webhooks import host_of

log = logging.getLogger("soketpy.webhooks")

QUIET = 60.0
"""Seconds between two lines about one endpoint: an endpoint that fails again within this time has no new lines."""

MOST_QUIET = 10_000
"""Endpoints whose last lines are remembered, at most."""


LONGEST_COUNT = 2.0
"""Seconds that a queue may take to count its deliveries."""


class Statistics:
    """Counts deliveries by app and host, and logs the health of endpoints. No line has the path of a URL."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.traffic = WebhookTrafficByHost()
        self._clock = clock
        self._logged: dict[tuple[str, str, str], float] = {}  # the time of the last line about an endpoint, by its kind

    def of(self, delivery: Delivery) -> WebhookTraffic:
        """Return the counters of the app and the host of a delivery."""
        return self.traffic[delivery.app_id, host_of(delivery.target)]

    async def began_to_fail(self, queue: Queue, delivery: Delivery, outcome: Outcome) -> None:
        """Log that an endpoint has begun to fail."""
        if not self._may_log("fails", delivery):
            return
        if outcome.gone:
            log.warning(
                "App %(app)s: webhooks to %(host)s fail: %(reason)s; each of them becomes a dead letter",
                {
                    "event": "webhooks_refused",
                    "app": delivery.app_id,
                    "host": host_of(delivery.target),
                    "reason": outcome.error,
                },
            )
        else:
            log.warning(
                "App %(app)s: webhooks to %(host)s fail: %(reason)s; %(queued)s queued, and will be tried again",
                {
                    "event": "webhooks_failing",
                    "app": delivery.app_id,
                    "host": host_of(delivery.target),
                    "reason": outcome.error,
                    "queued": await _queued(queue, delivery),
                },
            )

    async def recovered(self, queue: Queue, delivery: Delivery, seconds: float) -> None:
        """Log that a failing endpoint has accepted a delivery. Its failure must have been logged."""
        if self._logged.get(("fails", *delivery.endpoint), 0.0) >= self._clock() - seconds - QUIET:
            log.info(
                "App %(app)s: webhooks to %(host)s work again, after %(seconds)d s; %(queued)s queued",
                {
                    "event": "webhooks_recovered",
                    "app": delivery.app_id,
                    "host": host_of(delivery.target),
                    "seconds": seconds,
                    "queued": await _queued(queue, delivery),
                },
            )

    async def overflowed(self, queue: Queue, deliveries: Sequence[Delivery], buried: int) -> None:
        """Count and log dead letters: ``buried`` deliveries had to make room for some of ``deliveries``.

        A queue does not say which endpoints were full, so the dead letters are counted for those that are full now.
        """
        put = Counter(each.endpoint for each in deliveries)
        lengths = {(each.app_id, each.webhook_id): each for each in await _lengths(queue)}
        full = sorted(put, key=lambda each: -lengths[each].length if each in lengths else 0)
        for endpoint in full:
            number = min(put[endpoint], buried)
            if not number:
                break
            buried -= number
            delivery = next(each for each in deliveries if each.endpoint == endpoint)
            self.of(delivery).dead += number
            if self._may_log("full", delivery):
                log.warning(
                    "App %(app)s: the queue of webhooks to %(host)s is full: its oldest deliveries become dead letters",
                    {"event": "webhook_queue_full", "app": delivery.app_id, "host": host_of(delivery.target)},
                )

    async def measure(self, queues: Iterable[Queue]) -> None:
        """Update the gauges: the lengths of some queues, and the ages of their oldest deliveries."""
        gauges: dict[tuple[str, str], tuple[int, float]] = {}
        for queue in queues:
            for each in await _lengths(queue):
                key = each.app_id, host_of(each.target)
                length, oldest = gauges.get(key, (0, each.oldest))
                gauges[key] = length + each.length, min(oldest, each.oldest)
        for key in self.traffic.keys() | gauges.keys():
            length, oldest = gauges.get(key, (0, 0.0))
            traffic = self.traffic[key]
            traffic.queued, traffic.oldest = length, max(0.0, self._clock() - oldest) if length else 0.0

    def _may_log(self, kind: str, delivery: Delivery) -> bool:
        key, now = (kind, *delivery.endpoint), self._clock()
        if now - self._logged.get(key, -QUIET) < QUIET:
            return False
        self._logged.pop(key, None)
        self._logged[key] = now
        if len(self._logged) > MOST_QUIET:
            del self._logged[next(iter(self._logged))]
        return True


async def _queued(queue: Queue, delivery: Delivery) -> str:
    """Return in words the number of queued deliveries of an endpoint."""
    lengths = await _lengths(queue)
    number = sum(each.length for each in lengths if (each.app_id, each.webhook_id) == delivery.endpoint)
    return f"{number} deliver{'y is' if number == 1 else 'ies are'}"


async def _lengths(queue: Queue) -> Sequence[QueueLength]:
    """Return the lengths of a queue, or none if the queue does not answer."""
    try:
        async with asyncio.timeout(LONGEST_COUNT):
            return await queue.lengths()
    except (QueueUnavailable, TimeoutError):
        return ()
