"""The reading of apps from their tables, in statements of bounded size."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import CTE, ColumnElement, Executable, Row, Select, and_, case, func, or_, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from soketpy.core.app_registry import MOST_ITEMS, BrokenApp
from soketpy.core.apps import App
from soketpy.drivers.entries import converted, sliced
from soketpy.drivers.sql.tables import OF_KEYS, Found, text_of

MOST_VALUES = 250
"""Ids and keys in one statement, at most. A statement has a key three times, and an older SQLite takes 999 values."""

MOST_ROWS = MOST_ITEMS + 1
"""Further keys of one app that a statement reads, at most: one more than an app may have."""

ReadRow = Callable[[Mapping[str, Any]], App | BrokenApp]


@dataclass(slots=True)
class Entry:
    """The rows of one app. ``keys`` are the rows of its further keys, by the key.

    ``others`` are the first keys of other rows with the same id, which a table without a primary key may have.
    """

    id: str
    key: str
    row: dict[str, Any]
    keys: dict[str, dict[str, Any]] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)

    def has_one_of(self, ids: Collection[str], keys: Collection[str]) -> bool:
        """Return whether the app has one of these ids or keys exactly: a database may ignore case."""
        return self.id in ids or any(each in keys for each in (self.key, *self.keys, *self.others))

    def read(self, read: ReadRow) -> App | BrokenApp:
        """Return the app. Never raises."""
        if self.others:
            return BrokenApp(self.id, (self.key, *self.others), "id: several rows have this id")
        return converted(lambda: self._app(read), self.id, (self.key, *self.keys))

    def _app(self, read: ReadRow) -> App | BrokenApp:
        further = sorted(self.keys.values(), key=lambda each: (each["position"], each["key"]))
        found = read({**self.row, "keys": list(map(_document, further))} if further else self.row)
        if isinstance(found, BrokenApp) and further:
            return replace(found, keys=(*found.keys, *(each["key"] for each in further)))
        return found


async def entries(
    connection: AsyncConnection, tables: Found, ids: Collection[str], keys: Collection[str]
) -> Sequence[Entry]:
    """Return the apps that have one of these ids or keys, each of them once."""
    found: list[Entry] = []
    for some_ids, some_keys in _batches(ids, keys):
        statement = _matching(tables, some_ids, some_keys)
        if statement is not None:
            found += await _grouped(await connection.execute(statement))
    unique = {_identity(each.id, each.key): each for each in found}
    wanted_ids, wanted_keys = frozenset(ids), frozenset(keys)
    return [each for each in unique.values() if each.has_one_of(wanted_ids, wanted_keys)]


async def page(connection: AsyncConnection, tables: Found, after: str, limit: int, skip: int = 0) -> Sequence[Entry]:
    """Return the apps whose ids are greater than ``after``, in ascending order of their ids, at most ``limit``.

    ``skip`` of them are left out first.
    """
    chosen = _page(tables, tables.columns, after, limit, skip)
    if chosen is None:
        return []
    of = chosen.cte("found")
    return await _grouped(await connection.execute(_with_keys(of, tables).order_by(of.c.id)))


async def names_on_page(
    connection: AsyncConnection, tables: Found, after: str, limit: int, skip: int
) -> Sequence[tuple[str, str]]:
    """Return the ids and the first keys of the apps of a page, without their other values."""
    chosen = _page(tables, _name_columns(tables), after, limit, skip)
    return [] if chosen is None else await _names(connection, chosen)


async def names(
    connection: AsyncConnection, tables: Found, ids: Collection[str], keys: Collection[str]
) -> Sequence[tuple[str, str]]:
    """Return the ids and the first keys of the apps that have one of these ids or keys, without their other values."""
    parts = _parts(tables, _name_columns(tables), ids, keys)
    return await _names(connection, union_all(*parts)) if parts else []


async def _names(connection: AsyncConnection, statement: Executable) -> Sequence[tuple[str, str]]:
    return [(text_of(each.id), text_of(each.key)) for each in await connection.execute(statement)]


def _name_columns(tables: Found) -> Sequence[ColumnElement[Any]]:
    return [each for each in tables.columns if each.name in ("id", "key")]


def _page(
    tables: Found, columns: Sequence[ColumnElement[Any]], after: str, limit: int, skip: int
) -> Select[Any] | None:
    """Return the statement for a page, or None if no id of the table can be compared with ``after``."""
    chosen = select(*columns).order_by(tables.apps.c.id).limit(limit).offset(skip)
    if not after:
        return chosen
    least = tables.id_after(after)
    return None if least is None else chosen.where(tables.apps.c.id > least)


def _batches(ids: Collection[str], keys: Collection[str]) -> Iterator[tuple[Sequence[str], Sequence[str]]]:
    """Divide ids and keys so that each statement has at most ``MOST_VALUES`` of them."""
    wanted = [*((each, True) for each in set(ids)), *((each, False) for each in set(keys))]
    for start in range(0, len(wanted), MOST_VALUES):
        some = wanted[start : start + MOST_VALUES]
        yield [each for each, is_id in some if is_id], [each for each, is_id in some if not is_id]


def _matching(tables: Found, ids: Iterable[str], keys: Collection[str]) -> Select[Any] | None:
    """Return the statement for some apps."""
    parts = _parts(tables, tables.columns, ids, keys)
    return _with_keys(union_all(*parts).cte("found"), tables, _key_values(tables, keys)) if parts else None


def _parts(
    tables: Found, columns: Sequence[ColumnElement[Any]], ids: Iterable[str], keys: Iterable[str]
) -> Sequence[Select[Any]]:
    """Return the parts of a union that finds some apps. Each part uses one index."""
    apps, further = tables.apps, tables.keys
    id_values = [value for each in ids if (value := tables.id(each)) is not None]
    key_values = _key_values(tables, keys)
    parts: list[Select[Any]] = []
    if id_values:
        parts.append(select(*columns).where(apps.c.id.in_(id_values)))
    if key_values:
        of_key: ColumnElement[bool] = apps.c.key.in_(key_values)
        if not tables.unique_ids:  # a row with the same id may have another key
            of_key = or_(of_key, apps.c.id.in_(select(apps.c.id).where(of_key)))
        parts.append(select(*columns).where(of_key))
    if key_values and further is not None:
        owners = select(further.c.app_id).where(further.c.key.in_(key_values))
        parts.append(select(*columns).where(apps.c.id.in_(owners)))
    return parts


def _key_values(tables: Found, keys: Iterable[str]) -> Sequence[object]:
    return [value for each in keys if (value := tables.key(each)) is not None]


def _with_keys(found: CTE, tables: Found, wanted: Collection[object] = ()) -> Select[Any]:
    """Return a statement that adds the further keys, with one row for each of them, at most ``MOST_ROWS`` for an app.

    The keys that are ``wanted`` are among them. The first row of an app has its long values, and the others have not.
    """
    further = tables.keys
    if further is None:
        return select(found)
    order: list[ColumnElement[Any]] = [further.c.position, further.c.key]
    if wanted:
        order.insert(0, case((further.c.key.in_(wanted), 0), else_=1))
    rank = func.row_number().over(partition_by=further.c.app_id, order_by=order).label("further_rank")
    named = [each.label(f"further_{each.name}") for each in tables.key_columns]
    ranked = select(*named, rank).where(further.c.app_id.in_(select(found.c.id))).subquery("ranked")
    first = or_(ranked.c.further_rank.is_(None), ranked.c.further_rank == 1)
    values = [each if each.name in ("id", "key") else case((first, each)).label(each.name) for each in found.c]
    joined = and_(ranked.c.further_app_id == found.c.id, ranked.c.further_rank <= MOST_ROWS)
    return select(*values, ranked).select_from(found.outerjoin(ranked, joined))


async def _grouped(rows: Iterable[Row[Any]]) -> Sequence[Entry]:
    """Join the rows of each app. The same app may come from several parts of a union."""
    found: dict[tuple[str, ...], Entry] = {}
    async for each in sliced(rows):
        row = dict(each._mapping)
        further = {name: row.pop(f"further_{name}", None) for name in OF_KEYS}
        rank = row.pop("further_rank", None)
        app_id, key = text_of(row["id"]), text_of(row["key"])
        entry = found.setdefault(_identity(app_id, key), Entry(app_id, key, row))
        if key != entry.key:
            if key not in entry.others and len(entry.others) < MOST_ITEMS:
                entry.others.append(key)
            continue
        if rank is None or rank == 1:
            entry.row = row
        if rank is not None:
            further["key"] = text_of(further["key"])
            entry.keys[further["key"]] = further
    return list(found.values())


def _identity(app_id: str, key: str) -> tuple[str, ...]:
    """Return what tells an entry from others: its id, or its key if it has no id."""
    return (app_id,) if app_id else (app_id, key)


def _document(key: Mapping[str, Any]) -> dict[str, Any]:
    """Return a further key as the reader of rows expects it."""
    return {name: key[name] for name in ("key", "secret", "ends_at") if key[name] is not None}
