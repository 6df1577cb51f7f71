"""Apps in DynamoDB, in soketi's layout: a table with the key ``AppId``, and an index that finds an app by ``AppKey``.

A table that soketpy has created has two more kinds of items (``dynamo_items.py``):

1. The mark. It makes the table writable for soketpy. A table of soketi has no mark and is only read.
2. An entry for each key of an app, which names the app. The entries are written in one transaction with the app, so
   that no two apps get the same key. They also find an app by its further keys, and before the index knows the app.

An entry is only a hint: an app that is found by a key is returned only if it has this key now. If somebody else edits
an item of the table, its entries are wrong until soketpy changes the app, and the index still finds the first key.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any

from soketpy.core.app_registry import BrokenApp, NoSuchApp, RegistryRefused, RegistryUnavailable, ValueRefused
from soketpy.core.apps import App
from soketpy.core.aws_options import AwsOptions
from soketpy.drivers.aws.dynamo_items import (
    ID,
    LARGEST_ITEM,
    MARK,
    VERSION,
    Item,
    entry_id,
    entry_of,
    is_app,
    item_of,
    key_value,
    row_of,
    size_of,
    value_of,
)
from soketpy.drivers.aws.dynamo_source import LAYOUT, DynamoSource, Opened, has_one_of, keys_of, owners
from soketpy.drivers.aws.dynamo_table import MOST_IN_BATCH, refusing
from soketpy.drivers.entries import FieldOf, fields_to_store, stored_fields, valid

ATTEMPTS = 20
"""Attempts of one change while other processes change the same app or key."""

PAUSE = 0.05
"""Seconds before the second attempt, at most. The next pauses may be twice as long each, up to 16 times."""

CREATION = 120.0
"""Seconds in which DynamoDB creates a table, at most."""

POLL = 0.5
"""Seconds between two looks at a table that is being created."""


class DynamoApps(DynamoSource):
    """A registry of apps in DynamoDB (``core.app_registry.AppRegistry``). ``timeout`` is in seconds, for each call.

    ``read`` returns the app in a row, and ``write`` some fields of an app as a row; a row has the values by the names
    of their attributes. ``field_of`` returns the field of an attribute. A change keeps the attributes of other fields.
    """

    def __init__(
        self,
        table: str,
        options: AwsOptions,
        *,
        read: Callable[[Mapping[str, Any]], App | BrokenApp],
        write: Callable[[App, Collection[str]], Mapping[str, object]],
        field_of: FieldOf,
        timeout: float = 5,
    ) -> None:
        super().__init__(table, options, read=read, timeout=timeout)
        self._write = write
        self._field_of = field_of
        self._changing = asyncio.Lock()  # changes of one process would only repeat each other

    async def stored(self, app_id: str) -> Collection[str]:
        """See ``AppRegistry``."""
        with refusing():
            opened = await self._open()
            items = await self._items(opened.shape, [app_id]) if is_app(app_id) else []
        return {name for each in items for name in stored_fields(row_of(each), self._field_of)}

    async def add(self, app: App, given: Collection[str] = ()) -> None:
        """See ``AppRegistry``."""
        item: Item = item_of(self._write(app, ("id", "keys")))
        item = self._with_fields(item, app, fields_to_store(valid(self._app(item)), app, given))

        async def attempt(opened: Opened) -> bool:
            if not is_app(app.id) or key_value(app.id, opened.shape.id_type) is None:
                raise RegistryRefused("DynamoDB cannot store the id of the app")
            if await self._items(opened.shape, [app.id]):
                raise RegistryRefused(f"app {app.id} exists already")
            return await self._replace(opened, app.id, None, item)

        await self._repeat(attempt)

    async def change(
        self, app_id: str, change: Callable[[App], App], given: Collection[str] = (), unset: Collection[str] = ()
    ) -> App:
        """See ``AppRegistry``."""
        changed: list[App] = []

        async def attempt(opened: Opened) -> bool:
            item = await self._item(opened, app_id)
            former = self._app(item)
            if isinstance(former, BrokenApp):
                raise RegistryRefused(f"app {app_id} is not valid: {former.problem}")
            new = change(former)
            if new.id != app_id:
                raise RegistryRefused("the id of an app cannot change")
            after = self._with_fields(item, new, fields_to_store(former, new, given), unset)
            changed[:] = [valid(self._app(after))]
            return await self._replace(opened, app_id, item, after)

        await self._repeat(attempt)
        return changed[0]

    async def remove(self, app_id: str) -> None:
        """See ``AppRegistry``."""

        async def attempt(opened: Opened) -> bool:
            return await self._replace(opened, app_id, await self._item(opened, app_id), None)

        await self._repeat(attempt)

    async def _item(self, opened: Opened, app_id: str) -> Item:
        items = await self._items(opened.shape, [app_id]) if is_app(app_id) else []
        if not items:
            raise NoSuchApp(app_id)
        return items[0]

    async def _repeat(self, attempt: Callable[[Opened], Awaitable[bool]]) -> None:
        """Repeat a change that read something which another operator changed before the change was written."""
        async with self._changing:
            with refusing():
                for number in range(ATTEMPTS):
                    opened = await self._open()
                    if self.writable is not None:
                        self.look_again()
                        opened = await self._open()
                    if self.writable is not None:
                        raise RegistryRefused(self.writable)
                    if await attempt(opened):
                        self._rest = ("", [])
                        return
                    await asyncio.sleep(random.uniform(0, PAUSE * min(2**number, 16)))  # noqa: S311
        raise RegistryUnavailable("other operators change this app, or its keys, at the same time")

    async def _replace(self, opened: Opened, app_id: str, before: Item | None, after: Item | None) -> bool:
        """Replace the item and the entries of an app. Return False if one of them is no longer as it was read.

        None stands for an app that does not exist. The entries are read before the apps that they name. If such an app
        gets the key after it was read here, its entry is a new one, and nothing is written here.
        """
        former = set() if before is None else set(keys_of(self._app(before)))
        keys = set() if after is None else set(keys_of(self._app(after)))
        if any(key_value(entry_id(key), "S") is None for key in keys):
            raise RegistryRefused("a key of the app is too long for DynamoDB")
        ids, entries = await self._look_up(opened, former | keys)
        await self._check_keys(opened, ids - {app_id}, keys)
        before_by_id = {str(value_of(each[ID])): each for each in entries}
        owner_of = owners(entries)
        operations = []
        if after is not None:
            if size_of(after) > LARGEST_ITEM:
                raise ValueRefused(
                    f"webhooks: app {app_id} is larger than {LARGEST_ITEM // 1024} KB, the largest item of DynamoDB"
                )
            operations.append(self._table.put(after, before))
        elif before is not None:
            operations.append(self._table.delete(before))
        operations += [self._table.put(entry_of(key, app_id), before_by_id.get(entry_id(key))) for key in keys]
        operations += [
            self._table.delete(before_by_id[entry_id(key)])
            for key in former - keys
            if owner_of.get(entry_id(key)) == app_id
        ]
        if len(operations) > MOST_IN_BATCH:
            raise RegistryRefused(f"DynamoDB changes at most {MOST_IN_BATCH - 1} keys of an app at once")
        return await self._table.write(operations)

    async def _check_keys(self, opened: Opened, others: Collection[str], keys: Collection[str]) -> None:
        """Raise RegistryRefused if another app has one of these keys."""
        for other in await self._apps(opened.shape, others if keys else ()):
            if has_one_of(other, keys):
                both = [key for key in keys_of(other) if key in keys]
                raise RegistryRefused(
                    f"app {other.id} has {f'the key {both[0]}' if both else 'one of the keys'} already"
                )

    def _with_fields(self, item: Item, app: App, fields: Collection[str], unset: Collection[str] = ()) -> Item:
        """Return an item with other values of some fields, and without those in ``unset``."""
        replaced = {*fields, *unset, *(("key", "secret") if "keys" in fields else ())}
        kept = {name: each for name, each in item.items() if self._field_of(name) not in replaced}
        return {**kept, **item_of(self._write(app, fields))}

    async def initialise(self) -> Sequence[str]:
        """See ``AppRegistry``. An empty table of soketi's layout becomes a table of soketpy."""
        done = []
        self._opened = None
        with refusing():
            if await self._table.describe() is None:
                await self._table.create()
                done.append(f"created the table {self._table.name}")
            await self._wait_until_active()
            opened = await self._open()
            of_text = (opened.shape.id_type, opened.shape.key_type) == ("S", "S")
            if opened.version is None:
                if of_text and await self._table.is_empty():
                    mark = {ID: {"S": MARK}, VERSION: {"N": str(LAYOUT)}}
                    if await self._table.write([self._table.put(mark, None)]):
                        done.append(f"marked the table {self._table.name} as a table of soketpy, version {LAYOUT}")
                self._opened = None  # another operator may have marked the table meanwhile
                await self._open()
        return done

    async def _wait_until_active(self) -> None:
        try:
            async with asyncio.timeout(CREATION):
                while True:
                    shape = await self._table.describe()
                    if shape is not None and shape.active:
                        return
                    await asyncio.sleep(POLL)
        except TimeoutError:
            raise RegistryUnavailable(
                f"DynamoDB, table {self._table.name}: it was not created within {CREATION:g} s"
            ) from None
