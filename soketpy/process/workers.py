"""Many processes on one port that act as one server: they are started, fed, counted, and started again if they die.

The port is bound here, once for each worker, and the kernel spreads new connections over those sockets. They stay
open for as long as this process runs, whichever workers come and go: who comes while one is replaced waits for its
successor. The workers meet in Redis, or in one of their own on a Unix socket where none is configured.
"""

import asyncio
import contextlib
import logging
import socket
import sys
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from soketpy.config import Settings
from soketpy.config.settings import Redis
from soketpy.core.ports import Unreachable
from soketpy.core.traffic import Counted, Totals, Traffic
from soketpy.process import worker
from soketpy.process.descriptors import raise_limit
from soketpy.process.listening import open_sockets, open_unix_socket, refuse_taken
from soketpy.process.log import quantity
from soketpy.process.private_redis import private_redis
from soketpy.process.requirements import number_of
from soketpy.process.server import BACKLOG, serve_metrics
from soketpy.process.signals import Configuration, Signals

log = logging.getLogger("soketpy.workers")

LONGEST_PAUSE = 5.0
"""Seconds until a worker that died is started again, at most; the first time it is a fiftieth of that."""

STEADY = 10.0
"""Seconds after which a worker that dies is not taken for one that cannot live."""

END_PATIENCE = 10.0
"""Seconds that a worker has to end, beyond those over which it closes its clients; then it is killed."""

COUNT_INTERVAL = 5.0
"""Seconds between two askings of what was counted: what a worker that is killed has counted since is lost."""

REUSE_PORT_SPREADS = sys.platform.startswith("linux")
"""Whether the kernel spreads connections over the sockets of one port.

On macOS, for example, one socket gets all connections, so the workers accept from a shared socket there.
"""


