"""The bounds of an HTTP port, for its connections and for the calls of each app, and the outbox of its answers."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Container
from time import monotonic
from typing import Generic, Protocol, TypeVar

from soketpy.core.containment import attempt, contain
from soketpy.core.refusals import Lines, ip_of
from soketpy.core.steps import Later
from soketpy.web.peers import Peers

log = logging.getLogger("soketpy.http")

C = TypeVar("C")

GRACE = 0.5
"""Seconds that a new connection has for its first request, however many connections there are."""

SURGE = 4096
"""New connections beyond the bound that may be in their grace period at the same time."""

FULL = "Refused an HTTP connection of %(peer)s with 503: all %(most)d are being served (bounds.max_http_connections)"
REPLACED = (
    "Closed an idle HTTP connection of %(peer)s for another one: there may be %(most)d (bounds.max_http_connections)"
)
TOO_MANY = "Closed a connection of %(peer)s without a request: there may be %(most)d (bounds.max_http_connections)"


def _later(seconds: float, call: Callable[[], None]) -> object:
    return asyncio.get_running_loop().call_later(seconds, call)


class HttpConnections:
    """The connections without a WebSocket. Each operation takes constant time.

    - If a connection for HTTP exceeds ``most``, the connection that has been idle for longest is closed. If none is
      idle, or all idle ones have answers that are not written yet, the new connection is refused.
    - A connection without a request may become a WebSocket, so it is not refused. If these and the connections for HTTP
      exceed ``most`` together, the oldest without a request are closed as soon as their grace period is over.
    """

    def __init__(
        self,
        most: int | None = None,
        clock: Callable[[], float] = monotonic,
        later: Later = _later,
        peers: Peers | None = None,
    ) -> None:
        self._most = most
        self._clock = clock
        self._later = later
        self._new: OrderedDict[object, tuple[float, asyncio.Transport]] = OrderedDict()
        self._idle: OrderedDict[object, asyncio.Transport] = OrderedDict()
        self._busy: dict[object, asyncio.Transport] = {}
        self._trims = False  # a call of _trim is scheduled
        self._lines = Lines(clock, later)
        self._peers = peers or Peers()

    @property
    def share(self) -> int | None:
        """Return how many HTTP connections one app may keep busy: half of them, so that other apps can call."""
        return None if self._most is None else max(1, self._most // 2)

    def __len__(self) -> int:
        return len(self._new) + len(self._idle) + len(self._busy)

    def __contains__(self, protocol: object) -> bool:
        return protocol in self._idle or protocol in self._busy

    def arrive(self, protocol: object, transport: asyncio.Transport) -> None:
        """Count a new connection."""
        if self._most is None:
            return
        self._new[protocol] = (self._clock(), transport)
        if len(self) > self._most:
            if len(self) > self._most + SURGE:
                self._drop_oldest()
            self._look_later()

    def any_newer(self, seconds: float) -> bool:
        """Return whether a connection without a request was accepted within the last ``seconds``."""
        return bool(self._new) and self._clock() - next(reversed(self._new.values()))[0] < seconds

    def admit(self, protocol: object, transport: asyncio.Transport, unsent: Container[object] = ()) -> bool:
        """Count a connection as an idle one for HTTP. Return False if there is no room for it.

        No connection in ``unsent`` is closed to make room: its client would not learn that its call was served.
        """
        if self._most is None:
            return True
        if len(self._idle) + len(self._busy) >= self._most:
            oldest = next(iter(self._idle), None)
            if oldest is None or oldest in unsent:  # then the others were used later, so in this iteration too
                self._note("http_connection_refused", FULL, transport)
                return False
            longest = self._idle.pop(oldest)
            self._note("http_connection_replaced", REPLACED, longest)
            longest.abort()
        self._new.pop(protocol, None)
        self._idle[protocol] = transport
        if self._new and len(self) > self._most:
            self._look_later()
        return True

    def replace(self, former: object, protocol: object) -> None:
        """Count the connection under the protocol that serves it from now on."""
        transport = self._idle.pop(former, None) or self._busy.pop(former, None)
        if transport is not None:
            self._idle[protocol] = transport

    def use(self, protocol: object) -> None:
        """Note that a client has sent bytes: its connection is now the last one to be closed."""
        if protocol in self._idle:
            self._idle.move_to_end(protocol)

    def begin(self, protocol: object) -> None:
        """Count a connection as busy: it is not closed to make room."""
        transport = self._idle.pop(protocol, None)
        if transport is not None:
            self._busy[protocol] = transport

    def end(self, protocol: object) -> None:
        """Count a connection as idle again."""
        transport = self._busy.pop(protocol, None)
        if transport is not None:
            self._idle[protocol] = transport

    def leave(self, protocol: object) -> None:
        """Stop counting a connection that is closed or has become a WebSocket."""
        if self._new.pop(protocol, None) is None and self._idle.pop(protocol, None) is None:
            self._busy.pop(protocol, None)

    def _look_later(self) -> None:
        """Schedule a look at the new connections for the end of the oldest one's grace period."""
        if not self._trims:
            self._trims = True
            self._later(self._grace_left(), self._trim)

    def _grace_left(self) -> float:
        since, _ = next(iter(self._new.values()))
        return max(0.0, since + GRACE - self._clock())

    def _trim(self) -> None:
        """Close new connections beyond the bound whose grace period is over."""
        self._trims = False
        assert self._most is not None  # noqa: S101 - nothing is counted without a bound
        while self._new and len(self) > self._most:
            if self._grace_left() > 0:
                self._look_later()
                return
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        _, (_, transport) = self._new.popitem(last=False)
        self._note("silent_connection_closed", TOO_MANY, transport)
        transport.abort()

    def _note(self, event: str, text: str, transport: asyncio.Transport) -> None:
        """Log that a connection is closed because of the bound. Never raises."""
        attempt(log, self._log, event, text, transport)

    def _log(self, event: str, text: str, transport: asyncio.Transport) -> None:
        if level := self._lines.level("HTTP connections"):
            peer = self._peers.of(transport)
            log.log(level, text, {"event": event, "peer": peer, "ip": ip_of(peer), "most": self._most})


