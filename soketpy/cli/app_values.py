"""The values of apps on the command line: fields as NAME=VALUE, and the times at which keys end."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from soketpy.cli.faults import Mistake

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"([0-9]{1,9})([smhd])")
NEW = {
    "id": "give --id",
    "key": "give --key",
    "secret": "give --secret-file: other users of this machine can read arguments",
    "keys": "give --key and --secret-file, and add further keys with `soketpy apps rotate`",
}
"""What to do about fields that are not words of ``soketpy apps add``."""

_ROTATE = "does not change this way: add a new key with `soketpy apps rotate`"

CHANGED = {"id": "the id of an app never changes", "key": _ROTATE, "secret": _ROTATE, "keys": _ROTATE}
"""What to do about fields that are not words of ``soketpy apps set``."""

_OPTIONS = {"id": "--id", "key": "--key", "secret": "--secret-file", "ends_in": "--ends-in", "ends_at": "--ends-at"}


def fields_of(words: Sequence[str], refused: Mapping[str, str]) -> Mapping[str, Any]:
    """Return the fields of words such as ``max_connections=500``, as JSON has them. Raise Mistake or ConfigError.

    ``refused`` are fields that may not be there, with what to do instead. The value of a list of tables is JSON, or
    ``@`` and the name of a file with JSON. A field with the value ``default`` is in the list ``defaults``.
    """
    from soketpy.core.app_registry import DEFAULTS
    from soketpy.core.apps import app_fields

    values: dict[str, Any] = {}
    defaults: list[str] = []
    for word in words:
        name, separator, text = word.partition("=")
        if not separator:
            raise Mistake(f"{word[:60]!r}: write NAME=VALUE, such as max_connections=500")
        if name in values or name in defaults:
            raise Mistake(f"{name}: given twice")
        if name in refused:
            raise Mistake(f"{name}: {refused[name]}")
        if text.strip().lower() == "default" and name in app_fields():
            defaults.append(name)
        else:
            values[name] = _value(name, text)
    return values | ({DEFAULTS: defaults} if defaults else {})


def _value(name: str, text: str) -> Any:
    from soketpy.config.errors import quote
    from soketpy.config.hints import hint_of_app
    from soketpy.config.tree import ConfigNode, Position
    from soketpy.config.values import convert
    from soketpy.core.apps import TABLES, app_fields

    if name not in app_fields():
        raise Mistake(f"{quote(name)}: no such field{hint_of_app(name)}")
    field = app_fields()[name]
    if (field.many or name in TABLES) and text.strip().lower() == "null":
        return []  # and not the origin null, which would refuse all clients
    if name in TABLES:
        return _json(name, text)
    value = convert(field, ConfigNode(text, Position("", name=name), loose=True), name)
    return list(value) if isinstance(value, tuple) else value


def _json(name: str, text: str) -> Any:
    import json

    where = ""
    if text.startswith("@"):
        where = f"{text[1:]}: "
        try:
            text = Path(text[1:]).read_text(encoding="utf-8")
        except OSError as error:
            raise Mistake(f"{name}: {text[1:]} cannot be read: {error.strerror or error}") from None
    try:
        return json.loads(text)
    except ValueError as error:  # its text has a position, and nothing of the JSON
        wanted = "must be JSON" if where else "must be JSON, or @ and the name of a file with JSON"
        raise Mistake(f"{name}: {where}{wanted}: {error}") from None
    except RecursionError:
        raise Mistake(f"{name}: {where}nested too deeply") from None


@contextmanager
def named_options() -> Iterator[None]:
    """Raise a Mistake about a field that comes from an option again, with the name of the option."""
    try:
        yield
    except Mistake as fault:
        name, separator, problem = str(fault).partition(": ")
        if name not in _OPTIONS:
            raise
        raise Mistake(f"{_OPTIONS[name]}{separator}{problem}") from None


def seconds_of(text: str) -> int:
    """Return the seconds of a duration such as ``7d``, ``12h``, ``30m`` or ``90s``; 0 for now. Raise Mistake."""
    found = _DURATION.fullmatch(text)
    if found is None and text != "0":
        raise Mistake(f"--ends-in: must be a time such as 7d, 12h, 30m or 90s, or 0 for now, not {text[:60]!r}")
    return int(found[1]) * UNITS[found[2]] if found else 0


def time_of(text: str) -> float:
    """Return the Unix time of a date such as ``2026-12-31`` or ``2026-12-31T12:00Z``; without a zone, UTC."""
    from datetime import UTC, datetime

    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise Mistake(f"--ends-at: must be a date such as 2026-12-31 or 2026-12-31T12:00Z, not {text[:60]!r}") from None


def future_time_of(text: str) -> float:
    """Return the Unix time of a date. Raise Mistake for a date in the past."""
    import time

    found = time_of(text)
    if found < time.time():
        raise Mistake(f"--ends-at: {text[:60]} is in the past; give --ends-in 0 to remove the older keys now")
    return found
