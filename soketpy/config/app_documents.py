"""A reader of the JSON documents that change apps, with soketpy's field names and exact types."""

from collections.abc import Collection, Mapping
from typing import Any

from soketpy.config.draft import WEBHOOKS, app_value
from soketpy.config.errors import ConfigError, guess, quote_name
from soketpy.config.hints import hint_of_app
from soketpy.config.json_tree import parse_json
from soketpy.config.tree import ConfigNode, Position
from soketpy.config.values import convert, items_of
from soketpy.core.app_registry import DEFAULTS, LATEST
from soketpy.core.apps import app_fields
from soketpy.core.aws_options import AwsOptions
from soketpy.core.fields import Field, fields_of, kind

LONGEST = 10 * 365 * 86_400
"""Most seconds until the end of a key."""

TIMES: Mapping[str, Field] = {
    "ends_in": Field(name="ends_in", type=float, help="Seconds until the older keys end.", least=0, most=LONGEST),
    "ends_at": Field(name="ends_at", type=float, help="Unix time at which the older keys end.", least=0, most=LATEST),
}
"""The fields of a rotation besides those of a key."""

_NOT_HERE = {
    "id": "never changes",
    "key": "does not change this way: rotate the keys",
    "secret": "does not change this way: rotate the keys",
    "keys": "write one key and its secret, and add further keys by rotation",
}
_NEVER_DEFAULT = (*_NOT_HERE, DEFAULTS)
_CREDENTIALS = {name for name, field in fields_of(AwsOptions).items() if field.secret}
_MASKED = "is null: answers do not contain the secrets of webhooks, so write the value again"


def read_document(body: bytes, names: Collection[str]) -> Mapping[str, Any]:
    """Return the values of a JSON object by the names of their fields. ``names`` are those that the object may have.

    An empty body is an empty object. Raise ConfigError, which names the field, and never shows a secret.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise ConfigError("not valid JSON: the text is not valid UTF-8") from None
    if not text.strip():
        return {}
    node = parse_json(text, "", lines=False)
    if not isinstance(node.value, dict):
        raise ConfigError(f"must be a JSON object, not {kind(node.value)}")
    values = {name: _value(name, each, names) for name, each in node.value.items()}
    for name in values.get(DEFAULTS, ()):
        if name in values:
            raise ConfigError(f"{name}: has a value, and is in {DEFAULTS}: use one of both")
    return values


def _value(name: str, node: ConfigNode, names: Collection[str]) -> Any:
    if name not in names:
        problem = _NOT_HERE.get(name) if name in app_fields() else None
        hint = guess(name, names) if any(each in names for each in TIMES) else hint_of_app(name)
        raise Position("").error(quote_name(name), problem or f"no such field{hint}")
    if name in TIMES:
        return convert(TIMES[name], node, name)
    if name == DEFAULTS:
        return tuple(_field(each, f"{name}[{at}]", names) for at, each in enumerate(items_of(node, name)))
    if name == WEBHOOKS:
        _check_masked(node, name)
    return app_value(name, node, name).value


def _field(node: ConfigNode, path: str, names: Collection[str]) -> str:
    """Return the name of a field that may have a default."""
    name = node.value
    if not isinstance(name, str):
        raise Position("").error(path, f"must be the name of a field, not {kind(name)}")
    if name not in names or name in _NEVER_DEFAULT:
        problem = "has no default" if name in app_fields() or name == DEFAULTS else f"no such field{hint_of_app(name)}"
        raise Position("").error(path, f"{quote_name(name)}: {problem}")
    return name


def _check_masked(node: ConfigNode, path: str) -> None:
    """Raise ConfigError for a secret that is null, as in an answer: it would be lost."""
    if isinstance(node.value, list):
        for at, item in enumerate(node.value):
            _check_masked(item, f"{path}[{at}]")
    elif isinstance(node.value, dict):
        for name, each in node.value.items():
            where = f"{path}.{quote_name(name)}"
            if each.value is None and (path.endswith(".headers") or name in _CREDENTIALS):
                raise Position("").error(where, _MASKED)
            _check_masked(each, where)
