"""JSON (RFC 8259) with the line of every value: the standard library reads scalars, this module keeps places."""

import json
import re
from bisect import bisect_right

from soketpy.config.errors import ConfigError, quote
from soketpy.config.tree import Entry, Listing, Node, Place, Scalar, Table

DEEPEST = 32
_SPACE = re.compile(r"[ \t\r\n]*")


def parse_json(text: str, source: str, *, lines: bool = True) -> Node:
    """The value that the whole text is; without ``lines`` places have the source only, as for a variable.

    Raises ConfigError for text that is not JSON, a name given twice, or nesting deeper than any setting is.
    """
    return _Reader(text, source, lines).document()


class _Reader:
    def __init__(self, text: str, source: str, lines: bool) -> None:
        self._text = text
        self._source = source
        self._starts = [found.end() for found in re.finditer("\n", text)] if lines else None
        self._scalars = json.JSONDecoder(parse_constant=_refuse)

    def document(self) -> Node:
        node, end = self._node(self._skip(0), 0)
        end = self._skip(end)
        if end != len(self._text):
            raise self._broken(end, "something follows the end of the value")
        return node

    def _node(self, at: int, depth: int) -> tuple[Node, int]:
        if depth > DEEPEST:
            raise self._place(at).error("", "nested too deeply")
        match self._text[at : at + 1]:
            case "{":
                return self._table(at, depth)
            case "[":
                return self._listing(at, depth)
        return self._scalar(at)

    def _scalar(self, at: int) -> tuple[Scalar, int]:
        try:
            value, end = self._scalars.raw_decode(self._text, at)
        except json.JSONDecodeError as error:
            raise self._broken(error.pos, error.msg.lower()) from None
        except ValueError:  # NaN, Infinity, or more digits than Python turns into a number
            raise self._broken(at, "not a number that JSON has") from None
        return Scalar(value, self._place(at)), end

    def _listing(self, at: int, depth: int) -> tuple[Listing, int]:
        items: list[Node] = []
        here = self._skip(at + 1)
        if self._text[here : here + 1] == "]":
            return Listing((), self._place(at)), here + 1
        while True:
            item, here = self._node(here, depth + 1)
            items.append(item)
            here, more = self._after_item(here, "]")
            if not more:
                return Listing(tuple(items), self._place(at)), here

    def _table(self, at: int, depth: int) -> tuple[Table, int]:
        entries: dict[str, Entry] = {}
        here = self._skip(at + 1)
        if self._text[here : here + 1] == "}":
            return Table(entries, self._place(at)), here + 1
        while True:
            place = self._place(here)
            name, here = self._name(here)
            node, here = self._node(here, depth + 1)
            if name in entries:
                raise place.error(quote(name), f"given twice, first at {entries[name].place}")
            entries[name] = Entry(place, node)
            here, more = self._after_item(here, "}")
            if not more:
                return Table(entries, self._place(at)), here

    def _name(self, at: int) -> tuple[str, int]:
        if self._text[at : at + 1] != '"':
            raise self._broken(at, "expected a name in double quotes")
        name, end = self._scalar(at)
        end = self._skip(end)
        if self._text[end : end + 1] != ":":
            raise self._broken(end, "expected ':' after a name")
        return str(name.value), self._skip(end + 1)

    def _after_item(self, at: int, closing: str) -> tuple[int, bool]:
        at = self._skip(at)
        match self._text[at : at + 1]:
            case ",":
                return self._skip(at + 1), True
            case found if found == closing:
                return at + 1, False
        raise self._broken(at, f"expected ',' or '{closing}'")

    def _skip(self, at: int) -> int:
        found = _SPACE.match(self._text, at)
        return found.end() if found else at

    def _place(self, at: int) -> Place:
        return Place(self._source, None if self._starts is None else bisect_right(self._starts, at) + 1)

    def _broken(self, at: int, problem: str) -> ConfigError:
        return self._place(at).error("", f"not valid JSON: {problem}")


def _refuse(constant: str) -> None:
    raise ValueError(constant)
