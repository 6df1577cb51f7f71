"""A reader of YAML that remembers the line of every value. It reads PyYAML's events.

Plain values have the meaning of YAML 1.2's core schema: ``yes`` and ``12:30`` are text, ``0123`` is not a number.
Aliases and tags are errors, so that a small file cannot expand to a large value or create objects.
"""

import re
from collections.abc import Iterator

import yaml

from soketpy.config.errors import ConfigError
from soketpy.config.tree import DEEPEST, ConfigNode, Position, Scalar, add

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_QUOTED = re.compile(r"'[^']{4,}'|\"[^\"]{4,}\"")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]{0,99})")
_REAL = re.compile(
    r"[-+]?(([0-9]{1,99}\.[0-9]{0,99}|\.[0-9]{1,99})([eE][-+]?[0-9]{1,9})?|[0-9]{1,99}[eE][-+]?[0-9]{1,9})"
)


def parse_yaml(text: str, source: str) -> ConfigNode | None:
    """Return the value of a YAML text, or None if it has nothing but comments.

    Raise ConfigError for text that is not YAML, a name given twice, an alias, a tag, a second document, or too deep
    nesting.
    """
    try:
        return _document(yaml.parse(text, Loader=LOADER), source)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise Position(source, line).error("", "not valid YAML: a character that YAML does not allow") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        # PyYAML quotes a part of the text, which may be a secret, such as the name of a tag.
        problem = _QUOTED.sub("(hidden)", error.problem or error.context or "not understood")
        if problem.startswith("mapping values are not allowed"):
            problem += "; a text that ends with a colon, or has a colon and a space in it, must be in quotes"
        raise Position(source, mark.line + 1 if mark else None).error("", f"not valid YAML: {problem}") from None
    except (yaml.YAMLError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        raise Position(source).error("", "not valid YAML") from None


def _document(events: Iterator[yaml.Event], source: str) -> ConfigNode | None:
    next(events)
    if isinstance(next(events), yaml.StreamEndEvent):
        return None
    node = _node(next(events), events, source)
    next(events)
    event = next(events)
    if not isinstance(event, yaml.StreamEndEvent):
        raise _position(event, source).error("", "a second document begins; a configuration is one")
    return None if node.value is None else node


def _node(
    event: yaml.Event, events: Iterator[yaml.Event], source: str, depth: int = 0, name_position: Position | None = None
) -> ConfigNode:
    position = _position(event, source)
    if isinstance(event, yaml.AliasEvent):
        raise position.error("", "aliases (*name) are not understood here; write the value out")
    if not isinstance(event, yaml.ScalarEvent | yaml.MappingStartEvent | yaml.SequenceStartEvent):
        raise position.error("", "not valid YAML")
    if event.tag is not None:
        raise position.error("", "tags (!name) are not understood here")
    if depth > DEEPEST:
        raise position.error("", "nested too deeply")
    if isinstance(event, yaml.ScalarEvent):
        return ConfigNode(_plain(event.value) if event.implicit[0] else event.value, position, name_position)
    if isinstance(event, yaml.SequenceStartEvent):
        items: list[ConfigNode] = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            items.append(_node(event, events, source, depth + 1))
        return ConfigNode(items, position, name_position)
    table: dict[str, ConfigNode] = {}
    while not isinstance(event := next(events), yaml.MappingEndEvent):
        found_at = _position(event, source)
        if not isinstance(event, yaml.ScalarEvent) or event.tag is not None:
            raise found_at.error("", "the name of a setting must be text")
        add(table, event.value, _node(next(events), events, source, depth + 1, found_at))
    return ConfigNode(table, position, name_position)


def _position(event: yaml.Event, source: str) -> Position:
    return Position(source, event.start_mark.line + 1 if event.start_mark else None)


def _plain(text: str) -> Scalar:
    if text in _WORDS:
        return _WORDS[text]
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _REAL.fullmatch(text) else text
