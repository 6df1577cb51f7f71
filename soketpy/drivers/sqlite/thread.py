"""The thread that works on the SQLite file of a queue, so that the event loop never waits for the disk.

All jobs that arrive while a transaction runs are joined in the next transaction (group commit).
"""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

from soketpy.core.webhook_ports import QueueUnavailable
from soketpy.drivers.sqlite.kinds import Kind
from soketpy.drivers.sqlite.store import Store

MOST_JOINED = 500
"""Jobs of one transaction, at most."""

Run = Callable[[Store], Any]


@dataclass(slots=True, eq=False)
class _Job:
    kind: Kind
    run: Run
    future: "asyncio.Future[Any]"
    value: Any = None
    fault: Exception | None = None


class StoreThread:
    """The only thread that uses a store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._loop = asyncio.get_running_loop()
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._unsaved: list[Run] = []  # results of attempts that could not be stored: at most one for each lane
        self._stopped = self._loop.create_future()
        self._thread = threading.Thread(target=self._work, name="soketpy-webhooks", daemon=True)
        self._thread.start()

    def submit(self, kind: Kind, run: Run) -> "asyncio.Future[Any]":
        """Run a job in a transaction. The future raises QueueUnavailable if the transaction fails."""
        job = _Job(kind, run, self._loop.create_future())
        self._jobs.put(job)
        return job.future

    async def stop(self) -> None:
        """Wait until all jobs are done and the file is closed."""
        self._jobs.put(None)
        await self._stopped
        self._thread.join()

    def _work(self) -> None:
        """Run jobs until ``stop``. This is the code of the thread."""
        running = True
        while running:
            jobs = [self._jobs.get()]
            with suppress(Empty):
                while jobs[-1] is not None and len(jobs) < MOST_JOINED:
                    jobs.append(self._jobs.get_nowait())
            running = jobs[-1] is not None
            done = [job for job in jobs if job is not None]
            if done or (not running and self._unsaved):
                self._serve(done)
            with suppress(RuntimeError):  # the event loop was closed
                self._loop.call_soon_threadsafe(_answer, done)
        with suppress(sqlite3.Error):
            self._store.close()
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._stopped.set_result, None)

    def _serve(self, jobs: Sequence[_Job]) -> None:
        """Run jobs in one transaction. If one of them has a bug, run each in a transaction of its own."""
        try:
            self._transact(jobs)
        except (sqlite3.DatabaseError, QueueUnavailable) as fault:
            self._store.roll_back()
            for job in jobs:
                job.fault = fault if isinstance(fault, QueueUnavailable) else QueueUnavailable(str(fault))
                if job.kind is Kind.RESULT:
                    self._unsaved.append(job.run)
        except Exception as fault:
            self._store.roll_back()
            if len(jobs) == 1:
                jobs[0].fault = fault
            else:
                for job in jobs:
                    self._serve([job])

    def _transact(self, jobs: Sequence[_Job]) -> None:
        store, kinds = self._store, {job.kind for job in jobs}
        store.open()
        store.begin(
            write=bool(self._unsaved) or not kinds <= {Kind.READ}, durable=not kinds <= {Kind.READ, Kind.RESULT}
        )
        for run in self._unsaved:
            run(store)
        for job in jobs:
            job.value = job.run(store)
        store.commit()
        self._unsaved.clear()


def _answer(jobs: Sequence[_Job]) -> None:
    """Resolve the futures of jobs, in the event loop."""
    for job in jobs:
        if job.future.cancelled():
            continue
        if job.fault is not None:
            job.future.set_exception(job.fault)
        else:
            job.future.set_result(job.value)
