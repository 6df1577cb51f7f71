"""The orderly stop of a server: a delay in which load balancers notice the stop, and then the end of all connections.

Clients are closed slice by slice, and accepted connections get their answers.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress

from soketpy.core.connection import Connection
from soketpy.process.log import quantity
from soketpy.protocol.errors import Code
from soketpy.web.first_request import FirstRequest
from soketpy.web.opening import STOPPING
from soketpy.web.rest import Rest
from soketpy.web.server_state import Client, ServerState
from soketpy.web.websocket import CLOSING_TIMEOUT

log = logging.getLogger("soketpy")

DRAIN_STEP = 0.05
"""Seconds between two slices of clients that are closed."""

FLUSH_TIMEOUT = 1.0
"""Seconds that a tab has to acknowledge what it has received, before it is closed."""

FIRST_REQUEST_TIMEOUT = 1.0
"""Seconds that an accepted connection has to send its first request."""


async def delay(seconds: float, hurried: asyncio.Event) -> None:
    """Wait for ``timeouts.drain``, or until ``hurried`` is set. ``/ready`` must answer 503 already."""
    if seconds <= 0 or hurried.is_set():
        return
    log.info(
        "Draining: /ready answers 503, and all else is served for %(seconds)g s; a second signal ends this time",
        {"event": "draining", "seconds": seconds},
    )
    with suppress(TimeoutError):
        await asyncio.wait_for(hurried.wait(), seconds)


async def drain(
    state: ServerState,
    rest: Rest,
    listeners: Sequence[asyncio.Server],
    handshakes: Collection[FirstRequest],
    shutdown: float,
) -> None:
    """Refuse new clients, close the open ones with 4200, and wait until REST requests are answered.

    The clients are closed slice by slice within ``shutdown`` seconds, so that they do not all reconnect at the same
    moment. ``handshakes`` are the connections that may be in the middle of a TLS handshake.
    """
    state.draining = True
    if state.port_is_shared:
        rest.leaving = True
        _close(listeners)  # the other processes accept new connections
    else:
        rest.draining = True
    clients, loop = state.clients(), asyncio.get_running_loop()
    log.info(
        "Stopping: closing %(clients)s within %(seconds)g s",
        {
            "event": "closing_clients",
            "clients": quantity(len(clients), "connection"),
            "seconds": shutdown,
            "count": len(clients),
        },
    )
    deadline = loop.time() + shutdown
    size = max(1, -(-len(clients) // max(1, int(shutdown / DRAIN_STEP))))
    flushed: dict[Client, float] = {}  # tabs that have not acknowledged everything, and until when they may
    for start in range(0, len(clients), size):
        some = clients[start : start + size]
        unacknowledged = state.node.resume.flush(each for each in some if isinstance(each, Connection))
        flushed.update(dict.fromkeys(unacknowledged, loop.time() + FLUSH_TIMEOUT))
        for client in some:
            if client not in flushed:
                client.refuse(Code.RECONNECT, STOPPING)
        await asyncio.sleep(DRAIN_STEP)
        _close_flushed(flushed, state, loop.time())
    while flushed:
        await asyncio.sleep(DRAIN_STEP)
        _close_flushed(flushed, state, loop.time())
    if rest.leaving:  # the next answer on an idle HTTP connection announces its end, so that no request is lost
        await _wait_while(lambda: len(state.http) > 0, deadline - loop.time())
    await _wait_while(lambda: _unfinished(state, rest) > 0, max(0.0, deadline - loop.time()) + CLOSING_TIMEOUT)
    _close(listeners)
    await _finish_accepted(state, rest, handshakes)
    rest.stop()


def _close_flushed(flushed: dict[Client, float], state: ServerState, now: float) -> None:
    """Close the tabs that have acknowledged everything, or that have had enough time for it."""
    for client, until in list(flushed.items()):
        if now >= until or not (isinstance(client, Connection) and state.node.resume.awaits(client)):
            del flushed[client]
            client.refuse(Code.RECONNECT, STOPPING)


async def _finish_accepted(state: ServerState, rest: Rest, handshakes: Collection[FirstRequest]) -> None:
    """Wait for the first requests of accepted connections and for the answers to these requests."""
    for _ in range(3):
        await asyncio.sleep(0)  # asyncio creates the protocol of an accepted connection in a later iteration
    unanswered, loop = _unfinished(state, rest), asyncio.get_running_loop()
    deadline = loop.time() + FIRST_REQUEST_TIMEOUT

    def expects_requests() -> bool:
        shaking_hands = bool(handshakes) and loop.time() < deadline
        return shaking_hands or state.http.any_newer(FIRST_REQUEST_TIMEOUT) or _unfinished(state, rest) > unanswered

    await _wait_while(expects_requests, 2 * FIRST_REQUEST_TIMEOUT)


def _unfinished(state: ServerState, rest: Rest) -> int:
    """Return how many clients have not answered a close frame, and how many REST requests are not answered."""
    return state.closing + rest.under_way


def _close(listeners: Sequence[asyncio.Server]) -> None:
    for listener in listeners:
        listener.close()


async def _wait_while(condition: Callable[[], bool], seconds: float) -> None:
    """Wait while the condition is true, but not longer than so many seconds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while condition() and loop.time() < deadline:  # noqa: ASYNC110 - an event would cost a callback for every client
        await asyncio.sleep(DRAIN_STEP)
