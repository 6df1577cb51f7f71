"""The bytes of HTTP/1.1 answers."""

import time
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

from soketpy.web.answers import FAILED, Reply

_STATUS_LINES = {status: f"HTTP/1.1 {int(status)} {status.phrase}\r\n" for status in HTTPStatus}


def encode(reply: Reply, *, with_body: bool) -> bytes:
    """Return the bytes of an answer."""
    body = reply.body
    lines = [_STATUS_LINES[reply.status], *[f"{name}: {value}\r\n" for name, value in reply.headers.items()]]
    lines.append(_date(int(time.time())))
    if body is None:
        return "".join([*lines, "\r\n"]).encode()
    head = "".join([*lines, f"Content-Length: {len(body)}\r\n\r\n"]).encode()
    return head + body if with_body else head


def failure(*, with_body: bool) -> bytes:
    """Return the bytes of the answer to a request whose answer cannot be made."""
    body = FAILED.body or b""
    lines = [_STATUS_LINES[FAILED.status], *[f"{name}: {value}\r\n" for name, value in FAILED.headers.items()]]
    head = "".join([*lines, f"Content-Length: {len(body)}\r\n\r\n"]).encode()
    return head + body if with_body else head


@lru_cache(maxsize=1)
def _date(now: int) -> str:
    """Return the Date header of this second (RFC 9110, section 6.6.1)."""
    return f"Date: {formatdate(now, usegmt=True)}\r\n"
