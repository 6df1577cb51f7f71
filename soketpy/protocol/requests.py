"""The head of an HTTP request as Pusher's libraries send it; anything unusual is left to a full parser."""

import re
from functools import lru_cache
from urllib.parse import parse_qsl

import msgspec

_REQUEST = re.compile(rb"(GET|HEAD|POST|OPTIONS) (/[!-~]*) HTTP/1\.1")
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"[\t -~\x80-\xff]*")
_LENGTH = re.compile(r"[0-9]{1,9}")

HEAD_LIMIT = 8 * 1024
"""Bytes of a head that is plain."""

_MOST_HEADERS = 100

_MOST_PARAMETERS = 1_000

_REMEMBERED = 128

_UNUSUAL = frozenset({"connection", "content-encoding", "expect", "transfer-encoding", "te", "trailer", "upgrade"})


class Request(msgspec.Struct, frozen=True):
    """A plain request: header names in lower case, and how many bytes of body follow. The headers are shared."""

    method: str
    target: str
    headers: dict[str, str]
    length: int


def parse_request(head: bytes) -> Request | None:
    """Read the head, without the empty line that ends it; None for all that is not plain.

    Plain is HTTP/1.1 that stays open after the answer: no header twice, a body of a stated length, no transfer coding,
    no upgrade, nothing expected. So two parsers can never disagree on where a request ends.
    """
    if len(head) > HEAD_LIMIT:
        return None
    line, _, block = head.partition(b"\r\n")
    request, headers = _REQUEST.fullmatch(line), _parse_headers(block)
    if request is None or headers is None:
        return None
    return Request(request[1].decode(), request[2].decode(), headers, int(headers.get("content-length", "0")))


@lru_cache(_REMEMBERED)
def _parse_headers(block: bytes) -> dict[str, str] | None:
    """The headers of a plain request; a publisher sends much the same with each, so that those of late are kept."""
    lines = block.decode("latin-1").split("\r\n")
    if len(lines) > _MOST_HEADERS:
        return None
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            return None
        name = name.lower()
        if name in headers:
            return None
        headers[name] = value.strip(" \t")
    if headers.get("connection", "").lower() == "keep-alive":
        del headers["connection"]
    if not _LENGTH.fullmatch(headers.get("content-length", "0")) or "host" not in headers:
        return None
    return headers if _UNUSUAL.isdisjoint(headers) else None


def parse_query(query: str) -> list[tuple[str, str]]:
    """The decoded parameters of a query or a form. Raises ValueError for one with more than a thousand."""
    if not query:
        return []
    if "%" not in query and "+" not in query and query.count("&") < _MOST_PARAMETERS:
        # As Pusher's libraries send it; the same as below, several times faster.
        return [(name, value) for name, _, value in [pair.partition("=") for pair in query.split("&") if pair]]
    return parse_qsl(query, keep_blank_values=True, max_num_fields=_MOST_PARAMETERS)
