"""The threads of connections to SQLite files, and the faults of all databases."""

import asyncio
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from soketpy.drivers.sql.database import Database
from soketpy.drivers.sql.mysql import MysqlDatabase
from soketpy.drivers.sql.postgres import PostgresDatabase
from soketpy.drivers.sql.server import Server
from soketpy.drivers.sql.sqlite import SqliteDatabase
from tests.patience import PATIENCE, until


async def test_the_end_of_a_watch_waits_for_a_connection_that_is_being_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, proceed = asyncio.Event(), threading.Event()
    loop, connect = asyncio.get_running_loop(), sqlite3.connect

    def slow(*given: Any, **options: Any) -> Any:
        loop.call_soon_threadsafe(began.set)
        proceed.wait()
        return connect(*given, **options)

    async def proceed_later() -> None:
        for _ in range(20):  # iterations of the event loop: many more than the end would take without waiting
            await asyncio.sleep(0)
        proceed.set()

    monkeypatch.setattr(sqlite3, "connect", slow)
    database = SqliteDatabase(str(tmp_path / "apps.db"))
    database.prepare()
    watching = asyncio.create_task(database.watch("apps", lambda _: None))
    await began.wait()
    watching.cancel()
    later = asyncio.create_task(proceed_later())
    with pytest.raises(asyncio.CancelledError):
        await watching
    assert proceed.is_set()
    await later


async def test_the_end_of_a_watch_does_not_wait_for_a_disk_that_never_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, proceed, threads = asyncio.Event(), threading.Event(), threading.active_count()
    loop = asyncio.get_running_loop()

    def hang(*_: Any, **__: Any) -> Any:
        loop.call_soon_threadsafe(began.set)
        proceed.wait()
        raise sqlite3.OperationalError

    monkeypatch.setattr(sqlite3, "connect", hang)
    database = SqliteDatabase(str(tmp_path / "apps.db"))
    database.prepare()
    watching = asyncio.create_task(database.watch("apps", lambda _: None))
    try:
        await began.wait()
        watching.cancel()
        await asyncio.wait([watching], timeout=PATIENCE)
        assert watching.cancelled()
    finally:
        proceed.set()
    await until(lambda: threading.active_count() == threads)


async def test_the_close_does_not_wait_for_a_disk_that_never_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proceed, threads, connect = threading.Event(), threading.active_count(), sqlite3.connect

    class Hanging(sqlite3.Connection):
        def close(self) -> None:
            proceed.wait()
            super().close()

    monkeypatch.setattr(sqlite3, "connect", lambda *given, **options: connect(*given, factory=Hanging, **options))
    database = SqliteDatabase(str(tmp_path / "apps.db"))
    database.prepare()
    assert await database.is_new()
    closing = asyncio.create_task(database.close())
    try:
        await asyncio.wait([closing], timeout=PATIENCE)
        assert closing.done()
    finally:
        proceed.set()
    await closing
    await until(lambda: threading.active_count() == threads)


async def test_faults_of_a_database_do_not_show_the_values_of_a_statement(tmp_path: Path) -> None:
    server = Server(host="127.0.0.1", port=1, username="u", password=None, database="d", tls="disable", ca=None)
    databases: list[Database] = [
        SqliteDatabase(str(tmp_path / "apps.db")),
        PostgresDatabase(server, pool_size=1, timeout=PATIENCE),
        MysqlDatabase(server, pool_size=1, timeout=PATIENCE),
    ]
    assert [each.create_engine().sync_engine.hide_parameters for each in databases] == [True, True, True]
