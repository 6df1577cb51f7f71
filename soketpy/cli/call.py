"""One HTTP request to a running server, over TCP, TLS or a Unix socket."""

import http.client
import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from soketpy.cli.faults import Failure

if TYPE_CHECKING:
    import ssl

    from soketpy.config import Settings

PATIENCE = 5.0
"""Seconds that a server has to answer."""

NO_TLS = ("WRONG_VERSION_NUMBER", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE", "HTTP_REQUEST")
"""OpenSSL's reasons if the server does not speak TLS."""

NO_TLS_OF_ADMIN = (
    "the admin port has no TLS of its own; use http:// on the machine of the server, or the https:// URL of a proxy"
)


@dataclass(frozen=True, slots=True)
class Target:
    """A server.

    If ``verified`` is false, any certificate is accepted: the certificate of a local server may name another host.
    """

    host: str
    port: int
    unix_socket: str | None = None
    tls: bool = False
    verified: bool = True
    has_flag: bool = False
    """True if the command has the flag ``--tls``, so that not only the configuration decides on TLS."""
    announces: bool = False
    """True for a server that expects a PROXY header from this machine."""
    is_admin: bool = False
    """True for the server of ``--admin-url``, whose scheme decides on TLS."""

    def __str__(self) -> str:
        from soketpy.config.addresses import written

        if self.unix_socket is not None:
            return self.unix_socket
        return f"{'https' if self.tls else 'http'}://{written(self.host, self.port)}"


def local_target(settings: "Settings") -> Target:
    """Return the server that runs on this machine with these settings."""
    from soketpy.config.addresses import reachable

    tls = settings.tls.cert is not None
    return Target(
        reachable(settings.host),
        settings.port,
        settings.unix_socket,
        tls,
        verified=False,
        announces=settings.proxy_protocol and _expects_header(settings),
    )


def _expects_header(settings: "Settings") -> bool:
    """Return whether a connection from this machine begins with a PROXY header."""
    from soketpy.config.addresses import reachable
    from soketpy.protocol.forwarded import UNIX_PEER, Networks

    here = reachable(settings.host) if settings.unix_socket is None else UNIX_PEER
    return not settings.proxies or Networks(settings.proxies).has("127.0.0.1" if here == "localhost" else here)


def call(
    target: Target,
    method: str,
    path: str,
    body: bytes = b"",
    *,
    headers: Mapping[str, str] | None = None,
    patience: float | None = None,
) -> tuple[int, str]:
    """Send a request, a body as JSON. Return the status and text of the answer.

    Raise Failure if there is no answer within ``patience`` seconds (default: PATIENCE).
    """
    patience = PATIENCE if patience is None else patience
    connection = _connection(target, patience)
    kind = {"Content-Type": "application/json"} if body else {}
    try:
        connection.request(method, path, body or None, {**kind, **(headers or {})})
        answer = connection.getresponse()
        return answer.status, answer.read().decode("utf-8", "replace")
    except TimeoutError:
        raise Failure(f"no answer from {target} within {patience:g} s") from None
    except OSError as error:
        raise Failure(f"cannot reach {target}: {reason_of(target, error)}") from None
    except (http.client.HTTPException, ValueError) as error:
        raise Failure(f"no HTTP answer from {target}: {error or type(error).__name__}") from None
    finally:
        connection.close()


def refusal_of(text: str) -> str:
    """Return why a REST API refuses a request, by its answer, which may also be the text or HTML of a proxy."""
    import json

    from soketpy.config.errors import quote

    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    reason = document.get("error") if isinstance(document, dict) else None
    return quote(" ".join((reason if isinstance(reason, str) else text).split()), 500)


def reason_of(target: Target, error: OSError) -> str:
    """Return why a server cannot be reached."""
    from soketpy.config.addresses import no_socket

    if target.unix_socket is not None and (problem := no_socket(target.unix_socket)) is not None:
        return f"it {problem}"
    if target.tls and getattr(error, "reason", None) in NO_TLS:
        return "the port speaks no TLS" + _about_tls(target, "leave out --tls", "tls.cert is set", NO_TLS_OF_ADMIN)
    if isinstance(error, ConnectionResetError | BrokenPipeError) and (missing := missing_tls(target)) is not None:
        return missing
    return _text_of(error)


def missing_tls(target: Target) -> str | None:
    """Return what to do if a request without TLS has reached a port that speaks TLS, or None for another port."""
    if target.tls or not _speaks_tls(target):
        return None
    return "the port speaks TLS" + _about_tls(target, "give --tls", "tls.cert is not set", "use https://")


def _text_of(error: OSError) -> str:
    """Return the text of an error. asyncio replaces the text of the system by one with the address."""
    import os
    import ssl

    if error.errno is not None and error.errno > 0 and not isinstance(error, ssl.SSLError):
        return os.strerror(error.errno)
    return error.strerror or str(error)


def _about_tls(target: Target, flag: str, setting: str, url: str) -> str:
    """Return what to do if the server and the command differ about TLS, by what decides on TLS."""
    if target.is_admin:
        return f": {url}"
    return f": {flag}" if target.has_flag else f", and {setting}"


def _speaks_tls(target: Target) -> bool:
    """Return whether a TLS handshake with the server succeeds."""
    connection = _connection(replace(target, tls=True, verified=False), PATIENCE)
    try:
        connection.connect()
    except OSError:
        return False
    finally:
        connection.close()
    return True


def _connection(target: Target, patience: float) -> http.client.HTTPConnection:
    if target.unix_socket is not None:
        if not hasattr(socket, "AF_UNIX"):
            raise Failure(f"cannot reach {target}: this system has no Unix sockets")
        return _UnixConnection(target, patience)
    if not target.tls:
        return _TcpConnection(target, patience)
    return http.client.HTTPSConnection(target.host, target.port, timeout=patience, context=tls_of(target))


def tls_of(target: Target) -> "ssl.SSLContext":
    """Return the context of TLS for a server."""
    import ssl

    context = ssl.create_default_context()
    if not target.verified:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


class _TcpConnection(http.client.HTTPConnection):
    def __init__(self, target: Target, patience: float) -> None:
        super().__init__(target.host, target.port, timeout=patience)
        self._target = target

    def connect(self) -> None:
        super().connect()
        announce(self._target, self.sock)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, target: Target, patience: float) -> None:
        super().__init__("localhost", timeout=patience)
        self._target = target

    def connect(self) -> None:
        plain = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        plain.settimeout(self.timeout)
        self.sock = plain  # closed with the connection, whatever happens next
        plain.connect(self._target.unix_socket or "")
        announce(self._target, plain)
        if self._target.tls:
            self.sock = tls_of(self._target).wrap_socket(plain)


def announce(target: Target, connection: socket.socket) -> None:
    """Send the PROXY header of a client that speaks for itself, if the server expects one."""
    if target.announces:
        connection.sendall(b"PROXY UNKNOWN\r\n")
