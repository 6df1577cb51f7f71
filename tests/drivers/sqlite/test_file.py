"""The file of a queue: its lock, its version, and files and directories that cannot be used."""

import asyncio
import os
import re
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from soketpy.core.webhook_ports import QueueUnavailable, Revival
from soketpy.drivers.sqlite.file import identity_of
from soketpy.drivers.sqlite.queue import SqliteQueue
from soketpy.drivers.sqlite.queue_format import QUEUE
from tests.drivers.queues import delivery, ids
from tests.patience import PATIENCE


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "queue.db"


@pytest.fixture
async def queue(path: Path) -> AsyncIterator[SqliteQueue]:
    queue = SqliteQueue(str(path))
    await queue.start()
    yield queue
    await queue.stop()


def read(path: Path) -> bytes:
    return path.read_bytes()


def write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


async def refusal_of(path: object, *, owner: bool = True) -> str:
    """Return the text with which a queue refuses to start. A refused queue can be stopped."""
    queue = SqliteQueue(str(path), owner=owner)
    with pytest.raises(QueueUnavailable) as refused:
        await queue.start()
    await queue.stop()
    text = str(refused.value)
    assert "\n" not in text
    return text


async def test_a_second_server_is_refused_with_the_process_of_the_first(queue: SqliteQueue, path: Path) -> None:
    assert f"another server (process {os.getpid()}) uses {path}" in await refusal_of(path)
    await queue.put([delivery()])


async def test_a_stopped_server_leaves_the_file_to_the_next(queue: SqliteQueue, path: Path) -> None:
    await queue.put([delivery()])
    await queue.stop()
    other = SqliteQueue(str(path))
    await other.start()
    assert len(await other.take()) == 1
    await other.stop()


async def test_letters_that_a_command_revives_are_sent_by_the_server(queue: SqliteQueue, path: Path) -> None:
    dead = delivery()
    await queue.put([dead])
    await queue.bury((await queue.take())[0], "HTTP 410")
    taking = asyncio.create_task(queue.take())
    command = SqliteQueue(str(path), owner=False)
    await command.start()
    assert ids([each.delivery for each in await command.dead(10)]) == [dead.id]
    assert await command.revive(delivery_id=dead.id) == Revival(1)
    await command.stop()
    async with asyncio.timeout(PATIENCE):
        assert ids(await taking) == [dead.id]


async def test_a_command_creates_no_file(path: Path) -> None:
    assert await refusal_of(path, owner=False) == f"there is no file {path}: no server has queued webhooks there yet"
    assert identity_of(str(path)) is None


async def test_only_the_owner_may_read_the_files(queue: SqliteQueue, path: Path) -> None:
    await queue.put([delivery()])
    files = list(path.parent.iterdir())
    assert {each.name for each in files} == {"queue.db", "queue.db-lock", "queue.db-wal", "queue.db-shm"}
    assert {each.stat().st_mode & 0o777 for each in files} == {0o600}


async def test_a_file_that_is_no_database_is_refused_and_kept(path: Path) -> None:
    content = b"port: 6001\n" * 1000
    write(path, content)
    assert await refusal_of(path) == f"{path} cannot be used: file is not a database"
    assert read(path) == content


async def test_a_damaged_file_is_refused_or_unavailable(queue: SqliteQueue, path: Path) -> None:
    await queue.put([delivery(size=1000) for _ in range(100)])
    await queue.stop()
    whole = read(path)
    write(path, whole[:4096] + b"\xff" * (len(whole) - 4096))
    damaged = SqliteQueue(str(path))
    with pytest.raises(QueueUnavailable, match="malformed"):
        await damaged.start()
    await damaged.stop()


async def test_the_database_of_another_program_is_refused(path: Path) -> None:
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE notes (text TEXT)")
    other.close()
    assert await refusal_of(path) == f"{path} is the database of another program"


async def test_a_file_of_a_newer_version_is_refused(queue: SqliteQueue, path: Path) -> None:
    await queue.stop()
    newer, version = sqlite3.connect(path), QUEUE.version
    newer.execute(f"PRAGMA user_version = {version + 1}")
    newer.close()
    text = await refusal_of(path)
    assert text == (
        f"a newer version of soketpy has written {path} (format {version + 1}; this version knows {version})"
    )
    assert await refusal_of(path, owner=False) == text


async def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none" / "queue.db"
    assert await refusal_of(path) == f"{path} cannot be created: there is no directory {path.parent}"


async def test_a_directory_is_no_queue(tmp_path: Path) -> None:
    assert re.search("is a directory", await refusal_of(tmp_path), re.I)


@pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="needs a directory in which nobody may create files")
async def test_a_directory_that_is_read_only_is_refused() -> None:
    assert re.fullmatch(
        r"/sys/kernel/q\.db cannot be opened: (Permission denied|Read-only .*)", await refusal_of("/sys/kernel/q.db")
    )
