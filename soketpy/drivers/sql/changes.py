"""The changes of apps in the tables of soketpy, each in one transaction.

All changes lock the row of the table with the version first, so that one change follows the other. Therefore no two
apps get the same key, which may be a first key in one table or a further key in the other.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from sqlalchemy import column, delete, insert, select, table, update
from sqlalchemy.ext.asyncio import AsyncConnection

from soketpy.core.app_registry import BrokenApp, NoSuchApp, RegistryRefused, ValueRefused
from soketpy.core.apps import App
from soketpy.drivers.entries import fields_to_store, valid
from soketpy.drivers.sql.reading import ReadRow, entries
from soketpy.drivers.sql.tables import LARGEST, LONGEST, Found, Names, own_tables

WriteRow = Callable[[App, Collection[str]], Mapping[str, object]]


class ChangeFailed(Exception):
    """The caller's function has raised ``fault``."""

    def __init__(self, fault: Exception) -> None:
        super().__init__()
        self.fault = fault


class Changes:
    """Changes the apps of one registry. Every method gets a connection in a transaction."""

    def __init__(self, names: Names, read: ReadRow, write: WriteRow) -> None:
        self._read = read
        self._write = write
        self._apps, self._keys = own_tables(names)
        self._version = table(names.version, column("version_num"), schema=names.schema)

    async def add(self, connection: AsyncConnection, tables: Found, app: App, given: Collection[str]) -> None:
        """Add an app. Raise RegistryRefused if another app has its id or one of its keys, and ValueRefused."""
        needed = self._row(app, ("id", "keys"))
        without_fields = valid(self._read({**needed, **self._write(app, ("keys",))}))
        row = {**needed, **self._row(app, fields_to_store(without_fields, app, given))}
        await self._lock(connection)
        found = await entries(connection, tables, [app.id], [])
        if found:
            raise RegistryRefused(f"there is already an app {app.id}")
        await self._claim_keys(connection, tables, app)
        await connection.execute(insert(self._apps), row)
        await self._add_keys(connection, app)

    async def change(
        self,
        connection: AsyncConnection,
        tables: Found,
        app_id: str,
        change: Callable[[App], App],
        given: Collection[str],
        unset: Collection[str],
    ) -> App:
        """Replace an app, and return the new one. Only the columns of changed fields are written.

        Raise NoSuchApp, RegistryRefused, ValueRefused, or ChangeFailed with an exception of ``change``.
        """
        await self._lock(connection)
        found = await entries(connection, tables, [app_id], [])
        if not found:
            raise NoSuchApp(app_id)
        old = found[0].read(self._read)
        if isinstance(old, BrokenApp):
            raise RegistryRefused(f"the entry of app {app_id} is no valid app: {old.problem}")
        try:
            new = change(old)
        except Exception as fault:
            raise ChangeFailed(fault) from None
        if new.id != app_id:
            raise RegistryRefused(f"the id of app {app_id} cannot change")
        fields = fields_to_store(old, new, given)
        row = {**self._row(new, fields), **dict.fromkeys(self._write(old, unset))}
        stored = valid(self._read({**found[0].row, **row, **self._write(new, ("keys",))}))
        if "keys" in fields:
            await self._claim_keys(connection, tables, new)
        if row:
            await connection.execute(update(self._apps).where(self._apps.c.id == app_id).values(row))
        if "keys" in fields:
            await self._add_keys(connection, new)
        return stored

    async def remove(self, connection: AsyncConnection, tables: Found, app_id: str) -> None:
        """Remove an app, also if its entry is no valid app. Raise NoSuchApp."""
        await self._lock(connection)
        found = []
        if "\0" not in app_id:  # no database stores it, and some raise an error
            chosen = select(self._apps.c.id).where(self._apps.c.id == app_id)
            found = list(await connection.scalars(chosen))
        if app_id not in found:  # a database may ignore spaces at the end
            raise NoSuchApp(app_id)
        await connection.execute(delete(self._keys).where(self._keys.c.app_id == app_id))
        await connection.execute(delete(self._apps).where(self._apps.c.id == app_id))

    async def _lock(self, connection: AsyncConnection) -> None:
        """Wait until no other process changes apps. SQLite has already locked the file when the transaction began."""
        await connection.execute(select(self._version).with_for_update())

    async def _claim_keys(self, connection: AsyncConnection, tables: Found, app: App) -> None:
        """Raise RegistryRefused if another app has one of the keys. Remove rows of keys whose app does not exist."""
        keys = [each.key for each in app.keys]
        for other in await entries(connection, tables, [], keys):
            if other.id != app.id:
                taken = next(each for each in keys if other.has_one_of((), (each,)))
                raise RegistryRefused(f"the app {other.id} already has the key {taken}")
        known = select(self._apps.c.id)
        left_over = self._keys.c.key.in_(keys) & self._keys.c.app_id.not_in(known)
        await connection.execute(delete(self._keys).where(left_over | (self._keys.c.app_id == app.id)))

    async def _add_keys(self, connection: AsyncConnection, app: App) -> None:
        rows = [
            {"key": each.key, "app_id": app.id, "secret": each.secret, "ends_at": each.ends_at, "position": position}
            for position, each in enumerate(app.keys[1:])
        ]
        if rows:
            await connection.execute(insert(self._keys), rows)

    def _row(self, app: App, fields: Collection[str]) -> dict[str, Any]:
        """Return the columns of these fields. Raise ValueRefused if a value is too large for its column."""
        texts = {"id": [app.id], "key": [each.key for each in app.keys], "secret": [each.secret for each in app.keys]}
        for name, values in texts.items():
            if any(len(value) > LONGEST for value in values):
                raise ValueRefused(f"{name}: the database stores at most {LONGEST} characters")
        row = self._write(app, fields)
        return {name: _stored(name, value) for name, value in row.items() if name in self._apps.columns}


def _stored(name: str, value: object) -> object:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int) and value > LARGEST:
        raise ValueRefused(f"{name}: the database stores at most {LARGEST}")
    return value
