"""The webhooks of an app in soketi's form, which differs from ours in the settings of Lambda functions only."""

from dataclasses import replace

from soketpy.config.json_tree import parse_json
from soketpy.config.tree import ConfigNode, Position
from soketpy.config.values import QUOTED, is_quoted
from soketpy.core.fields import fields_of
from soketpy.core.webhooks import Webhook

LAMBDA = "lambda"


def soketis_webhooks(node: ConfigNode, position: Position, path: str, ignored: list[str]) -> ConfigNode:
    """Return the list of webhooks in our form, with soketi's names in its positions. ``path`` is the name of the list.

    A text is the JSON of the list. Webhooks without event types, which soketi never sends, and settings of Lambda
    functions without effect here are left out, and their names are appended to ``ignored``.
    """
    if is_quoted(node):
        raise position.error(path, QUOTED)
    if isinstance(node.value, str):
        node = parse_json(node.value, position.source, lines=False)
    own = "" if position.name == "" else path
    named = _named(replace(node, position=position), position, own)
    if not isinstance(named.value, list):
        return named
    source = f"{position.source} " if own == "" else ""
    items = []
    for at, item in enumerate(named.value):
        if isinstance(item.value, dict) and (types := item.value.get("event_types")) is not None and types.value == []:
            ignored.append(source + _item(own, at))
        elif isinstance(item.value, dict):
            items.append(replace(item, value=_flat(item.value, source, ignored)))
        else:
            items.append(item)
    return replace(named, value=items)


def _flat(table: dict[str, ConfigNode], source: str, ignored: list[str]) -> dict[str, ConfigNode]:
    """Return the table of a webhook with the settings of its Lambda function among the others, as ours are."""
    nested = table.get(LAMBDA)
    if nested is None or not isinstance(nested.value, dict):
        return table
    flat = {name: each for name, each in table.items() if name != LAMBDA}
    for name, each in nested.value.items():
        if (ours := f"{LAMBDA}_{name}") in fields_of(Webhook):
            flat[ours] = each
        else:
            ignored.append(source + str(each.at.name))
    return flat


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
    return ConfigNode(value, position, at, loose=not isinstance(value, str | list | dict))


def _item(name: str, at: int) -> str:
    return f"{name}[{at}]" if name == "" or name.startswith("[") else f"{name}.{at}"
