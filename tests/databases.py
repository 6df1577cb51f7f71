"""Database servers that the tests own: a PostgreSQL and a MariaDB, which a test can kill, pause and restart."""

import os
import shutil
import signal
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import pytest

from soketpy.drivers.sql.server import Server
from tests.authority import Authority
from tests.clients.programs import free_port
from tests.patience import wait_until

ATTEMPTS = 5
"""Ports that a new server tries."""

USER, PASSWORD = "soketpy", "pass:w/o@rd?'\"% \\"


class DatabaseServer(ABC):
    """A database server with TLS, in a temporary folder. It does not wait for the disk.

    Root starts it as ``account``, because database servers refuse to run as root.
    """

    account: str
    quote: str
    force = ""
    end = signal.SIGKILL

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="soketpy-"))
        self.port = 0
        self.authority = Authority("Authority of a database")
        self.ca = str(self.folder / "ca.pem")
        Path(self.ca).write_bytes(self.authority.pem())
        self.certificate, self.key = self.authority.issue(self.folder)
        Path(self.key).chmod(0o600)
        self._process: subprocess.Popen[bytes] | None = None
        self._own()

    @abstractmethod
    def create(self) -> None:
        """Create the files of the server."""

    @abstractmethod
    def create_user(self) -> None:
        """Create the user that the tests connect with."""

    @abstractmethod
    def sql(self, database: str, *statements: str) -> str:
        """Run statements as the superuser. Return the output, without heads of tables."""

    @abstractmethod
    def new_database(self, name: str) -> None:
        """Create a database that the user of the tests owns."""

    def grants(self, name: str) -> Sequence[str]:
        """Return the statements that let the user of the tests read and change all tables of a database."""
        return ()

    def tables(self, name: str) -> list[str]:
        """Return the names of the tables of a database."""
        schema = "current_schema()" if self.quote == '"' else "database()"
        listed = self.sql(name, f"SELECT table_name FROM information_schema.tables WHERE table_schema = {schema}")
        return sorted(listed.split())

    def drop_database(self, name: str) -> None:
        """Drop a database."""
        self.sql("", f"DROP DATABASE {name}{self.force}")

    def insert(self, database: str, row: Mapping[str, object], table: str = "apps") -> None:
        """Insert a row as another program would do it."""
        names = ", ".join(f"{self.quote}{name}{self.quote}" for name in row)
        values = ", ".join("NULL" if value is None else quoted(str(value)) for value in row.values())
        self.sql(database, f"INSERT INTO {table} ({names}) VALUES ({values})")

    @abstractmethod
    def command(self) -> Sequence[str]:
        """Return the command that runs the server."""

    @abstractmethod
    def answers(self) -> bool:
        """Return whether the server accepts connections."""

    def __enter__(self) -> Self:
        self.create()
        self.start()
        self.create_user()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.send_signal(self.end)
            self._process.wait()
        shutil.rmtree(self.folder)

    def start(self) -> None:
        """Start the server with its data, if it does not run."""
        if self._process is not None:
            return
        for _ in range(1 if self.port else ATTEMPTS):
            self.port = self.port or free_port()
            if self._launch():
                return
            self.port = 0
        raise AssertionError((self.folder / "log").read_text())

    def _launch(self) -> bool:
        """Return whether the server runs. It ends if another program has just taken its port."""
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(self.command(), stdout=log, stderr=log, **self._as_account())
        wait_until(lambda: process.poll() is not None or self.answers())
        self._process = None if process.poll() is not None else process
        return self._process is not None

    def kill(self) -> None:
        """Kill the server, as a crash would."""
        if self._process is not None:
            _, *children = self._pids()
            self._process.kill()
            self._process.wait()
            self._process = None
            wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children))

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Pause the server until the end of the block."""
        pids = self._pids()
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def _pids(self) -> list[int]:
        """Return the process and its children."""
        assert self._process is not None
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *map(int, children)]

    def server(self, database: str, tls: str = "disable", ca: str | None = None, host: str = "127.0.0.1") -> Server:
        """Return the address of a database."""
        return Server(host=host, port=self.port, username=USER, password=PASSWORD, database=database, tls=tls, ca=ca)

    def run(self, *command: str, text: str | None = None) -> str:
        """Run a program as the account of the server, and return its output."""
        done = subprocess.run(
            command, input=text, check=False, capture_output=True, text=True, cwd=self.folder, **self._as_account()
        )
        assert done.returncode == 0, done.stderr
        return str(done.stdout)

    def _own(self) -> None:
        if os.getuid() == 0:
            for path in (self.folder, *self.folder.iterdir()):
                shutil.chown(path, self.account, self.account)

    def _as_account(self) -> dict[str, Any]:
        """Return how a program of the server is started. Its temporary files do not meet those of another server."""
        account = {"user": self.account, "group": self.account, "extra_groups": []} if os.getuid() == 0 else {}
        return {**account, "env": {**os.environ, "TMPDIR": str(self.folder)}}


class Postgres(DatabaseServer):
    """A PostgreSQL server."""

    account = "postgres"
    quote = '"'
    force = " WITH (FORCE)"
    end = signal.SIGINT  # so that it removes its shared memory

    def create(self) -> None:
        program("postgres")
        options = ("--encoding=UTF8", "--no-sync", "--username=postgres")
        authentication = ("--auth-local=trust", "--auth-host=scram-sha-256")
        self.run(program("initdb"), f"--pgdata={self.folder}/data", *options, *authentication)

    def command(self) -> Sequence[str]:
        options = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.folder),
            "ssl": "on",
            "ssl_cert_file": self.certificate,
            "ssl_key_file": self.key,
            "fsync": "off",
            "shared_buffers": "16MB",
        }
        given = [f"--{name}={value}" for name, value in options.items()]
        return [program("postgres"), "-D", f"{self.folder}/data", *given]

    def answers(self) -> bool:
        command = [program("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(command, check=False).returncode == 0

    def sql(self, database: str, *statements: str) -> str:
        command = [
            program("psql"),
            "-h",
            str(self.folder),
            "-p",
            str(self.port),
            "-U",
            "postgres",
            "-d",
            database or "postgres",
        ]
        return self.run(*command, "-XqtA", "-v", "ON_ERROR_STOP=1", text=";\n".join(statements))

    def create_user(self) -> None:
        self.sql("", f"CREATE ROLE {USER} LOGIN PASSWORD {quoted(PASSWORD)}")

    def new_database(self, name: str) -> None:
        self.sql("", f"CREATE DATABASE {name} OWNER {USER}")

    def grants(self, name: str) -> Sequence[str]:
        return [f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {USER}"]


class MariaDb(DatabaseServer):
    """A MariaDB server."""

    account = "mysql"
    quote = "`"

    def create(self) -> None:
        program("mariadbd")
        options = ("--auth-root-authentication-method=normal", "--skip-test-db", "--cross-bootstrap")
        self.run(program("mariadb-install-db"), "--no-defaults", f"--datadir={self.folder}/data", *options)

    def command(self) -> Sequence[str]:
        options = {
            "datadir": f"{self.folder}/data",
            "port": str(self.port),
            "bind-address": "127.0.0.1",
            "socket": f"{self.folder}/socket",
            "pid-file": f"{self.folder}/pid",
            "ssl-cert": self.certificate,
            "ssl-key": self.key,
            "innodb-flush-log-at-trx-commit": "2",
            "innodb-buffer-pool-size": "16M",
            "innodb-log-file-size": "4M",
        }
        given = [f"--{name}={value}" for name, value in options.items()]
        return [program("mariadbd"), "--no-defaults", "--skip-name-resolve", *given]

    def answers(self) -> bool:
        command = [program("mariadb-admin"), "--no-defaults", f"--socket={self.folder}/socket", "--user=root", "ping"]
        return subprocess.run(command, check=False, capture_output=True).returncode == 0

    def sql(self, database: str, *statements: str) -> str:
        command = [
            program("mariadb"),
            "--no-defaults",
            f"--socket={self.folder}/socket",
            "--user=root",
            database or "mysql",
        ]
        return self.run(*command, "--skip-column-names", text=";\n".join(statements))

    def create_user(self) -> None:
        password = quoted(PASSWORD.replace("\\", "\\\\"))
        self.sql("", f"CREATE USER {USER}@'127.0.0.1' IDENTIFIED BY {password}")

    def new_database(self, name: str) -> None:
        self.sql("", f"CREATE DATABASE {name}", f"GRANT ALL ON {name}.* TO {USER}@'127.0.0.1'")


def program(name: str) -> str:
    """Return the path of a program, also if Debian keeps it outside of PATH. Skip the test if there is none."""
    folders = [*sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True), "/usr/sbin"]
    found = shutil.which(name, path=os.pathsep.join((*folders, os.environ["PATH"])))
    if found is None:
        pytest.skip(f"needs {name}: make tools")
    return found


def quoted(text: str) -> str:
    """Return a text as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"
