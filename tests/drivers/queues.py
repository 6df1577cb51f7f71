"""The queues of webhooks for the contract tests: each kit opens queues of one kind."""

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from shutil import copyfile
from typing import Any, Protocol, cast
from uuid import uuid4

import msgspec
import pytest

from soketpy.core.deliveries import Delivery
from soketpy.core.webhook_ports import Queue
from soketpy.drivers.aws.fifo import Received
from soketpy.drivers.aws.sqs_queue import SqsQueue
from soketpy.drivers.local.queue import MemoryQueue
from soketpy.drivers.redis.cluster import RedisCluster
from soketpy.drivers.redis.connect import Address, connector
from soketpy.drivers.redis.session import Session
from soketpy.drivers.redis.webhooks.holder import Holder, WebhookScript
from soketpy.drivers.redis.webhooks.queue import RedisQueue
from soketpy.drivers.sqlite.queue import SqliteQueue
from soketpy.process.server import cancel
from tests.aws import Moto, create_queue, options
from tests.fakes import NoNode
from tests.redis import LONG_LEASE


class Kit(Protocol):
    """Opens queues of one kind, in one event loop at a time.

    A kit whose queues have real clocks waits in ``advance`` until the time has passed.
    """

    durable: bool
    remembers_errors: bool
    stores_states: bool

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

    durable = remembers_errors = stores_states = False

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

    durable = remembers_errors = stores_states = True

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


class RedisKit:
    """Queues in a Redis, each in a cluster of its own, with a fake clock. ``crash`` lets another node take over."""

    durable = remembers_errors = True
    stores_states = False  # the roster has them

    def __init__(self, socket: str) -> None:
        self.time = 1_000_000.0
        self._connect = partial(connector, Address(unix_socket=socket))
        self._opened: list[tuple[RedisQueue, RedisCluster, asyncio.Task[None], str, int, float]] = []

    def now(self) -> float:
        return self.time

    async def open(self, *, bound: int = 10_000, keep_dead: float = 1000, prefix: str = "") -> Queue:
        return await self._open(prefix or f"test-{uuid4()}", bound, keep_dead)

    async def _open(self, prefix: str, bound: int, keep_dead: float) -> Queue:
        cluster = RedisCluster(self._connect, prefix, lease=LONG_LEASE)
        cluster.bus.attach(cast(Any, NoNode()))
        cluster.roster.attach(cast(Any, None))
        await cluster.start()
        [partition] = cluster.partitions
        holder = Holder(partition.session, partition.topics, WebhookScript(partition.session, clock=self.now))
        queue = RedisQueue(holder, bound=bound, keep_dead=keep_dead)

        async def work() -> None:
            """Form no deliveries."""

        running = asyncio.create_task(holder.run(work))
        self._opened.append((queue, cluster, running, prefix, bound, keep_dead))
        await holder.held.wait()
        return queue

    async def advance(self, seconds: float) -> None:
        self.time += seconds

    async def crash(self, queue: Queue) -> Queue:
        _, cluster, running, prefix, bound, keep_dead = next(each for each in self._opened if each[0] is queue)
        await cancel(running)
        [session] = cluster.sessions
        await session.ask("ZADD", f"{session.prefix}leases", 1, session.id)
        await cut_off(session)
        return await self._open(prefix, bound, keep_dead)

    async def close(self) -> None:
        for queue, cluster, running, *_ in self._opened:
            await cancel(running)
            await queue.stop()
            await cluster.stop()


async def cut_off(session: Session) -> None:
    """Disconnect a node for good, as if its process was killed."""
    assert session._running is not None
    await cancel(session._running)
    session._disconnect()


class SqsKit:
    """Queues in moto's SQS, whose clock is fake.

    ``crash`` makes the messages of the dead process visible. If the time of several messages of a group ended by
    itself, moto would return the last one first.
    """

    durable = True
    remembers_errors = stores_states = False

    def __init__(self, server: Moto) -> None:
        self.time = 1_000_000.0
        self._server = server
        self._opened: list[tuple[SqsQueue, str, int, float]] = []

    def now(self) -> float:
        return self.time

    async def open(self, *, bound: int = 10_000, keep_dead: float = 1000) -> Queue:
        return await self._open(await create_queue(self._server.url, f"{uuid4()}.fifo"), bound, keep_dead)

    async def _open(self, url: str, bound: int, keep_dead: float) -> Queue:
        queue = SqsQueue(
            url,
            options(self._server.url),
            bound=bound,
            keep_dead=keep_dead,
            clock=self.now,
            long_poll=1,
            look_for_dead=0,
        )
        self._opened.append((queue, url, bound, keep_dead))
        await queue.start()
        return queue

    async def advance(self, seconds: float) -> None:
        self.time += seconds
        self._server.advance(seconds)

    async def crash(self, queue: Queue) -> Queue:
        opened = next(each for each in self._opened if each[0] is queue)
        self._opened.remove(opened)
        await kill(opened[0])
        await opened[0]._queue.hide([each.receipt for each in opened[0]._lanes.held], 0)
        await opened[0]._clients.close()
        return await self._open(*opened[1:])

    async def close(self) -> None:
        for queue, *_ in self._opened:
            await queue.stop()


async def kill(queue: SqsQueue) -> None:
    """End a queue without its ``stop``."""
    await stop_polling(queue)
    for task in queue._tasks:
        task.cancel()


async def stop_polling(queue: SqsQueue) -> None:
    """Wait for the end of the last poll. moto would give messages to a client that has disconnected."""

    async def none(**_: object) -> list[Received]:
        raise asyncio.CancelledError

    queue._queue.receive = none  # type: ignore[method-assign]
    if queue._tasks:
        await asyncio.wait(queue._tasks[:1])


KINDS = ["memory", "sqlite", "redis", "sqs"]


def kit_of(kind: str, request: pytest.FixtureRequest, folder: Path) -> Kit:
    """Return the kit of a kind of queue. ``request`` gives the fixtures that a kit needs, such as a server."""
    match kind:
        case "memory":
            return MemoryKit()
        case "sqlite":
            return SqliteKit(folder)
        case "sqs":
            return SqsKit(request.getfixturevalue("sqs_server"))
    return RedisKit(request.getfixturevalue("redis"))


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
