"""The HTTP server on the metrics port, of one process or of all workers together."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial

from soketpy.config.settings import Metrics
from soketpy.core.measures import Measures
from soketpy.core.traffic import Traffic
from soketpy.process.listening import open_sockets, serve_sockets
from soketpy.web.deadlines import Deadlines
from soketpy.web.first_request import FirstRequest
from soketpy.web.http_connections import HttpConnections
from soketpy.web.http_port import HttpPort
from soketpy.web.metrics import ByHost
from soketpy.web.metrics_port import MetricsPort

FIRST_REQUEST_TIMEOUT = 10.0
"""Seconds that a connection to the metrics port has to send its first request."""


async def serve_metrics(
    stack: AsyncExitStack,
    metrics: Metrics,
    port: int,
    traffic: Mapping[str, Traffic],
    connected: Callable[[str], int],
    measures: Callable[[], Measures],
    refresh: Callable[[], Awaitable[None]] | None = None,
    *,
    webhooks: Callable[[], ByHost],
    most: int | None = None,
    draining: Callable[[], bool],
    available: Callable[[], bool],
) -> int:
    """Serve the metrics of the server on ``port`` until the stack is closed. Return the number of the metrics port.

    ``refresh`` is awaited before the counters are read. ``most`` is the largest number of HTTP connections.
    ``webhooks`` returns the counters of webhooks. ``draining`` returns whether the server stops, and ``available``
    whether it reaches the other nodes.
    """
    operations = MetricsPort(
        metrics.prefix,
        port,
        traffic,
        connected,
        measures,
        refresh,
        webhooks=webhooks,
        draining=draining,
        available=available,
    )
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    http = HttpPort(operations, Deadlines(loop.time), HttpConnections(most), loop.time, draining=stopping.is_set)
    sockets = await open_sockets(metrics.host, metrics.port)
    bound: int = sockets[0].getsockname()[1]
    await stack.enter_async_context(http.deadlines.ticking())
    stack.callback(http.deadlines.expire_all)
    stack.callback(stopping.set)
    await serve_sockets(stack, sockets, partial(FirstRequest, http, FIRST_REQUEST_TIMEOUT))
    return bound
