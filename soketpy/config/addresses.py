"""Addresses to listen on, as the settings have them: one, or several."""

from ipaddress import ip_address

Host = str | tuple[str, ...]
"""A host name or an address, or several."""


def hosts(host: Host) -> tuple[str, ...]:
    """Return each host name or address, an IPv6 address without the brackets that it may have."""
    each = (host,) if isinstance(host, str) else host
    return tuple(one[1:-1] if one.startswith("[") and one.endswith("]") else one for one in each)


def written(host: str, port: int | None) -> str:
    """Return host and port as a URL has them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def listing(host: Host, port: int | None) -> str:
    """Return all addresses with the port, for people to read."""
    return ", ".join(written(each, port) for each in hosts(host))


def is_everywhere(host: str) -> bool:
    """Return whether the address stands for all addresses of the machine: ``0.0.0.0``, ``::``."""
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return False


def reachable(host: Host) -> str:
    """Return an address by which this machine reaches a server that listens on ``host``."""
    first = hosts(host)[0]
    # A server on :: listens on IPv4 too, and 127.0.0.1 is there on a machine without IPv6 as well.
    return "127.0.0.1" if is_everywhere(first) else first
