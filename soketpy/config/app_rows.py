"""The rows of a registry of apps: the conversion of a row to an app, and back.

The columns have soketi's names, as its tables in SQL and DynamoDB have them. A field that soketi does not have is a
column with the field's name. The column ``keys`` has the further keys of an app: a JSON list of tables with ``key``,
``secret`` and perhaps ``ends_at`` (Unix seconds).
"""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import is_dataclass, replace
from decimal import Decimal
from functools import cache
from typing import Any

from soketpy.config.draft import HISTORY, app_value
from soketpy.config.errors import ConfigError
from soketpy.config.soketi.names import APP_NAMES, WEBHOOKS
from soketpy.config.soketi.webhooks import soketis_webhooks
from soketpy.config.tree import DEEPEST, ConfigNode, Position, Scalar
from soketpy.core.app_registry import LATEST, LONGEST_VALUE, MOST_ITEMS, BrokenApp, ValueRefused
from soketpy.core.apps import TABLES, App, Key, app_fields
from soketpy.core.fields import FieldError, fields_of, kind

Row = Mapping[str, Any]
"""The values of one app by the names of its columns. None is a value that the row does not have."""

ReadRow = Callable[[Row], App | BrokenApp]
WriteRow = Callable[[App, Collection[str]], Mapping[str, object]]
"""Returns the columns of some fields of an app. ``keys`` stands for the columns ``key``, ``secret`` and ``keys``."""

KEYS = "keys"

SOKETIS_LIMITS = frozenset(
    (
        "max_connections",
        "max_backend_events_per_second",
        "max_client_events_per_second",
        "max_read_requests_per_second",
    )
)
"""Limits for which soketi takes 0: a rate of 0 refuses everything."""

NO_LIMIT = -1

NAMES = frozenset({*APP_NAMES, *app_fields()})
"""The columns and attributes that are read: others are ignored."""


@cache
def columns() -> Mapping[str, str]:
    """Return the column of each field of an app: soketi's name in SQL, or the field's own name."""
    own = {name: name for name in app_fields()}
    return own | {field: column for column, field in APP_NAMES.items() if column == column.lower()}


@cache
def attributes() -> Mapping[str, str]:
    """Return the attribute in DynamoDB of each column that soketi has."""
    return {columns()[field]: name for name, field in APP_NAMES.items() if name[0].isupper()}


def reader(limits: Mapping[str, object] | None = None) -> ReadRow:
    """Return a function that reads rows. ``limits`` are the values of fields that a row does not have."""
    return lambda row: app_of(row, limits or {})


def app_of(row: Row, limits: Mapping[str, object]) -> App | BrokenApp:
    """Return the app in a row. Never raises.

    Text, numbers and switches may be written in any type that a database has. Unknown columns are ignored. An error
    names the column, and never shows a secret.
    """
    given: dict[str, Any] = {}
    try:
        for column, value in row.items():
            name = field_of(column)
            if name is not None and value is not None and value != "":
                given[name] = _named_value(name, column, value)
        missing = [name for name in ("id", *fields_of(Key)) if name not in given]
        if missing:
            return _broken(row, f"{missing[0]}: missing")
        first = Key(given.pop("key"), given.pop("secret"))
        given["keys"] = (first, *(key for key in given.get(KEYS, ()) if key.key != first.key))
        return App(**{**limits, **given})
    except (FieldError, ValueError, TypeError) as fault:
        return _broken(row, str(fault))
    except Exception as fault:  # of a value that no test has thought of: it must not affect other apps
        return _broken(row, f"the entry cannot be read ({type(fault).__name__})")


def row_of(app: App, fields: Collection[str]) -> dict[str, object]:
    """Return the columns of some fields of an app. Lists and tables are JSON; "no limit" is -1, as in soketi.

    Raise ValueRefused for a value that ``app_of`` would not read as the same value.
    """
    row: dict[str, object] = {}
    for name in fields:
        if name == KEYS:
            first, *others = app.keys
            row |= {"key": first.key, "secret": first.secret, KEYS: _json([_further(key) for key in others])}
        else:
            row[columns()[name]] = _column(name, getattr(app, name))
    for column, value in row.items():
        _check_readable(app, column, value)
    return row


def item_of(app: App, fields: Collection[str]) -> dict[str, object]:
    """Return the attributes in DynamoDB of some fields of an app, as ``row_of`` does."""
    return {attributes().get(column, column): value for column, value in row_of(app, fields).items()}


def field_of(column: str) -> str | None:
    """Return the field of a column or an attribute, or None if it is not read."""
    return APP_NAMES.get(column, column) if column in NAMES else None


def _column(name: str, value: Any) -> object:
    if name in TABLES:
        return _json([_document(table) for table in value])
    if isinstance(value, tuple):
        return _json(value)
    return NO_LIMIT if value is None else value


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _further(key: Key) -> dict[str, object]:
    return {"key": key.key, "secret": key.secret} | ({} if key.ends_at is None else {"ends_at": key.ends_at})


def _check_readable(app: App, column: str, value: object) -> None:
    """Raise ValueRefused if a reader would not read the value that the app has."""
    name = field_of(column) or column
    first, *others = app.keys
    expected = {"key": first.key, "secret": first.secret, KEYS: tuple(others)}
    try:
        found = _named_value(name, name, value)
    except FieldError as fault:
        raise ValueRefused(str(fault)) from None
    if found != (expected[name] if name in expected else getattr(app, name)):
        raise ValueRefused(f"{name}: no database can store this value")


