"""The headers in which proxies name the client: ``X-Forwarded-For`` and ``X-Forwarded-Proto``, or ``Forwarded``.

Each proxy appends what it knows of the sender of its request, so only the end of a header is written by the proxy next
to the server. The begin may be written by the client. ``client_of`` therefore reads from the end, and only as long as
each name was written by a proxy that is trusted.
"""

import re
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import NamedTuple

MOST_HOPS = 32
"""Proxies that are read from the end of a header. The addresses before them are ignored."""

LONGEST = 4096
"""Characters that are read from the end of a header. The characters before them are ignored."""

UNIX = "unix"
"""Stands for all peers of a Unix socket, in a list of networks."""

UNIX_PEER = "a Unix socket"
"""The peer of a Unix socket, in place of an address."""

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - RFC 9110, section 5.6.2
_PAIR = rf'({_TOKEN})=(?:({_TOKEN})|"((?:[^"\\]|\\.)*)")'
_ELEMENT = re.compile(rf"[ \t]*{_PAIR}(?:[ \t]*;[ \t]*{_PAIR})*[ \t]*")
_ONE_PAIR = re.compile(_PAIR)
_IPV4 = re.compile(r"([0-9.]+)(?::[0-9]{1,5})?")
_IPV6 = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?")


class Hop(NamedTuple):
    """The sender of a request, as a proxy names it. ``address`` is None if the proxy names no IP address."""

    address: str | None
    scheme: str | None


class Sender(NamedTuple):
    """The client of a request. ``scheme`` is None if no trusted proxy names one."""

    address: str
    scheme: str | None = None


class Networks:
    """Networks of proxies, by address. ``unix`` in the list stands for the peers of a Unix socket."""

    def __init__(self, networks: Sequence[str] = ()) -> None:
        """Raise ValueError for a text that is not a network."""
        self._unix = UNIX in networks
        self._networks = [ip_network(each) for each in networks if each != UNIX]
        self._known: dict[str, bool] = {}

    def __bool__(self) -> bool:
        return self._unix or bool(self._networks)

    def has(self, address: str) -> bool:
        """Return whether an IP address is in one of the networks, or whether ``UNIX_PEER`` is trusted."""
        if address == UNIX_PEER:
            return self._unix
        known = self._known.get(address)
        if known is None:
            if len(self._known) >= MOST_HOPS:
                self._known.clear()
            known = self._known[address] = self._find(address)
        return known

    def _find(self, address: str) -> bool:
        try:
            ip = _plain(ip_address(address))
        except ValueError:
            return False
        return any(ip in network for network in self._networks if network.version == ip.version)


def network_problem(text: str) -> str | None:
    """Return the problem of a network in the settings, as the end of a sentence, or None."""
    if text == UNIX:
        return None
    if "%" in text:
        return f"has the scope of a link: leave out %{text.partition('%')[2]}"
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        return f"is not a network such as 10.0.0.0/8, an address or {UNIX}"
    if network.version == 6 and network.network_address.ipv4_mapped is not None:
        return "is an IPv4 network in the form of IPv6: write it as IPv4"
    if ip_address(text.partition("/")[0]) != network.network_address:
        return f"has bits after its prefix: write {network}"
    return None


def x_forwarded(headers: Mapping[str, str]) -> list[Hop]:
    """Return the senders of a request by ``X-Forwarded-For``; the last one has sent it to the nearest proxy.

    The schemes of ``X-Forwarded-Proto`` belong to these senders if there are as many of them. Otherwise each sender has
    the last scheme, which the nearest proxy has written.
    """
    senders = [_address(each) for each in _items(headers.get("x-forwarded-for", ""))]
    schemes: list[str | None] = [each.lower() for each in _items(headers.get("x-forwarded-proto", ""))]
    if len(schemes) != len(senders):
        senders = senders or [None]
        schemes = (schemes or [None])[-1:] * len(senders)
    return [Hop(sender, scheme) for sender, scheme in zip(senders, schemes, strict=True)]


def forwarded(headers: Mapping[str, str]) -> list[Hop]:
    """Return the senders of a request by ``Forwarded`` (RFC 7239); the last one has sent it to the nearest proxy.

    The header is read from its end up to the first element that is malformed.
    """
    rest, hops = headers.get("forwarded", "")[-LONGEST:], list[Hop]()
    while rest.strip(" \t") and len(hops) < MOST_HOPS:
        rest, element = _last_element(rest)
        if element is None:
            hops.append(Hop(None, None))
            break
        pairs = {name.lower(): token or re.sub(r"\\(.)", r"\1", quoted) for name, token, quoted in element}
        scheme = pairs.get("proto")
        hops.append(Hop(_address(pairs.get("for", "")), None if scheme is None else scheme.lower()))
    return hops[::-1]


def client_of(peer: str, hops: Sequence[Hop], networks: Networks) -> Sender:
    """Return the sender that the last trusted proxy names, or ``peer`` if it is not a trusted proxy.

    ``peer`` is the address of the TCP connection, or ``UNIX_PEER``. If a trusted proxy names no address, this proxy is
    the client.
    """
    client = Sender(peer)
    for hop in reversed(hops):
        if not networks.has(client.address):
            break
        if hop.address is None:
            return Sender(client.address, hop.scheme)
        client = Sender(hop.address, hop.scheme)
    return client


def _last_element(text: str) -> tuple[str, list[tuple[str, str, str]] | None]:
    """Return the text before the last element of a list, and the pairs of this element; None for a malformed one.

    A comma in a quoted string does not separate, so that each comma is tried from the end.
    """
    at = len(text)
    for _ in range(MOST_HOPS):
        at = text.rfind(",", 0, at)
        if _ELEMENT.fullmatch(text, at + 1):
            return text[: max(at, 0)], _ONE_PAIR.findall(text, at + 1)
        if at < 0:
            break
    return "", None


def _items(value: str) -> list[str]:
    """Return the last items of a list that commas separate."""
    if not value:
        return []
    items = value[-LONGEST:].rsplit(",", MOST_HOPS)
    return [item.strip(" \t") for item in items[-MOST_HOPS:]]


def _address(node: str) -> str | None:
    """Return the IP address of ``address``, ``address:port`` or ``[address]:port``; None for anything else."""
    found = _IPV4.fullmatch(node) or _IPV6.fullmatch(node)
    text = node if found is None else found[1]
    if "%" in text:  # the scope of a link, which can be any text
        return None
    try:
        return str(_plain(ip_address(text)))
    except ValueError:
        return None


def _plain(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return an IPv4 address that is written as IPv6 in its own form."""
    return ip if isinstance(ip, IPv4Address) or ip.ipv4_mapped is None else ip.ipv4_mapped
