"""YAML with the line of every value, read from PyYAML's events.

Plain values mean what YAML 1.2's core schema says: ``yes`` and ``12:30`` are text, ``0123`` is no number. Aliases and
tags are refused, so that no file grows when it is read and none makes an object.
"""

import re
from collections.abc import Iterator

import yaml

from soketpy.config.errors import ConfigError, quote
from soketpy.config.tree import Entry, Listing, Node, Place, Scalar, Table

DEEPEST = 32
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]{0,99})")
_REAL = re.compile(
    r"[-+]?(([0-9]{1,99}\.[0-9]{0,99}|\.[0-9]{1,99})([eE][-+]?[0-9]{1,9})?|[0-9]{1,99}[eE][-+]?[0-9]{1,9})"
)


def parse_yaml(text: str, source: str) -> Node | None:
    """The value that the text is, or None where it holds nothing but comments.

    Raises ConfigError for text that is not YAML, a name given twice, an alias, a tag, a second document, or nesting
    deeper than any setting is.
    """
    try:
        return _Reader(yaml.parse(text, Loader=LOADER), source).document()
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise Place(source, line).error("", "not valid YAML: a character that YAML does not allow") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = error.problem or error.context or "not understood"
        if problem.startswith("mapping values are not allowed"):
            problem += "; a text that ends with a colon, or has a colon and a space in it, must be in quotes"
        place = Place(source, mark.line + 1 if mark else None)
        raise place.error("", f"not valid YAML: {problem}") from None
    except (yaml.YAMLError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        raise Place(source).error("", "not valid YAML") from None


class _Reader:
    def __init__(self, events: Iterator[yaml.Event], source: str) -> None:
        self._events = events
        self._source = source

    def document(self) -> Node | None:
        next(self._events)
        event = next(self._events)
        if isinstance(event, yaml.StreamEndEvent):
            return None
        node = self._node(next(self._events), 0)
        next(self._events)
        event = next(self._events)
        if not isinstance(event, yaml.StreamEndEvent):
            raise self._place(event).error("", "a second document begins; a configuration is one")
        if isinstance(node, Scalar) and node.value is None:
            return None
        return node

    def _node(self, event: yaml.Event, depth: int) -> Node:
        place = self._place(event)
        if isinstance(event, yaml.AliasEvent):
            raise place.error("", "aliases (*name) are not understood here; write the value out")
        if not isinstance(event, yaml.ScalarEvent | yaml.MappingStartEvent | yaml.SequenceStartEvent):
            raise place.error("", "not valid YAML")
        if event.tag is not None:
            raise place.error("", "tags (!name) are not understood here")
        if depth > DEEPEST:
            raise place.error("", "nested too deeply")
        if isinstance(event, yaml.MappingStartEvent):
            return self._table(place, depth)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._listing(place, depth)
        return Scalar(_plain(event.value) if event.implicit[0] else event.value, place)

    def _listing(self, place: Place, depth: int) -> Listing:
        items: list[Node] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(event, depth + 1))
        return Listing(tuple(items), place)

    def _table(self, place: Place, depth: int) -> Table:
        entries: dict[str, Entry] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            here = self._place(event)
            if not isinstance(event, yaml.ScalarEvent) or event.tag is not None:
                raise here.error("", "the name of a setting must be text")
            name = event.value
            if name in entries:
                raise here.error(quote(name), f"given twice, first at {entries[name].place}")
            entries[name] = Entry(here, self._node(next(self._events), depth + 1))
        return Table(entries, place)

    def _place(self, event: yaml.Event) -> Place:
        return Place(self._source, event.start_mark.line + 1 if event.start_mark else None)


def _plain(text: str) -> bool | int | float | str | None:
    if text in _WORDS:
        return _WORDS[text]
    if _WHOLE.fullmatch(text):
        return int(text)
    if _REAL.fullmatch(text):
        return float(text)
    return text
