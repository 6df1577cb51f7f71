"""The authentication of REST calls: key, timestamp, signature, and the checksum of the body."""

import hmac
from datetime import UTC, datetime
from http import HTTPStatus
from typing import NoReturn
from urllib.parse import unquote

import msgspec

from soketpy.core.apps import App
from soketpy.protocol import signatures
from soketpy.web.errors import RequestError, too_large


class Call(msgspec.Struct):
    """A request for an app: its method, the path as it was sent, and its decoded parameters.

    ``bare_path`` is the path without the configured ``prefix``. ``given`` has the last value of each parameter.
    ``arguments`` are the decoded variable parts of the path. ``published`` is 0 until the call changes something, and
    then the number of channels on which it published, counted for each of its events.
    ``sent`` and ``confirmed`` are the times of its publication to other nodes, or 0.
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
    published: int = 0
    sent: float = 0.0
    confirmed: float = 0.0


def authenticate(call: Call, now: float) -> None:
    """Check the signature of a call. ``now`` is in Unix seconds. Raises RequestError (401) with the expected text."""
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
    """Return whether the signature is for the path before a proxy stripped, added or encoded the prefix."""
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
    """Return a time as Pusher writes it; as the number itself if it is too large for a date."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return str(seconds)


def check_body(call: Call, body: bytes, limit: int) -> None:
    """Check the body against its signed checksum and ``limit`` bytes. Raises RequestError (401 or 413)."""
    if len(body) > limit:
        raise too_large(limit)
    checksum = call.given.get("body_md5")
    if body and checksum is None:
        _unauthorized("A request with a body needs body_md5.")
    if checksum is not None:
        expected = signatures.body_md5(body)
        if not hmac.compare_digest(expected.encode(), checksum.encode("utf-8", "surrogatepass")):
            _unauthorized(f"The body_md5 is not that of the body, which is {expected}.")


def _unauthorized(reason: str) -> NoReturn:
    raise RequestError(HTTPStatus.UNAUTHORIZED, reason)
