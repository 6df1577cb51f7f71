"""A reader of JSON (RFC 8259) that remembers the line of every value. The standard library parses the scalars."""

import json
import re
from bisect import bisect_right

from soketpy.config.errors import ConfigError
from soketpy.config.tree import DEEPEST, ConfigNode, Position, Scalar, add

_SPACE = re.compile(r"[ \t\r\n]*")
_CLOSING = {"{": "}", "[": "]"}


def parse_json(text: str, source: str, *, lines: bool = True) -> ConfigNode:
    """Return the value of a JSON text. Without ``lines``, positions have the source only, as for a variable.

    Raise ConfigError for text that is not JSON, a name given twice, or too deep nesting.
    """
    reader = _Reader(text, source, lines)
    node = reader.node()
    if reader.peek():
        raise reader.error("something follows the end of the value")
    return node


class _Reader:
    def __init__(self, text: str, source: str, lines: bool) -> None:
        self._text, self._source, self._at = text, source, 0
        self._starts = [found.end() for found in re.finditer("\n", text)] if lines else None
        self._scalars = json.JSONDecoder(parse_constant=_refuse)

    def peek(self) -> str:
        """Skip white space. Return the next character, or an empty text at the end."""
        self._at = _SPACE.match(self._text, self._at).end()  # type: ignore[union-attr] # matches everywhere
        return self._text[self._at : self._at + 1]

    def node(self, name_position: Position | None = None, depth: int = 0) -> ConfigNode:
        opening, position = self.peek(), self._position()
        if depth > DEEPEST:
            raise position.error("", "nested too deeply")
        if opening not in _CLOSING:
            return ConfigNode(self._scalar(), position, name_position)
        closing, table, items = _CLOSING[opening], dict[str, ConfigNode](), list[ConfigNode]()
        self._at += 1
        more = self.peek() != closing
        while more:
            if opening == "{":
                found_at, name = self._position(), self._name()
                add(table, name, self.node(found_at, depth + 1))
            else:
                items.append(self.node(None, depth + 1))
            after = self.peek()
            if after not in (",", closing):
                raise self.error(f"expected ',' or '{closing}'")
            if more := after == ",":
                self._at += 1
                self.peek()
        self._at += 1
        return ConfigNode(table if opening == "{" else items, position, name_position)

    def _name(self) -> str:
        if self.peek() != '"':
            raise self.error("expected a name in double quotes")
        name = self._scalar()
        if self.peek() != ":":
            raise self.error("expected ':' after a name")
        self._at += 1
        return str(name)

    def _scalar(self) -> Scalar:
        try:
            value, self._at = self._scalars.raw_decode(self._text, self._at)
        except json.JSONDecodeError as error:
            self._at = error.pos
            raise self.error(error.msg.lower()) from None
        except ValueError:  # NaN, Infinity, or more digits than Python converts to a number
            raise self.error("not a number that JSON has") from None
        scalar: Scalar = value
        return scalar

    def _position(self) -> Position:
        return Position(self._source, None if self._starts is None else bisect_right(self._starts, self._at) + 1)

    def error(self, problem: str) -> ConfigError:
        return self._position().error("", f"not valid JSON: {problem}")


def _refuse(constant: str) -> None:
    raise ValueError(constant)