class CallsInProgress(dict[C, tuple[str, Callable[[C], None]]], Generic[C]):
    """Calls that wait for their body, for other nodes, or for room. Each is counted once, however often it waits.

    A call that waits keeps an HTTP connection busy. One app may have at most ``most`` such calls, so that it cannot use
    all connections. A call that is answered at once is never entered.
    """

    def __init__(self, most: int | None = None) -> None:
        super().__init__()
        self._most = most
        self._of_app: dict[str, int] = {}
        self.full: set[str] = set()
        """The apps that have reached their limit of calls in progress."""

    def enter(self, call: C, app_id: str, ended: Callable[[C], None]) -> None:
        """Count a call of an app until it leaves. ``ended``, called with the call, replaces an earlier one."""
        if call not in self:
            number = self._of_app[app_id] = self._of_app.get(app_id, 0) + 1
            if self._most is not None and number >= self._most:
                self.full.add(app_id)
        self[call] = app_id, ended

    def leave(self, call: C) -> bool:
        """Stop counting a call. Return whether it was counted."""
        entry = self.pop(call, None)
        if entry is None:
            return False
        app_id, _ = entry
        left = self._of_app[app_id] - 1
        if self._most is not None and left < self._most:
            self.full.discard(app_id)
        if left:
            self._of_app[app_id] = left
        else:
            del self._of_app[app_id]
        return True


class Sender(Protocol):
    """A connection and its answers that wait to be written."""

    answers: list[bytes]

    def send(self) -> None:
        """Write the answers that wait."""

    def abort(self) -> None:
        """Close the TCP connection at once."""


class Outbox:
    """The connections whose answers are written together, at the end of this iteration of the event loop.

    Writing the answers one after the other wakes a process that waits for several of them, such as a proxy on the same
    machine, only once. Answers are written before the fan-outs that their calls began, so that publishers need not wait
    for the fan-outs.
    """

    def __init__(self) -> None:
        self._waiting: dict[object, Sender] = {}

    def __contains__(self, connection: object) -> bool:
        return connection in self._waiting

    def add(self, connection: Sender) -> None:
        """Let a connection write its answers at the end of this iteration."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._send)
        self._waiting[connection] = connection

    def _send(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for connection in waiting.values():
            try:
                if connection.answers:
                    connection.send()
            except Exception as fault:
                contain(log, fault, "The answers to a client could not be sent")
                connection.abort()
