"""A worker that hangs: the log, the metrics and ``/ready`` show it, and another one replaces it."""

import os
import re
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.cli.test_workers import Together
from tests.clients.programs import free_port
from tests.conftest import At
from tests.patience import until
from tests.slices.sitecustomize import environment

pytestmark = pytest.mark.usefixtures("redis")  # where there is none these cannot run

QUICK = environment(
    {
        "soketpy.process.silence.TICK": 0.05,
        "soketpy.process.worker_process.REPORTED_AFTER": 0.5,
        "soketpy.process.workers.COUNT_INTERVAL": 0.1,
        "soketpy.process.workers.LONGEST_COUNT": 0.2,
    }
)
"""A hung worker is noticed after half a second."""


class Scraped:
    """A server of two workers and its metrics port."""

    def __init__(self, folder: Path, stack: AsyncExitStack, patience: float) -> None:
        port = free_port()
        metrics = {"enabled": True, "host": "127.0.0.1", "port": port}
        self.server = stack.enter_context(
            Together(folder, env=QUICK, metrics=metrics, timeouts={"shutdown": 0.2, "worker": patience})
        )
        self.metrics = At(port, stack)

    @property
    def workers(self) -> set[int]:
        return self.server.children("soketpy.process.worker")

    async def value(self, metric: str) -> float:
        text = (await self.metrics.request("GET", "/metrics")).text
        found = re.search(rf"^{metric} (\S+)$", text, re.M)
        assert found, metric
        return float(found[1])

    async def running(self) -> float:
        return await self.value(r"soketpy_workers_running{.*}")

    async def ready(self) -> int:
        return (await self.metrics.request("GET", "/ready")).status


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def test_a_hung_worker_is_reported_until_it_answers_again(tmp_path: Path, stack: AsyncExitStack) -> None:
    scraped = Scraped(tmp_path, stack, patience=0)
    hung = scraped.workers.pop()
    os.kill(hung, signal.SIGSTOP)
    await scraped.server.written(f"A worker (process {hung}) has not answered for")

    async def running(number: int, status: int) -> bool:
        return await scraped.running() == number and await scraped.ready() == status

    await until(lambda: running(1, 503))
    os.kill(hung, signal.SIGCONT)
    await scraped.server.written(f"A worker (process {hung}) answers again, after")
    await until(lambda: running(2, 200))
    assert hung in scraped.workers
    assert await scraped.value('soketpy_workers_replaced_total{.*reason="hung"}') == 0


async def test_a_hung_worker_is_killed_and_replaced(tmp_path: Path, stack: AsyncExitStack) -> None:
    scraped = Scraped(tmp_path, stack, patience=2)
    hung = scraped.workers.pop()
    os.kill(hung, signal.SIGSTOP)
    await scraped.server.written(f"A worker (process {hung}) has not answered for 2 s (timeouts.worker): killing it")
    await scraped.server.written(f"A worker (process {hung}) ended with exit code -9; starting another one")

    async def replaced() -> bool:
        return await scraped.running() == 2 and await scraped.ready() == 200

    await until(replaced)
    assert hung not in scraped.workers
    assert await scraped.value('soketpy_workers_replaced_total{.*reason="hung"}') >= 1
