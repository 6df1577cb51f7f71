"""An HTTP port: its API, and the objects that its connections share."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from soketpy.protocol.handshake import Upgrade
from soketpy.web.answers import Reply
from soketpy.web.deadlines import Deadlines
from soketpy.web.errors import RequestError
from soketpy.web.exchange import Ended, Exchange
from soketpy.web.http_connections import HttpConnections, Outbox


class Api(Protocol):
    """The object that serves the requests of a port; ``Rest`` documents the methods."""

    body_size: int
    leaving: bool

    @property
    def stopped(self) -> bool:
        """Return whether all requests have been answered, also those that wait."""

    def open(
        self, method: str, target: str, headers: Mapping[str, str], caller: asyncio.BaseTransport | None = None
    ) -> Exchange:
        """Open a request by its head. Never raises."""

    def wait(self, exchange: Exchange, ended: Ended) -> None:
        """Count a request whose body is incomplete."""

    def begin(self, exchange: Exchange, body: bytes, ended: Ended) -> bool:
        """Serve a request. Return whether it has its answer; if not, ``ended`` is called later."""

    def refuse(self, exchange: Exchange, fault: RequestError) -> None:
        """Answer a request with an error, unless it has an answer."""

    def reply(self, exchange: Exchange) -> Reply:
        """Return the answer in the form in which it is sent."""


@dataclass(slots=True)
class HttpPort:
    """A port: the API that serves its requests, and the objects that its connections share.

    ``log_refusal`` logs a request that is refused because of its head, by status and reason; it never raises.
    ``open_websocket`` hands a connection to a WebSocket, with the bytes after the handshake; without it, the port has
    no WebSockets.
    """

    api: Api
    deadlines: Deadlines
    connections: HttpConnections
    clock: Callable[[], float]
    draining: Callable[[], bool] = lambda: False
    log_refusal: Callable[[asyncio.Transport, int, str], None] = lambda *_: None
    open_websocket: Callable[[asyncio.Transport, Upgrade, bytes], None] | None = None
    outbox: Outbox = field(default_factory=Outbox)
