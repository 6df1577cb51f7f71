"""A durable queue of deliveries for one node, in an SQLite file.

When ``put`` has returned, its deliveries survive ``kill -9``. They also survive a crash of the machine, if the disk
confirms a write only after storing it. Nothing is opened or imported before ``start``.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from soketpy.core.deliveries import Delivery
from soketpy.core.grace import State
from soketpy.core.webhook_ports import DeadLetter, QueueLength, QueueUnavailable, Revival
from soketpy.drivers.sqlite.kinds import Kind

if TYPE_CHECKING:
    from soketpy.drivers.sqlite.file import Lock
    from soketpy.drivers.sqlite.store import Store
    from soketpy.drivers.sqlite.thread import StoreThread

T = TypeVar("T")

POLL = 0.5
"""Seconds between two looks for changes that other processes (the operator's commands) have made."""

FORGET_INTERVAL = 600.0
"""Seconds between two removals of old dead letters."""


class SqliteQueue:
    """Queues deliveries in a file. ``owner`` is true for the server, and false for an operator's command.

    At most one owner uses a file. A command may use the file at the same time.
    """

    def __init__(
        self,
        path: str,
        *,
        bound: int = 10_000,
        keep_dead: float = 7 * 86_400,
        clock: Callable[[], float] = time.time,
        owner: bool = True,
    ) -> None:
        self._path = path
        self._bound = bound
        self._keep_dead = keep_dead
        self._clock = clock
        self._owner = owner
        self._lock: Lock | None = None
        self._thread: StoreThread[Store] | None = None
        self._changed = asyncio.Event()
        self._forget_at = 0.0
        self._look_at = 0.0  # the time of the event loop for the next look, if nothing changes

    async def start(self) -> None:
        """Open the file. Raise QueueUnavailable if it cannot be used, or if another server uses it."""
        from soketpy.drivers.sqlite.file import Lock
        from soketpy.drivers.sqlite.store import Store
        from soketpy.drivers.sqlite.thread import StoreThread

        if self._owner:
            self._lock = Lock(self._path, QueueUnavailable)
        store = Store(self._path, bound=self._bound, keep_dead=self._keep_dead, clock=self._clock, owner=self._owner)
        self._thread = StoreThread(store, "soketpy-webhooks", QueueUnavailable)
        try:
            await self._submit(Kind.READ, lambda store: None)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Complete the transactions that were begun, and close the file."""
        thread, self._thread = self._thread, None
        if thread is not None:
            await thread.stop()
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()

    def _submit(self, kind: Kind, run: Callable[["Store"], T]) -> "asyncio.Future[T]":
        if self._thread is None:
            raise QueueUnavailable(f"{self._path} is not open")
        return self._thread.submit(kind, run)

    def _change(self, kind: Kind, run: Callable[["Store"], T]) -> "asyncio.Future[T]":
        """Run a job that may make deliveries due. A ``take`` that waits follows it, usually in the same transaction."""
        changing = self._submit(kind, run)
        self._changed.set()
        return changing

    async def put(self, deliveries: Sequence[Delivery], states: Mapping[State, bool] | None = None) -> int:
        """Store deliveries and states. Return the number of deliveries that became dead letters."""
        given, noted = tuple(deliveries), dict(states or {})
        return await self._change(Kind.PUT, lambda store: store.put(given, noted))

    async def states(self) -> Collection[State]:
        """Return the states that receivers know as on."""
        return await self._submit(Kind.READ, lambda store: store.states())

    async def take(self) -> Sequence[Delivery]:
        """Wait until deliveries are due, and return them."""
        while True:
            await self._wait()
            self._changed.clear()
            self._look_at = 0.0
            if (now := self._clock()) >= self._forget_at:
                self._forget_at = now + FORGET_INTERVAL
                await self._submit(Kind.CHANGE, lambda store: store.forget())
            taken, next_due = await self._take_due()
            pause = POLL if next_due is None else min(POLL, max(0.0, next_due - self._clock()))
            self._look_at = asyncio.get_running_loop().time() + pause
            if taken:
                return taken

    async def _wait(self) -> None:
        """Wait until something has changed, or until the last ``take`` said that more deliveries may be due."""
        try:
            async with asyncio.timeout_at(self._look_at):
                await self._changed.wait()
        except TimeoutError:
            pass

    async def _take_due(self) -> tuple[Sequence[Delivery], float | None]:
        taking = self._submit(Kind.READ, lambda store: store.take())
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            taking.add_done_callback(self._give_back)
            raise

    def _give_back(self, taking: "asyncio.Future[tuple[list[Delivery], float | None]]") -> None:
        """Make the deliveries due again that a cancelled ``take`` would have returned."""
        if taking.cancelled() or taking.exception() is not None or self._thread is None:
            return
        taken, _ = taking.result()
        if taken:
            self._submit(Kind.READ, lambda store: store.release(taken))
            self._changed.set()

    async def finish(self, delivery: Delivery) -> None:
        """Remove a delivery."""
        await self._store_result(lambda store: store.finish(delivery))

    async def retry(self, delivery: Delivery, pause: float, error: str) -> None:
        """Make a delivery due again after ``pause`` seconds, with one more failed attempt."""
        due = self._clock() + pause
        await self._store_result(lambda store: store.retry(delivery, due, error))

    async def postpone(self, delivery: Delivery, pause: float) -> None:
        """Make a delivery due again after ``pause`` seconds, without a failed attempt."""
        due = self._clock() + pause
        await self._store_result(lambda store: store.postpone(delivery, due))

    async def bury(self, delivery: Delivery, reason: str) -> None:
        """Make a delivery a dead letter."""
        await self._store_result(lambda store: store.bury(delivery, reason))

    async def _store_result(self, run: Callable[["Store"], None]) -> None:
        """Store the result of an attempt.

        If the file is unavailable, the thread stores the result later, and the lane waits until then. The delivery is
        not repeated, unless the process ends before.
        """
        await self._change(Kind.RESULT, run)

    async def lengths(self) -> Sequence[QueueLength]:
        """Return the number of deliveries of each endpoint that has any."""
        return await self._submit(Kind.READ, lambda store: store.lengths())

    async def dead(self, limit: int) -> Sequence[DeadLetter]:
        """Return dead letters, the newest first."""
        return await self._submit(Kind.READ, lambda store: store.dead(limit))

    async def revive(self, app_id: str | None = None, delivery_id: str | None = None) -> Revival:
        """Queue dead letters again: one, those of an app, or all. A full endpoint keeps its newest letters dead."""
        return await self._change(Kind.CHANGE, lambda store: store.revive(app_id, delivery_id))

    async def purge(self, app_id: str | None = None, delivery_id: str | None = None) -> int:
        """Remove dead letters: one, those of an app, or all. Return their number."""
        return await self._submit(Kind.CHANGE, lambda store: store.purge(app_id, delivery_id))
