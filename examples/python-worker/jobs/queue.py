"""The queue: running jobs and waiting jobs, both with a limit, and the results of the last jobs."""

import asyncio
import logging
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from uuid import uuid4

from . import settings
from .realtime import FAULTS, JOBS, client, reason

AT_ONCE = 2
MOST_WAITING = 20
MOST_KEPT = 50
TRIGGERS_AT_ONCE = 8
RETRY_AFTER = 1.0  # seconds
GRACE = 5.0  # seconds until a worker must have ended by itself
LONGEST_REASON = 500  # bytes

log = logging.getLogger(__name__)


class State(StrEnum):
    """The state of a job. The last three are final."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass
class Job:
    """A file to import, and its state."""

    name: str
    rows: int
    seconds: int
    bad_row: int = 0
    id: str = field(default_factory=lambda: uuid4().hex)
    state: State = State.WAITING
    reason: str = ""
    """The reason of the failure."""

    @property
    def ended(self) -> bool:
        return self.state not in (State.WAITING, State.RUNNING)


class QueueFull(Exception):
    """Too many jobs already wait."""


class Queue:
    """Runs each job in a process of its own, and notifies the pages of every change of its state.

    The state comes from this process and not from the worker, because this process survives a killed worker.
    """

    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._runs: dict[str, asyncio.Task[None]] = {}
        # A pool of its own: the file reads in asyncio's pool must not wait for a slow realtime server.
        self._threads = ThreadPoolExecutor(TRIGGERS_AT_ONCE, "trigger")
        self._news = {"": asyncio.create_task(self._tell_of_start())}

    def add(self, job: Job) -> None:
        """Add a job to the queue. Raise QueueFull if too many wait."""
        if len(self._runs) >= AT_ONCE + MOST_WAITING:
            raise QueueFull
        ended = [each.id for each in self.jobs.values() if each.ended]
        for job_id in ended[: max(0, len(self.jobs) + 1 - MOST_KEPT)]:
            del self.jobs[job_id]
        self.jobs[job.id] = job
        self._tell(job)
        self._runs[job.id] = run = asyncio.create_task(self._run(job))
        run.add_done_callback(lambda _: self._runs.pop(job.id))

    def cancel(self, job: Job) -> None:
        """Stop a waiting or running job. Do nothing if it has ended."""
        if not job.ended:
            self._change(job, State.CANCELLED)
            self._runs[job.id].cancel()

    async def close(self) -> None:
        """Stop all jobs, and wait until their processes have ended."""
        tasks = [*self._runs.values(), *self._news.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, job: Job) -> None:
        async with self._slots:
            self._change(job, State.RUNNING)
            try:
                code, reason = await _work(job)
            except OSError as fault:  # the process could not start
                code, reason = None, f"No worker could be started: {fault.strerror}."
        if code == 0:
            self._change(job, State.DONE)
        else:
            self._change(job, State.FAILED, reason or f"The worker ended with {code}.")

    def _change(self, job: Job, state: State, reason: str = "") -> None:
        job.state, job.reason = state, reason
        self._tell(job)

    def _tell(self, job: Job) -> None:
        if job.id not in self._news:
            self._news[job.id] = asyncio.create_task(self._trigger(job))

    async def _trigger(self, job: Job) -> None:
        """Trigger the current state of the job until the realtime server has accepted it, or the job is removed."""
        told = None
        while job.id in self.jobs and told != (now := asdict(job)):
            if await self._told("job", now):
                told = now
            else:
                await asyncio.sleep(RETRY_AFTER)
        del self._news[job.id]

    async def _tell_of_start(self) -> None:
        """Tell the pages to ask for all jobs, because this server does not know the jobs of the one before."""
        while not await self._told("started", {}):  # noqa: ASYNC110 - no event reports that the realtime server is back
            await asyncio.sleep(RETRY_AFTER)

    async def _told(self, event: str, data: object) -> bool:
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._threads, client.trigger, JOBS, event, data)
        except FAULTS as fault:
            log.warning("The pages could not be notified: %s", reason(fault))
            return False
        return True


async def _work(job: Job) -> tuple[int, str]:
    """Run a job in a process of its own. Return its exit code and the last line of its stderr."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "jobs.worker", *map(str, (job.id, job.rows, job.seconds, job.bad_row))),
        cwd=settings.FOLDER,
        stdin=PIPE,  # the pipe closes when this process ends, which stops the worker
        stdout=DEVNULL,
        stderr=PIPE,
    )
    try:
        reason = await _last_line(process)
        return await process.wait(), reason
    finally:
        await _end(process)


async def _last_line(process: Process) -> str:
    assert process.stderr is not None
    tail = b""
    while chunk := await process.stderr.read(4096):
        tail = (tail + chunk)[-LONGEST_REASON:]
    lines = tail.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else ""


async def _end(process: Process) -> None:
    """Stop a process, first with SIGTERM and then with SIGKILL. Do nothing if it has ended."""
    with suppress(ProcessLookupError):
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), GRACE)
            except TimeoutError:
                process.kill()
                await process.wait()
