"""The columns of tables of apps: their types, the comparisons with them, and the reading of them.

A statement reads the beginning of a long text only, one character more than a value may have. So one row cannot fill
the memory or delay other apps, and the reader of rows refuses the value for its length.
"""

import re
from collections.abc import Callable
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    BigInteger,
    ColumnElement,
    Enum,
    Integer,
    LargeBinary,
    Numeric,
    String,
    Text,
    Uuid,
    case,
    cast,
    func,
)
from sqlalchemy.types import NullType, TypeEngine

from soketpy.core.app_registry import LONGEST_VALUE

READ = LONGEST_VALUE + 1
"""Characters of a value that a statement reads, at most."""

_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,18}")
_INT64 = range(-(2**63), 2**63)

Value = Callable[[str], object | None]
"""Converts an id or a key to a value of its column, or to None if no row can have it."""


def kind_of(declared: TypeEngine[Any]) -> tuple[TypeEngine[Any], Value]:
    """Return the type for comparisons with a column, so that the comparison uses its index, and the conversion."""
    if isinstance(declared, Integer | Numeric):
        return BigInteger(), _integer
    if isinstance(declared, Uuid):
        return Uuid(), _uuid
    if isinstance(declared, LargeBinary):
        return LargeBinary(), _bytes
    return String(), text_value


def any_id(declared: TypeEngine[Any]) -> Value:
    """Return the conversion of any id to a value of its column, also of one that no lookup may have."""
    _, value = kind_of(declared)
    return _any_text if value is text_value else value


def read_as(column: ColumnElement[Any], declared: TypeEngine[Any], dialect: str) -> ColumnElement[Any]:
    """Return the expression that a statement reads instead of a column: the beginning of a long value.

    JSON becomes text, which the reader of rows decodes. The driver of PostgreSQL would decode all rows, and one fault
    would end the query.
    """
    of: TypeEngine[Any] = getattr(declared, "data_type", declared)  # a domain of PostgreSQL has the type of its values
    if dialect == "sqlite":  # each column of SQLite can have a value of any type and length
        is_long = func.length(cast(column, LargeBinary())) > READ
        return case((is_long, func.substr(column, 1, READ, type_=NullType())), else_=column)
    if isinstance(of, JSON):
        return func.substr(cast(column, Text()), 1, READ, type_=String())
    length = getattr(of, "length", None)
    is_text = isinstance(of, String | LargeBinary) and not isinstance(of, Enum)
    if is_text and (length is None or length > LONGEST_VALUE):
        return func.substr(column, 1, READ, type_=of.as_generic())
    return column


def text_value(text: str) -> object | None:
    """Return a text that an id or a key can be. Some databases raise an error for NUL, or for a foreign character."""
    return text if text.isascii() and text.isprintable() else None


def _any_text(text: str) -> object | None:
    """Return any text but one with NUL, which some databases cannot compare."""
    return None if "\0" in text else text


def _integer(text: str) -> object | None:
    return int(text) if _INTEGER.fullmatch(text) and int(text) in _INT64 else None


def _uuid(text: str) -> object | None:
    try:
        found = UUID(text)
    except ValueError:
        return None
    return found if str(found) == text else None


def _bytes(text: str) -> object | None:
    return text.encode() if text_value(text) else None
