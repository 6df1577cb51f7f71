"""The answers of a REST API that are no success, as text for people. A proxy may answer in the place of the server."""

from http import HTTPStatus
from typing import Any

from soketpy.cli.call import Target, missing_tls
from soketpy.cli.faults import Failure

LONGEST = 500
"""Most characters of an answer that are shown."""


def refusal(target: Target, status: int, text: str) -> Failure:
    """Return the failure of a request that the server, or a proxy before it, refuses."""
    # Proxies answer 400 to a request without TLS on their port with TLS.
    if status == HTTPStatus.BAD_REQUEST and _error_in(text) is None and (missing := missing_tls(target)) is not None:
        return Failure(f"cannot reach {target}: {missing}")
    return Failure(f"HTTP {status}: {reason_in(target, status, text)}")


def reason_in(target: Target, status: int, text: str) -> str:
    """Return the reason in an answer that is no success. A page of a proxy is not shown."""
    from soketpy.config.errors import quote

    reason = _error_in(text)
    if reason is None and 300 <= status < 400:
        return _phrase(status) + redirect_hint(target, status)
    if reason is None and (is_page(text) or not text.strip()):
        return _phrase(status)
    return quote(" ".join((text if reason is None else reason).split()), LONGEST)


def redirect_hint(target: Target, status: int) -> str:
    """Return what to do about a redirect, as the end of a sentence, or an empty text for another status."""
    if not 300 <= status < 400:
        return ""
    return ", a redirect" if target.tls else ", a redirect, perhaps to https: give --tls"


def is_page(text: str) -> bool:
    """Return whether an answer is a page of HTML or XML, which no REST API of a Pusher server sends."""
    return text.lstrip("\ufeff \t\r\n")[:1] == "<"


def _phrase(status: int) -> str:
    """Return the standard text of a status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "an unknown status"


def _error_in(text: str) -> str | None:
    """Return the reason in the JSON of a Pusher server, or None for another answer."""
    import json

    try:
        document: Any = json.loads(text)
    except (ValueError, RecursionError):
        return None
    reason = document.get("error") if isinstance(document, dict) else None
    return reason if isinstance(reason, str) else None
