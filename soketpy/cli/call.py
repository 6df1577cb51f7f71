"""One HTTP request to a running server, over TCP, TLS or a Unix socket."""

import http.client
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, cast

from soketpy.cli.bounded_answer import BoundedAnswer, TooLarge
from soketpy.cli.faults import Failure

if TYPE_CHECKING:
    import ssl

    from soketpy.config import Settings

PATIENCE = 5.0
"""Seconds that a server has for the whole answer."""

NO_TLS = ("WRONG_VERSION_NUMBER", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE", "HTTP_REQUEST")
"""OpenSSL's reasons if the server does not speak TLS."""

CLOSED = "it closed the connection without an answer"

NO_HEADER = (
    ", as a server with proxy_protocol does without a PROXY header: use the configuration of the server, "
    "or the address of its proxy"
)

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
    proxies: tuple[str, ...] | None = None
    """The proxies of a server with ``proxy_protocol``, empty for all peers, or None if no peer sends a PROXY header."""
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
        proxies=settings.proxies if settings.proxy_protocol else None,
    )


def expects_header(target: Target, here: str) -> bool:
    """Return whether a connection of the address ``here`` to the server begins with a PROXY header."""
    from soketpy.protocol.forwarded import Networks

    return target.proxies is not None and (not target.proxies or Networks(target.proxies).has(here))


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

    Raise Failure if the answer is not complete within ``patience`` seconds (default: PATIENCE), or is too large.
    """
    patience = PATIENCE if patience is None else patience
    connection = _connection(target, patience)
    connection.response_class = partial(BoundedAnswer, deadline=time.monotonic() + patience)  # type: ignore[assignment]
    kind = {"Content-Type": "application/json"} if body else {}
    try:
        connection.request(method, path, body or None, {**kind, **(headers or {})})
        with cast(BoundedAnswer, connection.getresponse()) as answer:
            return answer.status, answer.read_bounded().decode("utf-8", "replace")
    except TimeoutError:
        raise Failure(f"no complete answer from {target} within {patience:g} s") from None
    except TooLarge as error:
        raise Failure(f"no usable answer from {target}: {error}") from None
    except OSError as error:
        raise Failure(f"cannot reach {target}: {reason_of(target, error)}") from None
    except (http.client.HTTPException, ValueError) as error:
        raise Failure(f"no HTTP answer from {target}: {error or type(error).__name__}") from None
    finally:
        connection.close()


def reason_of(target: Target, error: OSError) -> str:
    """Return why a server cannot be reached."""
    from soketpy.config.addresses import no_socket

    if target.unix_socket is not None and (problem := no_socket(target.unix_socket)) is not None:
        return f"it {problem}"
    if target.tls and getattr(error, "reason", None) in NO_TLS:
        return "the port speaks no TLS" + _about_tls(target, "leave out --tls", "tls.cert is set", NO_TLS_OF_ADMIN)
    if isinstance(error, ConnectionResetError | BrokenPipeError):
        if (missing := missing_tls(target)) is not None:
            return missing
        return CLOSED if target.is_admin or target.proxies is not None else CLOSED + NO_HEADER
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
    """Send the PROXY header of a client that speaks for itself, if the server expects one from this address."""
    from soketpy.protocol.forwarded import UNIX_PEER

    here = UNIX_PEER if target.unix_socket is not None else connection.getsockname()[0]
    if expects_header(target, here):
        connection.sendall(b"PROXY UNKNOWN\r\n")
