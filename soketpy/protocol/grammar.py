"""A reader for JSON texts that msgspec does not accept although the grammar allows them (RFC 8259).

There are two kinds: half of a surrogate pair as an escape (``"\\ud83d"``, as JavaScript writes ``"😀".slice(0, 1)``),
and nesting deeper than the recursion limit. soketpy forwards a payload as unchanged text, so it accepts both. Decode a
message with msgspec; if msgspec fails, decode the message with ``reread``.
"""

import json
import math
import re
from collections.abc import Iterator
from functools import cache
from typing import NoReturn, TypeVar

import msgspec

T = TypeVar("T")

_SPACE = " \t\n\r"
_STRING = r'"[^"\\\x00-\x1f]*+(?:\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4})[^"\\\x00-\x1f]*+)*+"'
_NUMBER = r"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][-+]?[0-9]++)?"
_SCALAR = re.compile(f"{_STRING}|{_NUMBER}|true|false|null")
_SKIPPED = re.compile(f"[{_SPACE}]*+")
_OUTER_SPACE = re.compile(f"({_STRING})|[{_SPACE}]++")
_HALF = re.compile("[\ud800-\udfff]")
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})(?:\\u([dD][c-fC-F][0-9A-Fa-f]{2}))?|.)")

# One step for many brackets.
_OPENING = re.compile(rf"(?:\[[{_SPACE}]*+)++")

_MOST_DIGITS = 1_000
"""Most digits of a whole number that is decoded. Python needs much time for more."""

_MALFORMED = "JSON is malformed: "

NESTED_TOO_DEEPLY = "it is nested too deeply"


def reread(text: bytes, of: type[T], fault: Exception) -> T:
    """Decode a JSON object that msgspec did not accept because of ``fault``.

    Raises the exceptions of ``read``. The reason is msgspec's own text if that text is correct.
    """
    if isinstance(fault, msgspec.ValidationError) and "out of range" not in str(fault):
        raise fault
    try:
        return read(text, of)
    except UnicodeError:
        raise ValueError("it is not UTF-8") from None
    except ValueError:
        reason = str(fault)
        if not reason.startswith(_MALFORMED) or "surrogate" in reason or "escape" in reason:
            raise
        raise ValueError(reason.removeprefix(_MALFORMED)) from None


def read(text: bytes, of: type[T]) -> T:
    """Decode a JSON object into a struct as msgspec does, but accept everything that the grammar allows.

    A field of the type ``Raw`` gets the unchanged text of its value. Raises ValueError for a text that is not JSON or
    not an object, and msgspec's ValidationError for a value of the wrong type. Both contain the reason.
    """
    opaque = _fields(of)  # type: ignore[arg-type] # a class can be hashed
    values: dict[str, object] = {}
    for name, raw in members(text.decode()):
        if name in opaque:
            values[name] = msgspec.Raw(encoded(raw)) if opaque[name] else value(raw)
    return msgspec.convert(values, of)


@cache
def _fields(of: type) -> dict[str, bool]:
    """Return the fields of a struct. The value is True for a field that gets the text of its value."""
    return {field.encode_name: field.type is msgspec.Raw for field in msgspec.structs.fields(of)}


def members(text: str) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of the value of each member of a JSON object. Raises ValueError."""
    for name, raw in _items(text, "{"):
        assert name is not None  # noqa: S101 - every member of an object has a name
        yield name, raw


def elements(text: str) -> Iterator[str]:
    """Yield the text of each element of a JSON array. Raises ValueError."""
    for _, raw in _items(text, "["):
        yield raw


def value(text: str) -> object:
    """Decode a JSON text. A number that is too long for Python becomes infinite. Raises ValueError."""
    try:
        return json.loads(text, parse_int=_whole_number, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError(NESTED_TOO_DEEPLY) from None


def encoded(text: str) -> bytes:
    """Encode a JSON text in UTF-8. Half of a surrogate pair, which UTF-8 cannot encode, becomes an escape."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _HALF.sub(lambda half: f"\\u{ord(half[0]):04x}", text).encode()


def is_whole(text: str) -> bool:
    """Return whether a decoded string can be encoded in UTF-8: it has no half of a surrogate pair."""
    return text.isascii() or _HALF.search(text) is None


def compact(text: bytes) -> bytes:
    """Remove the white space between the tokens of a valid JSON text. The tokens do not change."""
    return _OUTER_SPACE.sub(r"\1", text.decode()).encode()


def check(text: str) -> None:
    """Check a complete JSON text. Raises ValueError with the position of the first error."""
    end = _skip(text, _space(text, 0))
    if _space(text, end) != len(text):
        _refuse(text, _space(text, end))


def is_json(text: bytes) -> bool:
    """Return whether bytes are a JSON text in UTF-8."""
    try:
        decoded = text.decode()
        try:
            msgspec.json.decode(text, type=msgspec.Raw)
        except (msgspec.DecodeError, RecursionError):
            check(decoded)
    except ValueError:
        return False
    return True


