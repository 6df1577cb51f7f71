"""Apps in PostgreSQL, over asyncpg. LISTEN and NOTIFY report the changes."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from soketpy.drivers.sql.database import FAULTS
from soketpy.drivers.sql.server_database import ServerDatabase

_FAULTS: tuple[type[Exception], ...] = (
    *FAULTS,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)

log = logging.getLogger("soketpy.apps")

CHANNEL = "soketpy_apps"
"""The channel of the notifications. A payload is the name of the table, or the name, a space, and the id of an app."""

CHECK_SECONDS = 30.0
"""Seconds between two checks that the connection for notifications works."""

RECONNECT_SECONDS = 1.0
"""Seconds to wait after the connection for notifications was lost."""

DENIED = {"42501", "25006"}
"""SQLSTATE of insufficient_privilege, and of read_only_sql_transaction (a standby)."""

SET_UP = (
    "SELECT set_config('statement_timeout', '{0}', false), set_config('idle_in_transaction_session_timeout', '{0}',"
    " false), set_config('application_name', 'soketpy', false)"
)


class PostgresDatabase(ServerDatabase):
    """One PostgreSQL database. The connection for notifications does not belong to the pool."""

    name = "PostgreSQL"
    faults: ClassVar[tuple[type[Exception], ...]] = _FAULTS
    begin_initialising = "SELECT pg_advisory_xact_lock(8243121651278381)"

    def create_engine(self) -> AsyncEngine:
        """Return an engine."""
        engine = self.pool("postgresql+asyncpg", {}, ssl=self.tls or False, timeout=self.timeout)
        dialect: Any = engine.sync_engine.dialect
        dialect.do_terminate = dialect.do_close = _terminate
        return engine

    def set_up(self, connection: Any) -> None:
        """Limit the time of statements."""
        cursor = connection.cursor()
        cursor.execute(SET_UP.format(max(1, round(self.timeout * 1000))))
        cursor.close()

    def denies(self, fault: BaseException) -> bool:
        """Return whether the user lacks a privilege, or the server is a standby."""
        return getattr(fault, "sqlstate", None) in DENIED

    async def watch(self, table: str, changed: Callable[[str | None], None]) -> None:
        """Listen for changes. After each connect, any app may have changed."""
        works = True

        def listening() -> None:
            nonlocal works
            if not works:
                works = True
                log.info("Notifications of changes of apps work again", {"event": "apps_notified"})
            changed(None)

        while True:
            try:
                await self._listen(table, changed, listening)
            except _FAULTS as fault:
                if works:
                    works = False
                    log.warning(
                        "No notifications of changes of apps: %(reason)s",
                        {"event": "apps_not_notified", "reason": self.reason_of(fault)},
                    )
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _listen(self, table: str, changed: Callable[[str | None], None], listening: Callable[[], None]) -> None:
        """Connect, call ``listening``, and listen until the connection is closed."""
        of = self.server
        closed = asyncio.Event()

        def heard(_: object, __: object, ___: object, payload: str) -> None:
            name, space, app_id = payload.partition(" ")
            if name == table:
                changed(app_id if space else None)

        async with asyncio.timeout(self.timeout):
            connection = await asyncpg.connect(
                host=of.host,
                port=of.port,
                user=of.username,
                password=of.password,
                database=of.database,
                ssl=self.tls or False,
                server_settings={"application_name": "soketpy notifications"},
            )
        try:
            connection.add_termination_listener(lambda _: closed.set())
            async with asyncio.timeout(self.timeout):
                await connection.add_listener(CHANNEL, heard)
            listening()
            while not closed.is_set():
                with suppress(TimeoutError):
                    await asyncio.wait_for(closed.wait(), CHECK_SECONDS)
                    return
                async with asyncio.timeout(self.timeout):
                    await connection.execute("SELECT 1")
        finally:
            connection.terminate()


def _terminate(connection: Any) -> None:
    """Close a connection at once.

    SQLAlchemy and asyncpg wait for the server: for 2 s after the time limit of a call is over, and without a limit when
    an idle connection is closed.
    """
    connection.driver_connection.terminate()
