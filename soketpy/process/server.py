"""The composition root: builds a server out of settings, starts it, and stops it in reverse."""

import asyncio
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any, Self
from weakref import WeakSet

from aiohttp import web

from soketpy.config import Settings
from soketpy.config.arguments import settings_of
from soketpy.config.settings import Metrics
from soketpy.core.apps import StaticApps
from soketpy.core.containment import contain, failures
from soketpy.core.hub import Hub
from soketpy.core.node import Node
from soketpy.core.traffic import Totals, Traffic
from soketpy.process.descriptors import raise_limit, report_limit
from soketpy.process.joining import cluster_of
from soketpy.process.listening import listening_on, open_sockets, refuse_taken, serve_sockets, sockets_of
from soketpy.process.log import quantity
from soketpy.process.memory import Upkeep, keep_collections_short
from soketpy.process.signals import Configuration, Signals
from soketpy.process.tls import tls_context
from soketpy.protocol.errors import Code
from soketpy.web.cors import CorsHeaders
from soketpy.web.deadlines import RESOLUTION, Deadlines
from soketpy.web.door import Door
from soketpy.web.http import http_server, metrics_server
from soketpy.web.http_connections import HttpConnections
from soketpy.web.metrics_port import MetricsPort
from soketpy.web.plain import Outbox, PlainHttp
from soketpy.web.rest import Rest
from soketpy.web.tls_handshakes import note_failed_handshakes
from soketpy.web.websocket import CLOSING_TIMEOUT, STOPPING, ServerState

log = logging.getLogger("soketpy")

BACKLOG = 4096
"""Connections that may wait to be accepted: a thousand clients that come back at once must not be dropped."""

DRAIN_STEP = 0.05
"""Seconds between two slices of clients that are closed when the server stops."""

HTTP_TIMEOUT = 1.0
"""Seconds that HTTP clients have to take their last answer when the server stops."""

FIRST_REQUEST_TIMEOUT = 1.0
"""Seconds that a connection has to send its first request when the server stops."""

UPKEEP_INTERVAL = 1.0
"""Seconds between two looks at how many clients there are, and whether there is memory to give back."""

ALONE = "SIGUSR2 renews workers, and this is a single process: restart it instead"

KIB, MIB = 1024, 1024 * 1024


