"""The server in one process: it is built from settings, started, and stopped in reverse order."""

import asyncio
import logging
import socket
from collections.abc import Callable, Collection, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any, Self
from weakref import WeakSet

from soketpy.config import Settings
from soketpy.config.arguments import settings_of
from soketpy.core.access import AccessLog
from soketpy.core.apps import App, StaticApps
from soketpy.core.hub import Hub
from soketpy.core.measures import Measures
from soketpy.core.node import Node
from soketpy.core.rates import Rates
from soketpy.core.tracing import Tracer
from soketpy.core.traffic import RegistryCounts
from soketpy.core.webhook_traffic import WebhookTrafficByHost
from soketpy.drivers.local.limits import LocalRateLimiter
from soketpy.process import measuring
from soketpy.process.admin_server import open_admin
from soketpy.process.apps import cached_apps, open_apps
from soketpy.process.certificates import Certificate
from soketpy.process.cluster import cluster_of
from soketpy.process.configuration import closing_clients
from soketpy.process.descriptors import raise_limit, report_limit
from soketpy.process.draining import drain
from soketpy.process.histories import start_cluster
from soketpy.process.listening import BACKLOG, listening_on, open_sockets, refuse_taken, serve_sockets, sockets_of
from soketpy.process.loop_delay import LoopDelay
from soketpy.process.metrics_server import serve_metrics
from soketpy.process.peers import peers_of
from soketpy.process.registries import is_in_database
from soketpy.process.reloads import Reloads
from soketpy.process.stopping import Deadline
from soketpy.process.tracing import tracing
from soketpy.registry.cache import CachedApps
from soketpy.web.call_traces import CallTraces
from soketpy.web.cors import CorsHeaders
from soketpy.web.deadlines import Deadlines
from soketpy.web.first_request import FirstRequest
from soketpy.web.http_connections import HttpConnections
from soketpy.web.http_port import HttpPort
from soketpy.web.proxied import ProxiedFirstRequest
from soketpy.web.rest import Rest
from soketpy.web.server_state import ServerState
from soketpy.web.tls_handshakes import note_failed_handshakes
from soketpy.web.upgrades import main_port
from soketpy.webhooks.callback import Callback, OnEvent, with_all_events

log = logging.getLogger("soketpy")

UNUSED_INTERVAL = 300.0
"""Seconds without traffic after which the counters of an app without connections are removed, at least."""

KIB, MIB = 1024, 1024 * 1024


