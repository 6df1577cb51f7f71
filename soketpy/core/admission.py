"""The checks that decide whether a client may connect, in their order."""

import msgspec

from soketpy.core.app_registry import RegistryUnavailable
from soketpy.core.apps import App, Apps
from soketpy.protocol.errors import Code, ConnectionRefused

PROTOCOLS = (5, 6, 7)
"""Supported versions of the protocol. A client that names no version gets 7."""

_SERVED = frozenset(map(str, PROTOCOLS))
"""The versions as nearly all clients write them. ``007`` is supported too."""


class Hello(msgspec.Struct, frozen=True):
    """The facts of a handshake that decide whether a client may connect.

    ``key`` is None if ``path`` does not name an app key. ``tab`` is the id of the browser tab, if the path has one.
    """

    key: str | None
    protocol: str | None
    origin: str | None
    secure: bool
    path: str = ""
    tab: str | None = None


async def find_app(hello: Hello, apps: Apps) -> App | None:
    """Return the app that the client asks for, or None; a coroutine for ``steps``.

    Raise ConnectionRefused (4100, so that the client tries again) if the app cannot be looked up now.
    """
    if hello.key is None:
        return None
    try:
        return apps.by_key(hello.key) or await apps.find_by_key(hello.key)
    except RegistryUnavailable:
        raise ConnectionRefused(Code.OVER_CAPACITY, "The app cannot be looked up now; reconnect in a while.") from None


def admit(hello: Hello, app: App | None, strict_protocol: bool) -> App:
    """Return ``app``, which ``find_app`` has found. Raise ConnectionRefused with the code of the first failed check."""
    if hello.key is None:
        raise ConnectionRefused(Code.NO_SUCH_PATH, "There is nothing at this path; connect to /app/KEY.")
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
