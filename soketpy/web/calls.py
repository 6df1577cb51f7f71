"""One REST call: its parameters, its signature, and the events in its body."""

import hmac
from datetime import UTC, datetime
from http import HTTPStatus
from typing import NoReturn
from urllib.parse import unquote

import msgspec

from soketpy.core.apps import App
from soketpy.core.triggers import Body, RequestError, parse_batch, parse_event
from soketpy.protocol import requests, signatures

_ARRAY = "channels[]"

_FORM = "application/x-www-form-urlencoded"


class Call(msgspec.Struct):
    """A request for an app: its method, the path as it was sent, and its decoded parameters.

    ``bare_path`` is the path without the configured ``prefix``; ``given`` has the last value of each parameter;
    ``arguments`` are the decoded parts of the path that the verb is about. ``published`` is False as long as the call
    has changed nothing.
    """

    app: App
    method: str
    path: str
    bare_path: str
    prefix: str
    parameters: list[tuple[str, str]]
    given: dict[str, str]
    arguments: tuple[str, ...]
    content_type: str
    published: bool = False


def parse_query(query: str, *, plus_is_space: bool = True) -> list[tuple[str, str]]:
    """The decoded parameters of a query. Raises RequestError (400) for one with too many."""
    try:
        return requests.parse_query(query, plus_is_space=plus_is_space)
    except ValueError:
        raise RequestError(HTTPStatus.BAD_REQUEST, "The query has too many parameters.") from None


def authenticate(call: Call, now: float) -> None:
    """Hold a call to its signature. ``now`` is in Unix seconds. Raises RequestError (401), saying what was expected."""
    given = call.given
    secret = call.app.secret_of(given.get("auth_key", ""))
    if secret is None:
        _unauthorized("Unknown auth_key. The auth_key is missing, or is not one of the app's keys.")
    if given.get("auth_version", "1.0") != "1.0":
        _unauthorized("The auth_version must be 1.0.")
    _check_timestamp(given.get("auth_timestamp", ""), now)
    signature = given.get(signatures.SIGNATURE_PARAMETER, "")
    text = signatures.rest_text(call.method, call.path, call.parameters)
    if not signatures.holds(secret, text, signature) and not _other_path_signed(call, secret, signature):
        expected = text.replace("\n", "\\n")
        _unauthorized(f'Invalid signature: you should have sent HmacSHA256Hex("{expected}", your_secret_key).')


def _other_path_signed(call: Call, secret: str, signature: str) -> bool:
    """Whether the client signed the path before a proxy stripped the prefix, added it, or encoded it."""
    whole = call.prefix + call.bare_path
    paths = {call.path, call.bare_path, whole, call.prefix + call.path}
    others = (paths | {unquote(path) for path in paths}) - {call.path}
    return any(
        signatures.holds(secret, signatures.rest_text(call.method, path, call.parameters), signature) for path in others
    )


def _check_timestamp(timestamp: str, now: float) -> None:
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 16):
        _unauthorized("The auth_timestamp must be a time in Unix seconds.")
    if abs(int(timestamp) - now) > signatures.WINDOW:
        given, server = _written(int(timestamp)), _written(int(now))
        _unauthorized(
            f"Timestamp expired: Given timestamp ({given}) not within {signatures.WINDOW}s of server time ({server})."
        )


def _written(seconds: int) -> str:
    """A time as Pusher writes it; one that is too far away for that as its number."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return str(seconds)


def check_body(call: Call, body: bytes, limit: int) -> None:
    """Hold the body to its signed checksum, and to ``limit`` bytes. Raises RequestError (401 or 413)."""
    if len(body) > limit:
        raise too_large(limit)
    checksum = call.given.get("body_md5")
    if body and checksum is None:
        _unauthorized("A request with a body needs body_md5.")
    if checksum is not None:
        expected = signatures.body_md5(body)
        if not hmac.compare_digest(expected.encode(), checksum.encode("utf-8", "surrogatepass")):
            _unauthorized(f"The body_md5 is not that of the body, which is {expected}.")


def too_large(limit: int) -> RequestError:
    """A body that is over the limit, in bytes."""
    return RequestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body is larger than the allowed {limit} bytes.")


def event_of(call: Call, body: bytes) -> Body:
    """The event of ``POST events``: a JSON or form-encoded body or, where there is none, the query.

    Raises RequestError (400).
    """
    if not body:
        return _event_of_form(call.parameters)
    if call.content_type.lower().startswith(_FORM) and not body.lstrip().startswith(b"{"):
        try:
            return _event_of_form(parse_query(body.decode()))
        except UnicodeDecodeError:
            raise RequestError(HTTPStatus.BAD_REQUEST, "The body is not UTF-8.") from None
    return parse_event(body)


def events_of(body: bytes) -> list[Body]:
    """The events of ``POST batch_events``. Raises RequestError (400)."""
    return parse_batch(body)


def _event_of_form(parameters: list[tuple[str, str]]) -> Body:
    form = dict(parameters)
    for name in ("name", "data"):
        if name not in form:
            raise RequestError(HTTPStatus.BAD_REQUEST, f"The event has no {name}.")
    channels = [value for name, value in parameters if name in (_ARRAY, "channels")]
    return Body(
        name=form["name"],
        data=msgspec.Raw(msgspec.json.encode(form["data"])),
        channels=channels or None,
        channel=form.get("channel"),
        socket_id=form.get("socket_id"),
        info=form.get("info"),
    )


def _unauthorized(reason: str) -> NoReturn:
    raise RequestError(HTTPStatus.UNAUTHORIZED, reason)
