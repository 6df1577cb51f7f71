"""One REST call: its parameters, its signature, and the events in its body."""

import hmac
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import NoReturn
from urllib.parse import parse_qsl, unquote

import msgspec

from soketpy.apps import App
from soketpy.protocol import signatures
from soketpy.triggers import Body, RequestError, parse_batch, parse_event

WINDOW = 600
"""Seconds by which auth_timestamp may differ from the server's clock (Pusher, "Authentication")."""

_ARRAY = "channels[]"

_MOST_PARAMETERS = 1_000


@dataclass(frozen=True, slots=True)
class Call:
    """A request for an app: its method, the path as it was sent, and its decoded parameters.

    ``bare_path`` is the path without the configured ``prefix``.
    """

    method: str
    path: str
    bare_path: str
    parameters: list[tuple[str, str]]
    prefix: str = ""

    def signed_paths(self) -> Iterator[str]:
        """The paths that the client may have signed, the likeliest first: a proxy may strip the prefix or add it."""
        for path in dict.fromkeys((self.path, self.bare_path, self.prefix + self.bare_path)):
            yield path
            if "%" in path:
                yield unquote(path)

    def parameter(self, name: str) -> str | None:
        """The last value of a parameter, or None."""
        value = None
        for found, text in self.parameters:
            if found == name:
                value = text
        return value


def parse_query(query: str) -> list[tuple[str, str]]:
    """The decoded parameters of a query. Raises RequestError (400) for one with too many."""
    if not query:
        return []
    if "%" not in query and "+" not in query and query.count("&") < _MOST_PARAMETERS:
        # As Pusher's libraries send it; the same as below, several times faster.
        return [(name, value) for name, _, value in [pair.partition("=") for pair in query.split("&") if pair]]
    try:
        return parse_qsl(query, keep_blank_values=True, max_num_fields=_MOST_PARAMETERS)
    except ValueError:
        raise RequestError(HTTPStatus.BAD_REQUEST, "The query has too many parameters.") from None


def authenticate(call: Call, app: App, now: float) -> None:
    """Hold a call to its signature. ``now`` is in Unix seconds. Raises RequestError (401), saying what was expected."""
    given = dict(call.parameters)
    secret = app.secret_of(given.get("auth_key", ""))
    if secret is None:
        _unauthorized("The auth_key is missing, or is not one of the app's keys.")
    if given.get("auth_version", "1.0") != "1.0":
        _unauthorized("The auth_version must be 1.0.")
    _check_timestamp(given.get("auth_timestamp", ""), now)
    signature = given.get(signatures.SIGNATURE_PARAMETER, "")
    for path in call.signed_paths():
        if signatures.holds(secret, signatures.rest_text(call.method, path, call.parameters), signature):
            return
    expected = signatures.rest_text(call.method, call.path, call.parameters).replace("\n", "\\n")
    _unauthorized(f'Invalid signature: expected HmacSHA256Hex("{expected}", the secret of the auth_key).')


def _check_timestamp(timestamp: str, now: float) -> None:
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 16):
        _unauthorized("The auth_timestamp must be a time in Unix seconds.")
    if abs(int(timestamp) - now) > WINDOW:
        _unauthorized(f"Timestamp expired: {timestamp} is not within {WINDOW} s of the server's time {int(now)}.")


def check_body(call: Call, body: bytes) -> None:
    """Hold the body to its signed checksum. Raises RequestError (401)."""
    checksum = call.parameter("body_md5")
    if body and checksum is None:
        _unauthorized("A request with a body needs body_md5.")
    if checksum is not None:
        expected = signatures.body_md5(body)
        if not hmac.compare_digest(expected.encode(), checksum.encode("utf-8", "surrogatepass")):
            _unauthorized(f"The body_md5 is not that of the body, which is {expected}.")


def event_of(content_type: str, call: Call, body: bytes) -> Body:
    """The event of ``POST events``: a JSON or form-encoded body or, where there is none, the query.

    Raises RequestError (400).
    """
    if not body:
        return _event_of_form(call.parameters)
    if content_type == "application/x-www-form-urlencoded" and not body.lstrip().startswith(b"{"):
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
