"""The head of an HTTP request: parsed by llhttp, the parser of Node.js, through ``httptools``.

A publisher sends nearly the same header fields with each request, so the fields of recent requests are remembered: only
the request line is read anew.
"""

import re
from functools import lru_cache
from urllib.parse import parse_qsl

import httptools
import msgspec

_USUAL_LINE = re.compile(rb"(GET|HEAD|POST|OPTIONS) (/[!-~]*) HTTP/1\.1")

HEAD_LIMIT = 16 * 1024
"""The most bytes that the head of a request may have, on a new connection and on a used one."""

MOST_HEADERS = 128
"""The most header fields that a request may have."""

HEAD_TOO_LONG = f"The head of a request may have {HEAD_LIMIT} bytes and {MOST_HEADERS} headers at most."
"""The reason for refusing a request with 431."""

_MOST_PARAMETERS = 1_000

_REMEMBERED = 128


class BadRequest(ValueError):
    """Bytes that are not an HTTP request, and the reason."""


class TooManyParameters(ValueError):
    """A query or a form with more than a thousand parameters."""


class Fields(msgspec.Struct, frozen=True):
    """The header fields of a request, and their meaning for the connection. Requests share them: do not change them.

    Names are in lower case; values of the same name are joined with a comma. ``length`` is the size of the body in
    bytes, and None for a chunked body.
    """

    headers: dict[str, str]
    length: int | None = 0
    closes: bool = False
    expects_continue: bool = False
    websocket: bool = False


class Head(msgspec.Struct, frozen=True):
    """The head of a request. If it ``closes``, the connection ends after the answer."""

    method: str
    target: str
    fields: Fields
    closes: bool = False
    version: str = "1.1"


def parse_head(head: bytes) -> Head:
    """Parse the head of a request, without the empty line that ends it. Raises BadRequest."""
    line, _, block = head.partition(b"\r\n")
    usual = _USUAL_LINE.fullmatch(line)
    if usual is None:
        return parse_unusual_head(head)
    fields = _remembered_fields(block)
    return Head(usual[1].decode(), usual[2].decode(), fields, fields.closes)


@lru_cache(_REMEMBERED)
def _remembered_fields(block: bytes) -> Fields:
    return parse_unusual_head(b"POST / HTTP/1.1\r\n" + block).fields


def parse_unusual_head(head: bytes) -> Head:
    """Parse a head without remembering its fields, such as those of a WebSocket handshake. Raises BadRequest."""
    found = _Found()
    parser = httptools.HttpRequestParser(found)
    try:
        parser.feed_data(head.removesuffix(b"\r\n") + b"\r\n\r\n")
    except httptools.HttpParserUpgrade:
        pass  # the request asks for another protocol, which the server may ignore (RFC 9110, section 7.8)
    except httptools.HttpParserError as fault:
        raise BadRequest(str(fault)) from None
    version, method = parser.get_http_version(), parser.get_method().decode()
    if (
        not head.lstrip(b"\r\n").partition(b"\r\n")[0].endswith((b" HTTP/1.0", b" HTTP/1.1"))
    ):  # llhttp also knows RTSP and ICE
        raise BadRequest("Invalid HTTP version")
    if method == "CONNECT":  # a success would open a tunnel (RFC 9110, section 9.3.6)
        raise BadRequest("CONNECT is a request to a proxy")
    fields, target = _meaning(found.fields), found.target.decode("latin-1")
    return Head(method, target, fields, fields.closes or version == "1.0", version)


class _Found:
    """Receives the parts of a head from the parser."""

    def __init__(self) -> None:
        self.target = b""
        self.fields: list[tuple[bytes, bytes]] = []

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))


def _meaning(fields: list[tuple[bytes, bytes]]) -> Fields:
    """Return the fields of a request whose framing the parser has checked. Raises BadRequest."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in fields:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1").strip(" \t")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    # The parser has checked the digits. Python converts 4,300 digits at most, but all except 20 are leading zeros.
    length: int | None = int(headers.get("content-length", "").lstrip("0") or 0)
    if "transfer-encoding" in headers:
        if tokens(headers["transfer-encoding"]) != ["chunked"]:
            raise BadRequest("The only known Transfer-Encoding is chunked")
        length = None
    return Fields(
        headers,
        length,
        "close" in tokens(headers.get("connection", "")),
        headers.get("expect", "").lower() == "100-continue",
        "websocket" in tokens(headers.get("upgrade", "")),
    )


def head_end(received: bytes) -> int:
    """Return the position at which the head of a request ends, or -1 if its end has not arrived.

    Raises ValueError for more than HEAD_LIMIT bytes, without the empty line, or more than MOST_HEADERS headers.
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
    """Return the decoded parameters of a query or a form. Raises TooManyParameters.

    Pusher's libraries for PHP, Go, Node.js and Python do not encode values, so a plus may mean a plus.
    """
    if not plus_is_space:
        query = query.replace("+", "%2B")
    if not query:
        return []
    if "%" not in query and "+" not in query and query.count("&") < _MOST_PARAMETERS:
        # As Pusher's libraries send a query; the result is the same as below, several times faster.
        return [(name, value) for name, _, value in [pair.partition("=") for pair in query.split("&") if pair]]
    try:
        return parse_qsl(query, keep_blank_values=True, max_num_fields=_MOST_PARAMETERS)
    except ValueError:
        raise TooManyParameters from None
