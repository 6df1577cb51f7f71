"""The HTTP server on the admin port."""

import asyncio
import logging
import time
from collections.abc import Collection, Mapping
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

from soketpy.config import Settings
from soketpy.config.addresses import hosts, written
from soketpy.config.app_documents import read_document
from soketpy.core.app_registry import AppRegistry, Changed
from soketpy.process.app_changes import Announcer
from soketpy.process.apps import open_apps
from soketpy.process.listening import open_sockets, serve_sockets
from soketpy.process.peers import peers_of
from soketpy.process.registries import registry_of
from soketpy.registry.administration import Administration
from soketpy.web.admin_port import AdminPort
from soketpy.web.deadlines import Deadlines
from soketpy.web.first_request import FirstRequest
from soketpy.web.http_connections import HttpConnections
from soketpy.web.http_port import HttpPort

log = logging.getLogger("soketpy")

FIRST_REQUEST_TIMEOUT = 10.0
"""Seconds that a connection to the admin port has to send its first request."""

MOST_CONNECTIONS = 100
"""Connections of the admin port. With the largest body, they bound the memory of its requests (6 MiB)."""

LONGEST_AT_ONCE = 4096
"""Most bytes of a document that is read without a thread. This takes a few milliseconds."""


async def open_admin(
    stack: AsyncExitStack, settings: Settings, cluster: Settings, invalidate: Changed = lambda app_id: None
) -> int:
    """Open the database of apps, and serve the admin API until the stack is closed. Return the admin port.

    A change is announced to the nodes of the cluster with the settings ``cluster``, and ``invalidate`` is called for
    the cache of this process. Raise Unreachable if the database cannot be used, and OSError if the address cannot.
    """
    registry, announcer = registry_of(settings), Announcer(cluster)
    stack.push_async_callback(registry.stop)
    await open_apps(settings, lambda: registry.start(lambda app_id: None))
    stack.push_async_callback(announcer.stop)

    def changed(app_id: str | None) -> None:
        invalidate(app_id)
        announcer.announce(app_id)

    port = await serve_admin(stack, settings, registry, changed)
    log.info(
        "Admin API on %(address)s",
        {
            "event": "admin_listening",
            "address": ", ".join(f"http://{written(host, port)}" for host in hosts(settings.admin.host)),
        },
    )
    return port


async def serve_admin(stack: AsyncExitStack, settings: Settings, registry: AppRegistry, changed: Changed) -> int:
    """Serve the admin API until the stack is closed. Return the number of the admin port.

    ``changed`` is called with the id of an app after each change, before the change is answered. Raise OSError if the
    address cannot be used.
    """
    loop, stopping, given = asyncio.get_running_loop(), asyncio.Event(), settings.admin
    api = AdminPort(
        administration_of(settings, registry, changed), given.tokens, loop.time, loop.call_later, peers_of(settings)
    )
    http = HttpPort(api, Deadlines(loop.time), HttpConnections(MOST_CONNECTIONS), loop.time, draining=stopping.is_set)
    sockets = await open_sockets(given.host, given.port)
    bound: int = sockets[0].getsockname()[1]
    await stack.enter_async_context(http.deadlines.ticking())
    stack.callback(http.deadlines.expire_all)
    stack.push_async_callback(api.stop)
    stack.callback(stopping.set)
    await serve_sockets(stack, sockets, partial(FirstRequest, http, FIRST_REQUEST_TIMEOUT))
    return bound


def administration_of(settings: Settings, registry: AppRegistry, changed: Changed) -> Administration:
    """Return the operations of the admin API on a registry, with the defaults of the settings for new apps."""
    return Administration(registry, _read, settings.app_defaults, changed, time.time)


async def _read(body: bytes, names: Collection[str]) -> Mapping[str, Any]:
    """Read a document, a large one in a thread: it would delay all clients of the server by up to 0.1 s."""
    if len(body) <= LONGEST_AT_ONCE:
        return read_document(body, names)
    return await asyncio.to_thread(read_document, body, names)
