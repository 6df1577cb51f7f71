"""A PostgreSQL of its own in a temporary folder, from the packages of Debian."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.servers import free_port

USER = "postgres"
"""The database's user. PostgreSQL refuses to run as root, so it then runs as the system user with this name."""

FOLDERS = Path("/usr/lib/postgresql")
"""The folders of all versions in Debian."""


@dataclass(frozen=True, slots=True)
class Postgres:
    """A server that accepts connections from this machine without a password."""

    port: int

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of soketpy for this server."""
        return {"host": "127.0.0.1", "port": self.port, "username": USER, "database": USER}

    def run(self, sql: str) -> None:
        """Run statements. Raise CalledProcessError if one fails."""
        where = ["-h", "127.0.0.1", "-p", str(self.port), "-U", USER, "-d", USER]
        subprocess.run(["psql", "-q", "-v", "ON_ERROR_STOP=1", *where, "-c", sql], check=True)


def programs() -> Path | None:
    """Return the folder with the newest PostgreSQL, or None if there is none."""
    versions = sorted(FOLDERS.glob("*/bin/postgres"), key=lambda path: float(path.parts[-3]))
    found = versions[-1] if versions else shutil.which("postgres")
    return None if found is None else Path(found).resolve().parent


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Run a server, and remove its data at the end of the block. Raise RuntimeError if it does not start."""
    folder = programs()
    if folder is None:
        raise RuntimeError("There is no PostgreSQL: install the package postgresql.")
    given: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with tempfile.TemporaryDirectory() as name:
        if os.getuid() == 0:
            given |= {"user": USER, "group": pwd.getpwnam(USER).pw_gid, "extra_groups": []}
            os.chown(name, pwd.getpwnam(USER).pw_uid, pwd.getpwnam(USER).pw_gid)
        data, port = Path(name) / "data", free_port()
        subprocess.run(
            [folder / "initdb", "-D", data, "-U", USER, "-A", "trust", "--no-sync", "-E", "UTF8"],
            check=True,
            cwd=name,
            **given,
        )
        command = [
            str(folder / "postgres"),
            "-D",
            str(data),
            "-p",
            str(port),
            "-k",
            name,
            "-c",
            "listen_addresses=127.0.0.1",
        ]
        with subprocess.Popen(command, cwd=name, **given) as process:
            try:
                _wait(folder, port)
                yield Postgres(port)
            finally:
                process.send_signal(signal.SIGINT)
                process.wait()


def _wait(folder: Path, port: int, seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while subprocess.run([folder / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)], check=False).returncode:
        if time.monotonic() > until:
            raise RuntimeError("PostgreSQL did not start.")
        time.sleep(0.1)
