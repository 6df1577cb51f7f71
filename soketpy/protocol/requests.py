"""The head of an HTTP request as Pusher's libraries send it; anything unusual is left to a full parser."""

import re
from dataclasses import dataclass

_REQUEST = re.compile(r"(GET|HEAD|POST|OPTIONS) (/[!-~]*) HTTP/1\.1")
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"[\t -~\x80-\xff]*")
_LENGTH = re.compile(r"[0-9]{1,9}")

HEAD_LIMIT = 8 * 1024
"""Bytes of a head that is plain."""

_MOST_HEADERS = 100

_UNUSUAL = frozenset({"connection", "content-encoding", "expect", "transfer-encoding", "te", "trailer", "upgrade"})


@dataclass(frozen=True, slots=True)
class Request:
    """A plain request: header names in lower case, and how many bytes of body follow."""

    method: str
    target: str
    headers: dict[str, str]
    length: int


def parse_request(head: bytes) -> Request | None:
    """Read the head, without the empty line that ends it; None for all that is not plain.

    Plain is HTTP/1.1 that stays open after the answer: no header twice, a body of a stated length, no transfer coding,
    no upgrade, nothing expected. So two parsers can never disagree on where a request ends.
    """
    request, *lines = head.decode("latin-1").split("\r\n")
    found = _REQUEST.fullmatch(request)
    if found is None or len(head) > HEAD_LIMIT or len(lines) > _MOST_HEADERS:
        return None
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            return None
        name = name.lower()
        if name in headers:
            return None
        headers[name] = value.strip()
    if headers.get("connection", "").lower() == "keep-alive":
        del headers["connection"]
    length = headers.get("content-length", "0")
    if not _LENGTH.fullmatch(length) or "host" not in headers or not _UNUSUAL.isdisjoint(headers):
        return None
    return Request(found[1], found[2], headers, int(length))
