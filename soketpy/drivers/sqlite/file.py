"""An SQLite file: its creation, the check of its format, and the lock of the server that uses it."""

import fcntl
import os
import sqlite3
from dataclasses import dataclass
from urllib.parse import quote

BUSY_TIMEOUT = 5.0
"""Seconds to wait for another process that writes to the file."""

LARGEST_LOG = 16 * 1024 * 1024
"""Bytes of the write-ahead log that remain on the disk after a checkpoint."""


@dataclass(frozen=True)
class Format:
    """The format of a database: its tables, and what marks the file.

    ``application`` is the number that marks the file (``PRAGMA application_id``). Raise ``version`` with each change of
    the tables. ``contents`` says what a server has put into a file that exists. ``unavailable`` is the exception for a
    file that cannot be used.
    """

    application: int
    version: int
    schema: tuple[str, ...]
    contents: str
    unavailable: type[Exception]


class Lock:
    """The lock of the server that uses a file. The system releases the lock when the process ends, in any way.

    The lock is on a file of its own beside the database: SQLite has locks on the database, which the end of any other
    access of this process to the same file would release.
    """

    def __init__(self, path: str, unavailable: type[Exception]) -> None:
        """Acquire the lock. Raise ``unavailable`` if another server has it."""
        self._file = _open(f"{path}-lock", path, unavailable)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(self._file, 20).decode("ascii", "replace").strip()
            os.close(self._file)
            by = f" (process {holder})" if holder.isdecimal() else ""
            raise unavailable(
                f"another server{by} uses {path}: stop that server, or give each server a path of its own"
            ) from None
        os.ftruncate(self._file, 0)
        os.write(self._file, b"%d\n" % os.getpid())

    def release(self) -> None:
        """Release the lock. The lock file stays, because another server may already wait for it."""
        os.close(self._file)


def _open(file: str, path: str, unavailable: type[Exception]) -> int:
    """Open a file for reading and writing, and create it if it is missing: only its owner may read it."""
    try:
        return os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except (OSError, ValueError) as fault:
        folder = os.path.dirname(path) or "."
        if not os.path.isdir(folder):
            raise unavailable(f"{path} cannot be created: there is no directory {folder}") from None
        raise unavailable(f"{path} cannot be opened: {getattr(fault, 'strerror', None) or fault}") from None


def _create(path: str, unavailable: type[Exception]) -> None:
    """Create a file that is missing: only its owner may read it.

    A file that exists is not opened here: closing it would release the locks of SQLite in this process (POSIX).
    Source: "How To Corrupt An SQLite Database File", section 2.2.
    """
    if not os.path.exists(path):
        os.close(_open(path, path, unavailable))
    elif os.path.isdir(path):
        raise unavailable(f"{path} cannot be opened: Is a directory")
    elif not os.access(path, os.R_OK | os.W_OK):
        raise unavailable(f"{path} cannot be opened: Permission denied")


def connect(path: str, format: Format, *, create: bool) -> sqlite3.Connection:
    """Open the database, in autocommit mode. Raise ``format.unavailable`` if the file cannot be used.

    With ``create``, a missing file is created.
    """
    if create:
        _create(path, format.unavailable)
    elif not os.path.lexists(path):
        raise format.unavailable(f"there is no file {path}: no server has {format.contents} there yet")
    opened, name = None, quote(os.fsencode(os.path.abspath(path)))
    try:
        opened = sqlite3.connect(f"file:{name}?mode=rw", uri=True, timeout=BUSY_TIMEOUT, isolation_level=None)
        _prepare(opened, path, format)
    except sqlite3.Error as fault:
        if opened is not None:
            opened.close()
        raise format.unavailable(f"{path} cannot be used: {fault}") from None
    except format.unavailable:
        assert opened is not None  # noqa: S101 - only _prepare raises it
        opened.close()
        raise
    return opened


def identity_of(path: str) -> tuple[int, int] | None:
    """Return numbers that tell the file at a path from any other file, or None if there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _prepare(opened: sqlite3.Connection, path: str, format: Format) -> None:
    """Check that the database is ours, and create the tables of a new one."""
    version, application, tables = (
        opened.execute(question).fetchone()[0]
        for question in ("PRAGMA user_version", "PRAGMA application_id", "SELECT count(*) FROM sqlite_schema")
    )
    if (version or tables) and application != format.application:
        raise format.unavailable(f"{path} is the database of another program")
    if version > format.version:
        raise format.unavailable(
            f"a newer version of soketpy has written {path} (format {version}; this version knows {format.version})"
        )
    if opened.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
        raise format.unavailable(
            f"the file system of {path} has no shared memory, which SQLite needs: use a local disk"
        )
    opened.execute(f"PRAGMA journal_size_limit = {LARGEST_LOG}")
    opened.execute("BEGIN IMMEDIATE")
    if opened.execute("PRAGMA user_version").fetchone()[0] == 0:  # another process may just have created them
        for statement in format.schema:
            opened.execute(statement)
        opened.execute(f"PRAGMA application_id = {format.application}")
        opened.execute(f"PRAGMA user_version = {format.version}")
    opened.execute("COMMIT")
