"""Listening sockets: one for each address. One socket on ``::`` serves both IPv6 and IPv4."""

import asyncio
import errno
import logging
import os
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

from soketpy.config import Settings
from soketpy.config.addresses import Host, hosts, is_everywhere, no_socket, written

log = logging.getLogger("soketpy")

BACKLOG = 4096
"""Connections that may wait to be accepted, so that none of a thousand simultaneous reconnects is dropped."""

ATTEMPTS = 10
"""Attempts to find a port that is free on all addresses."""

REUSE_PORT_SPREADS = sys.platform.startswith("linux")
"""True if the kernel spreads connections over the sockets of one port.

On macOS, for example, one socket gets all connections, so the workers accept from a shared socket there.
"""

Address = tuple[socket.AddressFamily, str, int, bool]
"""Family, IP address, IPv6 scope, and whether the host name resolves to several addresses."""

_WITHOUT_IPV6 = {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}


async def open_sockets(host: Host, port: int, backlog: int = 100, *, reuse_port: bool = False) -> list[socket.socket]:
    """Return a listening socket for each address of ``host``. With port 0, all of them get the same free port.

    A socket on ``::`` accepts IPv4 too; on a machine without IPv6 it is a socket on 0.0.0.0. At most ``backlog``
    connections wait to be accepted. With ``reuse_port`` other sockets may listen on the same address. Raise OSError,
    which names the address, if an address cannot be used.
    """
    addresses = _without_covered([address for one in hosts(host) for address in await _resolve(one, port)])
    for _ in range(ATTEMPTS - 1 if port == 0 and len(addresses) > 1 else 0):
        try:
            return _bind_all(addresses, port, backlog, reuse_port)
        except OSError as fault:
            if fault.errno != errno.EADDRINUSE:
                raise
    return _bind_all(addresses, port, backlog, reuse_port)


async def open_for_workers(settings: Settings, number: int) -> list[socket.socket]:
    """Return the sockets of each worker, one worker after the other, with one socket for each address.

    Raise OSError if an address cannot be used.
    """
    if settings.unix_socket is not None:
        await refuse_taken(settings.unix_socket)
        shared = open_unix_socket(settings.unix_socket, BACKLOG)
        return [shared, *(shared.dup() for _ in range(number - 1))]
    # First without reuse_port: with it, bind succeeds although another server has the port.
    alone = await open_sockets(settings.host, settings.port)
    port = alone[0].getsockname()[1]
    for listener in alone:
        listener.close()
    if not REUSE_PORT_SPREADS:
        shared_by_all = await open_sockets(settings.host, port, BACKLOG)
        return [*shared_by_all, *(each.dup() for _ in range(number - 1) for each in shared_by_all)]
    each_own: list[socket.socket] = []
    for _ in range(number):
        each_own += await open_sockets(settings.host, port, BACKLOG, reuse_port=True)
    return each_own


async def _resolve(host: str, port: int) -> list[Address]:
    with listening_on(host, port):
        found = await asyncio.get_running_loop().getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    return [
        (family, str(address[0]), int(address[3]) if len(address) == 4 else 0, len(found) > 1)
        for family, _, _, _, address in found
        if family in (socket.AF_INET, socket.AF_INET6)
    ]


def _without_covered(addresses: Sequence[Address]) -> list[Address]:
    """Return the addresses without those that a wildcard address covers: two sockets cannot have the same address."""
    everywhere = {address[0]: address for address in addresses if is_everywhere(address[1])}
    if socket.AF_INET6 in everywhere:
        return [everywhere[socket.AF_INET6]]
    any_ipv4 = everywhere.get(socket.AF_INET)
    kept = [each for each in addresses if any_ipv4 is None or each[0] != socket.AF_INET or each == any_ipv4]
    return list(dict.fromkeys(kept))


