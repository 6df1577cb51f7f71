"""The file of SQLite: its creation, its permissions, and files that soketpy cannot use."""

import asyncio
import os
import sqlite3
import stat
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from soketpy.config.app_rows import field_of, reader, row_of
from soketpy.core.app_registry import BrokenApp, RegistryRefused, RegistryUnavailable
from soketpy.core.apps import App, Key
from soketpy.core.history import HistoryRule
from soketpy.drivers.sql.apps import SqlApps
from soketpy.drivers.sql.sqlite import SqliteDatabase
from tests.drivers.registries import nothing
from tests.patience import PATIENCE, until

APP = App(id="1", keys=(Key("k", "s"), Key("l", "t")))
HASTY = 0.2
"""Seconds, for a call that must not get an answer."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "apps #1?%20.db"


def open_registry(path: Path, timeout: float = PATIENCE) -> SqlApps:
    return SqlApps(
        SqliteDatabase(str(path), timeout=timeout, poll=0.01), read=reader(), write=row_of, field_of=field_of
    )


@pytest.fixture
async def registry(path: Path) -> AsyncIterator[SqlApps]:
    registry = open_registry(path)
    yield registry
    await registry.stop()


async def test_a_start_creates_the_file(registry: SqlApps, path: Path) -> None:
    await registry.start(nothing)
    assert registry.writable is None
    await registry.add(APP)
    assert await registry.fetch([], ["l"]) == [APP]
    assert path.name in os.listdir(path.parent)


async def test_only_the_owner_can_read_the_files(registry: SqlApps, path: Path) -> None:
    before = os.umask(0)
    try:
        await registry.start(nothing)
        await registry.add(APP)
    finally:
        os.umask(before)
    files = list(path.parent.iterdir())
    assert {file.suffix for file in files} == {".db", ".db-wal", ".db-shm"}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


async def test_several_processes_create_the_file_at_the_same_time(path: Path) -> None:
    registries = [open_registry(path) for _ in range(4)]
    await asyncio.gather(*(each.start(nothing) for each in registries))
    await asyncio.gather(*(each.add(App(id=str(at), keys=(Key(f"k{at}", "s"),))) for at, each in enumerate(registries)))
    assert len(await registries[0].page()) == 4
    for each in registries:
        await each.stop()


async def test_reads_do_not_wait_for_a_writer(registry: SqlApps, path: Path) -> None:
    await registry.start(nothing)
    await registry.add(APP)
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("DELETE FROM apps")
    assert await registry.fetch(["1"], []) == [APP]
    writer.execute("COMMIT")
    writer.close()


async def test_a_file_that_is_locked_is_unavailable(path: Path) -> None:
    registry = open_registry(path, HASTY)
    owner = open_registry(path)
    await owner.initialise()
    await owner.stop()
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    with pytest.raises(RegistryUnavailable):
        await registry.add(APP)
    writer.close()
    await registry.stop()


async def test_a_file_that_is_replaced_is_read_again(registry: SqlApps, path: Path) -> None:
    changes: list[str | None] = []
    await registry.start(changes.append)
    await registry.add(APP)
    backup = open_registry(path.with_name("backup.db"))
    await backup.start(nothing)
    new = App(id="2", keys=(Key("k", "s"),))
    await backup.add(new)
    await backup.stop()
    for suffix in ("-wal", "-shm"):
        os.unlink(f"{path}{suffix}")
    changes.clear()
    os.rename(path.with_name("backup.db"), path)

    async def is_new() -> bool:
        return await registry.page() == [new]

    await until(is_new)
    await until(lambda: changes)


async def test_a_file_in_no_directory(tmp_path: Path) -> None:
    registry = open_registry(tmp_path / "none" / "apps.db")
    with pytest.raises(RegistryRefused, match="there is no directory"):
        await registry.start(nothing)


async def test_a_path_of_a_directory(tmp_path: Path) -> None:
    registry = open_registry(tmp_path)
    with pytest.raises(RegistryRefused, match="cannot be opened: Is a directory"):
        await registry.start(nothing)


@pytest.fixture
def no_database(path: Path) -> None:
    path.write_text("no database" * 1000)


@pytest.mark.usefixtures("no_database")
async def test_a_file_that_is_no_database(registry: SqlApps) -> None:
    with pytest.raises(RegistryUnavailable, match="file is not a database"):
        await registry.start(nothing)


async def test_the_database_of_another_program(registry: SqlApps, path: Path) -> None:
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE notes (text)")
    other.commit()
    other.close()
    with pytest.raises(RegistryRefused, match="there is no table apps"):
        await registry.start(nothing)
    assert len(await registry.initialise()) == 1
    await registry.start(nothing)
    await registry.add(APP)


async def test_broken_values_affect_no_other_app(registry: SqlApps, path: Path) -> None:
    """SQLite stores any value in any column."""
    await registry.start(nothing)
    await registry.add(APP)
    other = sqlite3.connect(path)
    for at, (column, value) in enumerate([("webhooks", b"\xff["), ("enabled", "x"), ("max_connections", 1.5)]):
        other.execute(
            f"INSERT INTO apps (id, key, secret, {column}) VALUES (?, ?, 's', ?)", (f"b{at}", f"k{at}", value)
        )
    other.execute("INSERT INTO apps (id, key, secret) VALUES ('b3', 'k3', CAST(x'ff' AS TEXT))")
    other.execute("INSERT INTO apps (id, key, secret, webhooks) VALUES ('b4', 'k4', 's', CAST(x'ff5b' AS TEXT))")
    other.execute("INSERT INTO apps_keys (key, app_id, secret) VALUES ('left-over', 'nobody', 's')")
    other.execute("INSERT INTO apps_keys (key, app_id, secret, ends_at) VALUES ('bad', 'b5', 's', 'soon')")
    other.execute("INSERT INTO apps (id, key, secret) VALUES ('b5', 'k5', 's')")
    other.commit()
    other.close()
    found = {each.id: each for each in await registry.page()}
    assert found["1"] == APP
    assert {of for of, each in found.items() if isinstance(each, BrokenApp)} == {"b0", "b1", "b2", "b4", "b5"}
    assert await registry.fetch([], ["left-over"]) == []
    [bad] = await registry.fetch([], ["bad"])
    assert (bad.id, bad.keys) == ("b5", ("k5", "bad"))
    await registry.add(App(id="2", keys=(Key("x", "s"), Key("left-over", "s"))))
    assert [each.id for each in await registry.fetch([], ["left-over"])] == ["2"]


async def test_a_file_that_may_only_be_read(path: Path) -> None:
    class ReadOnly(SqliteDatabase):
        def _uri(self) -> str:
            return super()._uri().replace("mode=rw", "mode=ro")

    owner = open_registry(path)
    await owner.start(nothing)
    await owner.add(APP)
    await owner.stop()
    registry = SqlApps(ReadOnly(str(path)), read=reader(), write=row_of, field_of=field_of)
    await registry.start(nothing)
    assert await registry.page() == [APP]
    with pytest.raises(RegistryRefused, match="readonly"):
        await registry.remove("1")
    await registry.stop()


async def test_a_file_of_the_first_version_gets_the_column_of_history(registry: SqlApps, path: Path) -> None:
    await registry.start(nothing)
    await registry.add(APP)
    await registry.stop()
    with closing(sqlite3.connect(path)) as file:
        file.executescript("ALTER TABLE apps DROP COLUMN history; UPDATE apps_version SET version_num = '0001'")
    again = open_registry(path)
    assert await again.initialise() == ["The tables apps and apps_keys now have format 0002; they had format 0001."]
    rules = (HistoryRule(channels="room-*", events=50),)
    await again.start(nothing)
    assert await again.change("1", lambda old: replace(old, history=rules)) == replace(APP, history=rules)
    assert await again.fetch(["1"], []) == [replace(APP, history=rules)]
    await again.stop()
