"""The effective configuration for people and programs to read: each value with its source, and no secret."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from soketpy.config.draft import APP_DEFAULTS, APPS, AppDraft, Draft, Found, setting_fields
from soketpy.config.settings import Settings
from soketpy.config.tree import Position
from soketpy.core.apps import TABLES, App, Key, limit_fields
from soketpy.core.fields import Field, fields_of
from soketpy.core.quoting import has_credentials

MASK = "********"
"""In the place of a secret. It does not show the length."""

DEFAULT = "default"

_URL = re.compile(r"([^:/?#]*)://([^/?#]*@)?([^/?#\[\]]*|\[[^/?#\[\]]*\][:\d]*)((?:/[^?#]*)?)((?:[?#].*)?)", re.DOTALL)
"""The scheme, the user and the password, the host, the path, and the query with the fragment."""

Plain = Any
"""A value of JSON."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One value as it is shown, and where it was written."""

    value: Plain
    source: str = DEFAULT


def effective(settings: Settings, draft: Draft) -> dict[str, Shown]:
    """Return every setting by its dotted path. ``draft`` is what the settings were built from.

    Of ``app_defaults`` only written fields are in it, and the apps are not.
    """
    shown = {}
    for path, field in setting_fields().items():
        if path.startswith(f"{APP_DEFAULTS}."):
            if path in draft.values:
                shown[path] = Shown(masked(field, draft.values[path].value), source_of(draft.values[path], path))
        elif path != APPS:
            shown[path] = Shown(masked(field, settings.value(path)), source_of(draft.values.get(path), path))
    return shown


def effective_apps(settings: Settings, draft: Draft) -> Iterator[dict[str, Shown]]:
    """Yield the fields of each app that are written, or that differ from their defaults."""
    if not settings.apps:  # also if soketi's apps are ignored, because the apps are in a database
        return
    drafts = draft.apps or [AppDraft("", Position(DEFAULT)) for _ in settings.apps]
    for app, written in zip(settings.apps, drafts, strict=True):
        yield dict(_of_app(app, written, draft))


def lines(settings: Settings, draft: Draft) -> Iterator[str]:
    """Yield the configuration as YAML, with the source of each value in a comment."""
    yield f"# {MASK} hides a secret. Fields of apps that are not listed have their defaults."
    group = ""
    for path, shown in effective(settings, draft).items():
        inside, _, name = path.rpartition(".")
        if inside != group:
            yield f"{inside}:"
            group = inside
        yield f"{'  ' if inside else ''}{name}: {json.dumps(shown.value, ensure_ascii=False)}  # {shown.source}"
    apps = list(effective_apps(settings, draft))
    yield "apps:" if apps else "apps: []"
    for app in apps:
        for at, (name, shown) in enumerate(app.items()):
            value = json.dumps(shown.value, ensure_ascii=False)
            yield f"{'    ' if at else '  - '}{name}: {value}  # {shown.source}"


def source_of(found: Found | None, path: str = "") -> str:
    """Return where a value was written: the line of a file, with soketi's name if it has one, a variable or a flag.

    ``path`` is the name of the setting in soketpy.
    """
    if found is None:
        return DEFAULT
    position = found.position
    text = f"{position} ({position.name})" if position.name not in (None, "", path) else str(position)
    return text if text.isprintable() else repr(text)


def masked(field: Field, value: Any) -> Plain:
    """Return the value of a setting for people to read, without a secret."""
    if field.auto is not None and value == field.auto:
        return "auto"
    if isinstance(value, tuple | list):
        return [masked(field, each) for each in value]
    if value is None or isinstance(value, bool | int | float):
        return int(value) if isinstance(value, float) and value.is_integer() else value
    return MASK if field.secret else without_credentials(str(value))


def without_credentials(text: str) -> str:
    """Return a text without the secrets in the form of an address: the user, the password, the query, the fragment.

    In an address with an @ behind a /, ? or #, nobody knows whether a password ends there: only the scheme is shown.
    """
    found = _URL.fullmatch(text)
    if found is None:
        return MASK if "://" in text or has_credentials(text) else text
    scheme, user, host, path, further = found.groups()
    if "@" in path + further:
        return f"{scheme}://{MASK}"
    return f"{scheme}://{host}{path}" + (f"?{MASK}" if user or further else "")


def _of_app(app: App, written: AppDraft, draft: Draft) -> Iterator[tuple[str, Shown]]:
    values = written.values
    yield "id", Shown(app.id, source_of(values.get("id")))
    if "keys" in values:
        pairs = [{"key": pair.key, "secret": MASK} for pair in app.keys]
        yield "keys", Shown(pairs, source_of(values["keys"]))
    else:
        for name in fields_of(Key):
            yield name, Shown(app.key if name == "key" else MASK, source_of(values.get(name)))
    for name, field in limit_fields().items():
        found = values.get(name) or draft.values.get(f"{APP_DEFAULTS}.{name}")
        if found is not None:
            yield name, Shown(masked(field, getattr(app, name)), source_of(found))
    for name in TABLES:
        if tables := getattr(app, name):
            yield name, Shown([_table(type(each), each) for each in tables], source_of(values.get(name)))


def _table(of: type, given: Any) -> dict[str, Plain]:
    """Return the values of a table that differ from their defaults. Of the URL of a webhook only the host is shown."""
    shown: dict[str, Plain] = {}
    for name, field in fields_of(of).items():
        value = getattr(given, name)
        if value == field.default:
            continue
        written = name.rstrip("_")
        if isinstance(value, Mapping):
            shown[written] = dict.fromkeys(value, MASK)
        elif field.is_group:
            shown[written] = _table(field.type, value)
        elif name == "url":
            scheme, mark, host = without_credentials(str(value)).partition("://")
            shown[written] = scheme + mark + host.partition("/")[0].removesuffix(MASK) + f"/{MASK}"
        else:
            shown[written] = masked(field, value)
    return shown
