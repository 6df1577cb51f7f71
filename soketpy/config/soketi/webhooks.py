"""The webhooks of an app in soketi's configuration: the same form as ours, with other names in errors."""

from dataclasses import replace

from soketpy.config.json_tree import parse_json
from soketpy.config.tree import ConfigNode, Position
from soketpy.config.values import QUOTED, is_quoted

_SET_HERE = ("content-type", "x-pusher-key", "x-pusher-signature")
"""Headers that a webhook of soketi may have, and that have no effect here."""


def soketis_webhooks(node: ConfigNode, position: Position, path: str, ignored: list[str]) -> ConfigNode:
    """Return the list of webhooks in our form, with soketi's names in its positions. ``path`` is the name of the list.

    A text is the JSON of the list. Webhooks without event types, for which soketi sends nothing, and headers without
    effect are left out, and their names are appended to ``ignored``, with the reasons.
    """
    if is_quoted(node):
        raise position.error(path, QUOTED)
    if isinstance(node.value, str):
        node = parse_json(node.value, position.source, lines=False)
    own = "" if position.name == "" else path
    named = _named(replace(node, position=position), position, own)
    if not isinstance(named.value, list):
        return named
    left_out: list[tuple[Position, str]] = []
    items = [_webhook(item, left_out) for item in named.value]
    for at, reason in left_out:
        ignored.append(f"{at.source} {at.name} ({reason})" if own == "" else f"{at.name} ({reason})")
    return replace(named, value=[item for item in items if item is not None])


def _webhook(node: ConfigNode, left_out: list[tuple[Position, str]]) -> ConfigNode | None:
    if not isinstance(node.value, dict):
        return node
    types, headers = node.value.get("event_types"), node.value.get("headers")
    if types is not None and types.value == []:
        left_out.append((node.position, "no event_types"))
        return None
    if headers is None or not isinstance(headers.value, dict):
        return node
    left_out += [(each.at, "set by the server") for name, each in headers.value.items() if name.lower() in _SET_HERE]
    kept = {name: each for name, each in headers.value.items() if name.lower() not in _SET_HERE}
    return replace(node, value=node.value | {"headers": replace(headers, value=kept)})


def _named(node: ConfigNode, of: Position, name: str) -> ConfigNode:
    """Return a value in which the positions have soketi's names; of a variable, the names within its JSON."""
    position = Position(of.source, node.position.line, name)
    at = None if node.name_position is None else Position(of.source, node.name_position.line, name)
    value = node.value
    if isinstance(value, dict):
        separator = "." if name else ""
        value = {key: _named(each, of, f"{name}{separator}{key}") for key, each in value.items()}
    elif isinstance(value, list):
        value = [_named(each, of, _item(name, index)) for index, each in enumerate(value)]
    return ConfigNode(value, position, at, loose=value == "" or not isinstance(value, str | list | dict))


def _item(name: str, at: int) -> str:
    return f"{name}[{at}]" if name == "" or name.startswith("[") else f"{name}.{at}"
