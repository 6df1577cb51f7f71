"""The HTTP server on the metrics port, of one process or of all workers together."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack

from aiohttp import web

from soketpy.config.settings import Metrics
from soketpy.core.traffic import Totals, Traffic
from soketpy.process.listening import open_sockets, serve_sockets
from soketpy.web.http import metrics_server
from soketpy.web.metrics_port import MetricsPort

HTTP_TIMEOUT = 1.0
"""Seconds that HTTP clients have to receive their last answer when the server stops."""


async def serve_metrics(
    stack: AsyncExitStack,
    metrics: Metrics,
    port: int,
    traffic: Mapping[str, Traffic],
    connected: Callable[[str], int],
    totals: Callable[[], Totals],
    refresh: Callable[[], Awaitable[None]] | None = None,
    *,
    most: int | None = None,
    draining: Callable[[], bool],
    available: Callable[[], bool],
) -> int:
    """Serve the metrics of the server on ``port`` until the stack is closed. Return the number of the metrics port.

    ``refresh`` is awaited before the counters are read. ``most`` is the largest number of HTTP connections.
    ``draining`` returns whether the server stops, and ``available`` whether it reaches the other nodes.
    """
    operations = MetricsPort(
        metrics.prefix, port, traffic, connected, totals, refresh, draining=draining, available=available
    )
    http = metrics_server(operations, most)
    sockets = await open_sockets(metrics.host, metrics.port)
    bound: int = sockets[0].getsockname()[1]
    stack.push_async_callback(close_http_server, http)
    await serve_sockets(stack, sockets, http)
    return bound


async def close_http_server(http: web.Server) -> None:
    """Close idle HTTP connections at once, and the others after their answer or after ``HTTP_TIMEOUT``."""
    http.pre_shutdown()
    await http.shutdown(HTTP_TIMEOUT)
