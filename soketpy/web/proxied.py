"""A TCP connection that begins with a PROXY header, which names the client."""

import asyncio

from soketpy.protocol.proxy_header import BadProxyHeader, parse
from soketpy.web.first_request import FirstRequest
from soketpy.web.http_port import HttpPort
from soketpy.web.peers import Peers


class ProxiedFirstRequest(FirstRequest):
    """Waits for the PROXY header, and then for the first request, for ``timeout`` seconds together.

    If there are trusted proxies and the peer is none of them, there is no header: the first bytes are the request.
    """

    __slots__ = ("_header", "_peers")

    def __init__(self, port: HttpPort, timeout: float, peers: Peers) -> None:
        super().__init__(port, timeout)
        self._peers = peers
        self._header: bytes | None = b""  # None after the header

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the time that the client has, and decide whether there is a header."""
        super().connection_made(transport)
        if self._peers.proxies and not self._peers.trusts(transport):
            self._header = None

    def data_received(self, data: bytes) -> None:
        """Collect the header and note its client. Close the connection if the header is not valid."""
        if self._header is None:
            super().data_received(data)
            return
        self._header += data
        try:
            header = parse(self._header)
        except BadProxyHeader as fault:
            self._log(400, str(fault))
            self.abort()
            return
        if header is not None:
            assert self._transport is not None  # noqa: S101 - asyncio calls connection_made first
            self._peers.announce(self._transport, header.client, tls=header.tls)
            rest, self._header = self._header[header.size :], None
            if rest:
                super().data_received(rest)

    def expire(self, now: float) -> None:
        """Close a connection whose header or first request did not arrive in time."""
        if self._header and not self._port.draining():
            self._log(408, f"The PROXY header did not come within {self._timeout:g} s.")
        super().expire(now)
