"""Apps in MySQL or MariaDB, over asyncmy.

asyncmy is maintained and has wheels for all supported versions of Python. With TLS, it never falls back to a connection
without TLS. aiomysql does, if the server offers none.
"""

import logging
import math
from collections.abc import Callable
from typing import Any, ClassVar

from asyncmy.errors import MySQLError
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from soketpy.drivers.sql.database import FAULTS, Database
from soketpy.drivers.sql.server import Server

logging.getLogger("asyncmy").setLevel(logging.CRITICAL)  # it logs warnings of MySQL, which may contain values

DENIED = {1044, 1142, 1143, 1227, 1290, 1370, 1792, 1836}
"""The errors of a missing privilege, and of a server that is read only."""

SQL_MODE = "'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'"
"""The mode of each connection, whatever the mode of the server is. A value that does not fit is an error."""


class MysqlDatabase(Database):
    """One database of MySQL or MariaDB. ``pool_size`` is the number of connections."""

    name = "MySQL"
    faults: ClassVar[tuple[type[Exception], ...]] = (*FAULTS, MySQLError)
    begin_initialising = "SELECT GET_LOCK('soketpy_apps', 60)"
    end_initialising = "SELECT RELEASE_LOCK('soketpy_apps')"

    def __init__(self, server: Server, *, pool_size: int = 5, timeout: float = 5.0) -> None:
        super().__init__(timeout, pool_size)
        self._server = server
        self._pool_size = pool_size
        self._tls: Any = None

    def prepare(self) -> None:
        """Read the certificate authorities."""
        self._tls = self._server.context()

    def create_engine(self) -> AsyncEngine:
        """Return an engine."""
        of = self._server
        query = {"charset": "utf8mb4"}
        return create_async_engine(
            URL.create("mysql+asyncmy", of.username, of.password, of.host, of.port, of.database, query),
            isolation_level="AUTOCOMMIT",
            skip_autocommit_rollback=True,
            pool_pre_ping=True,
            pool_size=self._pool_size,
            max_overflow=-1,
            hide_parameters=True,
            connect_args={"ssl": self._tls, "connect_timeout": math.ceil(self.timeout), "sql_mode": SQL_MODE},
        )

    def set_up(self, connection: Any) -> None:
        """Limit the time of statements, and of waiting for locks of rows and of tables."""
        cursor = connection.cursor()
        cursor.execute("SELECT VERSION()")
        [(version,)] = cursor.fetchall()
        seconds = math.ceil(self.timeout)
        limit = (
            f"max_statement_time = {self.timeout:f}"
            if "mariadb" in version.lower()
            else f"max_execution_time = {max(1, round(self.timeout * 1000))}"
        )
        cursor.execute(f"SET SESSION {limit}, innodb_lock_wait_timeout = {seconds}, lock_wait_timeout = {seconds}")
        cursor.close()

    def denies(self, fault: BaseException) -> bool:
        """Return whether the user lacks a privilege, or the server is read only."""
        return bool(fault.args) and fault.args[0] in DENIED

    async def watch(self, table: str, changed: Callable[[str | None], None]) -> None:
        """Return: MySQL reports no changes."""
