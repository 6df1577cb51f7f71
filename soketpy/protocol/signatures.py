"""The HMACs of the protocol: what is signed, and whether a signature holds.

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
    """The hexadecimal HMAC-SHA256 of ``text``."""
    return hmac.digest(secret.encode("utf-8", "surrogatepass"), text.encode("utf-8", "surrogatepass"), "sha256").hex()


def holds(secret: str, text: str, signature: str) -> bool:
    """Whether ``signature`` is that of ``text``; takes the same time wherever they differ, and any characters."""
    return hmac.compare_digest(sign(secret, text).encode(), signature.encode("utf-8", "surrogatepass"))


def channel_text(socket_id: str, channel: str, channel_data: str | None) -> str:
    """What is signed to let a connection join a guarded channel."""
    if channel_data is None:
        return f"{socket_id}:{channel}"
    return f"{socket_id}:{channel}:{channel_data}"


def user_text(socket_id: str, user_data: str) -> str:
    """What is signed to let a connection sign in as a user."""
    return f"{socket_id}::user::{user_data}"


def split_auth(auth: str) -> tuple[str, str]:
    """The key and the signature of an ``auth`` value, ``KEY:SIGNATURE``; a part that is missing is empty."""
    key, _, signature = auth.partition(":")
    return key, signature


def rest_text(method: str, path: str, query: Iterable[tuple[str, str]]) -> str:
    """What is signed of a REST request: method, path and the decoded parameters in the order of their names."""
    parameters = [(name.lower(), value) for name, value in query if name != SIGNATURE_PARAMETER]
    parameters.sort(key=_name)
    return f"{method.upper()}\n{path}\n" + "&".join([f"{name}={value}" for name, value in parameters])


def body_md5(body: bytes) -> str:
    """The ``body_md5`` parameter of a request with this body."""
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
    """The URL-encoded query, signature and all, that makes a REST request valid. ``timestamp`` is in Unix seconds."""
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
