"""The logs of one node in an SQLite file: back-pressure, a removed file, and reads next to failing writes."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path

import pytest

from soketpy.core.history import HistoryRule, Query
from soketpy.core.ports import NotStored
from soketpy.drivers.sqlite.history import SqliteHistory
from tests.drivers.logs import Kit, names, task_of
from tests.drivers.sqlite.test_faults import full_disk

RULE = HistoryRule(channels="*", kib=4096)


@pytest.fixture
async def kit(tmp_path: Path) -> AsyncIterator[Kit]:
    kit = Kit("sqlite", tmp_path / "history.db", app_size=64 * 1024 * 1024, size=64 * 1024 * 1024)
    await kit.start()
    yield kit
    await kit.stop()


async def test_an_app_waits_while_too_many_bytes_wait_for_the_disk(kit: Kit) -> None:
    waiting = list[Coroutine[None, None, None]]()
    while "app" not in kit.store.full:
        waiting.append(kit.publish("room", str(len(waiting)), RULE, data=b'"%b"' % (b"x" * 10_000)))
        assert len(waiting) < 100
    assert "other" not in kit.store.full
    assert not kit.delivered, "nothing resumes before this test waits"
    await task_of(kit.store.room("app"))
    assert kit.delivered
    await asyncio.gather(*waiting)
    assert "app" not in kit.store.full
    assert len(names(await kit.read("room", RULE, Query(1000, size=10**9)))) == len(waiting)


async def test_a_read_next_to_a_write_that_fails_succeeds(kit: Kit) -> None:
    await kit.publish("room", "stored", RULE)
    with full_disk():
        results = await asyncio.gather(
            *(kit.publish("room", "lost", RULE) for _ in range(5)),
            kit.read("room", RULE),
            *(kit.publish("room", "lost", RULE) for _ in range(5)),
            return_exceptions=True,
        )
    read = results.pop(5)
    assert not isinstance(read, BaseException)
    assert read is not None
    assert names(read) == ["stored"]
    assert {type(result) for result in results} == {NotStored}
    assert [event.name for *_, event in kit.delivered] == ["stored"]


async def test_a_removed_file_fails_once_and_is_created_again(kit: Kit) -> None:
    await kit.publish("room", "old", RULE)
    before = await kit.read("room", RULE)
    for each in kit.path.parent.glob("history.db*"):
        each.unlink()
    with pytest.raises(NotStored):
        await kit.publish("room", "refused", RULE)
    await kit.publish("room", "new", RULE)
    after = await kit.read("room", RULE)
    assert (names(after), after.epoch == before.epoch) == (["new"], False)


async def test_after_its_stop_a_store_refuses_events(kit: Kit) -> None:
    await kit.stop()
    with pytest.raises(NotStored):
        await kit.publish("room", "late", RULE)


async def test_a_store_that_nobody_needs_opens_with_the_first_event(tmp_path: Path) -> None:
    store = SqliteHistory(str(tmp_path / "history.db"), app_size=10**6, size=10**6, needed=False)
    await store.start()
    assert not (tmp_path / "history.db").exists()
    page = await task_of(store.read("app", "room", RULE, Query(1), begin=True))
    assert page.epoch
    assert (tmp_path / "history.db").exists()
    await store.stop()
