"""HTTP by aiohttp's low-level server, and the WebSocket that is asked for on a connection that has served HTTP."""

import asyncio
import logging
from typing import cast

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from soketpy.protocol import handshake
from soketpy.web.door import open_websocket
from soketpy.web.rest import Rest
from soketpy.web.websocket import Surroundings

KEEP_ALIVE = 75.0
"""Seconds that an idle HTTP connection stays open; longer than common proxies keep theirs."""

# Strangers can make aiohttp log a traceback for each broken request; soketpy.rest logs what matters.
_quiet = logging.getLogger("soketpy.aiohttp")
_quiet.disabled = True


def http_server(rest: Rest, shared: Surroundings, prefix: str) -> web.Server:
    """A factory of protocols, each of which serves the HTTP requests of one connection."""

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        if request.method == "GET" and request.headers.get("Upgrade", "").lower() == "websocket":
            upgrade = _upgrade_of(request)
            if upgrade is not None:
                return _hand_over(request, upgrade, shared, prefix)
        return await rest(request)

    return web.Server(
        serve,
        access_log=None,
        auto_decompress=False,
        keepalive_timeout=KEEP_ALIVE,
        logger=_quiet,
    )


def _upgrade_of(request: web.BaseRequest) -> handshake.Upgrade | None:
    head = [f"GET {request.raw_path} HTTP/1.1"]
    head += [f"{name}: {value}" for name, value in request.headers.items()]
    return handshake.parse_upgrade("\r\n".join(head).encode("latin-1", "replace"))


class _HandedOver(web.StreamResponse):
    """The answer of a handler whose connection belongs to a WebSocket now: there is nothing to send."""

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Tell aiohttp that its client is gone."""
        raise ConnectionResetError


def _hand_over(
    request: web.BaseRequest, upgrade: handshake.Upgrade, shared: Surroundings, prefix: str
) -> web.StreamResponse:
    """Take the connection from aiohttp; a proxy that reuses its connections asks for that."""
    transport = cast("asyncio.Transport", request.transport)
    request.protocol.transport = None  # so that aiohttp, which is told that the client left, does not close it
    request.protocol.connection_lost(None)
    open_websocket(transport, upgrade, shared, prefix, b"")
    return _HandedOver()
