"""One written value and one row: the typed value, or what is wrong with it."""

import re
from dataclasses import replace
from math import isfinite

from soketpy.config.addresses import hosts
from soketpy.config.errors import ConfigError, either
from soketpy.config.json_tree import parse_json
from soketpy.config.rows import Row
from soketpy.config.tree import Listing, Node, Scalar, kind
from soketpy.protocol.origins import origin_problem

LARGEST = 2**53
LONGEST_SHOWN = 60
QUOTED = "remove the quotes: they are read as part of the value"
"""The error for a variable with quotes around its value."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_WHOLE = re.compile(r"[-+]?[0-9]{1,20}(\.0*)?")
_REAL = re.compile(r"[-+]?([0-9]{1,20}(\.[0-9]{0,20})?|\.[0-9]{1,20})([eE][-+]?[0-9]{1,3})?")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?")
_QUOTES = re.compile(r"\s*(['\"]).*\1\s*", re.DOTALL)
_TRUE = ("true", "1", "yes", "on")
_FALSE = ("false", "0", "no", "off")


def convert(row: Row, node: Node, path: str) -> object:
    """The value of the setting ``row``, as its type has it; ``path`` is what an error calls it.

    Raises ConfigError, which never shows the value of a secret.
    """
    if row.many:
        return _several(row, node, path)
    if row.some and _is_list(node):
        return _some(row, node, path)
    if not isinstance(node, Scalar):
        raise _wrong(row, node, path)
    value = _loosened(row, node.value) if node.loose else node.value
    if row.type is str and not row.choices and is_quoted(node):
        raise node.place.error(path, QUOTED)
    if row.auto is not None and value == "auto":
        return row.auto
    if value is None or (value == -1 and not isinstance(value, bool) and row.optional and row.type is not str):
        if not row.optional:
            raise _wrong(row, node, path)
        return None
    return _checked(row, node, value, path)


def describe(row: Row, *, with_most: bool = False) -> str:
    """Return in words which values a row takes; ``with_most`` names the largest number that any setting takes."""
    if row.type is bool:
        words = "true or false"
    elif row.choices:
        words = either(row.choices)
    elif row.type is str:
        words = row.like or "text"
    else:
        words = _number(row, with_most) + (" or auto" if row.auto is not None else "")
    return f"{words}, or null for none" if row.optional else words


def _several(row: Row, node: Node, path: str) -> tuple[object, ...]:
    if isinstance(node, Scalar) and node.loose and isinstance(node.value, str):
        if is_quoted(node):
            raise node.place.error(path, QUOTED)
        node = split(node)
    if not isinstance(node, Listing):
        raise node.place.error(path, f"must be a list, not {kind(node)}")
    one = replace(row, many=False, some=False, optional=False)
    return tuple(convert(one, item, f"{path}[{at}]") for at, item in enumerate(node.items))


def is_quoted(node: Node) -> bool:
    """Return whether this is a variable with quotes around its value.

    A shell removes quotes. Docker's ``--env-file`` passes them on.
    """
    if not (isinstance(node, Scalar) and node.loose and node.place.line is None and isinstance(node.value, str)):
        return False
    return _QUOTES.fullmatch(node.value) is not None


def _is_list(node: Node) -> bool:
    """Return whether there are several values, or the text of a variable that lists them."""
    if isinstance(node, Scalar) and node.loose and isinstance(node.value, str):
        return "," in node.value or '"' in node.value
    return isinstance(node, Listing)


def _some(row: Row, node: Node, path: str) -> object:
    if not is_quoted(node) and isinstance(node, Scalar) and '"' not in str(node.value):
        node = _parts(str(node.value), node)  # brackets, without quotes, are those of an IPv6 address
    values = _several(row, node, path)
    if not values:
        raise node.place.error(path, f"must be {describe(row)}, not an empty list")
    texts = hosts(tuple(map(str, values)))
    for at, text in enumerate(texts):
        if text in texts[:at]:
            raise node.place.error(f"{path}[{at}]", f"{_shown(text)} is given twice")
    return values[0] if len(values) == 1 else values


def split(node: Scalar) -> Node:
    """The list that the text of a variable stands for: a JSON list, or values with commas between them."""
    text = str(node.value).strip()
    if text.startswith("["):
        return parse_json(text, node.place.source, lines=False)
    return _parts(text, node)


def _parts(text: str, node: Scalar) -> Listing:
    parts = [part.strip() for part in text.split(",")] if text else []
    return Listing(tuple(Scalar(part, node.place, loose=True) for part in parts), node.place)


def _loosened(row: Row, value: bool | int | float | str | None) -> bool | int | float | str | None:
    if row.type is str:
        if value == "" and row.optional:
            return None
        return str(value) if type(value) is int else value
    text = "" if value is None else str(value).strip().lower()
    if row.optional and text in ("", "null"):
        return None
    if row.type is bool:
        return True if text in _TRUE else False if text in _FALSE else value
    if isinstance(value, bool):
        return value
    if row.type is int and _WHOLE.fullmatch(text):
        return int(text.partition(".")[0])
    if row.type is float and _REAL.fullmatch(text):
        return float(text)
    return value


def _checked(row: Row, node: Scalar, value: bool | int | float | str, path: str) -> object:
    if row.type is float and type(value) is int and abs(value) <= LARGEST:
        value = float(value)
    if type(value) is not row.type:
        raise _wrong(row, node, path, value)
    if isinstance(value, str):
        return _checked_text(row, node, value, path)
    if not isinstance(value, bool) and not _in_range(row, value):
        raise _wrong(row, node, path, value)
    return value


def _checked_text(row: Row, node: Scalar, value: str, path: str) -> str:
    if _CONTROL.search(value) or not _is_unicode(value):
        raise node.place.error(path, "must not have control characters or broken Unicode in it")
    fits = re.fullmatch(row.pattern, value) if row.pattern is not None else value != ""
    if not fits or (row.choices and value not in row.choices):
        raise _wrong(row, node, path)
    if row.check is not None and (problem := row.check(value)) is not None:
        raise node.place.error(path, f"{_shown(value)} {problem}")
    return value


def _in_range(row: Row, value: float) -> bool:
    if not isfinite(value) or value > (LARGEST if row.most is None else row.most):
        return False
    return value > 0 if row.least is None else value >= row.least


def _number(row: Row, with_most: bool) -> str:
    words = "a whole number" if row.type is int else "a number"
    least = row.least if row.least is not None else 1 if row.type is int else None
    most = LARGEST if with_most and row.most is None else row.most
    if least is None:
        return f"{words} above 0" + ("" if most is None else f" and at most {most:.0f}")
    return f"{words} of {least:g} or more" if most is None else f"{words} from {least:g} to {most:.0f}"


def _wrong(row: Row, node: Node, path: str, value: object = None) -> ConfigError:
    if is_quoted(node):
        return node.place.error(path, QUOTED)
    if isinstance(node, Scalar) and node.value == "" and row.type is str:
        return node.place.error(path, "must not be empty")
    found, hint = kind(node), ""
    if row.type is str and isinstance(node, Scalar) and type(node.value) in (int, float, bool):
        hint = "; put it in quotes"
    elif row.check is origin_problem and isinstance(node, Scalar) and node.value is None:
        hint = '; for the origin null, write "null" in quotes'
    elif isinstance(node, Scalar) and node.value == "" and type(node.value) is str:
        found = "empty"
    elif isinstance(node, Scalar) and isinstance(node.value, str) and "://" in node.value:
        found = "a URL"  # there may be a password in it
    elif isinstance(node, Scalar) and isinstance(node.value, bool) and not row.secret:
        found = str(node.value).lower()
    elif isinstance(node, Scalar) and not row.secret and type(node.value) in (str, int, float):
        found = _shown(node.value)
        if not node.loose and _fits_unquoted(row, node.value):
            hint = ", which is text: write it without quotes"
    too_large = isinstance(value, int | float) and value > LARGEST
    return node.place.error(path, f"must be {describe(row, with_most=too_large)}, not {found}{hint}")


def _fits_unquoted(row: Row, value: object) -> bool:
    """Return whether a text of a file would be a value of this row without the quotes around it."""
    if not isinstance(value, str):
        return False
    if row.type is bool:
        return value in ("true", "false")
    return row.type is not str and _NUMBER.fullmatch(value) is not None


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
