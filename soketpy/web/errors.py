"""RequestError, the exception of a request that cannot be served, and the errors that several modules raise."""

from http import HTTPStatus
from typing import NoReturn

from soketpy.core.triggers import DataTooLarge, TriggerRefused

RETRY_AFTER = "1"
"""Seconds after which a caller should repeat a request that was answered with 503."""

READS = ("GET", "HEAD")
"""Methods that are served alike, except that the answer to HEAD has no body (RFC 9110, section 9.3.2)."""


class RequestError(Exception):
    """A request that cannot be served: an HTTP status, the reason for the body, and headers for the answer.

    Every answer with 503 has ``Retry-After``.
    """

    def __init__(self, status: HTTPStatus, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        retry = {"Retry-After": RETRY_AFTER} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}
        self.headers = retry | (headers or {})


def of_trigger(refused: TriggerRefused) -> RequestError:
    """Return the error for an event that the core refuses: 413 for data that is too large, otherwise 400."""
    too_large_data = isinstance(refused, DataTooLarge)
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE if too_large_data else HTTPStatus.BAD_REQUEST
    return RequestError(status, refused.reason)


def unavailable(reason: str = "") -> RequestError:
    """Return the error for a request that needs other nodes while this node cannot reach them."""
    reason = reason or "The server cannot reach the other nodes now; try again."
    return RequestError(HTTPStatus.SERVICE_UNAVAILABLE, reason)


def stopping() -> RequestError:
    """Return the error for a request that arrives, or is incomplete, while the server stops."""
    return RequestError(HTTPStatus.SERVICE_UNAVAILABLE, "The server is stopping; choose another.")


def unconfirmed(reason: str = "") -> RequestError:
    """Return the error for a call whose events may have been published: some of them, or all.

    The status is not 503, because a proxy or a publisher may send a call that failed with 503 to another node at once.
    """
    reason = reason or "The other nodes have not confirmed this call: its events may have been published."
    return RequestError(HTTPStatus.GATEWAY_TIMEOUT, reason)


def crowded() -> RequestError:
    """Return the error for a call of an app that has reached its limit of calls in progress."""
    reason = "The app has calls in progress on half of the HTTP connections (bounds.max_http_connections); try again."
    return RequestError(HTTPStatus.SERVICE_UNAVAILABLE, reason)


def no_registry() -> RequestError:
    """Return the error for a request whose app cannot be looked up now. The log has the reason."""
    reason = "The app cannot be looked up now; try again."
    return RequestError(HTTPStatus.SERVICE_UNAVAILABLE, reason)


def too_slow(seconds: float) -> RequestError:
    """Return the error for a body that does not arrive completely within this many seconds."""
    return RequestError(HTTPStatus.REQUEST_TIMEOUT, f"The body did not come within {seconds:g} s.")


def too_large(limit: int) -> RequestError:
    """Return the error for a body of more than ``limit`` bytes."""
    return RequestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body is larger than the allowed {limit} bytes.")


def broken_off() -> RequestError:
    """Return the error for a body that ends too early, or breaks the rules of its framing."""
    return RequestError(HTTPStatus.BAD_REQUEST, "The body is incomplete, or its framing is not valid HTTP.")


def bad_request(reason: str) -> NoReturn:
    """Raise RequestError with status 400."""
    raise RequestError(HTTPStatus.BAD_REQUEST, reason)


def not_allowed(allowed: str) -> NoReturn:
    """Raise RequestError for a path that serves another method."""
    methods = (*READS, "OPTIONS") if allowed in READS else (allowed, "OPTIONS")
    reason = f"Only {allowed} is served at this path."
    raise RequestError(HTTPStatus.METHOD_NOT_ALLOWED, reason, {"Allow": ", ".join(methods)})
