"""The items of a table of apps in DynamoDB: values of attributes, keys, sizes and conditions.

An item that is no app has an ``AppId`` that begins with ``#``, which no id of an app does. soketpy writes two kinds of
them into its own tables: the mark of the table, and an entry for each key of an app.
"""

import json
import re
import secrets
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

Attribute = Mapping[str, Any]
"""A value with its type, as in requests to DynamoDB: ``{"S": "text"}``."""

Item = Mapping[str, Attribute]

ID = "AppId"
KEY = "AppKey"

MARK = "#soketpy"
"""The ``AppId`` of the item that marks a table as a table of soketpy."""

VERSION = "soketpy_version"
"""The attribute of the mark with the version of the table's layout."""

OWNER = "soketpy_app"
"""The attribute of a key's entry with the id of the app that has the key."""

_WRITE = "soketpy_write"
"""The attribute of a key's entry that is different after each write."""

_OTHER_NAMES = ("id", "key")
"""Attributes that would replace the two by which DynamoDB finds an app."""

LONGEST_KEY = 2048
"""Bytes of a value in the key of a table or an index, at most."""

LARGEST_ITEM = 400 * 1024
"""Bytes of an item, at most."""

_NUMBER = re.compile(r"0|-?[1-9][0-9]{0,37}")
_LARGEST_NUMBER = 21
"""Bytes of a number, at most."""

_READ: Mapping[str, Callable[[Any], Any]] = {
    "N": lambda text: number(text),
    "NULL": lambda _: None,
    "L": lambda values: [value_of(each) for each in values],
    "M": lambda values: {name: value_of(each) for name, each in values.items()},
    "NS": lambda texts: [number(each) for each in texts],
}


def number(text: str) -> int | Decimal:
    """Return the number of an attribute."""
    value = Decimal(text)
    whole = int(value)
    return whole if whole == value else value


def value_of(attribute: Attribute) -> Any:
    """Return the value of an attribute without its type."""
    kind, value = next(iter(attribute.items()))
    return _READ[kind](value) if kind in _READ else value


def attribute_of(value: object) -> Attribute:
    """Return a value with its type. A list or a table becomes JSON, as soketi documents webhooks."""
    match value:
        case bool():
            return {"BOOL": value}
        case int() | float():
            return {"N": str(value)}
        case str():
            return {"S": value}
        case _:
            return {"S": json.dumps(value, separators=(",", ":"), ensure_ascii=False)}


def row_of(item: Item) -> dict[str, Any]:
    """Return the values of an item by the names of its attributes."""
    return {name: value_of(each) for name, each in item.items() if name not in _OTHER_NAMES}


def item_of(row: Mapping[str, object]) -> dict[str, Attribute]:
    """Return the item with these values. None is a value that the item does not have."""
    return {name: attribute_of(value) for name, value in row.items() if value is not None}


def key_value(text: str, kind: str) -> Attribute | None:
    """Return a text as the value of a key of this type (S or N), or None if no key of this type has this text."""
    if kind == "N":
        return {"N": text} if _NUMBER.fullmatch(text) else None
    try:
        length = len(text.encode())
    except UnicodeEncodeError:
        return None
    return {"S": text} if 0 < length <= LONGEST_KEY else None


def is_app(item_id: str) -> bool:
    """Return whether an item with this ``AppId`` is an app."""
    return not item_id.startswith("#")


def entry_id(key: str) -> str:
    """Return the ``AppId`` of the entry of a key."""
    return f"#key:{key}"


def entry_of(key: str, app_id: str) -> Item:
    """Return a new entry of a key. No two entries are equal, so that a condition on an entry notices each write."""
    return {ID: {"S": entry_id(key)}, OWNER: {"S": app_id}, _WRITE: {"S": secrets.token_hex(8)}}


def size_of(item: Item) -> int:
    """Return an upper bound for the size of an item with the attributes of ``item_of``, in bytes."""
    return sum(len(name.encode()) + _size(each) for name, each in item.items())


def _size(attribute: Attribute) -> int:
    """Return an upper bound for the size of a value. Each level of a list or a table costs 3 bytes, each element 1."""
    kind, value = next(iter(attribute.items()))
    match kind:
        case "S":
            return len(value.encode())
        case "B":
            return len(value)
        case "N":
            return _LARGEST_NUMBER
        case "SS" | "NS" | "BS":
            return sum(len(each) if isinstance(each, bytes) else len(each.encode()) for each in value)
        case "L":
            return 3 + sum(1 + _size(each) for each in value)
        case "M":
            return 3 + sum(1 + len(name.encode()) + _size(each) for name, each in value.items())
        case _:
            return 1


def as_read(item: Item | None) -> dict[str, Any]:
    """Return the arguments for the condition that an item is still as it was read; None is an item that was missing."""
    if item is None:
        return {"ConditionExpression": f"attribute_not_exists({ID})"}
    names = {f"#{at}": name for at, name in enumerate(item)}
    values = {f":{at}": each for at, each in enumerate(item.values())}
    condition = " AND ".join(f"#{at} = :{at}" for at in range(len(item)))
    return {
        "ConditionExpression": condition,
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": values,
    }
