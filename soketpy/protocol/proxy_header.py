"""The PROXY protocol of HAProxy, versions 1 and 2: the header before the first byte of the client.

The document "The PROXY protocol" of HAProxy has the rules (sections 2.1 and 2.2).
"""

from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

V1 = b"PROXY "
V2 = b"\r\n\r\n\0\r\nQUIT\n"

LONGEST_V1 = 107
"""Bytes of the longest header of version 1, with its line end."""

LONGEST_V2 = 4096
"""Most bytes of a header of version 2. The addresses need 232 bytes; the rest are extensions (TLVs)."""

_LOCAL, _PROXY = 0x20, 0x21
_TCP4, _TCP6 = 0x11, 0x21
_LAST_PORT = 65_535
_SSL, _BY_SSL = 0x20, 0x01
"""PP2_TYPE_SSL, an extension, and PP2_CLIENT_SSL, a bit of the first byte of this extension (section 2.2.6)."""


class BadProxyHeader(ValueError):
    """Bytes that are not a PROXY header, and the reason."""


class ProxyHeader(NamedTuple):
    """A PROXY header: the address of the client, the number of bytes, and whether the client uses TLS to the proxy.

    ``client`` is None if the proxy speaks for itself (LOCAL, for example a health check) or knows no IP address
    (UNKNOWN). Only a header of version 2 can say that the client uses TLS.
    """

    client: str | None
    size: int
    tls: bool = False


def parse(received: bytes) -> ProxyHeader | None:
    """Return the header at the begin of a connection, or None if more bytes must be received first.

    Raise BadProxyHeader.
    """
    if received.startswith(V2[: len(received)]):
        return _parse_v2(received)
    if received.startswith(V1[: len(received)]):
        return _parse_v1(received)
    raise BadProxyHeader("The connection does not begin with a PROXY header (proxy_protocol).")


def _parse_v1(received: bytes) -> ProxyHeader | None:
    end = received.find(b"\r\n", 0, LONGEST_V1)
    if end < 0:
        if len(received) >= LONGEST_V1:
            raise BadProxyHeader("The line of the PROXY header is too long.")
        return None
    words = received[len(V1) : end].decode("latin-1").split(" ")
    if words[0] == "UNKNOWN":
        return ProxyHeader(None, end + 2)
    if len(words) != 5 or words[0] not in ("TCP4", "TCP6") or not all(map(_is_port, words[3:])):
        raise BadProxyHeader("The PROXY header is not valid.")
    try:
        source = _parse_address(words[0], words[1])
        _parse_address(words[0], words[2])
    except ValueError:
        raise BadProxyHeader("The PROXY header has an invalid address.") from None
    return ProxyHeader(_text(source), end + 2)


def _parse_v2(received: bytes) -> ProxyHeader | None:
    if len(received) < 16:
        return None
    command, family = received[12], received[13]
    size = 16 + int.from_bytes(received[14:16], "big")
    if command not in (_LOCAL, _PROXY):
        raise BadProxyHeader("The PROXY header has an unknown version or command.")
    if size > LONGEST_V2:
        raise BadProxyHeader(f"The PROXY header has more than {LONGEST_V2} bytes.")
    length = 12 if family == _TCP4 else 36 if family == _TCP6 else 0
    if command == _PROXY and size < 16 + length:
        raise BadProxyHeader("The PROXY header is too short for its addresses.")
    if len(received) < size:
        return None
    if command == _LOCAL or not length:  # LOCAL, UNSPEC, or a Unix socket at the proxy
        return ProxyHeader(None, size)
    source = IPv4Address(received[16:20]) if family == _TCP4 else IPv6Address(received[16:32])
    return ProxyHeader(_text(source), size, _has_tls(received[16 + length : size]))


def _has_tls(extensions: bytes) -> bool:
    """Return whether an extension says that the client uses TLS. Bytes that are no extension say nothing."""
    at = 0
    while at + 3 < len(extensions):
        length = int.from_bytes(extensions[at + 1 : at + 3], "big")
        if extensions[at] == _SSL and length >= 5 and at + 3 + length <= len(extensions):
            return bool(extensions[at + 3] & _BY_SSL)
        at += 3 + length
    return False


def _parse_address(family: str, text: str) -> IPv4Address | IPv6Address:
    """Return an address of this family. Raise ValueError; the scope of a link is not allowed."""
    if "%" in text:
        raise ValueError(text)
    return IPv4Address(text) if family == "TCP4" else IPv6Address(text)


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= _LAST_PORT


def _text(source: IPv4Address | IPv6Address) -> str:
    """Return an address; without the form of IPv6 if it is an IPv4 address."""
    return str(source if isinstance(source, IPv4Address) or source.ipv4_mapped is None else source.ipv4_mapped)
