"""The WebSocket handshake: the request and the answer (RFC 6455, section 4)."""

import binascii
import hashlib
import re
from urllib.parse import unquote

import msgspec

from soketpy.protocol.requests import bare_path, parse_query, tokens

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

_PROXY = (
    "If a proxy is in front, let it pass these on; in nginx: proxy_http_version 1.1; "
    'proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";'
)

LOST_UPGRADE = (
    "This path is for WebSockets, and the request did not ask for one with HTTP/1.1, Upgrade: websocket and "
    f"Connection: Upgrade. {_PROXY}"
)
"""The reason for refusing a WebSocket if a proxy has removed the upgrade."""

_VERSION = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"

# RFC 9110, section 5.6.2: the characters of the name of a subprotocol.
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")

# RFC 6455, section 4.1: the target may be a whole URL, as in requests through a proxy.
_AUTHORITY = re.compile(r"\Ahttps?://[^/?]*", re.IGNORECASE)


_TAB = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Upgrade(msgspec.Struct, frozen=True):
    """A request that asks for a WebSocket. Header names are in lower case; values of the same name are joined."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]


def parse_upgrade(head: bytes) -> Upgrade | None:
    """Parse the head of a request. Return None if it is not a request for a WebSocket, or is not HTTP/1.1."""
    text = head.decode("latin-1")
    lines = text.split("\r\n")
    # RFC 9112, section 2.2: half a line end or a zero must neither end a line nor hide anything.
    if text.count("\r") != len(lines) - 1 or text.count("\n") != len(lines) - 1 or "\0" in text:
        return None
    request = lines[0].split(" ")
    if len(request) != 3 or request[0] != "GET" or request[2] != "HTTP/1.1":
        return None
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            return None
        name, value = name.lower(), value.strip(" \t")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    if "websocket" not in tokens(headers.get("upgrade", "")):
        return None
    target = request[1] if request[1].startswith("/") else _AUTHORITY.sub("", request[1])
    path, _, query = target.partition("?")
    try:
        parameters = dict(parse_query(query))
    except ValueError:
        return None
    return Upgrade(unquote(path), parameters, headers)


def refusal(upgrade: Upgrade) -> bytes | None:
    """Return the HTTP answer to an invalid handshake, or None for a valid one."""
    headers = upgrade.headers
    if "upgrade" not in tokens(headers.get("connection", "")):
        return _error("400 Bad Request", f"The Connection header must name Upgrade. {_PROXY}")
    if headers.get("sec-websocket-version") != "13":
        return _error("426 Upgrade Required", "The WebSocket version must be 13.", _VERSION)
    if not headers.get("host"):
        return _error("400 Bad Request", "The Host header is missing.")
    try:
        key = binascii.a2b_base64(headers.get("sec-websocket-key", ""), strict_mode=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != 16:
        return _error("400 Bad Request", "The Sec-WebSocket-Key must be 16 bytes in Base64.")
    return None


def acceptance(upgrade: Upgrade) -> bytes:
    """Return the HTTP answer that opens the WebSocket: without extensions, with the first subprotocol, if any."""
    key = upgrade.headers["sec-websocket-key"].encode("latin-1")
    accept = binascii.b2a_base64(hashlib.sha1(key + _GUID, usedforsecurity=False).digest(), newline=False)
    subprotocol = b""
    if "sec-websocket-protocol" in upgrade.headers:
        offered = upgrade.headers["sec-websocket-protocol"].partition(",")[0].strip(" \t")
        if _TOKEN.fullmatch(offered):
            subprotocol = f"Sec-WebSocket-Protocol: {offered}\r\n".encode()
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
        + accept
        + b"\r\n"
        + subprotocol
        + b"\r\n"
    )


def app_key(path: str, prefix: str) -> str | None:
    """Return the key in the path ``/app/KEY``, also after the prefix, which a proxy may not have removed.

    The path of a tab is ``/c/TAB/app/KEY``.
    """
    return app_and_tab(path, prefix)[0]


def app_and_tab(path: str, prefix: str) -> tuple[str | None, str | None]:
    """Return the key and the tab id in the path ``/app/KEY`` or ``/c/TAB/app/KEY``; None for what it does not have.

    A tab id has 1 to 64 letters, digits, ``-`` and ``_``. A path with any other id has neither a key nor a tab.
    """
    bare, tab = bare_path(path, prefix), None
    if bare.startswith("/c/"):
        tab, slash, rest = bare[3:].partition("/")
        if not slash or not _TAB.fullmatch(tab):
            return None, None
        bare = "/" + rest
    key = bare.removeprefix("/app/")
    if key == bare:
        return None, None
    key = key.removesuffix("/")
    return (None, None) if not key or "/" in key else (key, tab)


def _error(status: str, reason: str, headers: str = "") -> bytes:
    body = reason.encode()
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nAccess-Control-Allow-Origin: *\r\n"
        f"{headers}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    ).encode() + body