class Worker:
    """A place among the workers: a process and, when that has died, another one, for as long as it is wanted."""

    def __init__(self, listeners: Sequence[socket.socket], *, advises: bool = False) -> None:
        self.listeners = listeners
        self.advises = advises  # whether its first process warns of what should be set in Redis
        self.counted = Counted()
        self.serves = False
        self.proven = False  # whether it has ever served: one that has not is not started again
        self.ready = asyncio.Event()  # set once it has served, or has ended before
        self.retired = asyncio.Event()
        self.gone = asyncio.Event()
        self.fault = "a worker ended before it served"
        self._process: asyncio.subprocess.Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._asked: list[asyncio.Future[None]] = []

    def __str__(self) -> str:
        """For the log, whose reader may have to find the process."""
        return "A worker" if self._process is None else f"A worker (process {self._process.pid})"

    async def start(self, private_redis: str | None) -> None:
        """Start a process, which serves once it is told its settings. Raises OSError where there can be none."""
        ours, theirs = socket.socketpair()
        with theirs:
            shared = [listener.fileno() for listener in self.listeners]
            descriptors = (theirs.fileno(), *shared)
            words = [sys.executable, "-m", "soketpy.process.worker", str(theirs.fileno()), ",".join(map(str, shared))]
            if private_redis is not None:
                words.append(private_redis)
            try:
                self._process = await asyncio.create_subprocess_exec(*words, pass_fds=descriptors)
            except OSError:
                ours.close()
                raise
        reader, self._writer = await asyncio.open_connection(sock=ours)
        self._listening = asyncio.create_task(self._listen(reader))
        if self.retired.is_set():
            self._terminate()  # it was told to stop while there was no process to tell

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                what, value = await worker.receive(reader)
                if what == worker.COUNTED:
                    self.counted = value
                    self._counted()
                elif what == worker.FAILED:
                    self.fault = value
                else:
                    self.serves = self.proven = True
                    self.ready.set()
                    log.info("%s serves", self)
        self.serves = False
        self._counted()

    def _counted(self) -> None:
        asked, self._asked = self._asked, []
        for each in asked:
            if not each.done():
                each.set_result(None)

    def say(self, what: str, value: object = None) -> None:
        """Say something to it."""
        if self._writer is not None and not self._writer.is_closing():
            worker.send(self._writer, what, value)

    async def count(self) -> None:
        """Have it say what it has counted."""
        if self.serves and not self.retired.is_set():  # one that drains says it once, when it ends
            answer = asyncio.get_running_loop().create_future()
            self._asked.append(answer)
            self.say(worker.COUNT)
            await answer

    def stop(self, patience: float) -> None:
        """Let it drain, and end, or kill it after so many seconds; nobody comes in its place."""
        self.retired.set()
        self._terminate()
        asyncio.get_running_loop().call_later(patience, self._kill)

    def _terminate(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()

    def _kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            log.error("%s does not end: killing it", self)
            self._process.kill()

    async def ended(self) -> int:
        """Wait until the process has ended; its exit code."""
        assert self._process is not None and self._writer is not None  # noqa: S101, PT018 - of one that was started
        code = await self._process.wait()
        await self._listening
        self._writer.close()
        return code


class Workers:
    """As many workers as there are to be, in the place of those that die."""

    def __init__(self, settings: Settings, listeners: list[socket.socket], private_redis: str | None = None) -> None:
        self._private_redis = private_redis
        self.traffic: dict[str, Traffic] = {}
        self._settings = settings
        self._listeners = listeners
        self._workers: set[Worker] = set()
        self._gone = Counted()  # what workers had counted that have ended
        self._tasks: set[asyncio.Task[None]] = set()
        self._chores: list[asyncio.Task[None]] = []
        self._renewal_asked = asyncio.Event()
        self.stopping = False

    async def start(self) -> None:
        """Start all. Raises Unreachable where one cannot serve."""
        size = len({listener.getsockname() for listener in self._listeners})  # of a worker: one for each address
        every = self._listeners
        starts = range(0, len(every), size)
        workers = [self._launch(every[start : start + size], advises=start == 0) for start in starts]
        for each in workers:
            await each.ready.wait()
            if not each.proven:
                raise Unreachable(each.fault)
        self._chores = [self._watch(self._count_now_and_then()), self._watch(self._renew_when_asked())]

    def _watch(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            log.error("What keeps the workers has failed", exc_info=fault)

    def _launch(self, listeners: Sequence[socket.socket], *, advises: bool = False) -> Worker:
        one = Worker(listeners, advises=advises)
        self._workers.add(one)
        self._watch(self._keep(one))
        return one

    async def _keep(self, one: Worker) -> None:
        """Run a worker, and start it again for as long as it is wanted."""
        loop, pause = asyncio.get_running_loop(), LONGEST_PAUSE / 50
        try:
            while not one.retired.is_set():
                began = loop.time()
                end = await self._run(one)
                if one.retired.is_set() or not one.proven:
                    break
                log.error("%s; starting another one", end)
                pause = LONGEST_PAUSE / 50 if loop.time() - began > STEADY else min(2 * pause, LONGEST_PAUSE)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(one.retired.wait(), pause)
        finally:
            self._workers.discard(one)
            one.ready.set()
            one.gone.set()

    async def _run(self, one: Worker) -> str:
        """Run one process of a worker; how it has ended."""
        try:
            await one.start(self._private_redis)
        except OSError as fault:
            one.fault = f"no process can be started: {fault}"
            return f"A worker cannot start, since {one.fault}"
        one.say(worker.SETTINGS, replace(self._settings, advises=one.advises and not one.proven))
        code = await one.ended()
        self._gone += one.counted.ended()
        one.counted = Counted()
        return f"{one} has ended: exit code {code}"

    def reload(self, settings: Settings) -> None:
        """Let new apps and limits hold in all workers."""
        self._settings = replace(self._settings, apps=settings.apps)
        for each in self._workers:
            each.say(worker.SETTINGS, self._settings)

    def renew(self) -> None:
        """Have a new worker put in the place of each, one after the other; the port is served all the time.

        Asked for while that goes on, it is done once more afterwards, so that all are newer than the last asking.
        """
        self._renewal_asked.set()

    async def _renew_when_asked(self) -> None:
        while True:
            await self._renewal_asked.wait()
            self._renewal_asked.clear()
            await self._renew()

    async def _renew(self) -> None:
        for former in [each for each in self._workers if not each.retired.is_set()]:
            one = self._launch(former.listeners)
            await one.ready.wait()
            if not one.proven:
                log.error("A new worker cannot serve, so the others stay: %s", one.fault)
                return
            former.stop(self._settings.timeouts.shutdown + END_PATIENCE)
        log.info("All workers are new")

    async def stop(self) -> None:
        """Close the port, let all drain, and wait until they have ended; those that do not end are killed."""
        self.stopping = True
        patience = self._settings.timeouts.shutdown + END_PATIENCE
        for chore in self._chores:
            chore.cancel()  # first: who renews would start others
        for each in self._workers:
            each.stop(patience)
        for listener in self._listeners:
            listener.close()  # the last to hold it: who comes now is refused at once, instead of waiting for nobody
        await asyncio.gather(*(each.gone.wait() for each in self._workers))

    # What was counted

    def connected(self, app_id: str) -> int:
        """How many clients of an app are connected."""
        return sum(each.counted.apps.get(app_id, (0, {}))[0] for each in self._workers)

    def available(self) -> bool:
        """Return whether a worker serves, and all reach each other, by what they have counted."""
        totals = self.totals()
        return totals.links_up == totals.links and any(each.serves for each in self._workers)

    def totals(self) -> Totals:
        """Return what all workers have counted, whatever the app."""
        return self._sum().totals

    def _sum(self) -> Counted:
        return sum((each.counted for each in self._workers), self._gone)

    async def count(self) -> None:
        """Bring ``traffic`` and ``connected`` up to date."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2):
                await asyncio.gather(*(each.count() for each in self._workers))
        for app_id, (_, counters) in self._sum().apps.items():
            traffic = self.traffic.setdefault(app_id, Traffic())
            for name, value in counters.items():
                setattr(traffic, name, value)

    async def _count_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(COUNT_INTERVAL)
            await self.count()


async def bound(settings: Settings, number: int) -> list[socket.socket]:
    """The listening sockets: for each worker in turn, one for each address. Raises OSError where one cannot be had."""
    if settings.unix_socket is not None:
        await refuse_taken(settings.unix_socket)
        shared = open_unix_socket(settings.unix_socket, BACKLOG)
        return [shared, *(shared.dup() for _ in range(number - 1))]
    # Alone first: who shares a port is not told that somebody else has it.
    alone = await open_sockets(settings.host, settings.port)
    port = alone[0].getsockname()[1]
    for listener in alone:
        listener.close()
    if not REUSE_PORT_SPREADS:
        shared_by_all = await open_sockets(settings.host, port, BACKLOG)
        return [*shared_by_all, *(each.dup() for _ in range(number - 1) for each in shared_by_all)]
    each_own: list[socket.socket] = []
    for _ in range(number):
        each_own += await open_sockets(settings.host, port, BACKLOG, reuse_port=True)
    return each_own


async def serve(
    settings: Settings,
    reload: Callable[[], Settings],
    on_ready: Callable[[int | None], None] | None = None,
) -> None:
    """Run a server of several workers until SIGTERM or SIGINT.

    SIGHUP takes the apps of ``reload()``; SIGUSR2 puts new workers in the place of the old. Raises OSError where the
    address cannot be had, ConfigError without the program redis-server, and Unreachable where Redis cannot be reached.
    """
    number = number_of(settings)
    signals = Signals()
    async with AsyncExitStack() as stack:
        started = await signals.unless_stopped(_start(stack, settings, number))
        if started is not None:
            workers, port = started
            log.info("Listening on %s with %s", settings.address(port), quantity(number, "worker"))
            signals.obey(reload=Configuration(settings, reload, workers.reload).read_anew, renew=workers.renew)
            if on_ready is not None:
                on_ready(port)
            await signals.stopped.wait()
            log.info("Stopping: %s", quantity(number, "worker"))
    log.info("Stopped")


async def _start(stack: AsyncExitStack, settings: Settings, number: int) -> tuple[Workers, int | None]:
    """Start what the stack will stop; the workers, and the port that was bound, if any."""
    listeners = [stack.enter_context(listener) for listener in await bound(settings, number)]
    if settings.unix_socket is not None:
        stack.callback(Path(settings.unix_socket).unlink, missing_ok=True)
    for_workers = replace(settings, metrics=replace(settings.metrics, enabled=False), workers=1)
    private = None
    if settings.cluster == "local":
        private = await stack.enter_async_context(private_redis(settings))
        meeting = Redis(unix_socket=private, lease=settings.redis.lease)
        for_workers = replace(for_workers, cluster="redis", redis=meeting)
    workers = Workers(for_workers, listeners, private)
    port = None if settings.unix_socket is not None else listeners[0].getsockname()[1]
    if settings.metrics.enabled:
        await serve_metrics(
            stack,
            settings.metrics,
            port or settings.port,
            workers.traffic,
            workers.connected,
            workers.totals,
            workers.count,
            most=settings.bounds.http_connections(raise_limit()),
            draining=lambda: workers.stopping,
            available=workers.available,
        )
    stack.push_async_callback(workers.stop)  # before the metrics port is closed
    await workers.start()
    return workers, port