def _bind_all(addresses: Sequence[Address], port: int, backlog: int, reuse_port: bool) -> list[socket.socket]:
    bound: list[socket.socket] = []
    for address in addresses:
        try:
            bound.append(_bind(address, port, backlog, reuse_port))
            port = bound[0].getsockname()[1]
        except OSError as fault:
            # A name such as localhost may resolve to an IPv6 address on a machine without IPv6.
            others = address is not addresses[-1] or bound
            if address[0] == socket.AF_INET6 and address[3] and others and fault.errno in _WITHOUT_IPV6:
                continue
            for each in bound:
                each.close()
            raise
    return bound


def _bind(address: Address, port: int, backlog: int, reuse_port: bool) -> socket.socket:
    family, host, scope, _ = address
    with listening_on(host, port):
        if family == socket.AF_INET:
            return _bound(family, (host, port), backlog, reuse_port)
        try:
            return _bound(family, (host, port, 0, scope), backlog, reuse_port)
        except OSError as fault:
            if fault.errno not in _WITHOUT_IPV6 or not is_everywhere(host):
                raise
        log.warning(
            "This machine has no IPv6: listening on 0.0.0.0 instead of %(host)s", {"event": "no_ipv6", "host": host}
        )
        return _bound(socket.AF_INET, ("0.0.0.0", port), backlog, reuse_port)


def _bound(family: socket.AddressFamily, address: tuple[Any, ...], backlog: int, reuse_port: bool) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setblocking(False)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            only = not is_everywhere(address[0])
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
        listener.bind(address)
        listener.listen(backlog)
    except OSError:
        listener.close()
        raise
    return listener


def sockets_of(listener: socket.socket | Sequence[socket.socket] | None) -> list[socket.socket]:
    """Return the given sockets as a list. Raise TypeError for anything else."""
    sockets = [listener] if isinstance(listener, socket.socket) else () if listener is None else listener
    if not isinstance(sockets, Sequence):
        raise TypeError(f"listener must be a socket, or a list or tuple of sockets, not {type(listener).__name__}")
    for each in sockets:
        if not isinstance(each, socket.socket):
            raise TypeError(f"listener must be a socket, or a list or tuple of sockets, not of {type(each).__name__}")
    return list(sockets)


async def serve_sockets(
    stack: AsyncExitStack, sockets: Sequence[socket.socket], protocol: Callable[[], asyncio.Protocol], **options: Any
) -> list[asyncio.Server]:
    """Listen on bound sockets until the stack is closed. ``options`` are those of ``loop.create_server``."""
    loop = asyncio.get_running_loop()
    for each in sockets:
        stack.callback(each.close)
    listening = []
    for each in sockets:
        listening.append(await loop.create_server(protocol, sock=each, **options))
        stack.callback(listening[-1].close)
    return listening


async def refuse_taken(path: str) -> None:
    """Raise OSError if a server listens on a Unix socket, or if the path is a directory or a file.

    A socket that an earlier server left behind is no error: asyncio replaces it.
    """
    if (problem := no_socket(path)) is not None:
        raise OSError(errno.EADDRINUSE, f"cannot listen on {path}: it {problem}")
    try:
        _, writer = await asyncio.open_unix_connection(path)
    except OSError:
        return
    writer.close()
    raise OSError(errno.EADDRINUSE, f"cannot listen on {path}: another server listens there")


def open_unix_socket(path: str, backlog: int) -> socket.socket:
    """Return a listening Unix socket.

    Replace one that an earlier server left behind. Raise OSError as ``open_sockets``.
    """
    Path(path).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    try:
        with listening_on(path):
            listener.bind(path)
            listener.listen(backlog)
    except OSError:
        listener.close()
        raise
    return listener


@contextmanager
def listening_on(where: str, port: int | None = None) -> Iterator[None]:
    """Give an OSError a text that names the Unix socket or host and port, and the reason."""
    if port is not None:
        where = written(where, port)
    try:
        yield
    except OSError as fault:
        reason = fault.strerror or str(fault)
        of_address = port is not None and not isinstance(fault, socket.gaierror)
        if fault.errno is not None and (of_address or "attempting to bind" in reason):  # asyncio shows a tuple there
            reason = os.strerror(fault.errno).lower()
        raise OSError(fault.errno, f"cannot listen on {where}: {reason}") from None
