"""A database on a server: its address, TLS, and the pool of connections to it."""

import ssl
from typing import Any

from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from soketpy.drivers.sql.database import Database
from soketpy.drivers.sql.server import Server


class ServerDatabase(Database):
    """A database on a server. ``pool_size`` is the number of connections, ``timeout`` the seconds of a call."""

    def __init__(self, server: Server, *, pool_size: int = 5, timeout: float = 5.0) -> None:
        super().__init__(timeout, pool_size)
        self.server = server
        self.tls: ssl.SSLContext | None = None
        self._pool_size = pool_size

    @property
    def place(self) -> str:
        """Return the address of the server and the name of the database."""
        of = self.server
        host = f"[{of.host}]" if ":" in of.host else of.host
        return f"{host}:{of.port}, database {of.database}"

    def prepare(self) -> None:
        """Read the certificate authorities."""
        self.tls = self.server.context()

    def pool(self, driver: str, query: dict[str, str], **connect_args: Any) -> AsyncEngine:
        """Return an engine for a driver of SQLAlchemy. ``connect_args`` are the arguments of the driver."""
        of = self.server
        return create_async_engine(
            URL.create(driver, of.username, of.password, of.host, of.port, of.database, query),
            isolation_level="AUTOCOMMIT",
            skip_autocommit_rollback=True,
            pool_pre_ping=True,
            pool_size=self._pool_size,
            max_overflow=-1,
            hide_parameters=True,
            json_serializer=str,
            connect_args=connect_args,
        )
