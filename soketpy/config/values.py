"""The conversion of a written value to the type of its field."""

import re
from collections.abc import Iterator

from soketpy.config.addresses import hosts
from soketpy.config.errors import ConfigError
from soketpy.config.json_tree import parse_json
from soketpy.config.tree import ConfigNode, Scalar
from soketpy.core.fields import Field, FieldError, kind, shown

QUOTED = "remove the quotes: they are read as part of the value"
"""The error for a variable with quotes around its value."""

_WHOLE = re.compile(r"[-+]?[0-9]{1,20}(\.0*)?")
_REAL = re.compile(r"[-+]?([0-9]{1,20}(\.[0-9]{0,20})?|\.[0-9]{1,20})([eE][-+]?[0-9]{1,3})?")
_QUOTES = re.compile(r"\s*(['\"]).*\1\s*", re.DOTALL)
_SWITCHES = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off"), False),
}


def convert(field: Field, node: ConfigNode, path: str) -> object:
    """Return the value of a setting with its type. ``path`` is the setting's name in an error.

    Raise ConfigError, which never shows the value of a secret.
    """
    _check_quotes(node, path)
    node = _split_if_list(field, node)
    items = node.value if isinstance(node.value, list) else []
    for at, item in enumerate(items):
        _check_quotes(item, f"{path}[{at}]")
    try:
        value = field.check(_plain(field, node), node.value if node.loose else None)
    except FieldError as error:
        if error.at is None:
            raise node.position.error(path, error.problem) from None
        raise ConfigError.of_several(list(_mistakes(field, items, path))) from None
    if field.one_or_many and isinstance(value, tuple):
        addresses = hosts(value)
        for at, address in enumerate(addresses):
            if address in addresses[:at]:
                raise items[at].position.error(f"{path}[{at}]", f"{shown(address)} is given twice")
        return value[0] if len(value) == 1 else value
    return value


def _mistakes(field: Field, items: list[ConfigNode], path: str) -> Iterator[ConfigError]:
    """Yield the error of each item of a list that its field does not take. There is one at least."""
    for at, item in enumerate(items):
        try:
            field.check([_plain(field, item)])
        except FieldError as error:
            yield item.position.error(f"{path}[{at}]", error.problem)


def is_quoted(node: ConfigNode) -> bool:
    """Return whether this is a variable with quotes around its value.

    A shell removes quotes. Docker's ``--env-file`` passes them on.
    """
    if not (node.loose and node.position.line is None and isinstance(node.value, str)):
        return False
    return _QUOTES.fullmatch(node.value) is not None


def split(node: ConfigNode) -> ConfigNode:
    """Return the list in the text of a variable: a JSON list, or values with commas between them."""
    text = str(node.value).strip()
    if text.startswith("["):
        return parse_json(text, node.position.source, lines=False)
    return _split_at_commas(text, node)


def items_of(node: ConfigNode, path: str) -> list[ConfigNode]:
    """Return the items of a list of tables; the list of a variable is JSON. Raise ConfigError for another value."""
    if node.loose and isinstance(node.value, str):
        if is_quoted(node):
            raise node.position.error("", QUOTED)
        text = node.value.lstrip()
        if not text.startswith("["):
            found = "a table" if text.startswith("{") else "text" if text else "empty"
            raise node.position.error("", f"must be a list as JSON, such as [{{…}}], not {found}")
        node = split(node)
    if not isinstance(node.value, list):
        raise node.position.error(path, f"must be a list, not {kind(node.value)}")
    return node.value


def _check_quotes(node: ConfigNode, path: str) -> None:
    if is_quoted(node):
        raise node.position.error(path, QUOTED)


def _split_if_list(field: Field, node: ConfigNode) -> ConfigNode:
    text = node.value
    if not (node.loose and isinstance(text, str)):
        return node
    if field.many or (field.one_or_many and '"' in text):
        return split(node)
    # Without quotes, brackets are those of an IPv6 address.
    return _split_at_commas(text, node) if field.one_or_many and "," in text else node


def _split_at_commas(text: str, node: ConfigNode) -> ConfigNode:
    parts = [part.strip() for part in text.split(",")] if text else []
    return ConfigNode([ConfigNode(part, node.position, loose=True) for part in parts], node.position)


def _plain(field: Field, node: ConfigNode) -> object:
    if isinstance(node.value, list):
        return [_plain(field, item) for item in node.value]
    if isinstance(node.value, dict):
        return {}  # No field takes a table. An error says that it is one.
    return _loosened(field, node.value) if node.loose else node.value


def _loosened(field: Field, value: Scalar) -> Scalar:
    """Return a value that came as text with the type of its field, or as it is if it does not fit."""
    if field.type is str:
        if value == "" and field.optional:
            return None
        return str(value) if type(value) is int else value
    text = "" if value is None else str(value).strip().lower()
    if field.optional and text in ("", "null"):
        return None
    if field.type is bool:
        return _SWITCHES.get(text, value)
    if isinstance(value, bool):
        return value
    if field.type is int and _WHOLE.fullmatch(text):
        return int(text.partition(".")[0])
    if field.type is float and _REAL.fullmatch(text):
        return float(text)
    return value
