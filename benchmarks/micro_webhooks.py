"""The cost of the stages of webhooks, for batches of 500 client events. A part of ``make bench-micro``.

    python -m pytest -p no:xdist --benchmark-only benchmarks/micro_webhooks.py

Each figure is CPU time of this process for 500 events, with all its threads. The receiver of the requests is another
process.
"""

import asyncio
import multiprocessing
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
import uvloop
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.micro import APP
from soketpy.core.deliveries import Delivery, form
from soketpy.core.webhook_ports import Queue
from soketpy.core.webhooks import Webhook
from soketpy.drivers.local.queue import MemoryQueue
from soketpy.drivers.sqlite.queue import SqliteQueue
from soketpy.protocol import webhooks
from soketpy.protocol.webhooks import WebhookEvent
from soketpy.webhooks.collector import Collector
from soketpy.webhooks.http import HttpTarget

EVENTS = 500
"""Events of one measurement. At 10,000 per second, a server collects so many in 50 ms."""

HOOK = Webhook(url="http://127.0.0.1:9/hook", event_types=["client_event"], batching=True)
HOOKED = replace(APP, webhooks=(HOOK,))
DATA = b'{"x":120,"y":340,"by":"somebody"}'
SOME = [
    WebhookEvent(APP.id, "client_event", f"private-{each % 10}", "", f"1234.{each % 10}", "client-moved", DATA)
    for each in range(EVENTS)
]

pytestmark = pytest.mark.benchmark(timer=time.process_time, min_rounds=50)


def deliveries() -> list[Delivery]:
    """Return the deliveries of the events."""
    return form(SOME, lambda _: HOOKED, time.time(), lambda *_: str(uuid4()), batching=True)


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    """Return an event loop as that of the server."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as created:
        yield created


def test_collect(benchmark: BenchmarkFixture) -> None:
    """Take events, and remove them from the buffer."""
    collector = Collector(MemoryQueue(), lambda _: HOOKED)

    def step() -> None:
        for event in SOME:
            collector.append(event)
        collector._events.take(EVENTS)

    benchmark(step)


def test_encode(benchmark: BenchmarkFixture) -> None:
    """Encode events."""
    benchmark(lambda: [each.encode() for each in SOME])


def test_form(benchmark: BenchmarkFixture) -> None:
    """Form deliveries, which includes ``test_encode``."""
    assert sum(each.events for each in benchmark(deliveries)) == EVENTS


@pytest.mark.parametrize("name", ["memory", "sqlite"])
def test_queue(benchmark: BenchmarkFixture, name: str, runner: asyncio.Runner, tmp_path: Path) -> None:
    """Store deliveries. A task that waits for them takes and removes them, as the sender does."""
    queue: Queue = MemoryQueue() if name == "memory" else SqliteQueue(str(tmp_path / "queue.db"))
    stored = deliveries()
    finished: asyncio.Queue[None] = asyncio.Queue()

    async def finish(delivery: Delivery) -> None:
        await queue.finish(delivery)
        finished.put_nowait(None)

    async def send() -> None:
        async with asyncio.TaskGroup() as tasks:
            while True:
                for delivery in await queue.take():
                    tasks.create_task(finish(delivery))

    async def step() -> None:
        await queue.put(stored)
        for _ in stored:
            await finished.get()

    runner.run(queue.start())
    sender = runner.get_loop().create_task(send())
    benchmark(lambda: runner.run(step()))
    sender.cancel()
    runner.run(queue.stop())


def test_sign(benchmark: BenchmarkFixture) -> None:
    """Compute the headers of the requests."""
    signed = deliveries()
    benchmark(lambda: [webhooks.headers(each.body, "key", "secret", each.id) for each in signed])


def answer(listening: socket.socket) -> None:
    """Answer each request of one connection after the other with 200."""
    while True:
        connection, _ = listening.accept()
        with connection:
            buffer = b""
            while received := connection.recv(1 << 20):
                buffer += received
                head, end, body = buffer.partition(b"\r\n\r\n")
                if end and len(body) >= int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]):
                    buffer = b""
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


@pytest.fixture
def receiver() -> Iterator[str]:
    """Return the URL of a receiver."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        process = multiprocessing.get_context("fork").Process(target=answer, args=(listening,), daemon=True)
        process.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/hook"
        process.terminate()
        process.join()


def test_send(benchmark: BenchmarkFixture, runner: asyncio.Runner, receiver: str) -> None:
    """Send the requests, which includes ``test_sign``."""
    hook = replace(HOOK, url=receiver)
    sent = deliveries()

    async def opened() -> HttpTarget:
        return HttpTarget()

    target = runner.run(opened())

    async def step() -> None:
        for delivery in sent:
            assert not (await target.send(delivery, HOOKED, hook)).error

    benchmark(lambda: runner.run(step()))
    runner.run(target.close())
