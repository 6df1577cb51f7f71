"""Reading apps from DynamoDB, in soketi's layout: the key ``AppId``, and an index that finds an app by ``AppKey``."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from soketpy.core.app_registry import BrokenApp, Changed, Found, RegistryRefused, RegistryUnavailable
from soketpy.core.apps import App
from soketpy.core.aws_options import AwsOptions
from soketpy.drivers.aws.dynamo_items import (
    ID,
    KEY,
    MARK,
    OWNER,
    VERSION,
    Item,
    entry_id,
    is_app,
    key_value,
    row_of,
    value_of,
)
from soketpy.drivers.aws.dynamo_table import INDEX, PERMANENT, DynamoFault, Shape, Table, gather, refusing
from soketpy.drivers.entries import convert_all, converted

LAYOUT = 1
"""The version of the layout that soketpy writes."""

LOOK_AGAIN = 60.0
"""Seconds between two looks for the mark in a table that has none, since an operator may initialise it."""

NEVER = float("-inf")


@dataclass(frozen=True, slots=True)
class Opened:
    """A table that can be read. ``version`` is that of the mark of soketpy, or None without a mark."""

    shape: Shape
    version: int | None


class DynamoSource:
    """Reads apps from a table (``core.app_registry.AppSource``). ``timeout`` is in seconds, for each call.

    ``read`` returns the app in a row. A row has the values by the names of their attributes.

    DynamoDB reports no changes: the callback of ``start`` is never called.
    """

    def __init__(
        self, table: str, options: AwsOptions, *, read: Callable[[Mapping[str, Any]], App | BrokenApp], timeout: float
    ) -> None:
        self.writable: str | None = "the table is not open"
        self._table = Table(table, options, timeout=timeout)
        self._read = read
        self._timeout = timeout
        self._opened: Opened | None = None
        self._looked = NEVER  # when the mark was looked for, by the clock of the event loop
        self._rest: tuple[str, list[str]] = ("", [])  # the last id of the last page, and the ids that follow

    async def start(self, changed: Changed) -> None:
        """See ``AppSource``."""
        self._opened = None
        with refusing():
            await self._open()

    async def stop(self) -> None:
        """Close all connections."""
        await self._table.close()

    def look_again(self) -> None:
        """See ``AppSource``."""
        self._looked = NEVER

    # Reading

    async def fetch(self, ids: Collection[str], keys: Collection[str]) -> Found:
        """See ``AppSource``. An app whose item has just been written by soketpy is found at once, by all its keys.

        The keys of apps with these ids are not looked up, because each key costs a call. So the refresh of an app does
        not return another app that has got the same key; the next lookup of the key alone returns both.
        """
        try:
            async with asyncio.timeout(self._timeout):
                return await self._fetch(ids, keys)
        except TimeoutError:
            raise RegistryUnavailable(
                f"DynamoDB, table {self._table.name}: no answer within {self._timeout:g} s"
            ) from None
        except DynamoFault as fault:
            if fault.code in PERMANENT:
                self._opened = None  # the table may have been replaced by one of another shape
            raise
        except RegistryRefused as fault:
            raise RegistryUnavailable(str(fault)) from None

    async def _fetch(self, ids: Collection[str], keys: Collection[str]) -> Found:
        opened = await self._open()
        wanted = {app_id for app_id in ids if is_app(app_id)}
        found = await self._apps(opened.shape, wanted)
        held = {pair.key for app in found if isinstance(app, App) for pair in app.keys}
        if rest := set(keys) - held:
            by_keys, _ = await self._look_up(opened, rest)
            found += [app for app in await self._apps(opened.shape, by_keys - wanted) if has_one_of(app, rest)]
        return found

    async def _look_up(self, opened: Opened, keys: set[str]) -> tuple[set[str], list[Item]]:
        """Return the ids of the apps that may have one of these keys, and the entries of the keys.

        The index has all apps, but is some milliseconds late. The entries have the apps of soketpy with all their keys.
        """
        values = [value for key in keys if (value := key_value(key, opened.shape.key_type)) is not None]
        names = [] if opened.version is None else [entry_id(key) for key in keys]
        by_index, entries = await asyncio.gather(
            gather(self._table.ids_of_key, values), self._items(opened.shape, names)
        )
        found = {str(value_of(each)) for ids in by_index for each in ids} | set(owners(entries).values())
        return set(filter(is_app, found)), entries

    async def _apps(self, shape: Shape, ids: Collection[str]) -> list[App | BrokenApp]:
        return await convert_all(await self._items(shape, ids), self._app)

    def _app(self, item: Item) -> App | BrokenApp:
        app_id = str(value_of(item[ID]))
        keys = (str(value_of(item[KEY])),) if KEY in item else ()
        app = converted(lambda: self._read(row_of(item)), app_id, keys)
        return app if app.id == app_id else BrokenApp(app_id, keys_of(app), f"{ID}: it is not the id of this app")

    async def _items(self, shape: Shape, ids: Collection[str]) -> list[Item]:
        values = [value for each in ids if (value := key_value(each, shape.id_type)) is not None]
        return await self._table.get(values) if values else []

    async def page(self, after: str = "", limit: int = 100, skip: int = 0) -> Found:
        """See ``AppRegistry``. DynamoDB has no order of ids: a page needs the ids of the whole table.

        A page that follows the last page uses the ids that were read for the first page. Apps that other processes
        have added since then are missing.
        """
        with refusing():
            opened = await self._open()
            last, rest = self._rest
            if not after or skip or after != last:
                scanned = [str(value_of(each)) async for each in self._table.scan()]
                rest = sorted(each for each in scanned if is_app(each) and each > after)[skip:]
            found: list[App | BrokenApp] = []
            while rest and not found:  # all apps of a page may have been removed since the scan
                page, rest = rest[:limit], rest[limit:]
                found = await self._apps(opened.shape, page)
                self._rest = (page[-1], rest) if rest else ("", [])
            return sorted(found, key=lambda app: app.id)

    async def _open(self) -> Opened:
        """Look at the table, unless this was done. Raise RegistryRefused if apps cannot be read from it."""
        if self._opened is None:
            shape = await self._table.describe()
            if shape is None:
                raise RegistryRefused(
                    f'DynamoDB, table {self._table.name}: it does not exist; create it with "soketpy apps init"'
                )
            if not shape.active:
                raise RegistryUnavailable(f"DynamoDB, table {self._table.name}: it is being created or changed")
            if shape.id_type not in ("S", "N"):
                raise RegistryRefused(f"DynamoDB, table {self._table.name}: its key must be {ID} alone, text or number")
            if shape.key_type not in ("S", "N"):
                raise RegistryRefused(f"DynamoDB, table {self._table.name}: it has no index {INDEX} on {KEY}")
            self._opened = await self._look_for_mark(shape)
        now = asyncio.get_running_loop().time()
        if self._opened.version is None and now >= self._looked + LOOK_AGAIN:
            self._opened = await self._look_for_mark(self._opened.shape)
        return self._opened

    async def _look_for_mark(self, shape: Shape) -> Opened:
        marks = await self._items(shape, [MARK])
        opened = Opened(shape, _version(marks[0]) if marks else None)
        self.writable = _why_read_only(opened.version)
        self._looked = asyncio.get_running_loop().time()
        return opened


def keys_of(app: App | BrokenApp) -> tuple[str, ...]:
    """Return the keys of an app, or those that a broken app is known to have."""
    return app.keys if isinstance(app, BrokenApp) else tuple(pair.key for pair in app.keys)


def has_one_of(app: App | BrokenApp, keys: Collection[str]) -> bool:
    """Return whether an app that was found by keys has one of them. A broken app may have keys that are not known."""
    return isinstance(app, BrokenApp) or any(pair.key in keys for pair in app.keys)


def owners(entries: Iterable[Item]) -> dict[str, str]:
    """Return the ids of the apps that these entries of keys name, by the ids of the entries."""
    return {str(value_of(each[ID])): str(value_of(each[OWNER])) for each in entries if OWNER in each}


def _version(mark: Item) -> int:
    version = value_of(mark.get(VERSION, {"N": "0"}))
    return version if isinstance(version, int) else 0


def _why_read_only(version: int | None) -> str | None:
    """Return why a table with a mark of this version is only read, or None."""
    if version is None:
        return 'the table was not created by "soketpy apps init": soketpy only reads it'
    if version > LAYOUT:
        return f"the table has version {version} of soketpy's layout; this soketpy writes version {LAYOUT}"
    return None
