"""The queues of webhooks for the contract tests: each kit opens queues of one kind."""

from collections.abc import Sequence
from pathlib import Path
from shutil import copyfile
from typing import Protocol
from uuid import uuid4

import msgspec
import pytest

from soketpy.core.deliveries import Delivery
from soketpy.core.webhook_ports import Queue
from soketpy.drivers.local.queue import MemoryQueue
from soketpy.drivers.sqlite.queue import SqliteQueue


class Kit(Protocol):
    """Opens queues of one kind, in one event loop at a time.

    A kit whose queues have real clocks waits in ``advance`` until the time has passed.
    """

    durable: bool

    async def open(self, *, bound: int = 10_000, keep_dead: float = 1000) -> Queue:
        """Return a new, empty queue that is started."""

    async def advance(self, seconds: float) -> None:
        """Let time pass."""

    async def crash(self, queue: Queue) -> Queue:
        """End a queue as if its process was killed. Return a started queue with the same contents."""

    async def close(self) -> None:
        """Stop all queues."""

    def now(self) -> float:
        """Return the time of the clock of the queues."""


class MemoryKit:
    """Queues in memory, with a fake clock."""

    durable = False

    def __init__(self) -> None:
        self.time = 1_000_000.0

    def now(self) -> float:
        return self.time

    async def open(self, *, bound: int = 10_000, keep_dead: float = 1000) -> Queue:
        return MemoryQueue(bound=bound, keep_dead=keep_dead, clock=self.now)

    async def advance(self, seconds: float) -> None:
        self.time += seconds

    async def crash(self, queue: Queue) -> Queue:
        raise AssertionError("a queue in memory does not survive")

    async def close(self) -> None:
        pass


class SqliteKit:
    """Queues in SQLite files, with a fake clock.

    ``crash`` opens a copy of the files as they are on the disk at this moment, without any end of the first queue.
    """

    durable = True

    def __init__(self, folder: Path) -> None:
        self.time = 1_000_000.0
        self._folder = folder
        self._opened: list[tuple[SqliteQueue, Path, int, float]] = []

    def now(self) -> float:
        return self.time

    async def open(self, *, bound: int = 10_000, keep_dead: float = 1000) -> Queue:
        return await self._open(self._folder / f"{uuid4()}.db", bound, keep_dead)

    async def _open(self, path: Path, bound: int, keep_dead: float) -> Queue:
        queue = SqliteQueue(str(path), bound=bound, keep_dead=keep_dead, clock=self.now)
        self._opened.append((queue, path, bound, keep_dead))
        await queue.start()
        return queue

    async def advance(self, seconds: float) -> None:
        self.time += seconds

    async def crash(self, queue: Queue) -> Queue:
        _, path, bound, keep_dead = next(each for each in self._opened if each[0] is queue)
        copy = self._folder / f"{uuid4()}.db"
        for suffix in ("", "-wal"):
            copyfile(f"{path}{suffix}", f"{copy}{suffix}")
        return await self._open(copy, bound, keep_dead)

    async def close(self) -> None:
        for queue, *_ in self._opened:
            await queue.stop()


KINDS = ["memory", "sqlite"]


def kit_of(kind: str, request: pytest.FixtureRequest, folder: Path) -> Kit:
    """Return the kit of a kind of queue. ``request`` gives the fixtures that a kit needs, such as a server."""
    return MemoryKit() if kind == "memory" else SqliteKit(folder)


def delivery(
    lane: str = "1",
    *,
    app: str = "app",
    webhook: str = "hook",
    created: float = 0,
    size: int = 0,
) -> Delivery:
    """Return a delivery of a lane."""
    return Delivery(
        id=str(uuid4()),
        app_id=app,
        webhook_id=webhook,
        target=f"http://{webhook}.example",
        lane=f"{app}:{webhook}:{lane}",
        body=b'{"time_ms":1,"events":[]}' + b" " * size,
        events=1,
        created=created,
    )


def ids(deliveries: Sequence[Delivery]) -> list[str]:
    return [each.id for each in deliveries]


def after(delivery: Delivery, attempts: int, error: str) -> Delivery:
    """Return a delivery as it is after failed attempts."""
    return msgspec.structs.replace(delivery, attempts=attempts, error=error)
