"""The apps in an SQL database: ``SqlApps``, a registry over a ``Database``."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from soketpy.core.app_registry import Changed, Found, RegistryRefused, RegistryUnavailable
from soketpy.core.apps import App
from soketpy.drivers.entries import FieldOf, convert_all, stored_fields
from soketpy.drivers.sql import reading
from soketpy.drivers.sql.changes import ChangeFailed, Changes, WriteRow
from soketpy.drivers.sql.database import Collision, Database, StatementFailed
from soketpy.drivers.sql.faulty_rows import each_once, halved, unreadable
from soketpy.drivers.sql.reading import ReadRow
from soketpy.drivers.sql.tables import Found as Tables
from soketpy.drivers.sql.tables import Names, find

INITIALISING_SECONDS = 60.0
"""Seconds in which the tables must be created, at least."""

LOOK_AGAIN = 60.0
"""Seconds between two looks at tables that soketpy only reads, since an operator may create new ones."""

NEVER = float("-inf")

T = TypeVar("T")

NOT_OPEN = "the database of the apps is not open"


class SqlApps:
    """A registry of apps in an SQL database.

    ``table`` may include a schema (``schema.apps``). Tables without the version of soketpy are read only. ``read``
    converts a row to an app, and ``write`` an app to a row. ``field_of`` returns the field of a column.
    """

    def __init__(
        self, database: Database, *, table: str = "apps", read: ReadRow, write: WriteRow, field_of: FieldOf
    ) -> None:
        self.database = database
        schema, _, name = table.rpartition(".")
        self._table = Names(name, schema or None)
        self._read = read
        self._field_of = field_of
        self._changes = Changes(self._table, read, write)
        self._tables: Tables | None = None
        self._looked = NEVER  # when the tables were looked at, by the clock of the event loop
        self._watching: asyncio.Task[None] | None = None
        self.writable: str | None = NOT_OPEN

    async def start(self, changed: Changed) -> None:
        """Open the database and read its tables. An empty SQLite file gets its tables now.

        Raise RegistryUnavailable or RegistryRefused. ``start`` may be called again after a fault.
        """
        self.database.prepare()
        if await self.database.is_new():
            await self.initialise()
        await self._find_tables()
        if self._watching is None:

            def heard(app_id: str | None) -> None:
                self.look_again()  # a notification may come from a trigger of new tables
                changed(app_id)

            self._watching = asyncio.create_task(self.database.watch(self._table.apps, heard))

    async def stop(self) -> None:
        """Close all connections."""
        watching, self._watching = self._watching, None
        if watching is not None:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
        await self.database.close()
        self._tables, self.writable = None, NOT_OPEN

    def look_again(self) -> None:
        """Look at the tables again with the next call, if soketpy only reads them. Never raises."""
        self._looked = NEVER

    async def fetch(self, ids: Collection[str], keys: Collection[str]) -> Found:
        """Return the apps that have one of these ids or keys. Raise RegistryUnavailable.

        There is no query if no row of the tables can have one of them.
        """
        if self._tables is not None and not self._is_due(self._tables) and not self._tables.can_have(ids, keys):
            return []
        names = [*((each, "") for each in ids), *(("", each) for each in keys)]
        try:
            return await self._twice(lambda: self._entries(names))
        except StatementFailed:
            return await self._one_by_one(names)

    async def page(self, after: str = "", limit: int = 100, skip: int = 0) -> Found:
        """Return the next apps, in the order of the ids in the database. Raise RegistryUnavailable."""
        try:
            return await self._twice(
                lambda: self._reading(lambda c, tables: reading.page(c, tables, after, limit, skip))
            )
        except StatementFailed as fault:
            names = await self._names(lambda c, tables: reading.names_on_page(c, tables, after, limit, skip))
            found = {each.id: each for each in await self._one_by_one([(app_id, "") for app_id, _ in names])}
            return [found.get(app_id) or unreadable([(app_id, key)], ("", ""), fault) for app_id, key in names]

    async def _entries(self, names: Sequence[tuple[str, str]]) -> Found:
        """Return the apps with these ids or keys. Each name is an id or a key, and the other text is empty."""
        ids, keys = [each for each, _ in names if each], [each for _, each in names if each]
        return await self._reading(lambda connection, tables: reading.entries(connection, tables, ids, keys))

    async def _twice(self, read: Callable[[], Awaitable[Found]]) -> Found:
        """Read apps. After a fault, look at the tables again: if columns change, PostgreSQL reports an old plan."""
        with suppress(StatementFailed):
            return await read()
        self._tables = None
        return await read()

    async def _one_by_one(self, names: Sequence[tuple[str, str]]) -> Found:
        """Return the apps with these ids or keys, also if the rows of some of them cannot be read."""

        async def alone(name: tuple[str, str], fault: StatementFailed) -> Found:
            ids, keys = [each for each in name[:1] if each], [each for each in name[1:] if each]
            found: Sequence[tuple[str, str]] = []
            with suppress(StatementFailed):
                found = await self._names(lambda c, tables: reading.names(c, tables, ids, keys))
            return [unreadable(found, name, fault)]

        try:
            async with asyncio.timeout(self.database.timeout):
                await self._reading(lambda connection, tables: reading.page(connection, tables, "", 0))  # does it work?
                return each_once(await halved(names, self._entries, alone))
        except TimeoutError:
            reason = f"{self.database.name} did not answer within {self.database.timeout:g} s"
            raise RegistryUnavailable(reason) from None

    async def stored(self, app_id: str) -> Collection[str]:
        """Return the fields that the row of an app has values for. Raise RegistryUnavailable."""
        tables = await self._known_tables()
        async with self.database.connection() as connection:
            found = await reading.entries(connection, tables, [app_id], [])
        return {name for each in found for name in stored_fields(each.row, self._field_of)}

    async def add(self, app: App, given: Collection[str] = ()) -> None:
        """Add an app. Raise RegistryRefused or RegistryUnavailable."""
        await self._changing(lambda connection, tables: self._changes.add(connection, tables, app, given))

    async def change(
        self, app_id: str, change: Callable[[App], App], given: Collection[str] = (), unset: Collection[str] = ()
    ) -> App:
        """Replace an app by ``change(app)``. Raise NoSuchApp, RegistryRefused or RegistryUnavailable."""
        try:
            return await self._changing(
                lambda connection, tables: self._changes.change(connection, tables, app_id, change, given, unset)
            )
        except ChangeFailed as failed:
            raise failed.fault from None

    async def remove(self, app_id: str) -> None:
        """Remove an app. Raise NoSuchApp, RegistryRefused or RegistryUnavailable."""
        await self._changing(lambda connection, tables: self._changes.remove(connection, tables, app_id))

    async def initialise(self) -> Sequence[str]:
        """Create the tables, or bring older tables of soketpy to the newest version. Return what was done."""
        from soketpy.drivers.sql.migrations import upgrade

        self.database.prepare()
        limit = max(self.database.timeout, INITIALISING_SECONDS)
        done = await upgrade(self.database, self._table, limit)
        await self._find_tables()
        return done

    async def _reading(self, read: Callable[[AsyncConnection, Tables], Awaitable[Sequence[reading.Entry]]]) -> Found:
        try:
            tables = await self._known_tables()
            async with self.database.connection() as connection:
                found = await read(connection, tables)
        except StatementFailed:
            raise
        except RegistryUnavailable:
            self._tables = None  # the tables may have changed
            raise
        except RegistryRefused as refused:
            raise RegistryUnavailable(str(refused)) from None
        return await convert_all(found, lambda each: each.read(self._read))

    async def _names(
        self, read: Callable[[AsyncConnection, Tables], Awaitable[Sequence[tuple[str, str]]]]
    ) -> Sequence[tuple[str, str]]:
        """Return ids and first keys."""
        tables = await self._known_tables()
        async with self.database.connection() as connection:
            return await read(connection, tables)

    async def _changing(self, change: Callable[[AsyncConnection, Tables], Awaitable[T]]) -> T:
        """Run a change in a transaction. Run it again if another change was in its way, or columns have changed."""
        tables = await self._known_tables()
        if self.writable is not None:
            tables = await self._find_tables()
        if self.writable is not None:
            raise RegistryRefused(self.writable)
        try:
            with suppress(Collision, StatementFailed):
                async with self.database.transaction() as connection:
                    return await change(connection, tables)
            async with self.database.transaction() as connection:
                return await change(connection, tables)
        except RegistryUnavailable:
            self._tables = None
            raise

    def _is_due(self, tables: Tables) -> bool:
        """Return whether the tables must be looked at again."""
        return tables.not_writable is not None and asyncio.get_running_loop().time() >= self._looked + LOOK_AGAIN

    async def _known_tables(self) -> Tables:
        tables = self._tables
        return await self._find_tables() if tables is None or self._is_due(tables) else tables

    async def _find_tables(self) -> Tables:
        """Look at the tables."""
        self._looked = asyncio.get_running_loop().time()
        async with self.database.connection() as connection:
            tables = await connection.run_sync(find, self._table)
        self._tables, self.writable = tables, tables.not_writable
        return tables
