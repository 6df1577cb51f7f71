"""The documents of apps as lines for people. Text of a server or a database is escaped, so that it stays text."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from soketpy.core.app_registry import DEFAULTS

Document = Mapping[str, Any]

WIDEST = 40
"""Columns of an id or a key, if another one is not longer."""

_TABLES = {"webhooks": "webhook", "history": "history"}
"""The fields that are lists of tables, and the name of a line with one of them."""

WIDTH = 36
"""Columns of the name of a field."""


def table_of(documents: Iterable[Document], now: float) -> Iterator[str]:
    """Yield apps as lines with a heading: the id, the first key, and what is special.

    Keys that have ended at the Unix time ``now`` are not counted.
    """
    rows = [("ID", "KEY", "NOTES"), *(_row(each, now) for each in documents)]
    widths = [min(WIDEST, max(len(row[at]) for row in rows)) for at in range(2)]
    for app_id, key, notes in rows:
        yield f"{app_id:<{widths[0]}}  {key:<{widths[1]}}  {notes}".rstrip()


def _row(document: Document, now: float) -> tuple[str, str, str]:
    from soketpy.config.errors import quote

    keys = [key for key in document["keys"] if (key.get("ends_at") or now + 1) > now]
    webhooks = document.get("webhooks", ())
    notes = [
        *([f"not valid: {quote(str(document['problem']), 200)}"] if "problem" in document else []),
        *(["disabled"] if document.get("enabled") is False else []),
        *([f"{len(keys)} keys"] if len(keys) > 1 else []),
        *([f"{len(webhooks)} webhook{'s' if len(webhooks) > 1 else ''}"] if webhooks else []),
        *(["history"] if document.get("history") else []),
    ]
    first = keys[0]["key"] if keys else "-"
    return _shown(document["id"]), _shown(first), ", ".join(notes)


def lines_of(document: Document, now: float) -> Iterator[str]:
    """Yield an app as lines, one for each key, field and table such as a webhook. ``now`` is the Unix time."""
    defaults = document.get(DEFAULTS, ())
    for name, value in document.items():
        if name == "keys":
            yield from (_key(each, now) for each in value)
        elif name in _TABLES:
            yield from (_line(_TABLES[name], json.dumps(table)) for table in value)
        elif name != DEFAULTS:
            text = _shown(value) if isinstance(value, str) else json.dumps(value)
            yield _line(name, f"{text} (default)" if name in defaults else text)


def secret_lines(document: Document, *, shown: bool = True) -> Iterator[str]:
    """Yield the id of an app, the key whose secret the document has, and the other keys with their ends.

    The secret is only ``shown`` if the caller does not have it.
    """
    yield f"id: {_shown(document['id'])}"
    for key in document["keys"]:
        if "secret" in key:
            yield f"key: {_shown(key['key'])}"
            if shown:
                yield f"secret: {_shown(key['secret'])}"
    for key in document["keys"]:
        if "secret" not in key:
            ends = key.get("ends_at")
            end = "works until it is removed" if ends is None else f"ends {date_of(ends)}"
            yield f"older key: {_shown(key['key'])} ({end})"


def _key(key: Document, now: float) -> str:
    ends = key.get("ends_at")
    end = "" if ends is None else f" ({'ended' if ends <= now else 'ends'} {date_of(ends)})"
    return _line("key", _shown(key["key"]) + end)


def date_of(seconds: float) -> str:
    """Return a Unix time as a date in UTC, or as a number if it has no date. Never raises."""
    from datetime import UTC, datetime

    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):  # a server of another version may send any number
        return f"{seconds:g}"


def _line(name: str, text: str) -> str:
    return f"{name:<{WIDTH}}{text}"


def _shown(text: object) -> str:
    from soketpy.config.errors import quote

    return quote(str(text), 300)
