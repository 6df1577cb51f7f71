"""The JSON documents of apps, as the admin API sends them: soketpy's own field names, and no secrets of webhooks."""

from collections.abc import Collection, Mapping
from dataclasses import is_dataclass
from typing import Any

from soketpy.core.app_registry import BrokenApp
from soketpy.core.apps import TABLES, App, Key, limit_fields
from soketpy.core.fields import fields_of

Document = dict[str, Any]


def document_of(app: App | BrokenApp, shown: Collection[str] = ()) -> Document:
    """Return the document of an app. Only the keys in ``shown`` have their secrets in it.

    An entry that is no valid app has an id, keys and ``problem``.
    """
    if isinstance(app, BrokenApp):
        return {"id": app.id, "keys": [{"key": key} for key in app.keys], "problem": app.problem}
    limits = {name: _plain(getattr(app, name)) for name in limit_fields()}
    return {
        "id": app.id,
        "keys": [_key(key, key.key in shown) for key in app.keys],
        **limits,
        **{name: [_without_secrets(table) for table in getattr(app, name)] for name in TABLES},
    }


def _key(key: Key, shown: bool) -> Document:
    secret = {"secret": key.secret} if shown else {}
    ends_at = key.ends_at
    if ends_at is not None and float(ends_at).is_integer():
        ends_at = int(ends_at)
    return {"key": key.key, **secret, "ends_at": ends_at}


def _without_secrets(value: Any) -> Any:
    """Return a table or a part of one without the fields that have their defaults. Secrets are null.

    The URL is shown, although its field is marked as a secret: without it, an operator cannot tell webhooks apart.
    """
    of: type = type(value)
    return {
        name.rstrip("_"): None if field.secret and name != "url" else _plain(getattr(value, name))
        for name, field in fields_of(of).items()
        if getattr(value, name) != field.default
    }


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return _without_secrets(value)
    if isinstance(value, Mapping):  # the headers of a webhook, whose values are secrets
        return dict.fromkeys(value)
    return list(value) if isinstance(value, list | tuple) else value
