"""The main port, and the switch of a connection from HTTP to WebSocket."""

import asyncio
import logging
from collections.abc import Mapping

from soketpy.core.admission import Hello
from soketpy.core.containment import attempt
from soketpy.protocol import handshake
from soketpy.web.http_port import HttpPort
from soketpy.web.opening import Opening
from soketpy.web.rest import Rest
from soketpy.web.server_state import ServerState

log = logging.getLogger("soketpy.http")


def main_port(rest: Rest, state: ServerState, prefix: str) -> HttpPort:
    """Return the port that serves the REST API and WebSockets."""
    return HttpPort(
        rest,
        state.deadlines,
        state.http,
        state.node.clock,
        draining=lambda: state.draining,
        log_refusal=lambda transport, status, reason: log_refusal(transport, state, status, reason),
        open_websocket=lambda transport, upgrade, rest: open_websocket(transport, upgrade, state, prefix, rest),
    )


def log_refusal(
    transport: asyncio.Transport,
    state: ServerState,
    status: int,
    reason: str,
    app_id: str | None = None,
    path: str = "",
    headers: Mapping[str, str] | None = None,
) -> None:
    """Log a request that is refused because of its head. Never raises."""
    peer = state.peers.name(transport, headers)
    attempt(log, state.node.refusals.handshake, peer, int(status), reason, app_id, path)


def open_websocket(
    transport: asyncio.Transport, upgrade: handshake.Upgrade, state: ServerState, prefix: str, rest: bytes
) -> None:
    """Answer a handshake. If it is valid, a WebSocket takes over the connection and ``rest``, the bytes after it."""
    refusal = handshake.refusal(upgrade)
    if refusal is not None:
        # The refusal is text: a status line, headers, an empty line and the reason.
        head, _, reason = refusal.decode().partition("\r\n\r\n")
        key = handshake.app_key(upgrade.path, prefix)
        app = None if key is None else state.apps.by_key(key)
        app_id = None if app is None else app.id
        log_refusal(transport, state, int(head.split(" ", 2)[1]), reason, app_id, upgrade.path, upgrade.headers)
        transport.write(refusal)
        transport.close()
        return
    client, secure = state.peers.client(transport, upgrade.headers)
    key, tab = handshake.app_and_tab(upgrade.path, prefix)
    hello = Hello(
        key=key,
        tab=tab,
        protocol=upgrade.query.get("protocol"),
        origin=upgrade.headers.get("origin"),
        path=upgrade.path,
        secure=secure,
    )
    Opening(transport, state, hello, handshake.acceptance(upgrade), rest, client).begin()
