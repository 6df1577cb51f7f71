"""The HMACs of the protocol: the signed texts, and the check of a signature.

Sources: Pusher's "Generating authentication and authorization strings" for channels and users, and the
"Authentication" section of its HTTP API reference for requests.
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from urllib.parse import urlencode

SIGNATURE_PARAMETER = "auth_signature"

WINDOW = 600
"""Seconds by which auth_timestamp may differ from the server's clock (Pusher, "Authentication")."""


def sign(secret: str, text: str) -> str:
    """Return the hexadecimal HMAC-SHA256 of ``text``."""
    return hmac.digest(secret.encode("utf-8", "surrogatepass"), text.encode("utf-8", "surrogatepass"), "sha256").hex()


def holds(secret: str, text: str, signature: str) -> bool:
    """Return whether ``signature`` is the signature of ``text``. Compares in constant time; accepts any characters."""
    return hmac.compare_digest(sign(secret, text).encode(), signature.encode("utf-8", "surrogatepass"))


def channel_text(socket_id: str, channel: str, channel_data: str | None) -> str:
    """Return the text to sign for a subscription of a guarded channel."""
    if channel_data is None:
        return f"{socket_id}:{channel}"
    return f"{socket_id}:{channel}:{channel_data}"


def user_text(socket_id: str, user_data: str) -> str:
    """Return the text to sign for the sign-in of a user."""
    return f"{socket_id}::user::{user_data}"


def split_auth(auth: str) -> tuple[str, str]:
    """Return the key and the signature of an ``auth`` value, ``KEY:SIGNATURE``. A missing part is empty."""
    key, _, signature = auth.partition(":")
    return key, signature


def rest_text(method: str, path: str, query: Iterable[tuple[str, str]]) -> str:
    """Return the text to sign for a REST request: method, path, and the decoded parameters sorted by name."""
    parameters = [(name.lower(), value) for name, value in query if name != SIGNATURE_PARAMETER]
    parameters.sort(key=_name)
    return f"{method.upper()}\n{path}\n" + "&".join([f"{name}={value}" for name, value in parameters])


def body_md5(body: bytes) -> str:
    """Return the ``body_md5`` parameter of a request with this body."""
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


def signed_query(
    key: str,
    secret: str,
    method: str,
    path: str,
    body: bytes,
    timestamp: int,
    query: Mapping[str, str] | None = None,
) -> str:
    """Return the URL-encoded query of a signed REST request. ``timestamp`` is in Unix seconds."""
    parameters = {
        **(query or {}),
        "auth_key": key,
        "auth_timestamp": str(timestamp),
        "auth_version": "1.0",
    }
    if body:
        parameters["body_md5"] = body_md5(body)
    parameters[SIGNATURE_PARAMETER] = sign(secret, rest_text(method, path, parameters.items()))
    return urlencode(parameters)


def _name(parameter: tuple[str, str]) -> str:
    return parameter[0]
