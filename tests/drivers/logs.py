"""Kits for the tests of stores of logs: each opens, restarts and closes one kind of store."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from soketpy.core import steps
from soketpy.core.history import HistoryRule, Page, Position, Query
from soketpy.drivers.local.bus import LocalHistory
from soketpy.drivers.local.history import MemoryHistory
from soketpy.drivers.sqlite.history import SqliteHistory
from soketpy.protocol.messages import Event
from tests.patience import PATIENCE

T = TypeVar("T")

KINDS = ["memory", "sqlite"]

MIB = 1024 * 1024


class Kit:
    """A store with a clock that the test sets. ``delivered`` has the positions of events in the order of delivery."""

    def __init__(self, kind: str, path: Path, *, app_size: int = MIB, size: int = MIB) -> None:
        self.kind = kind
        self.time = 1_000_000.0
        self.path = path
        self.app_size, self.size = app_size, size
        self.delivered: list[tuple[str, str, Position, Event]] = []
        self.store = self._new()

    def _new(self) -> LocalHistory:
        if self.kind == "memory":
            return MemoryHistory(lambda: self.time, app_size=self.app_size, size=self.size)
        return SqliteHistory(str(self.path), clock=lambda: self.time, app_size=self.app_size, size=self.size)

    @property
    def keeps(self) -> bool:
        """True if the logs survive a restart."""
        return self.kind != "memory"

    async def start(self) -> None:
        await self.store.start()

    async def stop(self) -> None:
        await self.store.stop()

    async def restart(self) -> None:
        """Stop the store, and open a new one."""
        await self.store.stop()
        self.store = self._new()
        await self.store.start()

    def publish(
        self, channel: str, name: str, rule: HistoryRule, *, app: str = "app", data: bytes = b'"{}"'
    ) -> Coroutine[Any, Any, None]:
        """Publish an event at once. Return what waits until it is stored."""
        event = Event(name, data)
        receipt = self.store.publish(
            app,
            channel,
            event,
            rule,
            None,
            lambda position: self.delivered.append((app, channel, position, event)),
        )

        async def confirm() -> None:
            if receipt is not None:
                await receipt

        return task_of(confirm())

    async def read(
        self, channel: str, rule: HistoryRule, query: Query | None = None, *, app: str = "app", begin: bool = False
    ) -> Page:
        return await task_of(self.store.read(app, channel, rule, query or Query(1000), begin=begin))


async def task_of(operation: Coroutine[Any, Any, T]) -> T:
    """Return the result of an operation of ``steps``, in a task."""
    future: asyncio.Future[T] = asyncio.get_running_loop().create_future()

    async def run() -> None:
        try:
            future.set_result(await operation)
        except Exception as fault:
            future.set_exception(fault)

    steps.begin(run())
    return await asyncio.wait_for(future, PATIENCE)


def names(page: Page) -> list[str]:
    return [entry.event.name for entry in page.entries]
