"""Addresses in settings: hosts to listen on or to connect to, and paths of Unix sockets."""

import os
import re
import sys
from ipaddress import AddressValueError, IPv6Address, ip_address
from stat import S_ISDIR, S_ISSOCK
from typing import Any

LAST_PORT = 65_535

HOST: dict[str, Any] = {"pattern": r"[^\s/]+", "like": "a host name or an address"}
"""The rules of a host. ``check_text`` of the field has further ones."""

Host = str | tuple[str, ...]
"""A host name or an address, or several."""

LONGEST_SOCKET = 107 if sys.platform == "linux" else 103
"""Most bytes of a Unix socket's path. The kernel needs one more for the terminator."""

LONGEST_NAME = 253
"""Most characters of a host name (RFC 1035, section 2.3.4)."""

_WITH_PORT = re.compile(r"(?:\[[^\]]*\]|[^:]*)(:[0-9]+)")
_NUMERIC = re.compile(r"(.*\.)?([0-9]+|0[xX][0-9A-Fa-f]*)\.?")
_NAME = re.compile(r"[\w-]{1,63}(\.[\w-]{1,63})*\.?")


def hosts(host: Host) -> tuple[str, ...]:
    """Return each host name or address. IPv6 addresses lose their brackets."""
    each = (host,) if isinstance(host, str) else host
    return tuple(one[1:-1] if one.startswith("[") and one.endswith("]") else one for one in each)


def written(host: str, port: int | None) -> str:
    """Return host and port in the form of a URL."""
    return f"{bracketed(host)}:{port}"


def bracketed(host: str) -> str:
    """Return a host in the form of a URL: an IPv6 address has brackets."""
    return f"[{host}]" if ":" in host else host


def listing(host: Host, port: int | None) -> str:
    """Return all addresses with the port, for people to read."""
    return ", ".join(written(each, port) for each in hosts(host))


def is_everywhere(host: str) -> bool:
    """Return whether the address means all addresses of the machine: ``0.0.0.0`` or ``::``."""
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return False


def reachable(host: Host) -> str:
    """Return an address at which this machine reaches a server that listens on ``host``."""
    first = hosts(host)[0]
    # A server on :: listens on IPv4 too, and 127.0.0.1 exists on a machine without IPv6.
    return "127.0.0.1" if is_everywhere(first) else first


def meet(one: Host, other: Host) -> bool:
    """Return whether two servers cannot listen on the same port of these hosts."""
    return any(_meet(first, second) for first in hosts(one) for second in hosts(other))


def listening_problem(host: str) -> str | None:
    """Return the problem of a host to listen on, as the end of a sentence, or None."""
    if "," in host:
        return 'is more than one address: write a list, such as ["127.0.0.1", "::1"]'
    if host == "*":
        return "is not an address: write 0.0.0.0 for IPv4, or :: for IPv6 and IPv4"
    return host_problem(host)


def host_problem(host: str) -> str | None:
    """Return the problem of a host name or an address, as the end of a sentence, or None."""
    if found := _WITH_PORT.fullmatch(host):
        return f"has a port in it: leave out {found[1]}, since the port is a setting of its own"
    name = hosts(host)[0]
    if name != host or ":" in name:
        return None if _is_ipv6(name) else "is not an IPv6 address"
    if _NUMERIC.fullmatch(name):
        return None if _is_ipv4(name) else "is not an IPv4 address"
    fits = _NAME.fullmatch(name) and len(name) <= LONGEST_NAME and _is_domain(name)
    return None if fits else "is neither a host name nor an address"


def address_problem(address: str) -> str | None:
    """Return the problem of the host in ``host:port``, as the end of a sentence, or None."""
    return host_problem(address.rpartition(":")[0])


def socket_problem(path: str) -> str | None:
    """Return the problem of the path of a Unix socket, as the end of a sentence, or None."""
    size = len(os.fsencode(path))
    return (
        f"is too long for a Unix socket: {size} bytes, and at most {LONGEST_SOCKET}" if size > LONGEST_SOCKET else None
    )


def no_socket(path: str) -> str | None:
    """Return what is at the path instead of a Unix socket, as the end of a sentence, or None."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return None
    return "is a directory" if S_ISDIR(mode) else None if S_ISSOCK(mode) else "is not a socket"


def _meet(one: str, other: str) -> bool:
    if one.lower() == other.lower() or "::" in (one, other):
        return True
    return "0.0.0.0" in (one, other) and ":" not in one + other


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except AddressValueError:
        return False
    return True


def _is_ipv4(text: str) -> bool:
    """Return whether the resolver accepts an IPv4 address: inet_aton(3), with short forms such as 127.1."""
    parts = text.split(".")
    try:
        *others, last = (int(part, 16 if part[:2] in ("0x", "0X") else 8 if part[:1] == "0" else 10) for part in parts)
    except ValueError:
        return False
    return len(parts) <= 4 and all(each < 256 for each in others) and last < 256 ** (5 - len(parts))


def _is_domain(name: str) -> bool:
    """Return whether the resolver can encode a name."""
    try:
        name.encode("idna")
    except UnicodeError:
        return False
    return True
