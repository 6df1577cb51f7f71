"""Faults while a queue is used: a full disk, a removed file, and a killed process; and what memory it takes."""

import asyncio
import resource
import signal
import subprocess
import sys
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from soketpy.core.webhook_ports import QueueUnavailable
from soketpy.drivers.sqlite.queue import SqliteQueue
from soketpy.drivers.sqlite.store import MOST_TAKEN, Store
from tests.drivers.queues import after, delivery, ids
from tests.drivers.test_queue import take
from tests.patience import PATIENCE

MIB = 1024 * 1024


@pytest.fixture
async def queue(tmp_path: Path) -> AsyncIterator[SqliteQueue]:
    queue = SqliteQueue(str(tmp_path / "queue.db"))
    await queue.start()
    yield queue
    await queue.stop()


@contextmanager
def full_disk() -> Iterator[None]:
    """Let every write to a file of this process fail."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_after_a_full_disk_nothing_is_lost_and_nothing_repeated(queue: SqliteQueue) -> None:
    deliveries = [delivery(lane) for lane in "1122334"]
    await queue.put(deliveries)
    delivered, failed, given_up, _ = await take(queue, 4)
    late = delivery("4")
    with full_disk():
        with pytest.raises(QueueUnavailable):
            await queue.put([late])
        for result in (queue.finish(delivered), queue.retry(failed, 0, "HTTP 500"), queue.bury(given_up, "HTTP 410")):
            with pytest.raises(QueueUnavailable):
                await result
    await queue.put([late])
    taken = {each.lane[-1]: each for each in await take(queue, 3)}
    assert taken == {"1": deliveries[1], "2": after(failed, 1, "HTTP 500"), "3": deliveries[5]}
    assert ids([each.delivery for each in await queue.dead(10)]) == [given_up.id]
    assert [each.length for each in await queue.lengths()] == [6]


async def test_a_take_on_a_full_disk_loses_nothing(queue: SqliteQueue) -> None:
    first, second = delivery(), delivery()
    await queue.put([first, second])
    (taken,) = await take(queue)
    with full_disk():
        with pytest.raises(QueueUnavailable):
            await queue.finish(taken)
        with pytest.raises(QueueUnavailable):
            await queue.take()
    assert await take(queue) == [second]


def remove_files(folder: Path) -> None:
    for each in folder.glob("queue.db*"):
        each.unlink()


async def test_a_removed_file_is_reported_once_and_created_again(queue: SqliteQueue, tmp_path: Path) -> None:
    await queue.put([delivery()])
    remove_files(tmp_path)
    with pytest.raises(QueueUnavailable, match="was removed or replaced"):
        await queue.put([delivery()])
    new = delivery()
    await queue.put([new])
    assert await take(queue) == [new]


async def test_calls_that_arrive_during_a_transaction_share_the_next_one(
    queue: SqliteQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = []
    begin = Store.begin

    def count(self: Store, *, write: bool, durable: bool) -> None:
        begun.append(durable)
        begin(self, write=write, durable=durable)

    monkeypatch.setattr(Store, "begin", count)
    await asyncio.gather(*(queue.put([delivery(str(number))]) for number in range(200)))
    taken = await take(queue, 200)
    assert len(begun) < 50
    begun.clear()
    await asyncio.gather(*(queue.finish(each) for each in taken))
    assert len(begun) < 50
    assert not any(begun), "the results of attempts need not survive a crash of the machine"


async def test_a_take_returns_at_once_what_an_earlier_one_had_no_room_for(
    queue: SqliteQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("soketpy.drivers.sqlite.queue.POLL", 10 * PATIENCE)
    await queue.put([delivery(str(number)) for number in range(MOST_TAKEN + 1)])
    assert len(await queue.take()) == MOST_TAKEN
    assert len(await asyncio.wait_for(queue.take(), PATIENCE)) == 1


async def test_a_bug_in_one_call_fails_no_other(queue: SqliteQueue) -> None:
    good, bad = delivery("1"), delivery("2\ud800")
    results = await asyncio.gather(queue.put([good]), queue.put([bad]), return_exceptions=True)
    assert [type(each) for each in results] == [int, UnicodeEncodeError]
    assert await take(queue) == [good]


async def test_memory_does_not_grow_with_the_deliveries_of_a_dead_endpoint(tmp_path: Path) -> None:
    queue = SqliteQueue(str(tmp_path / "queue.db"), bound=10_000)
    await queue.start()
    tracemalloc.start()
    try:
        for number in range(110):
            await queue.put([delivery(str(lane), size=4000) for lane in range(4) for _ in range(25)])
            if number == 0:
                await take(queue, 4)
        assert [each.length for each in await queue.lengths()] == [10_000]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        await queue.stop()
    assert peak < 4 * MIB  # of 44 MB


PUTS = """
import asyncio, sys
from soketpy.drivers.sqlite.queue import SqliteQueue
from tests.drivers.queues import delivery

async def main():
    queue = SqliteQueue(sys.argv[1])
    await queue.start()
    async def put(lane):
        while True:
            each = delivery(lane)
            await queue.put([each])
            print(each.lane, each.id, flush=True)
    await asyncio.gather(*(put(str(lane)) for lane in range(8)))

asyncio.run(main())
"""


def put_until_killed(path: Path) -> dict[str, list[str]]:
    """Run a process that puts deliveries, and kill it. Return the ids of each lane for which ``put`` has returned."""
    put: dict[str, list[str]] = {}
    with subprocess.Popen([sys.executable, "-c", PUTS, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for number, line in enumerate(process.stdout):
            if number == 500:
                process.send_signal(signal.SIGKILL)
            if line.endswith("\n"):
                lane, id = line.split()
                put.setdefault(lane, []).append(id)
    return put


async def test_a_killed_process_loses_nothing_that_was_put(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    put = put_until_killed(path)
    queue = SqliteQueue(str(path))
    await queue.start()
    found: dict[str, list[str]] = {lane: [] for lane in put}
    async with asyncio.timeout(PATIENCE):
        while any(len(found[lane]) < len(put[lane]) for lane in put):
            for each in await queue.take():
                found[each.lane].append(each.id)
                await queue.finish(each)
    await queue.stop()
    assert all(found[lane][: len(put[lane])] == put[lane] for lane in put)


@pytest.mark.parametrize("restarts", [False, True])
async def test_a_clock_that_is_set_back_delays_no_retry_for_long(tmp_path: Path, restarts: bool) -> None:
    time = 100_000.0
    path = str(tmp_path / "queue.db")
    queue = SqliteQueue(path, clock=lambda: time)
    await queue.start()
    put = delivery()
    await queue.put([put])
    await queue.retry((await take(queue))[0], 60, "HTTP 500")
    time -= 90_000
    if restarts:
        await queue.stop()
        queue = SqliteQueue(path, clock=lambda: time)
        await queue.start()
        time += 3600
    assert ids(await asyncio.wait_for(queue.take(), PATIENCE)) == [put.id]
    await queue.stop()
