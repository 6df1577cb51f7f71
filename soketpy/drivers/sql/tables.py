"""The tables of apps: those that soketpy creates, and those that a database has.

The table of apps has soketi's columns with soketi's types, and a column for each further field of an app. A second
table has the further keys of the apps, so that the app of any key is found with an index.
"""

import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    Connection,
    Double,
    ForeignKey,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    TableClause,
    column,
    inspect,
    select,
    table,
)
from sqlalchemy.exc import NoSuchTableError
from sqlalchemy.types import NullType, TypeEngine

from soketpy.core.app_registry import RegistryRefused
from soketpy.core.apps import app_fields
from soketpy.drivers.sql.columns import Value, any_id, kind_of, read_as, text_value

VERSION = "0002"
"""The newest migration. A change of the tables is a new migration in ``migrations/versions``."""

NEEDED = ("id", "key", "secret")
OF_KEYS = ("key", "app_id", "secret", "ends_at", "position")

LONGEST_NAME = 40
"""Characters of the name of a table that soketpy creates, so that its other names fit into every database."""

LONGEST = 255
"""Characters of an id, a key or a secret that a table of soketpy can store."""

LARGEST = 2**31 - 1
"""The largest whole number that a table of soketpy can store: soketi's type of the limits is integer."""


@dataclass(frozen=True, slots=True)
class Names:
    """The names of the tables of one registry. ``schema`` is None for the current schema of the connection."""

    apps: str
    schema: str | None = None

    @property
    def keys(self) -> str:
        """Return the name of the table of the further keys."""
        return f"{self.apps}_keys"

    @property
    def version(self) -> str:
        """Return the name of the table with the version of the tables."""
        return f"{self.apps}_version"


@dataclass(frozen=True, slots=True)
class Found:
    """The tables that a database has. ``keys`` is None if the tables are not those of soketpy.

    A statement reads ``columns`` and ``key_columns`` of a row, with the names of the columns. ``id`` and ``key``
    convert the ids and keys of lookups, and ``id_after`` converts any id. ``unique_ids`` is False if several rows may
    have the same id.
    """

    apps: TableClause
    columns: Sequence[ColumnElement[Any]]
    keys: TableClause | None
    key_columns: Sequence[ColumnElement[Any]]
    id: Value
    key: Value
    id_after: Value
    unique_ids: bool
    not_writable: str | None

    def can_have(self, ids: Collection[str], keys: Collection[str]) -> bool:
        """Return whether a row can have one of these ids or keys."""
        return any(self.id(each) is not None for each in ids) or any(self.key(each) is not None for each in keys)


def own_tables(names: Names) -> tuple[Table, Table]:
    """Return the tables that soketpy creates, in their newest version. The migrations create the same ones."""
    metadata = MetaData(schema=names.schema)
    text = String(LONGEST)
    exact = text.with_variant(String(LONGEST, "utf8mb4_bin"), "mysql", "mariadb")
    exact = exact.with_variant(String(LONGEST, "C"), "postgresql")
    apps = Table(
        names.apps,
        metadata,
        Column("id", exact, primary_key=True),
        Column("key", exact, nullable=False, unique=True),
        Column("secret", exact, nullable=False),
        Column("max_connections", Integer),
        Column("enable_client_messages", SmallInteger),
        Column("enabled", SmallInteger),
        Column("max_backend_events_per_sec", Integer),
        Column("max_client_events_per_sec", Integer),
        Column("max_read_req_per_sec", Integer),
        Column("webhooks", JSON(none_as_null=True)),
        Column("max_presence_members_per_channel", Integer),
        Column("max_presence_member_size_in_kb", Double),
        Column("max_channel_name_length", Integer),
        Column("max_event_channels_at_once", Integer),
        Column("max_event_name_length", Integer),
        Column("max_event_payload_in_kb", Double),
        Column("max_event_batch_size", Integer),
        Column("enable_user_authentication", SmallInteger),
        # The columns that soketi does not have.
        Column("allowed_origins", JSON(none_as_null=True)),
        Column("subscription_count_events", SmallInteger),
        Column("watchlists", SmallInteger),
        Column("numeric_ids", SmallInteger),
        Column("tls_only", SmallInteger),
        Column("close_connections_of_removed_keys", SmallInteger),
        Column("max_connects_per_second", Integer),
        Column("max_total_client_events_per_second", Integer),
        Column("max_total_subscribes_per_second", Integer),
        Column("max_subscribes_per_second", Integer),
        Column("max_subscriptions_per_connection", Integer),
        Column("max_user_id_length", Integer),
        Column("max_watchlist_size", Integer),
        Column("history", JSON(none_as_null=True)),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
    )
    keys = Table(
        names.keys,
        metadata,
        Column("key", exact, primary_key=True),
        Column("app_id", exact, ForeignKey(apps.c.id, ondelete="CASCADE"), nullable=False),
        Column("secret", exact, nullable=False),
        Column("ends_at", Double),
        Column("position", Integer, nullable=False, server_default="0"),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
    )
    return apps, keys


