"""The checks that decide whether a client may connect, in their order."""

import msgspec

from soketpy.core.apps import App, Apps
from soketpy.protocol.errors import Code, ConnectionRefused

PROTOCOLS = (5, 6, 7)
"""Supported versions of the protocol. A client that names no version gets 7."""

_SERVED = frozenset(map(str, PROTOCOLS))
"""The versions as nearly all clients write them. ``007`` is supported too."""


class Hello(msgspec.Struct, frozen=True):
    """The facts of a handshake that decide whether a client may connect.

    ``key`` is None if ``path`` does not name an app key.
    """

    key: str | None
    protocol: str | None
    origin: str | None
    secure: bool
    path: str = ""


def admit(hello: Hello, apps: Apps, strict_protocol: bool) -> App:
    """Return the app that the client connects to. Raise ConnectionRefused with the code of the failed check."""
    if hello.key is None:
        raise ConnectionRefused(Code.NO_SUCH_PATH, "There is nothing at this path; connect to /app/KEY.")
    app = apps.by_key(hello.key)
    if app is None:
        raise ConnectionRefused(Code.NO_SUCH_APP, f"App key {hello.key[:100]} does not exist.")
    if not app.enabled:
        raise ConnectionRefused(Code.APP_DISABLED, "The app is disabled.")
    if app.tls_only and not hello.secure:
        raise ConnectionRefused(Code.TLS_ONLY, "The app accepts only TLS connections; reconnect with wss://.")
    _check_protocol(hello.protocol, strict_protocol)
    if app.allowed_origins and not app.origins.match(hello.origin):
        raise ConnectionRefused(Code.UNAUTHORIZED, "The app does not accept connections from this origin.")
    return app


def _check_protocol(protocol: str | None, strict: bool) -> None:
    if protocol is None or protocol == "":
        if strict:
            raise ConnectionRefused(Code.NO_PROTOCOL, "No protocol version was given.")
        return
    if protocol in _SERVED:
        return
    if not (protocol.isascii() and protocol.isdigit()):
        raise ConnectionRefused(Code.BAD_VERSION, "The protocol version is not a number.")
    if len(protocol) > 3 or int(protocol) not in PROTOCOLS:
        served = ", ".join(map(str, PROTOCOLS))
        raise ConnectionRefused(Code.UNSUPPORTED_PROTOCOL, f"Unsupported protocol version; {served} are served.")