def _named_value(name: str, column: str, value: object) -> object:
    """Return the value of one field. Raise FieldError, which names the column."""
    try:
        return _value(name, column, value)
    except ConfigError as fault:
        where, _, problem = str(fault).partition(": ")
        if where.startswith(f"{column}["):
            raise FieldError(where, problem) from None
        raise FieldError(column, str(fault).removeprefix(f"{column}: ")) from None


def _value(name: str, column: str, value: object) -> object:
    """Return the value of one field. Raise ConfigError or FieldError, which name the column."""
    position = Position("", name=None if name == HISTORY else column)
    value = _bounded(value, column)
    node = _node(_decoded(value, column) if name in (KEYS, *TABLES) else value, position)
    if isinstance(node.value, list) and len(node.value) > MOST_ITEMS:
        raise FieldError(column, f"must have at most {MOST_ITEMS} items")
    if name == KEYS:
        return _keys(node, column)
    if name == WEBHOOKS:
        node = soketis_webhooks(node, position, column, [])
    elif name in SOKETIS_LIMITS and str(value).strip() == "0":
        if name != "max_connections":
            return 0
        node = replace(node, value=-1)  # soketi takes 0 for no limit
    return app_value(name, node, column).value


def _bounded(value: object, column: str) -> object:
    """Return a value, with bytes as text. Raise FieldError for a long text, which would take long to read."""
    if isinstance(value, bytes | bytearray | memoryview):
        value = bytes(value).decode("utf-8", "replace")
    if isinstance(value, str) and len(value) > LONGEST_VALUE:
        raise FieldError(column, f"must have at most {LONGEST_VALUE} characters")
    return value


def _decoded(value: object, column: str) -> object:
    """Return the value of a JSON text, or a value that the database has decoded."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value, parse_constant=_refuse)
    except json.JSONDecodeError as fault:
        raise FieldError(column, f"not valid JSON: {fault.msg}") from None
    except RecursionError:
        raise FieldError(column, "nested too deeply") from None
    except ValueError:  # Python limits the digits of an integer
        raise FieldError(column, "a number has too many digits") from None


def _refuse(constant: str) -> None:
    raise json.JSONDecodeError(f"{constant} is no number of JSON", constant, 0)


def _node(value: object, position: Position, depth: int = 0) -> ConfigNode:
    """Return a value of a database in the form of the configuration."""
    if depth > DEEPEST:
        raise FieldError(position.name or "", "nested too deeply")
    match value:
        case Mapping():
            inner = {str(name): _node(each, position, depth + 1) for name, each in value.items()}
            return ConfigNode(inner, position)
        case list() | tuple() | set() | frozenset():
            return ConfigNode([_node(each, position, depth + 1) for each in value], position)
    return ConfigNode(_scalar(value), position, loose=True)


def _scalar(value: object) -> Scalar:
    """Return a single value of a database. A number that has no end is its text, which no field takes."""
    match value:
        case str() | int() | float() | None:
            return value
        case bytes() | bytearray() | memoryview():
            return bytes(value).decode("utf-8", "replace")
        case Decimal() if value.is_finite():
            return int(value) if value == value.to_integral_value() else float(value)
    return str(value)


def _keys(node: ConfigNode, column: str) -> tuple[Key, ...]:
    """Return the further keys of an app."""
    if not isinstance(node.value, list):
        raise FieldError(column, f"must be a list, not {kind(node.value)}")
    return tuple(_key(item, f"{column}[{at}]") for at, item in enumerate(node.value))


def _key(node: ConfigNode, path: str) -> Key:
    if not isinstance(node.value, dict):
        raise FieldError(path, f"must be a table of key and secret, not {kind(node.value)}")
    for name in fields_of(Key):
        if name not in node.value:
            raise FieldError(path, f"must have a {name}")
    key, secret = (app_value(name, node.value[name], f"{path}.{name}").value for name in fields_of(Key))
    ends_at = node.value["ends_at"].value if "ends_at" in node.value else None
    if ends_at is not None and (isinstance(ends_at, bool) or not isinstance(ends_at, int | float)):
        raise FieldError(f"{path}.ends_at", f"must be a time in Unix seconds, not {kind(ends_at)}")
    if ends_at is not None and not 0 <= ends_at <= LATEST:
        raise FieldError(f"{path}.ends_at", "must be a time in Unix seconds until the year 9999, not in milliseconds")
    return Key(str(key), str(secret), None if ends_at is None else float(ends_at))


def _broken(row: Row, problem: str) -> BrokenApp:
    """Return an entry without its secrets. Its key, if it has one, is known to be in use."""
    ids = [str(_scalar(value)) for column, value in row.items() if field_of(column) == "id"]
    keys = [str(_scalar(value)) for column, value in row.items() if field_of(column) == "key"]
    return BrokenApp(ids[0] if ids else "", tuple(keys), problem)


def _document(value: Any) -> Any:
    """Return a table or a part of one as JSON has it, without the fields that have their defaults."""
    if is_dataclass(value):
        of: type = type(value)
        return {
            name.rstrip("_"): _document(getattr(value, name))
            for name, field in fields_of(of).items()
            if getattr(value, name) != field.default
        }
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, list | tuple) else value