def find(connection: Connection, names: Names) -> Found:
    """Return the tables of a database. Raise RegistryRefused if there is no table, or it lacks a needed column."""
    try:
        types = _types(connection, names.apps, names, NEEDED)
    except NoSuchTableError:
        raise RegistryRefused(f'there is no table {names.apps}: create it with "soketpy apps init"') from None
    kinds = {name: kind_of(types[name]) for name in ("id", "key")}
    compared = {name: kind for name, (kind, _) in kinds.items()}
    read = {name: types[name] for name in types if name in _known_columns()}
    version = version_of(connection, names)
    id_value, key_value = (kinds[name][1] if version is None else _storable for name in ("id", "key"))
    apps, columns = _read(connection, names.apps, names, read, compared)
    keys: TableClause | None = None
    key_columns: Sequence[ColumnElement[Any]] = ()
    if version is not None and exists(connection, names.keys, names):
        texts = {"key": String(), "app_id": String()}
        of_keys = _types(connection, names.keys, names, OF_KEYS)
        keys, key_columns = _read(connection, names.keys, names, {name: of_keys[name] for name in OF_KEYS}, texts)
    unique_ids = version is not None or _primary_key(connection, names) == ["id"]
    return Found(
        apps,
        columns,
        keys,
        key_columns,
        id_value,
        key_value,
        any_id(types["id"]),
        unique_ids,
        _not_writable(version, names),
    )


def _types(connection: Connection, name: str, names: Names, needed: Collection[str]) -> Mapping[str, TypeEngine[Any]]:
    """Return the declared types of the columns. Raise NoSuchTableError, or RegistryRefused if a column is missing."""
    with warnings.catch_warnings(action="ignore"):  # about columns with types that SQLAlchemy does not know
        declared = inspect(connection).get_columns(name, schema=names.schema)
    types: Mapping[str, TypeEngine[Any]] = {each["name"]: each["type"] for each in declared}
    if missing := [each for each in needed if each not in types]:
        raise RegistryRefused(f"the table {name} has no column {' and no column '.join(missing)}")
    return types


def _read(
    connection: Connection,
    name: str,
    names: Names,
    types: Mapping[str, TypeEngine[Any]],
    compared: Mapping[str, TypeEngine[Any]],
) -> tuple[TableClause, Sequence[ColumnElement[Any]]]:
    """Return a table, and what a statement reads of its rows. ``compared`` are the types for comparisons."""
    found = table(name, *(column(each, compared.get(each, NullType())) for each in types), schema=names.schema)
    dialect = connection.dialect.name
    return found, [read_as(found.c[each], of, dialect).label(each) for each, of in types.items()]


def _primary_key(connection: Connection, names: Names) -> Sequence[str]:
    """Return the columns of the primary key of a table; a view has none."""
    return inspect(connection).get_pk_constraint(names.apps, schema=names.schema)["constrained_columns"]


def version_of(connection: Connection, names: Names) -> str | None:
    """Return the version of the tables: empty while they are being created, and None if soketpy has not done it."""
    if not exists(connection, names.version, names):
        return None
    versions = table(names.version, column("version_num", String()), schema=names.schema)
    found = connection.scalar(select(versions.c.version_num))
    return "" if found is None else str(found)


def exists(connection: Connection, name: str, names: Names) -> bool:
    """Return whether there is a table that the user of the database can see.

    ``has_table`` would raise an error in MySQL for a user who may only read another table.
    """
    return name in inspect(connection).get_table_names(schema=names.schema)


def text_of(value: object) -> str:
    """Return an id or a key of a row as text, as the reader of rows does. NULL is the empty text."""
    if value is None:
        return ""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("utf-8", "replace")
    if isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value():
        return f"{value:.0f}"  # str() of an int refuses very many digits
    return str(value)


def _not_writable(version: str | None, names: Names) -> str | None:
    """Return why the tables cannot be changed, or None."""
    if version is None:
        return f'the table {names.apps} was not created by "soketpy apps init": soketpy only reads it'
    if version != VERSION:
        return (
            f"the table {names.apps} has format {version or 'none'}, and this version of soketpy writes {VERSION}: "
            'run "soketpy apps init", or use the version of soketpy that created it'
        )
    return None


@cache
def _known_columns() -> Collection[str]:
    """Return the columns that soketpy can read."""
    own, _ = own_tables(Names("apps"))
    return {*own.columns.keys(), *app_fields()}


def _storable(text: str) -> object | None:
    """Return a text that a table of soketpy can have."""
    return text_value(text) if len(text) <= LONGEST else None
