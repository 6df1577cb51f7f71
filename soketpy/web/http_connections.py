"""The HTTP connections of one port, and the connections that have not sent a first request, under one bound."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from time import monotonic

from soketpy.core.containment import attempt
from soketpy.core.refusals import Lines, address
from soketpy.core.steps import Later

log = logging.getLogger("soketpy.http")

GRACE = 0.5
"""Seconds in which a new connection may send its first request, however many others there are."""

SURGE = 4096
"""New connections beyond the bound that may be in their grace at once."""

FULL = "Refused an HTTP connection of %s with 503: all %d are being served (bounds.max_http_connections)"
TOOK_PLACE = "Closed an idle HTTP connection of %s for another one: there may be %d (bounds.max_http_connections)"
TOO_MANY = "Closed a connection of %s without a request: there may be %d (bounds.max_http_connections)"


def _later(seconds: float, call: Callable[[], None]) -> object:
    return asyncio.get_running_loop().call_later(seconds, call)


class HttpConnections:
    """Who is connected without a WebSocket. Each operation costs the same, however many there are.

    - A connection for HTTP beyond ``most`` takes the place of the one that has been idle for longest. If none is idle,
      the new connection is refused.
    - A connection that has not sent a request may become a WebSocket, so it is not refused. Beyond ``most``, counted
      together with those for HTTP, the oldest are dropped as soon as their grace is over.
    """

    def __init__(self, most: int | None = None, clock: Callable[[], float] = monotonic, later: Later = _later) -> None:
        self._most = most
        self._clock = clock
        self._later = later
        self._new: OrderedDict[object, tuple[float, asyncio.Transport]] = OrderedDict()
        self._idle: OrderedDict[object, asyncio.Transport] = OrderedDict()
        self._busy: dict[object, asyncio.Transport] = {}
        self._trims = False  # whether a look at the new ones is due
        self._lines = Lines(clock, later)

    @property
    def share(self) -> int | None:
        """Return how many HTTP connections one app may keep busy: half of them, so that the others can call."""
        return None if self._most is None else max(1, self._most // 2)

    def __len__(self) -> int:
        return len(self._new) + len(self._idle) + len(self._busy)

    def __contains__(self, protocol: object) -> bool:
        return protocol in self._idle or protocol in self._busy

    def arrive(self, protocol: object, transport: asyncio.Transport) -> None:
        """Count a connection that has not sent a request."""
        if self._most is None:
            return
        self._new[protocol] = (self._clock(), transport)
        if len(self) > self._most:
            if len(self) > self._most + SURGE:
                self._drop_oldest()
            self._look_later()

    def any_newer(self, seconds: float) -> bool:
        """Return whether a connection that has not sent a request has come within the last so many seconds."""
        return bool(self._new) and self._clock() - next(reversed(self._new.values()))[0] < seconds

    def admit(self, protocol: object, transport: asyncio.Transport) -> bool:
        """Count a connection as one for HTTP that is idle; return False if there is no room for it."""
        if self._most is None:
            return True
        if len(self._idle) + len(self._busy) >= self._most:
            if not self._idle:
                self._note(FULL, transport)
                return False
            _, longest = self._idle.popitem(last=False)
            self._note(TOOK_PLACE, longest)
            longest.abort()
        self._new.pop(protocol, None)
        self._idle[protocol] = transport
        if self._new and len(self) > self._most:
            self._look_later()
        return True

    def replace(self, former: object, protocol: object) -> None:
        """Let another protocol serve the connection."""
        transport = self._idle.pop(former, None) or self._busy.pop(former, None)
        if transport is not None:
            self._idle[protocol] = transport

    def use(self, protocol: object) -> None:
        """Note that a client has sent something."""
        if protocol in self._idle:
            self._idle.move_to_end(protocol)

    def begin(self, protocol: object) -> None:
        """Keep a connection that is being served."""
        transport = self._idle.pop(protocol, None)
        if transport is not None:
            self._busy[protocol] = transport

    def end(self, protocol: object) -> None:
        """Count a connection as idle once it has been served."""
        transport = self._busy.pop(protocol, None)
        if transport is not None:
            self._idle[protocol] = transport

    def leave(self, protocol: object) -> None:
        """Count a connection no more: it is lost, or has become a WebSocket."""
        if self._new.pop(protocol, None) is None and self._idle.pop(protocol, None) is None:
            self._busy.pop(protocol, None)

    def _look_later(self) -> None:
        """Look at the new connections again when the grace of the oldest is over."""
        if not self._trims:
            self._trims = True
            self._later(self._grace_left(), self._trim)

    def _grace_left(self) -> float:
        since, _ = next(iter(self._new.values()))
        return max(0.0, since + GRACE - self._clock())

    def _trim(self) -> None:
        """Drop the new connections beyond the bound whose grace is over."""
        self._trims = False
        assert self._most is not None  # noqa: S101 - nobody is counted without a bound
        while self._new and len(self) > self._most:
            if self._grace_left() > 0:
                self._look_later()
                return
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        _, (_, transport) = self._new.popitem(last=False)
        self._note(TOO_MANY, transport)
        transport.abort()

    def _note(self, text: str, transport: asyncio.Transport) -> None:
        """Log that a connection is closed because of the bound. Never raises."""
        attempt(log, self._log, text, transport)

    def _log(self, text: str, transport: asyncio.Transport) -> None:
        if level := self._lines.level("HTTP connections"):
            peer = address(transport.get_extra_info("peername"))
            log.log(level, text, peer, self._most)
