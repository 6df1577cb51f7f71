"""The extra headers of a webhook. Their values are secrets, so no ``repr`` and no error shows them."""

import re
from collections.abc import Iterator, Mapping

from soketpy.core.fields import shown

MOST = 32
"""Headers that one webhook may have."""

LONGEST = 4096
"""Characters that the value of a header may have."""

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")
_VALUE = re.compile(r"[!-~]([ -~]*[!-~])?")
_OURS = (
    *("host", "content-length", "content-type", "content-encoding", "transfer-encoding", "expect"),
    *("connection", "keep-alive", "proxy-connection", "te", "trailer", "upgrade"),
)
_OUR_PREFIXES = ("x-pusher-", "x-soketpy-")


class Headers(Mapping[str, str]):
    """A mapping that never changes and can be hashed, and whose ``repr`` shows the names only."""

    __slots__ = ("_values",)

    def __init__(self, given: Mapping[str, str] | None = None) -> None:
        self._values = dict(given or {})

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __hash__(self) -> int:
        return hash(frozenset(self._values.items()))

    def __repr__(self) -> str:
        return f"Headers({', '.join(self._values)})"


def name_problem(name: str) -> str | None:
    """Return what is wrong with the name of a header (RFC 9110, section 5.6.2), as a part of a sentence, or None."""
    if not _NAME.fullmatch(name):
        return "is not the name of a header"
    if name.lower() in _OURS or name.lower().startswith(_OUR_PREFIXES):
        return "is set by the server itself"
    return None


def value_problem(value: str) -> str | None:
    """Return what is wrong with the value of a header, without the value, or None."""
    if value == "":
        return "must not be empty"
    if len(value) > LONGEST:
        return f"must have at most {LONGEST} characters"
    if not _VALUE.fullmatch(value):
        return "must be printable ASCII characters, without a space at its beginning or end"
    return None


def headers_of(given: Mapping[str, str], name: str) -> Headers:
    """Return the headers of a mapping. ``name`` is that of the mapping in an error.

    Raise TypeError for a name or a value that is not a str. Raise ValueError for a name or a value that no request can
    have, for a header of the server's own, for names that differ in case only, and for too many headers.
    """
    seen: set[str] = set()
    for header, value in given.items():
        if not isinstance(header, str) or not isinstance(value, str):
            raise TypeError(f"{name} must be a mapping of str to str")
        if (problem := name_problem(header)) is not None:
            raise ValueError(f"{name}: {shown(header)} {problem}")
        if (problem := value_problem(value)) is not None:
            raise ValueError(f"{name}[{shown(header)}] {problem}")
        if header.lower() in seen:
            raise ValueError(f"{name}: {shown(header)} is given twice")
        seen.add(header.lower())
    if len(seen) > MOST:
        raise ValueError(f"{name} must have at most {MOST} headers")
    return Headers(given)
