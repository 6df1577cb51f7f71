"""A server of several processes on one port: workers are started, supervised, counted, and replaced when they die.

This process binds the port, once for each worker, and the kernel spreads new connections over those sockets. The
sockets stay open while workers come and go: a connection that arrives while a worker is replaced waits for the new one.
The workers are nodes of a cluster over Redis, or over a private Redis on a Unix socket if none is configured.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from soketpy.config import Settings
from soketpy.config.settings import Redis
from soketpy.core.measures import Measures
from soketpy.core.ports import Unreachable
from soketpy.process import measuring, worker
from soketpy.process.admin_server import open_admin
from soketpy.process.configuration import Configuration
from soketpy.process.counting import Totals
from soketpy.process.descriptors import raise_limit
from soketpy.process.draining import delay
from soketpy.process.listening import open_for_workers
from soketpy.process.log import quantity
from soketpy.process.metrics_server import serve_metrics
from soketpy.process.private_redis import private_redis
from soketpy.process.reloads import Reloads
from soketpy.process.requirements import number_of
from soketpy.process.signals import Signals
from soketpy.process.silence import SilenceWatch
from soketpy.process.worker_process import WorkerProcess

log = logging.getLogger("soketpy.workers")

LONGEST_PAUSE = 5.0
"""Seconds before a worker that died is restarted, at most. The first pause is a fiftieth of that; then it doubles."""

STABLE_AFTER = 10.0
"""Seconds after which the death of a worker does not lengthen the pause."""

END_PATIENCE = 10.0
"""Seconds that a worker has to end, besides ``timeouts.shutdown``. Then it is killed."""

LONGEST_COUNT = 2.0
"""Seconds for which a reading of the counters waits for a worker, at most. Then its last counters are used."""

COUNT_INTERVAL = 5.0
"""Seconds between two readings of the counters. The counts since the last reading are lost if a worker is killed."""


class Workers:
    """The workers of one server. A worker that dies is replaced."""

    def __init__(self, settings: Settings, listeners: list[socket.socket], private_redis: str | None = None) -> None:
        self._private_redis = private_redis
        self._settings = settings
        self._listeners = listeners
        self._number = 0  # of workers that should serve
        self._workers: set[WorkerProcess] = set()
        self.totals = Totals(asyncio.get_running_loop().time)
        self._tasks: set[asyncio.Task[None]] = set()
        self._chores: list[asyncio.Task[None]] = []
        self._replaced = {"ended": 0, "hung": 0}  # how many workers were replaced, by the reason
        self._renewal_asked = asyncio.Event()
        self.stopping = False
        self.reloads = Reloads()

    async def start(self) -> None:
        """Start all workers. Raise Unreachable if one of them cannot serve."""
        size = len({listener.getsockname() for listener in self._listeners})  # of a worker: one for each address
        every = self._listeners
        starts = range(0, len(every), size)
        self._number = len(starts)
        workers = [
            self._launch(every[start : start + size], advises=start == 0, announces=start == 0) for start in starts
        ]
        for each in workers:
            await each.ready.wait()
            if not each.proven:
                raise Unreachable(each.fault)
        silence = SilenceWatch(lambda: self._workers, self._settings.timeouts.worker)
        self._chores = [
            self._watch(chore) for chore in (self._count_periodically(), self._renew_when_asked(), silence.run())
        ]

    def _watch(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            log.error("The supervision of the workers failed", exc_info=fault)

    def _launch(
        self, listeners: Sequence[socket.socket], *, advises: bool = False, announces: bool = False
    ) -> WorkerProcess:
        one = WorkerProcess(listeners, self.totals, advises=advises, announces=announces)
        self._workers.add(one)
        self._watch(self._supervise(one))
        return one

    async def _supervise(self, one: WorkerProcess) -> None:
        """Run a worker, and restart it until it must stop. A worker that has never served is not restarted."""
        loop, pause = asyncio.get_running_loop(), LONGEST_PAUSE / 50
        try:
            while not one.retired.is_set():
                began = loop.time()
                end = await self._run(one)
                if one.retired.is_set() or not one.proven:
                    break
                log.error("%(reason)s; starting another one", {"event": "worker_ended", "reason": end})
                self._replaced["hung" if one.hung else "ended"] += 1
                pause = LONGEST_PAUSE / 50 if loop.time() - began > STABLE_AFTER else min(2 * pause, LONGEST_PAUSE)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(one.retired.wait(), pause)
        finally:
            self._workers.discard(one)
            one.ready.set()
            one.gone.set()

    async def _run(self, one: WorkerProcess) -> str:
        """Run one process of a worker. Return how it ended, for the log."""
        try:
            await one.start(self._private_redis)
        except OSError as fault:
            one.fault = f"no process can be started: {fault}"
            return f"A worker cannot start: {one.fault}"
        one.send_settings(
            replace(
                self._settings,
                advises=one.advises and not one.proven,
                announces=one.announces and self._private_redis is None,
            ),
        )
        if self.stopping:
            one.send(worker.DRAIN)
        code = await one.ended()
        return f"{one} ended with exit code {code}"

    def reload(self, settings: Settings) -> None:
        """Apply new apps and limits in all workers."""
        self._settings = replace(self._settings, apps=settings.apps)
        for each in self._workers:
            each.send_settings(self._settings)

    def renew(self) -> None:
        """Replace each worker by a new one, one after the other. The port is served all the time.

        A call during a renewal starts another renewal after it, so that all workers are newer than the last call.
        """
        self._renewal_asked.set()

    async def _renew_when_asked(self) -> None:
        while True:
            await self._renewal_asked.wait()
            self._renewal_asked.clear()
            await self._renew()

    async def _renew(self) -> None:
        for former in [each for each in self._workers if not each.retired.is_set()]:
            one = self._launch(former.listeners, announces=former.announces)
            await one.ready.wait()
            if not one.proven:
                log.error(
                    "A new worker cannot serve, so the old workers stay: %(reason)s",
                    {"event": "worker_not_started", "reason": one.fault},
                )
                return
            former.stop(self._settings.timeouts.shutdown + END_PATIENCE)
        log.info("Replaced all workers", {"event": "workers_replaced"})

    def announce_stop(self) -> None:
        """Let ``/ready`` answer 503 from now on, in all workers and on the metrics port. All else is served."""
        self.stopping = True
        for each in self._workers:
            each.send(worker.DRAIN)

    async def stop(self) -> None:
        """Close the port, let all workers drain, and wait until they have ended. Kill those that do not end in time."""
        self.stopping = True
        patience = self._settings.timeouts.shutdown + END_PATIENCE
        for chore in self._chores:
            chore.cancel()  # first, because a renewal would start new workers
        for each in self._workers:
            each.stop(patience)
        for listener in self._listeners:
            listener.close()  # no other process has it, so the system refuses new connections at once
        await asyncio.gather(*(each.gone.wait() for each in self._workers))

    # Counters

    def available(self) -> bool:
        """Return whether a worker serves, none hangs, and all workers reach each other, by the last counters.

        A worker that hangs still gets its share of the new connections, so other servers should get them instead.
        """
        measures = self.totals.measures()
        up, expected = measures.value("redis_links_up"), measures.value("redis_links")
        hangs = any(each.silent for each in self._workers)
        return up == expected and not hangs and any(each.serves for each in self._workers)

    def measures(self) -> Measures:
        """Return the measures of all workers, without those of their apps and webhooks."""
        running = sum(each.serves and not each.silent for each in self._workers)
        ours = measuring.of_supervision(self._number, running, self.reloads, self._replaced) + measuring.of_process()
        return self.totals.measures() + ours

    async def count(self) -> None:
        """Update the totals."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_COUNT):
                await asyncio.gather(*(each.count() for each in self._workers if each.silence < LONGEST_COUNT))
        self.totals.forget_unused()

    async def _count_periodically(self) -> None:
        while True:
            await asyncio.sleep(COUNT_INTERVAL)
            await self.count()


