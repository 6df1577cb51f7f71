"""The webhooks of a running process: queue, collector, targets and sender, built from the settings."""

import asyncio
from contextlib import AsyncExitStack

from soketpy.config import Settings
from soketpy.core.apps import Apps
from soketpy.core.steps import Later
from soketpy.core.webhook_ports import Queue, Target
from soketpy.drivers.local.queue import MemoryQueue
from soketpy.drivers.local.transitions import Transitions
from soketpy.process.tls import receivers_context
from soketpy.webhooks.collector import Collector
from soketpy.webhooks.sender import Sender

RETURN_TIMEOUT = 30.0
"""Seconds after a start in which clients may return before their channels are reported as vacated."""

_NOTHING = frozenset[str]()


class LocalWebhooks:
    """The webhooks of a cluster of one. Nothing runs and no library is imported until an app has a webhook."""

    def __init__(self, settings: Settings, apps: Apps, later: Later) -> None:
        given = settings.webhooks
        loop = asyncio.get_running_loop()
        self._settings = settings
        self._apps = apps
        self._running = AsyncExitStack()
        self.queue: Queue = MemoryQueue(bound=given.queue_size, keep_dead=given.keep_dead_letters)
        self.collector = Collector(self.queue, apps.by_id, batching=given.batching, batch_duration=given.batch_duration)
        self.transitions = Transitions(self._wanted, self.collector.record, loop.time, later, grace=given.grace)

    def _wanted(self, app_id: str) -> frozenset[str]:
        app = self._apps.by_id(app_id)
        return _NOTHING if app is None else app.webhook_types

    async def start(self) -> None:
        """Send webhooks until ``stop``, if an app has any."""
        if any(app.webhooks for app in self._settings.apps):
            async with AsyncExitStack() as stack:
                await self._start(stack)
                self._running = stack.pop_all()

    async def stop(self) -> None:
        """Store the last events, and wait for the requests in flight. The queue keeps the other deliveries."""
        await self._running.aclose()

    async def _start(self, stack: AsyncExitStack) -> None:
        await self.queue.start()
        stack.push_async_callback(self.queue.stop)
        self.transitions.restore(await self.queue.states(), RETURN_TIMEOUT)
        targets: dict[str, Target] = {"http": http_target(self._settings)}
        for target in targets.values():
            stack.push_async_callback(target.close)
        sender = Sender(self.queue, self._apps.by_id, targets, retry_for=self._settings.webhooks.retry_for)
        stack.push_async_callback(sender.stop)
        for run in (sender.run, self.collector.run):
            running = asyncio.create_task(run())
            stack.push_async_callback(_cancel, running)
        stack.push_async_callback(self.collector.flush)


def http_target(settings: Settings) -> Target:
    """Return the target of webhooks with a URL. Raise ConfigError for a file of ``webhooks.ca`` that does not work."""
    from soketpy.webhooks.http import HttpTarget, HttpTimeouts

    given = settings.webhooks
    return HttpTarget(
        timeouts=HttpTimeouts(given.connect_timeout, given.timeout, given.body_timeout),
        tls=receivers_context(settings),
        private_addresses=given.private_addresses != "block",
    )


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
