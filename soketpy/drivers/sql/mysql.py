"""Apps in MySQL or MariaDB, over asyncmy.

asyncmy is maintained and has wheels for all supported versions of Python. With TLS, it never falls back to a connection
without TLS. aiomysql does, if the server offers none.
"""

import logging
import math
from collections.abc import Callable
from typing import Any, ClassVar

from asyncmy.errors import MySQLError
from sqlalchemy.ext.asyncio import AsyncEngine

from soketpy.drivers.sql.database import FAULTS
from soketpy.drivers.sql.server_database import ServerDatabase

logging.getLogger("asyncmy").setLevel(logging.CRITICAL)  # it logs warnings of MySQL, which may contain values

UNREACHABLE = {2002, 2003, 2005}
"""The errors of a connection that could not be opened."""

DENIED = {1044, 1142, 1143, 1227, 1290, 1370, 1792, 1836}
"""The errors of a missing privilege, and of a server that is read only."""

SQL_MODE = "'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'"
"""The mode of each connection, whatever the mode of the server is. A value that does not fit is an error."""


class MysqlDatabase(ServerDatabase):
    """One database of MySQL or MariaDB."""

    name = "MySQL"
    faults: ClassVar[tuple[type[Exception], ...]] = (*FAULTS, MySQLError)
    begin_initialising = "SELECT GET_LOCK('soketpy_apps', 60)"
    end_initialising = "SELECT RELEASE_LOCK('soketpy_apps')"

    def create_engine(self) -> AsyncEngine:
        """Return an engine."""
        return self.pool(
            "mysql+asyncmy",
            {"charset": "utf8mb4"},
            ssl=self.tls,
            connect_timeout=math.ceil(self.timeout),
            sql_mode=SQL_MODE,
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

    def is_unreachable(self, fault: BaseException) -> bool:
        """Return whether no connection could be opened."""
        return super().is_unreachable(fault) or (bool(fault.args) and fault.args[0] in UNREACHABLE)

    async def watch(self, table: str, changed: Callable[[str | None], None]) -> None:
        """Return: MySQL reports no changes."""
