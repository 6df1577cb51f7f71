"""The addresses of clients: of their TCP connections, or those that trusted proxies name."""

import asyncio
from collections.abc import Mapping
from typing import NamedTuple
from weakref import WeakKeyDictionary

from soketpy.core.refusals import address
from soketpy.protocol.forwarded import Networks, client_of, forwarded, x_forwarded

TLS_SCHEMES = ("https", "wss")


class Client(NamedTuple):
    """A client as the log names it. It is ``secure`` if it uses TLS, to the first proxy or to the server."""

    name: str
    secure: bool


class Peers:
    """Finds the clients of connections and requests.

    Without trusted proxies, ``X-Forwarded-Proto`` of every peer counts, and no other header. With them, only their
    headers count: ``Forwarded`` if ``standard`` is true, else ``X-Forwarded-For`` and ``X-Forwarded-Proto``. The other
    headers are ignored, because a proxy passes a header on that it does not know, and the client may have written it.
    """

    def __init__(self, proxies: Networks | None = None, *, standard: bool = False) -> None:
        self.proxies = proxies or Networks()
        self._hops = forwarded if standard else x_forwarded
        self._announced: WeakKeyDictionary[asyncio.BaseTransport, str] = WeakKeyDictionary()

    def announce(self, transport: asyncio.BaseTransport, client: str) -> None:
        """Note the address that the PROXY header of a connection names."""
        self._announced[transport] = client

    def of(self, transport: asyncio.BaseTransport | None) -> str:
        """Return the peer of a connection for the log, without the headers of a request."""
        if transport is None:
            return address(None)
        if self._announced and (client := self._announced.get(transport)) is not None:
            return client
        return address(transport.get_extra_info("peername"))

    def trusts(self, transport: asyncio.BaseTransport) -> bool:
        """Return whether the peer of a connection is a trusted proxy."""
        return self.proxies.has(self.of(transport))

    def name(self, transport: asyncio.BaseTransport | None, headers: Mapping[str, str] | None) -> str:
        """Return the client of a request for the log."""
        peer = self.of(transport)
        if not self.proxies or headers is None:
            return peer
        return client_of(peer, self._hops(headers), self.proxies).address

    def client(self, transport: asyncio.BaseTransport, headers: Mapping[str, str]) -> Client:
        """Return the client of a request with these headers."""
        peer, tls = self.of(transport), transport.get_extra_info("sslcontext") is not None
        if not self.proxies:
            scheme = headers.get("x-forwarded-proto", "").partition(",")[0].strip().lower()
            return Client(peer, scheme in TLS_SCHEMES or tls)
        sender = client_of(peer, self._hops(headers), self.proxies)
        return Client(sender.address, sender.scheme in TLS_SCHEMES or (tls and sender.scheme is None))
