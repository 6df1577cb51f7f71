"""The tables of apps: those that soketpy creates, and those that a database has.

The table of apps has soketi's columns with soketi's types, and a column for each further field of an app. A second
table has the further keys of the apps, so that the app of any key is found with an index.
"""

import re
import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ColumnClause,
    ColumnElement,
    Connection,
    Double,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    String,
    Table,
    TableClause,
    Text,
    Uuid,
    cast,
    column,
    inspect,
    select,
    table,
)
from sqlalchemy.exc import NoSuchTableError
from sqlalchemy.types import NullType, TypeEngine, UserDefinedType

from soketpy.core.app_registry import RegistryRefused
from soketpy.core.apps import app_fields

VERSION = "0001"
"""The newest migration. A change of the tables is a new migration in ``migrations/versions``."""

NEEDED = ("id", "key", "secret")

LONGEST_NAME = 40
"""Characters of the name of a table that soketpy creates, so that its other names fit into every database."""

LONGEST = 255
"""Characters of an id, a key or a secret that a table of soketpy can store."""

LARGEST = 2**31 - 1
"""The largest whole number that a table of soketpy can store: soketi's type of the limits is integer."""

_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,18}")
_INT64 = range(-(2**63), 2**63)

Value = Callable[[str], object | None]
"""Converts an id or a key to a value of its column, or to None if no row can have it."""


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
    """The tables that a database has. ``keys`` is None if the tables are not those of soketpy."""

    apps: TableClause
    keys: TableClause | None
    id: Value
    key: Value
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
    inspector = inspect(connection)
    try:
        with warnings.catch_warnings(action="ignore"):  # about columns with types that SQLAlchemy does not know
            declared = inspector.get_columns(names.apps, schema=names.schema)
    except NoSuchTableError:
        raise RegistryRefused(f'there is no table {names.apps}: create it with "soketpy apps init"') from None
    types: Mapping[str, TypeEngine[Any]] = {each["name"]: each["type"] for each in declared}
    if missing := [name for name in NEEDED if name not in types]:
        raise RegistryRefused(f"the table {names.apps} has no column {' and no column '.join(missing)}")
    kinds = {name: _kind(types[name]) for name in ("id", "key")}
    read = [name for name in types if name in _known_columns()]
    apps = table(
        names.apps,
        *(column(name, kinds[name][0] if name in kinds else _read_as(types[name])) for name in read),
        schema=names.schema,
    )
    version = version_of(connection, names)
    id_value, key_value = (kinds[name][1] if version is None else _storable for name in ("id", "key"))
    keys = None
    if exists(connection, names.keys, names):
        texts: list[ColumnClause[Any]] = [column("key", String()), column("app_id", String())]
        keys = table(names.keys, *texts, *map(column, ("secret", "ends_at", "position")), schema=names.schema)
    return Found(apps, keys, id_value, key_value, _not_writable(version, names))


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
    """Return an id or a key of a row as text, as the reader of rows does."""
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


class _JsonText(UserDefinedType[str]):
    """The type of a JSON column whose values are read as text.

    The reader of rows decodes them. The driver of PostgreSQL would decode all rows, and one fault would end the query.
    """

    cache_ok = True

    def column_expression(self, colexpr: ColumnElement[Any]) -> ColumnElement[Any]:
        """Return the expression that a statement reads."""
        return cast(colexpr, Text())


def _read_as(declared: TypeEngine[Any]) -> TypeEngine[Any]:
    return _JsonText() if isinstance(declared, JSON) else NullType()


def _kind(declared: TypeEngine[Any]) -> tuple[TypeEngine[Any], Value]:
    """Return the type for comparisons with a column, so that the comparison uses its index, and the conversion."""
    if isinstance(declared, Integer | Numeric):
        return BigInteger(), _integer
    if isinstance(declared, Uuid):
        return Uuid(), _uuid
    if isinstance(declared, LargeBinary):
        return LargeBinary(), _bytes
    return String(), _text


def _integer(text: str) -> object | None:
    return int(text) if _INTEGER.fullmatch(text) and int(text) in _INT64 else None


def _uuid(text: str) -> object | None:
    try:
        found = UUID(text)
    except ValueError:
        return None
    return found if str(found) == text else None


def _bytes(text: str) -> object | None:
    return text.encode() if _text(text) else None


def _text(text: str) -> object | None:
    """Return a text that an id or a key can be. Some databases raise an error for NUL, or for a foreign character."""
    return text if text.isascii() and text.isprintable() else None


def _storable(text: str) -> object | None:
    """Return a text that a table of soketpy can have."""
    return _text(text) if len(text) <= LONGEST else None
