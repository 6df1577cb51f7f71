"""The counters of several workers together: workers report what has changed, and their parent adds it up.

1. A total never decreases while a worker has counters of the app, even if another one ends or forgets the app.
2. A report has only what has changed since the one before, so it is small also with very many apps.
3. The totals of an app or an endpoint are removed when no worker has had counters of it for some minutes.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import TypeVar

from soketpy.core.measures import Measures
from soketpy.core.traffic import Traffic
from soketpy.core.webhook_traffic import WebhookTraffic, WebhookTrafficByHost

SLICE_SECONDS = 0.005
"""Time for which a worker compares its counters in one iteration of the event loop."""

SLICE_SIZE = 100
"""Apps between two looks at the clock: about a tenth of a millisecond."""

UNUSED_AFTER = 300.0
"""Seconds for which the totals of an app are kept although no worker has counters of it."""

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")

Host = tuple[str, str]
"""The id of an app and the host of an endpoint."""


@dataclass(slots=True)
class Report:
    """The changes in a worker since its last report.

    ``apps`` has the number of connections, and the increments of the counters of ``Traffic``. ``webhooks`` has the
    increments of the counters, and the gauges as they are. ``forgotten`` and ``forgotten_hosts`` have no counters any
    more. ``measures`` are not increments.
    """

    apps: dict[str, tuple[int, tuple[int, ...]]] = field(default_factory=dict)
    forgotten: set[str] = field(default_factory=set)
    webhooks: dict[Host, WebhookTraffic] = field(default_factory=dict)
    forgotten_hosts: set[Host] = field(default_factory=set)
    measures: Measures = field(default_factory=Measures)


class Reporter:
    """Makes the reports of one worker."""

    def __init__(
        self,
        traffic: Mapping[str, Traffic],
        connected: Callable[[str], int],
        webhooks: Mapping[Host, WebhookTraffic],
        measures: Callable[[], Measures] = Measures,
    ) -> None:
        self._traffic = traffic
        self._connected = connected
        self._webhooks = webhooks
        self._measures = measures
        # What was reported. An app that was forgotten and is used again has other objects, whose counters began with 0.
        self._apps: dict[str, tuple[Traffic, int, tuple[int, ...]]] = {}
        self._hosts: dict[Host, tuple[WebhookTraffic, WebhookTraffic]] = {}

    async def report(self) -> Report:
        """Return what has changed since the last report. The event loop serves others after each ``SLICE_SECONDS``.

        Nothing is noted as reported unless the report is returned.
        """
        report = Report()
        apps: dict[str, tuple[Traffic, int, tuple[int, ...]]] = {}
        hosts: dict[Host, tuple[WebhookTraffic, WebhookTraffic]] = {}
        async for app_id, traffic in _in_slices(list(self._traffic.items())):
            before = self._apps.get(app_id)
            now = traffic, self._connected(app_id), traffic.counters()
            if before != now:
                apps[app_id] = now
                report.apps[app_id] = now[1], _increments(before, now)
        async for host, webhooks in _in_slices(list(self._webhooks.items())):
            object_and_value = self._hosts.get(host)
            if object_and_value is None or object_and_value[0] is not webhooks:
                report.webhooks[host] = webhooks.copy()
            elif object_and_value[1] != webhooks:
                report.webhooks[host] = webhooks.since(object_and_value[1])
            else:
                continue
            hosts[host] = webhooks, webhooks.copy()
        report.forgotten = self._apps.keys() - self._traffic.keys()
        report.forgotten_hosts = self._hosts.keys() - self._webhooks.keys()
        report.measures = self._measures()
        self._apps.update(apps)
        self._hosts.update(hosts)
        for app_id in report.forgotten:
            del self._apps[app_id]
        for host in report.forgotten_hosts:
            del self._hosts[host]
        return report


async def _in_slices(items: Sequence[T]) -> AsyncIterator[T]:
    """Yield the items. The event loop serves others after each ``SLICE_SECONDS``."""
    until = perf_counter() + SLICE_SECONDS
    for index, item in enumerate(items):
        if index % SLICE_SIZE == 0 and perf_counter() >= until:
            await asyncio.sleep(0)
            until = perf_counter() + SLICE_SECONDS
        yield item


def _increments(
    before: tuple[Traffic, int, tuple[int, ...]] | None, now: tuple[Traffic, int, tuple[int, ...]]
) -> tuple[int, ...]:
    if before is None or before[0] is not now[0]:
        return now[2]
    return tuple(new - old for new, old in zip(now[2], before[2], strict=True))


@dataclass(slots=True, eq=False)
class Latest:
    """The values of one worker that end with it: connections by app, gauges of webhooks, and measures."""

    connections: dict[str, int] = field(default_factory=dict)
    webhooks: dict[Host, WebhookTraffic] = field(default_factory=dict)
    measures: Measures = field(default_factory=Measures)


class Totals:
    """The counters of all workers of a server, also of those that have ended."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.traffic: dict[str, Traffic] = {}
        self._webhooks = WebhookTrafficByHost()
        self._former = Measures()
        self._workers: set[Latest] = set()
        self._clock = clock
        self._unused_since: dict[object, float] = {}

    def open(self) -> Latest:
        """Return the place for the values of a new worker."""
        latest = Latest()
        self._workers.add(latest)
        return latest

    def close(self, latest: Latest) -> None:
        """Keep the counters of a worker that has ended, and drop its other values."""
        if latest in self._workers:
            self._workers.discard(latest)
            self._former += latest.measures.ended()

    def add(self, latest: Latest, report: Report) -> None:
        """Add the report of a worker."""
        for app_id, (connected, increments) in report.apps.items():
            latest.connections[app_id] = connected
            self.traffic.setdefault(app_id, Traffic()).add(increments)
        for app_id in report.forgotten:
            latest.connections.pop(app_id, None)
        for host, webhooks in report.webhooks.items():
            latest.webhooks[host] = WebhookTraffic(queued=webhooks.queued, oldest=webhooks.oldest)
            self._webhooks[host] += webhooks.ended()
        for host in report.forgotten_hosts:
            latest.webhooks.pop(host, None)
        latest.measures = report.measures

    def connected(self, app_id: str) -> int:
        """Return how many clients of an app are connected."""
        return sum(each.connections.get(app_id, 0) for each in self._workers)

    def measures(self) -> Measures:
        """Return the measures of all workers."""
        return sum((each.measures for each in self._workers), self._former)

    def webhooks(self) -> WebhookTrafficByHost:
        """Return the counters of webhooks of all workers."""
        total = WebhookTrafficByHost(self._webhooks)
        for each in self._workers:
            for host, gauges in each.webhooks.items():
                total[host] += gauges
        return total

    def forget_unused(self) -> None:
        """Remove the totals of apps and endpoints of which no worker has had counters for ``UNUSED_AFTER`` seconds."""
        self._forget(self.traffic, {app_id for each in self._workers for app_id in each.connections})
        self._forget(self._webhooks, {host for each in self._workers for host in each.webhooks})

    def _forget(self, totals: dict[K, V], used: Collection[K]) -> None:
        now = self._clock()
        for key in list(totals):
            if key in used:
                self._unused_since.pop(key, None)
            elif now - self._unused_since.setdefault(key, now) >= UNUSED_AFTER:
                del totals[key]
                del self._unused_since[key]
