"""The addresses of clients: of their TCP connections, or those that trusted proxies name."""

import asyncio
from collections.abc import Mapping
from typing import NamedTuple
from weakref import WeakKeyDictionary

from soketpy.core.refusals import address
from soketpy.protocol.forwarded import Networks, client_of, forwarded, x_forwarded

TLS_SCHEMES = ("https", "wss")


class Announced(NamedTuple):
    """The statements of a PROXY header about a connection. ``named`` is false if the header names no client."""

    address: str
    tls: bool
    named: bool


class Peers:
    """Finds the clients of connections and requests.

    Without trusted proxies, ``X-Forwarded-Proto`` of every peer counts, and no other header. With them, only their
    headers count: ``Forwarded`` if ``standard`` is true, else ``X-Forwarded-For`` and ``X-Forwarded-Proto``. The other
    headers are ignored, because a proxy passes a header on that it does not know, and the client may have written it.
    """

    def __init__(self, proxies: Networks | None = None, *, standard: bool = False) -> None:
        self.proxies = proxies or Networks()
        self._trusting = bool(self.proxies)
        self._hops = forwarded if standard else x_forwarded
        self._announced: WeakKeyDictionary[asyncio.BaseTransport, Announced] = WeakKeyDictionary()

    def announce(self, transport: asyncio.BaseTransport, client: str | None, *, tls: bool = False) -> None:
        """Note the address that the PROXY header of a connection names, and whether this client uses TLS.

        ``client`` is None if the header names no address. The connection then keeps the address of the proxy, but its
        headers never count, even if the proxy is trusted: the proxy of TCP connections did not write them.
        """
        self._announced[transport] = Announced(client or self.of(transport), tls, client is not None)

    def of(self, transport: asyncio.BaseTransport | None) -> str:
        """Return the peer of a connection for the log, without the headers of a request."""
        if transport is None:
            return address(None)
        if (announced := self._announcement(transport)) is not None:
            return announced.address
        return address(transport.get_extra_info("peername"))

    def trusts(self, transport: asyncio.BaseTransport) -> bool:
        """Return whether the peer of a connection is a trusted proxy."""
        return self.proxies.has(self.of(transport))

    def name(self, transport: asyncio.BaseTransport | None, headers: Mapping[str, str] | None) -> str:
        """Return the client of a request for the log."""
        peer = self.of(transport)
        if headers is None or transport is None or not self._counts(transport):
            return peer
        return client_of(peer, self._hops(headers), self.proxies).address

    def client(self, transport: asyncio.BaseTransport, headers: Mapping[str, str]) -> tuple[str | None, bool]:
        """Return who opens a WebSocket, and whether this client uses TLS, to the first proxy or to the server.

        The name is None without trusted proxies: ``of`` then has it.
        """
        announced = self._announcement(transport)
        tls = transport.get_extra_info("sslcontext") is not None or (announced is not None and announced.tls)
        if not self._trusting:
            if tls or "x-forwarded-proto" not in headers:
                return None, tls
            return None, headers["x-forwarded-proto"].partition(",")[0].strip().lower() in TLS_SCHEMES
        if announced is not None and not announced.named:
            return announced.address, tls
        sender = client_of(self.of(transport), self._hops(headers), self.proxies)
        return sender.address, tls if sender.scheme is None else sender.scheme in TLS_SCHEMES

    def _announcement(self, transport: asyncio.BaseTransport) -> Announced | None:
        return self._announced.get(transport) if self._announced else None

    def _counts(self, transport: asyncio.BaseTransport) -> bool:
        """Return whether the headers of a connection may name the client."""
        if not self._trusting:
            return False
        announced = self._announcement(transport)
        return announced is None or announced.named
