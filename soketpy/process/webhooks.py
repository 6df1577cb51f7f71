"""The webhooks of a running process: queue, collector, targets and sender, built from the settings."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import AsyncExitStack
from typing import Any

from soketpy.config import Settings
from soketpy.core.apps import App, Apps
from soketpy.core.containment import contain
from soketpy.core.steps import Later
from soketpy.core.tracing import Tracer
from soketpy.core.webhook_ports import Queue, QueueUnavailable, Target
from soketpy.core.webhooks import WebhookTypes
from soketpy.drivers.local.transitions import Transitions
from soketpy.process.aws import LambdaTargetOnDemand
from soketpy.process.queues import may_hold, queue_of, unusable
from soketpy.process.registries import is_in_database
from soketpy.process.tls import receivers_context
from soketpy.webhooks.callback import Callback
from soketpy.webhooks.collector import Collector
from soketpy.webhooks.endpoints import Endpoints
from soketpy.webhooks.sender import Sender
from soketpy.webhooks.statistics import Statistics
from soketpy.webhooks.traced import TracedTarget

log = logging.getLogger("soketpy.webhooks")

RETURN_TIMEOUT = 30.0
"""Seconds after a start in which clients may return before their channels are reported as vacated."""

FLUSH_TIMEOUT = 5.0
"""Seconds that the queue has to store the last events when the server stops."""

PAUSE = 1.0
"""Seconds between two attempts to open the queue after a reload."""

MOST_FORMER = 10_000
"""Apps with webhooks whose events are remembered although the apps may be unloaded."""

COUNT_INTERVAL = 5.0
"""Seconds between two counts of the queued deliveries, for the metrics."""

_NOTHING = frozenset[str]()


class Webhooks:
    """The webhooks of a node. Nothing runs and no library is imported until an app has a webhook.

    Apps in a database are read when they are used. On one node everything then starts with the first event that a
    webhook wants, or at once if the queue may have deliveries of an earlier run.

    ``callback`` gets the events of all apps, also of those without webhooks. ``tracer`` is set before the start, if
    traces are exported.
    """

    def __init__(self, settings: Settings, apps: Apps, callback: Callback | None = None) -> None:
        self.statistics = Statistics()
        self.tracer: Tracer | None = None
        self._endpoints = Endpoints()
        self._callback = callback
        self._counted: list[tuple[Queue, Callable[[], bool]]] = []
        self._settings = settings
        self._apps = apps
        self._running = AsyncExitStack()
        self._started = False
        self._late_start: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Return the number of events that wait in this process until the queue has stored their deliveries."""
        return 0

    async def start(self) -> None:
        """Send webhooks until ``stop``, if an app has any. Raise ConfigError if the queue cannot be used."""
        if not self._is_needed(self._settings.apps):
            return
        try:
            await self._start(late=False)
        except QueueUnavailable as fault:
            raise unusable(self._settings, fault) from None

    def update(self, apps: Iterable[App]) -> None:
        """Begin to send webhooks if none of the earlier apps had any. Removed webhooks become dead letters."""
        if not self._started and self._late_start is None and self._is_needed(apps):
            self._late_start = asyncio.create_task(self._start_late())

    def _is_needed(self, apps: Iterable[App]) -> bool:
        """Return whether one of these apps has webhooks, or an app in a database may have some."""
        return is_in_database(self._settings) or have_webhooks(apps)

    async def _start_late(self) -> None:
        """Start while the server runs. If the queue cannot be opened, the events wait, and the start is repeated."""
        logged = ""
        while not self._started:
            try:
                await self._start(late=True)
            except QueueUnavailable as fault:
                if str(fault) != logged:
                    log.error(  # noqa: TRY400
                        "Webhooks cannot start, and their events wait: %(reason)s",
                        {"event": "webhooks_not_started", "reason": fault},
                    )
                    logged = str(fault)
                await asyncio.sleep(PAUSE)
            except Exception as fault:
                contain(log, fault, "Webhooks could not start")
                await asyncio.sleep(PAUSE)

    async def stop(self) -> None:
        """Store the last events, and wait for the requests in flight. The queue keeps the other deliveries."""
        if self._late_start is not None:
            await cancel(self._late_start)
        await self._running.aclose()

    async def _start(self, *, late: bool) -> None:
        self._counted.clear()
        async with AsyncExitStack() as stack:
            await self._open(stack, late=late)
            self._run(stack, self._measure)
            self._running = stack.pop_all()
        self._started = True

    async def _measure(self) -> None:
        """Count queued deliveries every few seconds."""
        while True:
            try:
                await self.statistics.measure([queue for queue, holds in self._counted if holds()])
            except Exception as fault:
                contain(log, fault, "The queued webhooks could not be counted")
            await asyncio.sleep(COUNT_INTERVAL)

    async def _open(self, stack: AsyncExitStack, *, late: bool) -> None:
        """Start everything that the stack stops again. If the server runs already, the start is ``late``."""
        raise NotImplementedError

    def _targets(self, stack: AsyncExitStack) -> Mapping[str, Target]:
        """Return the targets of all kinds."""
        functions = LambdaTargetOnDemand(
            timeout=self._settings.webhooks.timeout, endpoints=not self._settings.blocks_private_addresses
        )
        targets: dict[str, Target] = {"http": http_target(self._settings), "lambda": functions}
        for target in targets.values():
            stack.push_async_callback(target.close)
        if self.tracer is None:
            return targets
        return {kind: TracedTarget(target, self.tracer) for kind, target in targets.items()}

    def _send(
        self,
        stack: AsyncExitStack,
        queue: Queue,
        targets: Mapping[str, Target],
        holds: Callable[[], bool] = lambda: True,
    ) -> None:
        """Send what is in a queue. The node counts the deliveries of the queue while ``holds`` returns true."""
        self._counted.append((queue, holds))
        retry_for = self._settings.webhooks.retry_for
        sender = Sender(
            queue,
            self._apps.find_by_id,
            targets,
            retry_for=retry_for,
            statistics=self.statistics,
            endpoints=self._endpoints,
        )
        stack.push_async_callback(sender.stop)
        self._run(stack, sender.run)

    def _run(self, stack: AsyncExitStack, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        stack.push_async_callback(cancel, asyncio.create_task(run()))


class LocalWebhooks(Webhooks):
    """The webhooks of a cluster of one."""

    def __init__(self, settings: Settings, apps: Apps, later: Later, callback: Callback | None = None) -> None:
        super().__init__(settings, apps, callback)
        given = settings.webhooks
        clock = asyncio.get_running_loop().time
        self.queue = queue_of(settings)
        self.collector = Collector(
            self.queue,
            apps.by_id,
            load=apps.load,
            batching=given.batching,
            batch_duration=given.batch_duration,
            statistics=self.statistics,
            callback=callback,
        )
        self.collector.stores = super()._is_needed(settings.apps)
        self.transitions = Transitions(webhook_types(apps), self.collector.record, clock, later, grace=given.grace)

    @property
    def waiting(self) -> int:
        """See ``Webhooks``."""
        return self.collector.waiting

    def update(self, apps: Iterable[App]) -> None:
        """See ``Webhooks``."""
        self.collector.stores |= have_webhooks(apps)
        super().update(apps)

    async def start(self) -> None:
        """See ``Webhooks``."""
        await super().start()
        if self.collector.stores and not self._started:
            self._late_start = asyncio.create_task(self._start_with_the_first_event())

    async def _start_with_the_first_event(self) -> None:
        await self.collector.wait()
        await self._start_late()

    def _is_needed(self, apps: Iterable[App]) -> bool:
        """Return whether one of these apps has webhooks, or the queue may have deliveries for apps in a database."""
        return have_webhooks(apps) or (is_in_database(self._settings) and may_hold(self._settings))

    async def stop(self) -> None:
        """See ``Webhooks``."""
        await super().stop()
        if not self._started and self.collector.has_events:  # their start was pending
            await self._start_and_stop()

    async def _start_and_stop(self) -> None:
        try:
            await self._start(late=True)
        except QueueUnavailable as fault:
            log.error(  # noqa: TRY400
                "The last webhook events could not be stored, and are lost: %(reason)s",
                {"event": "webhook_events_not_stored_at_stop", "reason": fault},
            )
        else:
            await self._running.aclose()

    async def _open(self, stack: AsyncExitStack, *, late: bool) -> None:
        stack.push_async_callback(self.queue.stop)
        await self.queue.start()
        await self._restore(late=late)
        self._send(stack, self.queue, self._targets(stack))
        self._run(stack, self.collector.run)
        stack.push_async_callback(self._flush)

    async def _restore(self, *, late: bool) -> None:
        """Give clients the time to return that were connected before a restart.

        If the server runs already, the states of the file are older than its clients. Forget them, as well as those
        that no webhook asks for any more.
        """
        states = await self.queue.states()
        await self._apps.load({app_id for _, app_id, _, _ in states})
        forgotten = [state for state in states if late or not self.transitions.wants(state)]
        if forgotten:
            await self.queue.put((), dict.fromkeys(forgotten, False))
        self.transitions.restore(set(states).difference(forgotten), RETURN_TIMEOUT)

    async def _flush(self) -> None:
        try:
            async with asyncio.timeout(FLUSH_TIMEOUT):
                await self.collector.flush()
        except (QueueUnavailable, TimeoutError) as fault:
            reason = str(fault) or f"the queue did not store them within {FLUSH_TIMEOUT:g} s"
            log.error(  # noqa: TRY400
                "The last webhook events could not be stored, and are lost: %(reason)s",
                {"event": "webhook_events_not_stored_at_stop", "reason": reason},
            )


def webhook_types(apps: Apps) -> WebhookTypes:
    """Return a function from the id of an app to the events that its webhooks want.

    It remembers the answers for apps that are unloaded, because events may follow when the last client has left.
    """
    former: OrderedDict[str, frozenset[str]] = OrderedDict()

    def types(app_id: str) -> frozenset[str]:
        app = apps.by_id(app_id)
        if app is None:  # perhaps it is not loaded any more
            return former.get(app_id, _NOTHING)
        if app.webhook_types or app_id in former:
            former[app_id] = app.webhook_types
            former.move_to_end(app_id)
            if len(former) > MOST_FORMER:
                former.popitem(last=False)
        return app.webhook_types

    return types


def have_webhooks(apps: Iterable[App]) -> bool:
    """Return whether an app has webhooks."""
    return any(app.webhooks for app in apps)


def http_target(settings: Settings) -> Target:
    """Return the target of webhooks with a URL. Raise ConfigError for a file of ``webhooks.ca`` that does not work."""
    from soketpy.webhooks.http import HttpTarget, HttpTimeouts

    given = settings.webhooks
    return HttpTarget(
        timeouts=HttpTimeouts(given.connect_timeout, given.timeout, given.body_timeout),
        tls=receivers_context(settings),
        private_addresses=not settings.blocks_private_addresses,
    )


async def cancel(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait until it has ended."""
    task.cancel()
    await asyncio.wait([task])
