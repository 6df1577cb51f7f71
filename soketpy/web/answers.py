"""Answers to HTTP requests: their content, and the form in which they are sent."""

import re
from http import HTTPStatus

import msgspec

from soketpy.web.errors import RequestError, stopping, unavailable

_encode = msgspec.json.encode

TEXT, JSON = "text/plain; charset=utf-8", "application/json"

SOFTWARE = "soketpy"
"""The value of the Server header."""

_FAULT = "The server failed to serve this request."


class Answer(msgspec.Struct):
    """A text, or a value that is sent as JSON; and headers besides those of CORS.

    ``received`` is the size of the call's body in bytes. It is None if the signature of the call is invalid or was not
    checked: such a call is not counted.
    """

    value: object
    status: HTTPStatus = HTTPStatus.OK
    headers: dict[str, str] = {}
    received: int | None = None


class Reply(msgspec.Struct):
    """An answer in the form in which it is sent; ``body`` is None for an answer without one."""

    status: HTTPStatus
    headers: dict[str, str]
    body: bytes | None = None

    def announce_close(self) -> None:
        """Announce that the connection is closed after this answer."""
        options = self.headers.get("Connection")
        if options != "close":
            self.headers["Connection"] = f"{options}, close" if options else "close"


def refused(fault: RequestError) -> Answer:
    """Return the answer for an error."""
    return Answer({"error": fault.message, "code": int(fault.status)}, fault.status, fault.headers)


def failed() -> Answer:
    """Return the answer to a request that the server failed to serve."""
    return refused(RequestError(HTTPStatus.INTERNAL_SERVER_ERROR, _FAULT))


FAILED = Reply(
    HTTPStatus.INTERNAL_SERVER_ERROR,
    {"Access-Control-Allow-Origin": "*", "Content-Type": JSON},
    _encode({"error": _FAULT, "code": 500}),
)
"""The reply for a request whose answer cannot be made."""


def readiness(draining: bool, available: bool) -> Answer:
    """Return the answer to ``/ready``, which is the same on all ports."""
    if draining:
        return refused(stopping())
    return Answer("OK") if available else refused(unavailable())


def malformed(status: HTTPStatus, reason: str) -> Reply:
    """Return the reply to bytes that are not an HTTP request."""
    answer = refused(RequestError(status, reason))
    headers = {"Access-Control-Allow-Origin": "*", "Content-Type": JSON, "Server": SOFTWARE}
    return Reply(answer.status, headers, _encode(answer.value))


def not_http(found: str | None) -> str:
    """Return the reason for a 400 to a request that is not HTTP, with the first line of what the parser found."""
    if not found:
        return "The request is not valid HTTP."
    return f"The request is not valid HTTP: {found.splitlines()[0].rstrip(':')}."


def path_of(target: str) -> str:
    """Return the path and query of a request's target, which may be a whole URL (RFC 9112, section 3.2.2).

    Bytes that are not UTF-8 are replaced, because neither an answer nor a log line can contain them.
    """
    if not target.isascii():
        target = target.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if target.startswith("/"):
        return target
    _, scheme, rest = target.partition("://")
    path = re.search("[/?]", rest) if scheme else None
    if path is None:
        return "/" if scheme else target
    return rest[path.start() :] if path.group() == "/" else "/" + rest[path.start() :]
