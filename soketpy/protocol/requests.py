"""The head of an HTTP request as Pusher's libraries send it; anything unusual is left to a full parser."""

import re
from functools import lru_cache
from urllib.parse import parse_qsl

import msgspec

_REQUEST = re.compile(rb"(GET|HEAD|POST|OPTIONS) (/[!-~]*) HTTP/1\.1")
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"[\t -~\x80-\xff]*")
_LENGTH = re.compile(r"[0-9]{1,9}")

HEAD_LIMIT = 16 * 1024
"""Bytes that the head of a request may have, on a new connection and on one that has served requests."""

MOST_HEADERS = 128
"""Headers that a request may have."""

HEAD_TOO_LONG = f"The head of a request may have {HEAD_LIMIT} bytes and {MOST_HEADERS} headers at most."
"""The reason for refusing a request with 431."""

_MOST_PARAMETERS = 1_000

_REMEMBERED = 128

_UNUSUAL = frozenset({"connection", "content-encoding", "expect", "transfer-encoding", "te", "trailer"})

# Connection options that change nothing: the connection stays open, and an upgrade may be ignored (RFC 9110, 7.8).
_IGNORED_OPTIONS = frozenset({"keep-alive", "upgrade", "http2-settings"})


class Request(msgspec.Struct, frozen=True):
    """A plain request: header names in lower case, and how many bytes of body follow. The headers are shared."""

    method: str
    target: str
    headers: dict[str, str]
    length: int


def parse_request(head: bytes) -> Request | None:
    """Read the head, without the empty line that ends it; None for all that is not plain.

    Plain is HTTP/1.1 that stays open after the answer: no header twice, a body of a stated length, no transfer coding,
    no upgrade but one that may be ignored, nothing expected. So two parsers can never disagree on where a request ends.
    """
    line, _, block = head.partition(b"\r\n")
    request, headers = _REQUEST.fullmatch(line), _parse_headers(block)
    if request is None or headers is None:
        return None
    return Request(request[1].decode(), request[2].decode(), headers, int(headers.get("content-length", "0")))


@lru_cache(_REMEMBERED)
def _parse_headers(block: bytes) -> dict[str, str] | None:
    """The headers of a plain request; a publisher sends much the same with each, so that those of late are kept."""
    lines = block.decode("latin-1").split("\r\n")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            return None
        name = name.lower()
        if name in headers:
            return None
        headers[name] = value.strip(" \t")
    if "connection" in headers and _IGNORED_OPTIONS.issuperset(tokens(headers["connection"])):
        del headers["connection"]
    if "websocket" in tokens(headers.get("upgrade", "")):
        return None
    if not _LENGTH.fullmatch(headers.get("content-length", "0")) or "host" not in headers:
        return None
    return headers if _UNUSUAL.isdisjoint(headers) else None


def head_end(received: bytes) -> int:
    """Return where the head of a request ends, or -1 while its end has not come.

    Raise ValueError for a head of more than HEAD_LIMIT bytes, the empty line not counted, or MOST_HEADERS headers.
    """
    end = received.find(b"\r\n\r\n", 0, HEAD_LIMIT + 4)
    if end < 0 and len(received) - 3 <= HEAD_LIMIT:
        return end
    if end < 0 or received.count(b"\n", 0, end) > MOST_HEADERS:
        raise ValueError(HEAD_TOO_LONG)
    return end


def tokens(value: str) -> list[str]:
    """Return the options that a header lists, in lower case."""
    if "," not in value:
        return [value.strip(" \t").lower()]
    return [token.strip(" \t").lower() for token in value.split(",")]


def bare_path(path: str, prefix: str) -> str:
    """Return the path without the configured prefix, which a proxy may have removed already.

    The prefix alone is the path ``/``. A client whose own prefix ends with a slash sends two slashes after it.
    """
    if not prefix:
        return path
    if path == prefix:
        return "/"
    bare = path.removeprefix(prefix) if path.startswith(prefix + "/") else path
    return "/" + bare.lstrip("/") if bare.startswith("//") else bare


def parse_query(query: str, *, plus_is_space: bool = True) -> list[tuple[str, str]]:
    """The decoded parameters of a query or a form. Raises ValueError for one with more than a thousand.

    Pusher's libraries for PHP, Go, Node.js and Python send values as they are, so that a plus may mean a plus.
    """
    if not plus_is_space:
        query = query.replace("+", "%2B")
    if not query:
        return []
    if "%" not in query and "+" not in query and query.count("&") < _MOST_PARAMETERS:
        # As Pusher's libraries send it; the same as below, several times faster.
        return [(name, value) for name, _, value in [pair.partition("=") for pair in query.split("&") if pair]]
    return parse_qsl(query, keep_blank_values=True, max_num_fields=_MOST_PARAMETERS)