async def serve(
    settings: Settings, reload: Callable[[], Settings], on_ready: Callable[[int | None], None] | None = None
) -> None:
    """Run a server of several workers until SIGTERM or SIGINT.

    SIGHUP applies the apps of ``reload()``; SIGUSR2 replaces the workers. Raise OSError if the address cannot be used,
    ConfigError if the program redis-server is missing, and Unreachable if Redis cannot be reached.
    """
    number = number_of(settings)
    signals = Signals()
    async with AsyncExitStack() as stack:
        started = await signals.unless_stopped(_start(stack, settings, number))
        if started is not None:
            workers, port = started
            log.info(
                "Listening on %(address)s with %(serving)s",
                {"event": "listening", "address": settings.address(port), "serving": quantity(number, "worker")},
            )
            configuration = Configuration(settings, reload, workers.reload, workers.reloads)
            stack.push_async_callback(configuration.stop)
            signals.obey(reload=configuration.reload, renew=workers.renew)
            if on_ready is not None:
                on_ready(port)
            await signals.stopped.wait()
            workers.announce_stop()
            await delay(settings.timeouts.drain, signals.hurried)
            log.info(
                "Stopping: %(workers)s",
                {"event": "stopping_workers", "workers": quantity(number, "worker"), "count": number},
            )
    log.info("Stopped", {"event": "stopped"})


async def _start(stack: AsyncExitStack, settings: Settings, number: int) -> tuple[Workers, int | None]:
    """Start everything that the stack stops again. Return the workers and the port, None for a Unix socket."""
    listeners = [stack.enter_context(listener) for listener in await open_for_workers(settings, number)]
    if settings.unix_socket is not None:
        stack.callback(Path(settings.unix_socket).unlink, missing_ok=True)
    metrics, admin = replace(settings.metrics, enabled=False), replace(settings.admin, enabled=False)
    for_workers = replace(settings, metrics=metrics, admin=admin, workers=1)
    private = None
    if settings.cluster == "local":
        private = await stack.enter_async_context(private_redis(settings))
        redis = Redis(unix_socket=private, lease=settings.redis.lease)
        for_workers = replace(for_workers, cluster="redis", redis=redis)
    workers = Workers(for_workers, listeners, private)
    port = None if settings.unix_socket is not None else listeners[0].getsockname()[1]
    if settings.metrics.enabled:
        await serve_metrics(
            stack,
            settings.metrics,
            port or settings.port,
            workers.totals.traffic,
            workers.totals.connected,
            workers.measures,
            workers.count,
            webhooks=workers.totals.webhooks,
            most=settings.bounds.http_connections(raise_limit()),
            draining=lambda: workers.stopping,
            available=workers.available,
        )
    if settings.admin.enabled:
        await open_admin(stack, settings, for_workers)
    stack.push_async_callback(workers.stop)  # before the other ports close
    await workers.start()
    return workers, port
