"""Apps in an SQLite file. The file is created at the first use, and only its owner may read it."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, ClassVar
from urllib.parse import quote

import aiosqlite
from sqlalchemy import event, text
from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from soketpy.core.app_registry import RegistryRefused
from soketpy.drivers.sql.database import CLOSE_TIMEOUT, Database

POLL_SECONDS = 1.0
"""Seconds between two questions for changes of other processes."""

PATIENCE = 5.0
"""Seconds in which the file must answer. It is no setting: a local disk answers, or its machine has another problem."""

CONNECTIONS = 2
"""Connections of one process, at most. Each has a thread."""


class SqliteDatabase(Database):
    """One SQLite file, on a local disk. Several processes of one machine may use the file at the same time."""

    name = "SQLite"
    changing: ClassVar[Mapping[str, Any]] = {"soketpy_changes": True}

    def __init__(self, path: str, *, timeout: float | None = None, poll: float = POLL_SECONDS) -> None:
        super().__init__(PATIENCE if timeout is None else timeout, CONNECTIONS)
        self._poll = poll
        self.path = path

    def prepare(self) -> None:
        """Create the file if it is missing. Raise RegistryRefused if this fails.

        A file that exists is not opened here: closing it would release the locks of all connections of this process
        (POSIX), and another process would delete the write-ahead log that they use.
        Source: "How To Corrupt An SQLite Database File", section 2.2.
        """
        try:
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            if os.path.isdir(self.path):
                raise RegistryRefused(f"{self.path} cannot be opened: Is a directory") from None
            if not os.access(self.path, os.R_OK):
                raise RegistryRefused(f"{self.path} cannot be opened: Permission denied") from None
        except (OSError, ValueError) as fault:
            folder = os.path.dirname(self.path) or "."
            if not os.path.isdir(folder):
                raise RegistryRefused(f"{self.path} cannot be created: there is no directory {folder}") from None
            raise RegistryRefused(f"{self.path} cannot be opened: {getattr(fault, 'strerror', fault)}") from None

    async def is_new(self) -> bool:
        """Return whether the file has no tables."""
        async with self.connection() as connection:
            return not await connection.scalar(text("SELECT count(*) FROM sqlite_schema"))

    def create_engine(self) -> AsyncEngine:
        """Return an engine."""
        engine = create_async_engine(
            URL.create("sqlite+aiosqlite", database=self._uri(), query={"uri": "true"}),
            pool_size=CONNECTIONS,
            max_overflow=-1,
            hide_parameters=True,
            json_serializer=str,
            connect_args={"timeout": self.timeout},
        )
        event.listen(engine.sync_engine, "begin", _begin)
        event.listen(engine.sync_engine, "connect", self._remember)
        event.listen(engine.sync_engine, "checkout", self._compare)
        return engine

    def denies(self, fault: BaseException) -> bool:
        """Return whether the file is read-only."""
        return getattr(fault, "sqlite_errorname", "").startswith("SQLITE_READONLY")

    async def watch(self, table: str, changed: Callable[[str | None], None]) -> None:
        """Ask SQLite regularly whether another connection has changed the file."""
        while True:
            with suppress(sqlite3.Error, OSError):
                await self._watch_file(changed)
            await asyncio.sleep(self._poll)
            changed(None)

    async def _watch_file(self, changed: Callable[[str | None], None]) -> None:
        """Watch the file until another file has its path."""
        opened = self._identity()
        async with _opened(aiosqlite.connect(self._uri(), uri=True, timeout=self.timeout)) as connection:
            version: object = None
            while self._identity() == opened:
                async with connection.execute("PRAGMA data_version") as answer:
                    found = await answer.fetchone()
                if version not in (None, found):
                    changed(None)
                version = found
                await asyncio.sleep(self._poll)

    def _remember(self, _: object, record: Any) -> None:
        """Remember which file a new connection reads."""
        record.info["file"] = self._identity()

    def _compare(self, _: object, record: Any, __: object) -> None:
        """Replace a connection that reads an old file, which is no longer the one with this path."""
        try:
            if record.info["file"] == self._identity():
                return
        except OSError:
            pass
        raise DisconnectionError

    def _identity(self) -> tuple[int, int]:
        """Return numbers that tell the file from any other file. Raise OSError if there is none."""
        found = os.stat(self.path)
        return found.st_dev, found.st_ino

    def _uri(self) -> str:
        """Return the URI that opens the file, and creates none."""
        return f"file:{quote(os.fsencode(os.path.abspath(self.path)))}?mode=rw"

    def set_up(self, connection: Any) -> None:
        """Set up a new connection: SQLAlchemy begins transactions, and broken text is readable."""
        connection.isolation_level = None
        connection.driver_connection.text_factory = _text
        cursor = connection.cursor()
        cursor.execute("PRAGMA foreign_keys = ON")
        with suppress(sqlite3.OperationalError):  # a file that cannot be written keeps its mode
            cursor.execute("PRAGMA journal_mode = WAL")
        cursor.close()


@asynccontextmanager
async def _opened(connecting: aiosqlite.Connection) -> AsyncIterator[aiosqlite.Connection]:
    """Open a connection, and close it at the end, also if the task is cancelled in the meantime.

    The thread of a connection that nobody waits for could outlive the event loop, and would then fail. After
    ``CLOSE_TIMEOUT``, nobody waits for the thread any longer: its disk may never answer.
    """
    opening = asyncio.ensure_future(_open(connecting))
    try:
        yield await asyncio.shield(opening)
    finally:
        await asyncio.wait([opening], timeout=CLOSE_TIMEOUT)
        if not opening.cancel() and not opening.cancelled() and opening.exception() is None:
            closed = connecting.stop()
            if closed is not None:
                await asyncio.wait([closed], timeout=CLOSE_TIMEOUT)


async def _open(connecting: aiosqlite.Connection) -> aiosqlite.Connection:
    return await connecting


def _begin(connection: Connection) -> None:
    """Begin a transaction that changes something. It waits for other writers now, and not in its middle."""
    if connection.get_execution_options().get("soketpy_changes"):
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