class Server:
    """A whole server in this process. Use it as an async context manager, or call ``start`` and ``stop``.

    It takes settings, or the settings that differ from the defaults: ``Server(port=0, apps=(App(...),))``. A
    ``listener`` is a listening socket, or several, that other processes may share: the server uses it instead of host
    and port, and closes it when the server stops. ``on_event`` is an async function that gets each ``WebhookEvent`` of
    every app, one after the other. The constructor raises TypeError or ValueError for settings that a file could not
    have, except limits of 0 in an ``App``, and for several workers.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        /,
        *,
        listener: socket.socket | Sequence[socket.socket] | None = None,
        on_event: OnEvent | None = None,
        **overrides: Any,
    ) -> None:
        self.settings = settings_of(settings, overrides)
        self._shared_sockets = sockets_of(listener)
        if on_event is not None and not callable(on_event):
            raise TypeError(f"on_event must be an async function, not {type(on_event).__name__}")
        self._on_event = on_event
        self._listening: list[asyncio.Server] = []
        self._handshakes: WeakSet[FirstRequest] = WeakSet()  # connections that may be in the middle of a TLS handshake
        self._certificate: Certificate | None = None
        self.port: int | None = None
        self.metrics_port: int | None = None
        self.admin_port: int | None = None
        self.reloads = Reloads()
        self._running = AsyncExitStack()

    @property
    def address(self) -> str:
        """The address that the server listens on, for people to read."""
        return self.settings.address(self.port)

    @property
    def connections(self) -> int:
        """The number of connected clients. Raises RuntimeError before the first start."""
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
        """Listen. Raise OSError if the address cannot be used, and ConfigError for TLS files that do not work."""
        async with AsyncExitStack() as stack:
            await self._start(stack)
            self._running = stack.pop_all()

    async def stop(self) -> None:
        """Close all clients with 4200 within ``timeouts.shutdown``, then stop everything else within some seconds.

        ``timeouts.drain`` has no effect: call ``announce_stop`` as long before ``stop`` as load balancers need.
        """
        await self._running.aclose()

    @property
    def certificate_expires(self) -> float | None:
        """The last moment of the certificate in use, in Unix seconds; None without TLS, or if it is unknown."""
        return None if self._certificate is None else self._certificate.expires

    def announce_stop(self) -> None:
        """Answer health checks other than ``/`` with 503 from now on. All else is served until ``stop``."""
        if hasattr(self, "node"):
            self._rest.announced = True

    def reload(self, settings: Settings) -> int:
        """Apply the apps and their limits from ``settings``; other settings do not change.

        Also load the files of the certificate again, in the background, if they have changed.

        Return how many clients are closed: those of removed and disabled apps, and of removed keys. Apps of a database
        are read again; their clients are closed later, and not counted. Raise RuntimeError before the first start.
        """
        node = self._started
        if self._certificate is not None:
            self._certificate.ask()
        if isinstance(self._apps, CachedApps):
            self._apps.invalidate()
            return 0
        apps = self._heard(settings.apps)
        self._apps.replace(apps)
        self._webhooks.update(settings.apps)
        return node.update({app.id: app for app in apps}.get)

    def _heard(self, apps: tuple[App, ...]) -> tuple[App, ...]:
        """Return the apps with the events that this server needs of them."""
        return apps if self._on_event is None else with_all_events(apps)

    def _update(self, app_ids: Collection[str]) -> None:
        """Apply apps of a database that have changed to the open connections."""
        assert isinstance(self._apps, CachedApps)  # noqa: S101 - which calls this
        if closing := self.node.update(self._apps.by_id, app_ids):
            log.info(
                "Applied changes of apps: %(closing)s",
                {"event": "app_changes_applied", "closing": closing_clients(closing), "count": closing},
            )

    def measures(self) -> Measures:
        """Return the measures of this process, without those of its apps and webhooks."""
        registry = self._apps.counts() if isinstance(self._apps, CachedApps) else RegistryCounts()
        return (
            measuring.of_node(self.node)
            + measuring.of_rest(self._rest)
            + measuring.of_cluster(self._cluster.links, self._webhooks.waiting)
            + measuring.of_history(self.node, self._cluster.log_counts)
            + measuring.of_registry(registry)
            + measuring.of_event_loop(self._loop_delay.delays)
            + measuring.of_process()
            + measuring.of_certificate(self.certificate_expires)
        )

    def webhook_traffic(self) -> WebhookTrafficByHost:
        """Return the counters of webhooks of this process."""
        return self._webhooks.statistics.traffic

    async def _forget_unused_apps(self) -> None:
        """Remove the counters of apps without connections and traffic that are removed, or not loaded any more."""
        while True:
            await asyncio.sleep(UNUSED_INTERVAL)
            self.node.traffic.forget_unused(
                lambda app_id: bool(self.node.connections(app_id)) or self._apps.by_id(app_id) is not None
            )
            self.webhook_traffic().forget_unused(self._has_webhook)

    def _has_webhook(self, app_id: str, host: str) -> bool:
        """Return whether a known app has a webhook to this host. The host of dropped events is empty."""
        app = self._apps.by_id(app_id)
        return app is not None and (not host or any(each.host == host for each in app.webhooks))

    async def _start(self, stack: AsyncExitStack) -> None:
        settings = self.settings
        files = raise_limit()
        self._certificate = None if settings.tls.cert is None else Certificate(settings)
        deadline = Deadline()
        tracer = await stack.enter_async_context(tracing(settings, deadline))
        self._build(files, tracer)
        self._loop_delay.start()
        stack.push_async_callback(cancel, asyncio.create_task(self._forget_unused_apps()))
        stack.callback(self._loop_delay.stop)
        stop = deadline.stop
        if self._callback is not None:
            self._callback.start()
            stack.push_async_callback(stop, "on_event", self._callback.stop)
        if isinstance(self._apps, CachedApps):
            stack.push_async_callback(stop, "The database of the apps", self._apps.stop)
            await open_apps(settings, self._apps.start)
        stack.push_async_callback(stop, "The cluster", self._cluster.stop)  # also if its start fails or is cancelled
        await start_cluster(settings, self._cluster)
        report_limit(files, settings.bounds.max_connections)
        stack.push_async_callback(stop, "The queue of webhooks", self._webhooks.stop)
        await self._webhooks.start()
        await stack.enter_async_context(self._state.deadlines.ticking())
        stack.push_async_callback(self._end)
        port = main_port(self._rest, self._state, settings.prefix)
        await self._listen(stack, self._first_request(port), self._certificate)
        if settings.metrics.enabled:
            await self._listen_for_metrics(stack)
        if settings.admin.enabled and isinstance(self._apps, CachedApps):
            self.admin_port = await open_admin(stack, settings, settings, self._apps.invalidate)
        stack.push_async_callback(self._drain)

    def _build(self, files: int, tracer: Tracer | None) -> None:
        """Build what serves clients. ``files`` is the number of files that this process may have open."""
        settings, loop = self.settings, asyncio.get_running_loop()
        bounds, timeouts, cors = settings.bounds, settings.timeouts, settings.cors
        self._loop_delay = LoopDelay(loop)
        self._apps = self._apps_of(settings)
        self._callback = None if self._on_event is None else Callback(self._on_event)
        self._cluster, self._webhooks = cluster_of(settings, self._apps, loop.time, loop.call_later, self._callback)
        self._webhooks.tracer = tracer
        cluster = self._cluster
        fallback = LocalRateLimiter(loop.time) if settings.rate_limits.when_unavailable == "allow" else None
        limiter = Rates(cluster.limiter, fallback, lambda: cluster.connected)
        self.node = Node(
            Hub(loop.call_soon, flush_soon=cluster.flush_soon(loop.call_soon)),
            cluster,
            loop.time,
            loop.call_later,
            activity_timeout=timeouts.activity,
            max_connections=bounds.max_connections,
            bad_messages=bounds.bad_messages,
            limiter=limiter,
            resume_window=settings.history.resume_window,
            replay_events=settings.history.replay_events,
            replay_size=int(settings.history.replay_kib * KIB),
            unread_size=int(bounds.unread_in_kb * KIB),
        )
        peers = peers_of(settings)
        if settings.log.access:
            self.node.access = AccessLog(loop.time)
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
            http=HttpConnections(bounds.http_connections(files), peers=peers),
            peers=peers,
        )
        self._rest = Rest(
            self.node,
            self._apps,
            limiter,
            CorsHeaders(cors.origins, cors.methods, cors.headers, cors.credentials),
            prefix=settings.prefix,
            body_size=int(bounds.request_size_in_mb * MIB),
            memory_percent=bounds.memory_percent,
            available=lambda: cluster.connected,
            most_calls=self._state.http.share,
            peers=peers,
            traces=None if tracer is None else CallTraces(tracer, peers, settings.prefix),
        )

    def _apps_of(self, settings: Settings) -> StaticApps | CachedApps:
        if not is_in_database(settings):
            return StaticApps(self._heard(settings.apps))
        apps = cached_apps(settings, lambda app: self._heard((app,))[0])
        apps.in_use = lambda app_id: bool(self.node.connections(app_id))
        apps.changed = self._update
        return apps

    async def _listen(
        self, stack: AsyncExitStack, protocol: Callable[[], FirstRequest], certificate: Certificate | None
    ) -> None:
        """Open the main port or the Unix socket."""
        settings, loop = self.settings, asyncio.get_running_loop()
        tls, handshake = None, None
        if certificate is not None:
            tls, handshake = certificate.context, settings.timeouts.handshake
            note_failed_handshakes(tls, self.node.refusals)
            stack.push_async_callback(cancel, loop.create_task(certificate.watch()))
            protocol = partial(self._expect_handshake, protocol)
        if settings.unix_socket is not None and not self._shared_sockets:
            await refuse_taken(settings.unix_socket)
            with listening_on(settings.unix_socket):
                listener = await loop.create_unix_server(
                    protocol, settings.unix_socket, backlog=BACKLOG, ssl=tls, ssl_handshake_timeout=handshake
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
            stack, sockets, protocol, backlog=BACKLOG, ssl=tls, ssl_handshake_timeout=handshake
        )

    def _first_request(self, port: HttpPort) -> Callable[[], FirstRequest]:
        """Return what makes the protocol of a new connection."""
        patience = self.settings.timeouts.handshake
        if self.settings.proxy_protocol:
            return partial(ProxiedFirstRequest, port, patience, self._state.peers)
        return partial(FirstRequest, port, patience)

    def _expect_handshake(self, protocol: Callable[[], FirstRequest]) -> FirstRequest:
        """Return the protocol of a connection that begins with a TLS handshake."""
        accepted = protocol()
        self._handshakes.add(accepted)
        return accepted

    async def _listen_for_metrics(self, stack: AsyncExitStack) -> None:
        self.metrics_port = await serve_metrics(
            stack,
            self.settings.metrics,
            self.port or self.settings.port,
            self.node.traffic,
            lambda app_id: len(self.node.connections(app_id)),
            lambda: self.measures() + measuring.of_supervision(1, 1, self.reloads),
            webhooks=self.webhook_traffic,
            most=self.settings.bounds.http_connections(raise_limit()),
            draining=lambda: self._rest.announced or self._rest.draining,
            available=lambda: self._cluster.connected,
        )

    async def _drain(self) -> None:
        await drain(self._state, self._rest, self._listening, self._handshakes, self.settings.timeouts.shutdown)

    async def _end(self) -> None:
        """Close the connections that are still open: incomplete first requests, and clients that ignore the close."""
        self._state.deadlines.expire_all()
        await asyncio.sleep(0)


async def cancel(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait until it has ended."""
    task.cancel()
    await asyncio.wait([task])
