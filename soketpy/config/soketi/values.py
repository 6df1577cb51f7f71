"""The values of soketi's settings: how soketi reads a text, and the same value in soketpy's notation."""

import json
from dataclasses import replace

from soketpy.config.errors import ConfigError, quote
from soketpy.config.json_tree import parse_json
from soketpy.config.soketi.names import SoketiName
from soketpy.config.tree import ConfigNode, Position
from soketpy.config.values import QUOTED, is_quoted
from soketpy.core.fields import either, kind, shown
from soketpy.core.quoting import HIDDEN, may_be_shown

_PORTS = {"redis.sentinels": 26379, "redis.cluster_nodes": 6379}
"""Lists of addresses, with the port of an address that has none."""


def ours(name: SoketiName, node: ConfigNode) -> ConfigNode:
    """Return the value as soketpy has it: addresses, lower-case choices, log levels and seconds."""
    if name.to in _PORTS:
        return _addresses(node, _PORTS[name.to])
    if isinstance(node.value, list | dict):
        return node
    text = str(node.value).strip().lower()
    if name.has:
        return replace(node, value=dict(name.means).get(text, text))
    if name.to == "log.level":
        level = {"true": "debug", "1": "debug", "false": "info", "0": "info"}.get(text)
        if level is None:
            problem = QUOTED if is_quoted(node) else f"must be true or false, not {shown(str(node.value))}"
            raise node.position.error(name.path, problem)
        return replace(node, value=level)
    if name.per != 1:
        try:
            return replace(node, value=float(text) / name.per)
        except ValueError:
            return node
    return node


def _addresses(node: ConfigNode, port: int) -> ConfigNode:
    """Return a list with ``host:port`` for each of soketi's tables of host and port."""
    if not isinstance(node.value, list):
        return node
    return replace(node, value=[_address(item, port) for item in node.value])


def _address(node: ConfigNode, port: int) -> ConfigNode:
    if not isinstance(node.value, dict):
        return node
    given = {name: each.value for name, each in node.value.items() if not isinstance(each.value, list | dict)}
    host = str(given.get("host", ""))
    return ConfigNode(f"{f'[{host}]' if ':' in host else host}:{given.get('port', port)}", node.position)


def check_choice(name: SoketiName, node: ConfigNode, position: Position) -> None:
    """Raise ConfigError for a value of a choice that this version does not support."""
    if is_nothing(node):
        return
    if isinstance(node.value, list | dict):
        raise position.error(name.path, f"must be {either(name.has)}, not {kind(node.value)}")
    text = str(node.value).strip().lower()
    if text in name.has:
        return
    has = f"(this version has: {', '.join(name.has)})"
    if text in name.later:
        raise position.error(name.path, f"{text} is not built yet in soketpy {has}")
    raise position.error(
        name.path, QUOTED if is_quoted(node) else f"there is no {quote(text) if may_be_shown(text) else HIDDEN} {has}"
    )


def from_text(text: str, position: Position) -> ConfigNode:
    """Return the value of a variable as soketi reads it: its JSON, or else its text."""
    if text.lstrip().startswith(('"', "[")):
        try:
            return replace(parse_json(text, position.source, lines=False), position=position)
        except ConfigError:
            pass  # soketi takes a variable that is not JSON as text
    return ConfigNode(text, position, loose=True)


def loose(node: ConfigNode, position: Position, path: str) -> ConfigNode:
    """Return a value with its name in soketi's file; each item of a list gets a name of its own."""
    if not isinstance(node.value, list):
        return replace(node, position=position, loose=not isinstance(node.value, dict))
    names = (f"[{at}]" if position.name == "" else f"{path}.{at}" for at in range(len(node.value)))
    items = [
        replace(item, position=replace(item.position, name=name)) for item, name in zip(node.value, names, strict=True)
    ]
    return replace(node, value=items, position=position)


def named(position: Position, name: str) -> Position:
    """Return the position with soketi's name for the setting; a variable keeps its own name."""
    return Position(position.source, position.line, position.name if position.name == "" else name)


def is_nothing(node: ConfigNode) -> bool:
    """Return whether soketi reads the value as not given."""
    return node.value in (None, "")


def is_none(name: SoketiName, node: ConfigNode) -> bool:
    """Return whether a number means "not given", as -1 does for a duration."""
    try:
        return name.positive and float(str(node.value)) <= 0
    except ValueError:
        return False


def is_value(node: ConfigNode, text: str) -> bool:
    """Return whether a value is the one that a text has: JSON of a list or table, or a scalar in soketi's notation."""
    value = _plain(node)
    if text.startswith(("[", "{")):
        try:
            return bool((json.loads(value) if isinstance(value, str) else value) == json.loads(text))
        except ValueError:
            return False
    return not isinstance(value, list | dict) and str(value).strip().lower() == text.lower()


def _plain(node: ConfigNode) -> object:
    if isinstance(node.value, list):
        return [_plain(each) for each in node.value]
    if isinstance(node.value, dict):
        return {name: _plain(each) for name, each in node.value.items()}
    return node.value
