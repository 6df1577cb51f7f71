"""Answers: their forms, and the errors that several parts of the HTTP server answer with."""

import re
from http import HTTPStatus
from typing import NoReturn

import msgspec

from soketpy.core.triggers import RequestError

_encode = msgspec.json.encode

TEXT, JSON = "text/plain; charset=utf-8", "application/json"

READS = ("GET", "HEAD")
"""Methods that are served alike, but that HEAD is answered without the body (RFC 9110, section 9.3.2)."""

SOFTWARE = "soketpy"
"""The value of the Server header."""

_FAULT = "The server failed to serve this request."


class Answer(msgspec.Struct):
    """A text, or a value to be sent as JSON; and headers besides those of CORS.

    ``received`` is how many bytes the body of the call had; None where the call's signature was not even looked at
    or does not hold, so that the call counts nowhere.
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


def failed() -> Answer:
    """Return the answer to a request that met a fault of the server."""
    return refused(RequestError(HTTPStatus.INTERNAL_SERVER_ERROR, _FAULT))


FAILED = Reply(
    HTTPStatus.INTERNAL_SERVER_ERROR,
    {"Access-Control-Allow-Origin": "*", "Content-Type": JSON},
    _encode({"error": _FAULT, "code": 500}),
)
"""The reply where even the answer to a fault cannot be made."""


def readiness(draining: bool, available: bool) -> Answer:
    """Return the answer to ``/ready``, which is the same on all ports."""
    if draining:
        return refused(stopping())
    return Answer("OK") if available else refused(unavailable())


def unavailable(reason: str = "") -> RequestError:
    """Return the fault of a request for which the other nodes are needed, and cannot be reached."""
    reason = reason or "The server cannot reach the other nodes now; try again."
    return RequestError(HTTPStatus.SERVICE_UNAVAILABLE, reason)


def stopping() -> RequestError:
    """Return the fault of a request that comes, or is not whole, while the server stops."""
    return RequestError(HTTPStatus.SERVICE_UNAVAILABLE, "The server is stopping; choose another.")


def unconfirmed() -> RequestError:
    """Return the fault of a call that was sent to the other nodes, and that they have not confirmed.

    Not 503, at which a proxy or a publisher may send the call to another node at once.
    """
    reason = "The other nodes have not confirmed this call: its events may have been published."
    return RequestError(HTTPStatus.GATEWAY_TIMEOUT, reason)


def crowded() -> RequestError:
    """Return the fault of a call whose app has so many calls in progress that others could not call."""
    reason = "The app has calls in progress on half of the HTTP connections (bounds.max_http_connections); try again."
    return RequestError(HTTPStatus.SERVICE_UNAVAILABLE, reason, {"Retry-After": "1"})


def too_slow(seconds: float) -> RequestError:
    """Return the fault of a body that does not come whole."""
    return RequestError(HTTPStatus.REQUEST_TIMEOUT, f"The body did not come within {seconds:g} s.")


def malformed(status: HTTPStatus, reason: str) -> Reply:
    """Return the answer to a request that is not HTTP."""
    answer = refused(RequestError(status, reason))
    headers = {"Access-Control-Allow-Origin": "*", "Content-Type": JSON, "Server": SOFTWARE}
    return Reply(answer.status, headers, _encode(answer.value))


def not_http(found: str | None) -> str:
    """Return the reason for a 400 to a request that is not HTTP; of what the parser found, the first line."""
    if not found:
        return "The request is not valid HTTP."
    return f"The request is not valid HTTP: {found.splitlines()[0].rstrip(':')}."


def path_of(target: str) -> str:
    """The path and query of a request's target, also where that is a whole URL (RFC 9112, section 3.2.2).

    Bytes that are not UTF-8 are replaced: they could not be put into an answer or a log line.
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


def refused(fault: RequestError) -> Answer:
    """Return the answer that tells a fault."""
    return Answer({"error": fault.message, "code": int(fault.status)}, fault.status, fault.headers)


def not_allowed(allowed: str) -> NoReturn:
    """Raise RequestError for a path at which another method is served."""
    methods = (*READS, "OPTIONS") if allowed in READS else (allowed, "OPTIONS")
    reason = f"Only {allowed} is served at this path."
    raise RequestError(HTTPStatus.METHOD_NOT_ALLOWED, reason, {"Allow": ", ".join(methods)})