class Server:
    """A whole server in this process, to be used as an async context manager or by ``start`` and ``stop``.

    Takes settings, or the settings that differ from the defaults: ``Server(port=0, apps=(App(...),))``. A ``listener``
    is a listening socket, or several, that is shared with other processes: it is used in the place of host and port,
    and closed here as soon as the server stops. Raises TypeError or ValueError for what a file could not have, except
    limits of 0 in an ``App``, and for several workers.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        /,
        *,
        listener: socket.socket | Sequence[socket.socket] | None = None,
        **overrides: Any,
    ) -> None:
        self.settings = settings_of(settings, overrides)
        self._shared_sockets = sockets_of(listener)
        self._listening: list[asyncio.Server] = []
        self._handshakes: WeakSet[Door] = WeakSet()  # connections that may be in the midst of a TLS handshake
        self.port: int | None = None
        self.metrics_port: int | None = None
        self._running = AsyncExitStack()

    @property
    def address(self) -> str:
        """Where the server listens, for people to read."""
        return self.settings.address(self.port)

    @property
    def connections(self) -> int:
        """Return the number of clients that are connected. Raises RuntimeError before the first start."""
        return self._started.total

    @property
    def _started(self) -> Node:
        if hasattr(self, "node"):
            return self.node
        raise RuntimeError("the server has not started: use it in `async with`, or await its start()")

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen. Raises OSError where the address cannot be had, and ConfigError for TLS files that do not work."""
        async with AsyncExitStack() as stack:
            await self._start(stack)
            self._running = stack.pop_all()

    async def stop(self) -> None:
        """Close all clients with 4200 over the time that the settings give, then everything else."""
        await self._running.aclose()

    def reload(self, settings: Settings) -> int:
        """Apply the apps and limits of ``settings``; other settings stay as they were.

        Return how many clients are closed: those of removed and disabled apps, and of removed keys. Raises RuntimeError
        before the first start.
        """
        node = self._started
        self._apps.replace(settings.apps)
        return node.update(self._apps.by_id)

    async def _start(self, stack: AsyncExitStack) -> None:
        settings, loop = self.settings, asyncio.get_running_loop()
        bounds, timeouts, prefix = settings.bounds, settings.timeouts, settings.prefix
        files = raise_limit()
        tls = tls_context(settings)
        self._apps = StaticApps(settings.apps)
        self._cluster = cluster = cluster_of(settings, loop.time)
        self.node = Node(
            Hub(loop.call_soon, flush_soon=cluster.flush_soon(loop.call_soon)),
            cluster,
            loop.time,
            loop.call_later,
            activity_timeout=timeouts.activity,
            max_connections=bounds.max_connections,
            bad_messages=bounds.bad_messages,
        )
        self._state = ServerState(
            self.node,
            self._apps,
            Deadlines(loop.time),
            activity_timeout=timeouts.activity,
            pong_timeout=timeouts.pong,
            authorization_timeout=timeouts.authorization,
            message_size=int(bounds.message_size_in_kb * KIB),
            unread_size=int(bounds.unread_in_kb * KIB),
            strict_protocol=settings.strict_protocol,
            port_is_shared=bool(self._shared_sockets),
            http=HttpConnections(bounds.http_connections(files)),
        )
        self._rest = Rest(
            self.node,
            self._apps,
            cluster.limiter,
            CorsHeaders(settings.cors.origins, settings.cors.methods, settings.cors.headers, settings.cors.credentials),
            prefix=prefix,
            body_size=int(bounds.request_size_in_mb * MIB),
            memory_percent=bounds.memory_percent,
            log_access=settings.log.access,
            available=lambda: cluster.connected,
            most_calls=self._state.http.share,
        )
        stack.push_async_callback(cluster.stop)  # also if its start is broken off
        await cluster.start()
        report_limit(files, bounds.max_connections)
        ticking = loop.create_task(_tick(self._state.deadlines))
        stack.push_async_callback(_cancel, ticking)
        http = http_server(self._rest, self._state, prefix)
        stack.push_async_callback(_close, http)
        stack.push_async_callback(self._end)
        outbox = Outbox()

        def plain(transport: asyncio.Transport) -> PlainHttp:
            return PlainHttp(transport, self._rest, http, self._state, outbox)

        await self._listen(stack, lambda: Door(self._state, plain, prefix, timeouts.handshake), tls)
        if settings.metrics.enabled:
            await self._listen_for_metrics(stack)
        stack.push_async_callback(self._drain)

    async def _listen(self, stack: AsyncExitStack, door: Callable[[], Door], tls: ssl.SSLContext | None) -> None:
        """Open the main port, or the Unix socket."""
        settings, loop = self.settings, asyncio.get_running_loop()
        handshake = settings.timeouts.handshake if tls is not None else None
        if tls is not None:
            note_failed_handshakes(tls, self.node.refusals)
            door = partial(self._expect_handshake, door)
        if settings.unix_socket is not None and not self._shared_sockets:
            await refuse_taken(settings.unix_socket)
            with listening_on(settings.unix_socket):
                listener = await loop.create_unix_server(
                    door, settings.unix_socket, backlog=BACKLOG, ssl=tls, ssl_handshake_timeout=handshake
                )
            stack.callback(Path(settings.unix_socket).unlink, missing_ok=True)
            self._listening.append(listener)
            stack.callback(listener.close)
            return
        sockets = self._shared_sockets
        if not sockets:
            sockets = await open_sockets(settings.host, settings.port, BACKLOG)
            self.port = sockets[0].getsockname()[1]
        self._listening += await serve_sockets(
            stack, sockets, door, backlog=BACKLOG, ssl=tls, ssl_handshake_timeout=handshake
        )

    def _expect_handshake(self, door: Callable[[], Door]) -> Door:
        """Make the protocol of a connection that begins with a TLS handshake."""
        accepted = door()
        self._handshakes.add(accepted)
        return accepted

    async def _listen_for_metrics(self, stack: AsyncExitStack) -> None:
        self.metrics_port = await serve_metrics(
            stack,
            self.settings.metrics,
            self.port or self.settings.port,
            self.node.traffic,
            lambda app_id: len(self.node.connections(app_id)),
            self.totals,
            most=self.settings.bounds.http_connections(raise_limit()),
            draining=lambda: self._rest.draining,
            available=lambda: self._cluster.connected,
        )

    def totals(self) -> Totals:
        """Return what this process has counted, whatever the app."""
        up, links = self._cluster.links
        return Totals(failures.count, self.node.slow_readers, self.node.refusals.connections, links, up)

    async def _drain(self) -> None:
        """Take no more clients, and close those who are there slice by slice, so that they do not return at once."""
        self._state.draining = True
        if self._shared_sockets:
            self._rest.leaving = True
            for listener in self._listening:
                listener.close()  # the other processes take those who come now
        else:
            self._rest.draining = True
        clients, shutdown, loop = self._state.clients(), self.settings.timeouts.shutdown, asyncio.get_running_loop()
        log.info("Stopping: closing %s within %g s", quantity(len(clients), "connection"), shutdown)
        until = loop.time() + shutdown
        size = max(1, -(-len(clients) // max(1, int(shutdown / DRAIN_STEP))))
        for start in range(0, len(clients), size):
            for client in clients[start : start + size]:
                client.refuse(Code.RECONNECT, STOPPING)
            await asyncio.sleep(DRAIN_STEP)
        if self._rest.leaving:  # the next answer on an idle HTTP connection says that it closes, so no call is lost
            await _wait_while(lambda: len(self._state.http) > 0, until - loop.time())
        await _wait_while(lambda: self._unfinished > 0, max(0.0, until - loop.time()) + CLOSING_TIMEOUT)
        await self._finish_accepted()
        self._rest.stop()

    async def _finish_accepted(self) -> None:
        """Accept no more connections. Wait for the first requests of accepted ones, and for the answers to these."""
        for listener in self._listening:
            listener.close()
        for _ in range(3):
            await asyncio.sleep(0)  # asyncio makes the protocol of an accepted connection in later iterations
        unanswered, loop = self._unfinished, asyncio.get_running_loop()
        until = loop.time() + FIRST_REQUEST_TIMEOUT

        def expects_requests() -> bool:
            handshakes = bool(self._handshakes) and loop.time() < until
            return handshakes or self._state.http.any_newer(FIRST_REQUEST_TIMEOUT) or self._unfinished > unanswered

        await _wait_while(expects_requests, 2 * FIRST_REQUEST_TIMEOUT)

    @property
    def _unfinished(self) -> int:
        """How many have not answered a close frame, or not sent the whole body of their call."""
        return self._state.closing + self._rest.under_way

    async def _end(self) -> None:
        """Drop whoever is still there: first requests that are not whole, and clients that do not answer a close."""
        self._state.deadlines.expire_all()
        await asyncio.sleep(0)


async def _wait_while(condition: Callable[[], bool], seconds: float) -> None:
    """Wait while the condition holds, but not longer than so many seconds."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while condition() and loop.time() < until:  # noqa: ASYNC110 - an event would cost every client a callback
        await asyncio.sleep(DRAIN_STEP)


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
    """Open the metrics port, about the server on ``port``; which port it is. ``refresh`` is awaited before reading.

    ``most`` bounds its connections. ``draining`` tells whether the server stops, and ``available`` whether it can
    reach the other nodes.
    """
    operations = MetricsPort(
        metrics.prefix, port, traffic, connected, totals, refresh, draining=draining, available=available
    )
    http = metrics_server(operations, most)
    sockets = await open_sockets(metrics.host, metrics.port)
    bound: int = sockets[0].getsockname()[1]
    stack.push_async_callback(_close, http)
    await serve_sockets(stack, sockets, http)
    return bound


async def _close(http: web.Server) -> None:
    """Close idle HTTP connections at once, and the others when they have taken their answer or the time is up."""
    http.pre_shutdown()
    await http.shutdown(HTTP_TIMEOUT)


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


async def _tick(deadlines: Deadlines) -> None:
    while True:
        await asyncio.sleep(RESOLUTION)
        while deadlines.tick():  # noqa: ASYNC110 - the others have their turn, nothing is waited for
            await asyncio.sleep(0)


def event_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes the event loop: uvloop's where it is installed."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


async def serve(
    settings: Settings,
    reload: Callable[[], Settings],
    on_ready: Callable[[int | None], None] | None = None,
) -> None:
    """Run a server until SIGTERM or SIGINT. SIGHUP takes the apps of ``reload()``, or keeps the old if it raises.

    SIGUSR2, which is for workers, would end a process that does not know it: here it is a line in the log. Raises
    what ``Server.start`` raises.
    """
    signals = Signals()
    async with AsyncExitStack() as stack:
        server = await signals.unless_stopped(stack.enter_async_context(Server(settings, workers=1)))
        if server is not None:
            log.info("Listening on %s with %s", server.address, quantity(len(settings.apps), "app"))
            configuration = Configuration(settings, reload, server.reload)
            signals.obey(reload=configuration.read_anew, renew=partial(log.warning, ALONE))
            keep_collections_short()
            watching = asyncio.create_task(watch_memory(server))
            stack.push_async_callback(_cancel, watching)
            if on_ready is not None:
                on_ready(server.port)
            await signals.stopped.wait()
    log.info("Stopped")


async def watch_memory(server: Server) -> None:
    """Keep collections short, and give back what is free, for as long as the server runs."""
    upkeep = Upkeep()
    while True:
        await asyncio.sleep(UPKEEP_INTERVAL)
        try:
            upkeep.look(server.connections)
        except Exception as fault:
            contain(log, fault, "The memory could not be looked after")
