"""The thread that works on an SQLite file, so that the event loop never waits for the disk.

All jobs that arrive while a transaction runs are joined in the next transaction (group commit). The event loop gets the
results in the order of the jobs.
"""

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Generic, Protocol, TypeVar

from soketpy.core.containment import contain
from soketpy.drivers.sqlite.kinds import Kind

log = logging.getLogger("soketpy.sqlite")

MOST_JOINED = 500
"""Jobs of one transaction, at most."""


class Store(Protocol):
    """The transactions of a file, which the thread calls around its jobs. All methods may raise sqlite3.Error."""

    def open(self) -> None:
        """Open the file if it is not open."""

    def begin(self, *, write: bool, durable: bool) -> None:
        """Begin a transaction. A ``durable`` one survives a crash of the machine, others one of the process."""

    def commit(self) -> None:
        """End a transaction. Its changes are then in the file."""

    def roll_back(self) -> None:
        """Undo a transaction, also in memory."""

    def close(self) -> None:
        """Close the file."""


S = TypeVar("S", bound=Store)
T = TypeVar("T")

Answer = Callable[[Any, Exception | None], None]
"""Takes the result of a job, or an exception, in the event loop."""


@dataclass(slots=True, eq=False)
class _Job(Generic[S]):
    kind: Kind
    run: Callable[[S], Any]
    answer: Answer
    value: Any = None
    fault: Exception | None = None


class StoreThread(Generic[S]):
    """The only thread that uses a store.

    ``unavailable`` is the exception for a transaction that fails. The store raises it for a file that cannot be used.
    """

    def __init__(self, store: S, name: str, unavailable: type[Exception]) -> None:
        self._store = store
        self._unavailable = unavailable
        self._loop = asyncio.get_running_loop()
        self._jobs: SimpleQueue[_Job[S] | None] = SimpleQueue()
        self._unsaved: list[Callable[[S], Any]] = []  # results that could not be stored: at most one for each lane
        self._stopped = self._loop.create_future()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def submit(self, kind: Kind, run: Callable[[S], T]) -> "asyncio.Future[T]":
        """Run a job in a transaction. The future raises ``unavailable`` if the transaction fails."""
        future: asyncio.Future[T] = self._loop.create_future()
        self.run(kind, run, partial(resolve, future))
        return future

    def run(self, kind: Kind, run: Callable[[S], Any], answer: Answer) -> None:
        """Run a job in a transaction. The event loop calls ``answer`` at the end of the transaction."""
        self._jobs.put(_Job(kind, run, answer))

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

    def _serve(self, jobs: Sequence[_Job[S]]) -> None:
        """Run jobs in one transaction. If one of them has a bug, run each in a transaction of its own."""
        try:
            self._transact(jobs)
        except (sqlite3.DatabaseError, self._unavailable) as fault:
            self._store.roll_back()
            for job in jobs:
                job.fault = fault if isinstance(fault, self._unavailable) else self._unavailable(str(fault))
                if job.kind is Kind.RESULT:
                    self._unsaved.append(job.run)
            reads = [job for job in jobs if job.kind is Kind.READ]
            if 0 < len(reads) < len(jobs):  # a full disk can be read
                self._serve(reads)
        except Exception as fault:
            self._store.roll_back()
            if len(jobs) == 1:
                jobs[0].fault = fault
            else:
                for job in jobs:
                    self._serve([job])

    def _transact(self, jobs: Sequence[_Job[S]]) -> None:
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
        for job in jobs:
            job.fault = None


def _answer(jobs: Sequence[_Job[Any]]) -> None:
    """Answer jobs, in the event loop."""
    for job in jobs:
        try:
            job.answer(job.value, job.fault)
        except Exception as fault:
            contain(log, fault, "The result of a transaction could not be used")


def resolve(future: "asyncio.Future[Any]", value: Any, fault: Exception | None) -> None:
    """Set the result or the exception of a future, unless it was cancelled."""
    if future.cancelled():
        return
    if fault is not None:
        future.set_exception(fault)
    else:
        future.set_result(value)