def size(text: bytes) -> int:
    """Return the size in bytes of the value of a valid JSON text in UTF-8, which does not depend on its spelling.

    The size of a string is the size of its characters, as in Pusher's limits. The size of any other value is the size
    of its text as JavaScript writes it: without white space, with an escape only where JSON requires one. White space
    is not counted, so a text that is forwarded within a limit must also be made compact.
    """
    text = text.strip()
    if text.startswith(b'"'):
        return len(str(value(text.decode())).encode("utf-8", "surrogatepass"))
    try:
        short = len(_encode(_measuring.decode(text)))
    except (msgspec.DecodeError, RecursionError, ValueError):
        short = 0
    whole = compact(text)
    if len(whole) <= _LONGEST_SPELLING * short:
        return short
    # The text has repeated names, numbers of many digits, or a part that msgspec does not decode.
    return len(_ESCAPE.sub(_shortest, whole.decode()).encode())


def _shorter_number(spelled: str) -> float:
    number = float(spelled)
    return int(number) if number.is_integer() and abs(number) < 1e21 else number


_measuring = msgspec.json.Decoder(float_hook=_shorter_number)
_encode = msgspec.json.Encoder().encode

_LONGEST_SPELLING = 6
"""Most bytes of JSON text for one byte of a value: ``\\u0041`` for ``A``."""


def _shortest(escape: re.Match[str]) -> str:
    """Return an escape as JavaScript writes it."""
    first, second = escape[1], escape[2]
    if first is None:
        return "/" if escape[0] == r"\/" else escape[0]
    one = chr(int(first, 16))
    if second is not None and "\ud800" <= one <= "\udbff":
        return json.loads(f'"{escape[0]}"', strict=False)  # type: ignore[no-any-return] # a string
    rest = "" if second is None else _shortest_of(chr(int(second, 16)))
    return _shortest_of(one) + rest


def _shortest_of(character: str) -> str:
    if "\ud800" <= character <= "\udfff":
        return f"\\u{ord(character):04x}"
    return json.dumps(character, ensure_ascii=False)[1:-1]


def _items(text: str, bracket: str) -> Iterator[tuple[str | None, str]]:
    """Yield the items of an object or array, with the names of an object's items, and check the complete text."""
    at = _space(text, 0)
    if text[at : at + 1] != bracket:
        check(text)
        raise ValueError(f"it is not {'an object' if bracket == '{' else 'an array'}")
    closing = "}" if bracket == "{" else "]"
    at = _space(text, at + 1)
    more = text[at : at + 1] != closing
    while more:
        name = None
        if bracket == "{":
            end = _name(text, at)
            name = str(value(text[at:end].rstrip(_SPACE + ":")))
            at = _space(text, end)
        end = _end(text, at)
        yield name, text[at:end]
        at = _space(text, end)
        more = text[at : at + 1] == ","
        if more:
            at = _space(text, at + 1)
    if text[at : at + 1] != closing or _space(text, at + 1) != len(text):
        _refuse(text, at if text[at : at + 1] != closing else _space(text, at + 1))


def _end(text: str, at: int) -> int:
    """Return the end of the value that begins at ``at``. Raises ValueError."""
    try:
        return _scanner.raw_decode(text, at)[1]
    except (RecursionError, ValueError):
        return _skip(text, at)


_scanner = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=lambda name: _refuse_constant(name))


def _skip(text: str, at: int) -> int:
    """Return the end of the value that begins at ``at``, at any depth of nesting. Raises ValueError."""
    opened: list[str] = []
    while True:
        # A value begins at this position.
        sign = text[at : at + 1]
        if sign == "[":
            run = _OPENING.match(text, at)
            assert run is not None  # noqa: S101 - the text has at least one bracket
            opened.extend("]" * run[0].count("["))
            at = run.end()
            if text[at : at + 1] != "]":
                continue
        elif sign == "{":
            opened.append("}")
            at = _space(text, at + 1)
            if text[at : at + 1] != "}":
                at = _space(text, _name(text, at))
                continue
        else:
            scalar = _SCALAR.match(text, at)
            if scalar is None:
                _refuse(text, at)
            at = scalar.end()
        # A value, or the inside of an empty container, ends at this position.
        while opened:
            after = _space(text, at)
            sign = text[after : after + 1]
            if sign == opened[-1]:
                opened.pop()
                at = after + 1
            elif sign == ",":
                at = _space(text, after + 1)
                if opened[-1] == "}":
                    at = _space(text, _name(text, at))
                break
            else:
                _refuse(text, after)
        else:
            return at


def _name(text: str, at: int) -> int:
    """Return the end of a member's name and colon. Raises ValueError."""
    name = _NAME.match(text, at)
    if name is None:
        _refuse(text, at)
    return name.end()


_NAME = re.compile(f"{_STRING}[{_SPACE}]*+:")


def _space(text: str, at: int) -> int:
    skipped = _SKIPPED.match(text, at)
    assert skipped is not None  # noqa: S101 - the pattern also matches no space
    return skipped.end()


def _whole_number(digits: str) -> float:
    return int(digits) if len(digits) <= _MOST_DIGITS else math.inf


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"there is no {name} in JSON")


def _refuse(text: str, at: int) -> NoReturn:
    if at >= len(text):
        raise ValueError("it is truncated")
    raise ValueError(f"invalid character or value (byte {len(text[:at].encode('utf-8', 'surrogatepass'))})")
