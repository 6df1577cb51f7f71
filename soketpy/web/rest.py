"""The REST API: finds the endpoint and the app of a request, authenticates the call, and forms every answer.

The head of a request is enough to open it: path, app and signature are checked before the body is read, so that the
body of an unauthenticated client costs nothing. Source: Pusher's HTTP API reference; where it says nothing, soketi
1.6.1.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from http import HTTPStatus
from time import monotonic
from typing import Any, NoReturn
from urllib.parse import unquote

import msgspec

from soketpy.core import steps
from soketpy.core.access import AccessLog
from soketpy.core.apps import App, Apps
from soketpy.core.containment import contain
from soketpy.core.fields import shown
from soketpy.core.histograms import Calls
from soketpy.core.node import Node
from soketpy.core.ports import RateLimiter
from soketpy.protocol import handshake
from soketpy.protocol.requests import bare_path, parse_query
from soketpy.web import authentication, health
from soketpy.web.answers import JSON, SOFTWARE, TEXT, Answer, Reply, failed, refused
from soketpy.web.authentication import Call
from soketpy.web.call_traces import CallTraces
from soketpy.web.cors import CorsHeaders
from soketpy.web.endpoints import Endpoints, Operation
from soketpy.web.errors import READS, RequestError, crowded, not_allowed, stopping, unconfirmed
from soketpy.web.exchange import Ended, Exchange
from soketpy.web.failures import Failures
from soketpy.web.health import HealthChecks
from soketpy.web.http_connections import CallsInProgress
from soketpy.web.peers import Peers

log = logging.getLogger("soketpy.rest")

_encode = msgspec.json.encode

AppLookup = Callable[[], Coroutine[Any, Any, App | None]]

UNKNOWN = ""
"""Stands for the app of the requests whose apps are being looked up."""


class Rest:
    """Serves HTTP requests, and knows nothing about how HTTP transports them."""

    def __init__(
        self,
        node: Node,
        apps: Apps,
        limiter: RateLimiter,
        cors: CorsHeaders,
        *,
        prefix: str = "",
        body_size: int = 100 * 1024 * 1024,
        memory_percent: float = 85,
        available: Callable[[], bool] = lambda: True,
        most_calls: int | None = None,
        peers: Peers | None = None,
        traces: CallTraces | None = None,
    ) -> None:
        """Make the API of a node. One app may have ``most_calls`` calls in progress."""
        self.announced = False  # /ready answers 503 and all else is served: the server stops soon
        self.draining = False  # refuse calls: clients are to use another server
        self.leaving = False  # close each connection after its answer: clients are to connect again
        self.body_size = body_size
        self._node = node
        self._apps = apps
        self._cors = cors
        self._prefix = prefix
        self._peers = peers or Peers()
        self._traces = traces
        self._failures = Failures(node, prefix, self._peers)
        self._health = HealthChecks(memory_percent, available)
        self._in_progress = CallsInProgress[Exchange](most_calls)
        self._endpoints = endpoints = Endpoints(node, limiter)
        self._terminate: Operation = endpoints.terminate  # the only operation of a disabled app
        self._routes: dict[str, tuple[str, Operation, Calls]] = {
            "events": ("POST", endpoints.events, Calls()),
            "batch_events": ("POST", endpoints.batch_events, Calls()),
            "channels": ("GET", endpoints.channels, Calls()),
            "channels/*": ("GET", endpoints.channel, Calls()),
            "channels/*/users": ("GET", endpoints.users, Calls()),
            "channels/*/events": ("GET", endpoints.history, Calls()),
            "users/*/terminate_connections": ("POST", self._terminate, Calls()),
        }
        self._health_checks, self._other_calls = Calls(), Calls()

    @property
    def under_way(self) -> int:
        """Return the number of calls that wait for their body, for other nodes, or for room."""
        return len(self._in_progress)

    @property
    def calls(self) -> dict[str, Calls]:
        """Return the counters of all answers, by endpoint: ``health``, ``other``, and the names of the operations."""
        by_operation = {operation.__name__: calls for _, operation, calls in self._routes.values()}
        return {**by_operation, "health": self._health_checks, "other": self._other_calls}

    @property
    def stopped(self) -> bool:
        """Return whether ``stop`` has answered all calls."""
        return self._endpoints.stopped

    # The head of a request

    def open(
        self, method: str, target: str, headers: Mapping[str, str], caller: asyncio.BaseTransport | None = None
    ) -> Exchange:
        """Open a request by its head. Names of headers are in lower case. Never raises.

        If the app is not loaded, the request is open after ``Exchange.opening``. If the request is refused, the log
        line has the address of the ``caller``.
        """
        path, _, query = target.partition("?")
        exchange = Exchange(method, path, headers.get("origin"), None, caller, headers)
        try:
            bare = bare_path(path, self._prefix) if self._prefix else path
            parts = bare.split("/", 3)
            lookup: AppLookup | None = None
            if len(parts) == 4 and parts[1] == "apps":
                app_id = unquote(parts[2]) if "%" in parts[2] else parts[2]
                exchange.app = self._apps.by_id(app_id)
                if exchange.app is None:
                    lookup = partial(self._apps.find_by_id, app_id)
            elif len(parts) == 4 and parts[1] == "users" and method != "OPTIONS":
                key = dict(parse_query(query)).get("auth_key", "")
                if self._apps.by_key(key) is None:
                    lookup = partial(self._apps.find_by_key, key)
            if lookup is None:
                self._open(exchange, parts, bare, query, headers)
            else:
                opening = self._look_up(exchange, lookup, parts, bare, query, headers)
                exchange.opening = partial(self._begin_opening, exchange, opening)
        except Exception as fault:
            exchange.answer = self._failures.answer(exchange, fault)
        return exchange

    async def _look_up(
        self,
        exchange: Exchange,
        lookup: AppLookup,
        parts: list[str],
        bare: str,
        query: str,
        headers: Mapping[str, str],
    ) -> None:
        """Look up the app of a request, and open the request; a coroutine for ``steps``. Never raises."""
        try:
            app = await self._find(lookup)
            if exchange.answer is not None:  # the server has stopped meanwhile
                return
            if parts[1] == "apps":
                exchange.app = app
            self._open(exchange, parts, bare, query, headers)
        except Exception as fault:
            exchange.answer = self._failures.answer(exchange, fault)

    async def _find(self, lookup: AppLookup) -> App | None:
        if UNKNOWN in self._in_progress.full:
            raise crowded()
        return await lookup()

    def _begin_opening(self, exchange: Exchange, opening: steps.Operation, opened: Ended) -> bool:
        if steps.begin(opening, partial(self._ended, exchange, opened)):
            return True
        self._in_progress.enter(exchange, UNKNOWN, opened)
        return False

    def _open(self, exchange: Exchange, parts: list[str], bare: str, query: str, headers: Mapping[str, str]) -> None:
        """Open a request whose app is loaded, or does not exist. Raises what ``Failures`` turns into an answer."""
        kind = parts[1] if len(parts) == 4 else ""
        if kind == "apps" and exchange.method != "OPTIONS":
            self._open_call(exchange, parts[3], bare, query, headers)
        elif bare in health.PATHS:
            exchange.answer = self._health.answer(bare, self.announced or self.draining)
            exchange.calls = self._health_checks
        elif exchange.method == "OPTIONS":
            exchange.answer = Answer(None, HTTPStatus.NO_CONTENT)
        elif kind == "users":
            self._open_call(exchange, bare[1:], bare, query, headers, by_key=True)
        else:
            self._refuse_path(exchange)

    def _open_call(
        self, exchange: Exchange, route: str, bare: str, query: str, headers: Mapping[str, str], *, by_key: bool = False
    ) -> None:
        """Authenticate a call of an app. With ``by_key``, only the call's key names the app. Raises RequestError."""
        if self.draining:
            raise stopping()
        exchange.operation, exchange.calls, arguments = self._route(exchange.method, route)
        try:
            parameters = parse_query(query)
            call = self._authenticate(exchange, bare, arguments, parameters, headers, by_key)
        except RequestError as fault:
            if "+" not in query:
                raise
            # The client may have sent a plus without encoding it: the signature tells which one the client meant.
            try:
                unencoded = parse_query(query, plus_is_space=False)
                call = self._authenticate(exchange, bare, arguments, unencoded, headers, by_key)
            except RequestError:
                raise fault from None
        exchange.app, exchange.call = call.app, call

    def _route(self, method: str, path: str) -> tuple[Operation, Calls, tuple[str, ...]]:
        """Return the operation of a path after ``/apps/ID/``, its counters, and the decoded part that varies."""
        arguments: tuple[str, ...] = ()
        if "/" in path:
            parts = path.split("/")
            if parts[1]:
                arguments, parts[1] = (unquote(parts[1]),), "*"
            path = "/".join(parts)
        route = self._routes.get(path)
        if route is None:
            raise RequestError(HTTPStatus.NOT_FOUND, "There is nothing at this path.")
        if route[0] != method and (method != "HEAD" or route[0] != "GET"):
            not_allowed(route[0])
        return route[1], route[2], arguments

    def _authenticate(
        self,
        exchange: Exchange,
        bare: str,
        arguments: tuple[str, ...],
        parameters: list[tuple[str, str]],
        headers: Mapping[str, str],
        by_key: bool,
    ) -> Call:
        """Return the call with these parameters if its signature is valid. Raises RequestError."""
        given, kind = dict(parameters), headers.get("content-type", "")
        app = self._app_of_key(given) if by_key else exchange.app
        if app is None:
            named = shown(unquote(bare.split("/", 3)[2]))
            raise RequestError(HTTPStatus.NOT_FOUND, f"The app could not be found: no app has the id {named}.")
        if not app.enabled and exchange.operation != self._terminate:
            raise RequestError(HTTPStatus.FORBIDDEN, "The app is disabled.")
        if app.id in self._in_progress.full:
            raise crowded()  # before the signature is computed, because many of these calls may come
        call = Call(app, exchange.method, exchange.path, bare, self._prefix, parameters, given, arguments, kind)
        authentication.authenticate(call, time.time())
        return call

    def _app_of_key(self, given: Mapping[str, str]) -> App:
        """Return the app that a call names by its key alone. Raises RequestError."""
        app = self._apps.by_key(given.get("auth_key", ""))
        if app is None:
            raise RequestError(HTTPStatus.UNAUTHORIZED, "The auth_key is missing, or is not the key of an app.")
        return app

    def _refuse_path(self, exchange: Exchange) -> NoReturn:
        """Raise RequestError for the path of a WebSocket, or for a path that does not exist."""
        key = handshake.app_key(unquote(exchange.path), self._prefix) if exchange.method in READS else None
        if key is not None:
            app, status = self._apps.by_key(key), HTTPStatus.UPGRADE_REQUIRED
            self._failures.log(exchange, app, status, handshake.LOST_UPGRADE)
            upgrade = {"Upgrade": "websocket", "Connection": "Upgrade"}
            raise RequestError(HTTPStatus.UPGRADE_REQUIRED, handshake.LOST_UPGRADE, upgrade)
        raise RequestError(HTTPStatus.NOT_FOUND, "There is nothing at this path.")

    # The call

    def wait(self, exchange: Exchange, ended: Ended) -> None:
        """Count a call whose body is incomplete. ``ended`` is called if ``stop`` answers the call."""
        if exchange.app is not None:
            self._in_progress.enter(exchange, exchange.app.id, ended)

    def begin(self, exchange: Exchange, body: bytes, ended: Ended) -> bool:
        """Serve a call whose body is complete. Return whether it has its answer; if not, ``ended`` is called later."""
        if steps.begin(self.serve(exchange, body), partial(self._ended, exchange, ended)):
            if self._in_progress:
                self._in_progress.leave(exchange)
            return True
        self.wait(exchange, ended)
        return False

    def _ended(self, exchange: Exchange, ended: Ended) -> None:
        """Report that a call that had to wait has its answer, unless ``stop`` has answered it before."""
        if self._in_progress.leave(exchange):
            ended(exchange)

    async def serve(self, exchange: Exchange, body: bytes) -> None:
        """Serve a call whose body is complete; a coroutine for ``steps``. Never raises."""
        call, operation = exchange.call, exchange.operation
        assert call is not None and operation is not None  # noqa: S101, PT018 - of a call that open has authenticated
        try:
            authentication.check_body(call, body, self.body_size)
            answer = await operation(call, body)
        except Exception as fault:
            answer = self._failures.answer(exchange, fault)
        answer.received = len(body)
        exchange.answer = answer

    def refuse(self, exchange: Exchange, fault: RequestError) -> None:
        """Answer a call with an error, unless the call has an answer."""
        self._in_progress.leave(exchange)
        if exchange.answer is not None:
            return
        self._failures.log_call(exchange, fault)
        exchange.answer = refused(fault)
        exchange.answer.received = 0

    def abandon(self, exchange: Exchange) -> None:
        """Stop counting a call whose client has disconnected or which has its answer."""
        self._in_progress.leave(exchange)

    def stop(self) -> None:
        """Answer every call in progress, and all later ones, with 503. Calls that still wait publish nothing."""
        self.draining = self._endpoints.stopped = True
        for exchange, (_, ended) in list(self._in_progress.items()):
            self._in_progress.leave(exchange)
            published = exchange.call is not None and exchange.call.published
            self.refuse(exchange, unconfirmed() if published else stopping())
            try:
                ended(exchange)
            except Exception as fault:
                contain(log, fault, "A call could not be answered at the stop")

    # The answer

    def reply(self, exchange: Exchange) -> Reply:
        """Return the answer of a request in the form in which it is sent; count and log it."""
        answer = exchange.answer or failed()  # an operation that was cancelled has no answer
        headers, body = self._cors_headers(exchange), b""
        seconds = monotonic() - exchange.began
        (exchange.calls or self._other_calls).count_call(answer.status, seconds)
        if isinstance(answer.value, str):
            body, headers["Content-Type"] = answer.value.encode(), TEXT
        elif answer.value is not None:
            body, headers["Content-Type"] = _encode(answer.value), JSON
        if answer.headers:
            headers.update(answer.headers)
        self._sign(headers)
        try:
            if exchange.app is not None and answer.received is not None:
                self._node.traffic[exchange.app.id].answered(answer.received, len(body))
            trace_id = None if self._traces is None else self._traces.answered(exchange, int(answer.status), seconds)
            if self._node.access is not None:
                self._log_access(self._node.access, exchange, int(answer.status), len(body), seconds, trace_id)
        except Exception as fault:
            contain(log, fault, "An answer could not be counted or logged: %s %s", exchange.method, exchange.path)
        return Reply(answer.status, headers, None if answer.value is None else body)

    def _log_access(
        self, access: AccessLog, exchange: Exchange, status: int, size: int, seconds: float, trace_id: str | None
    ) -> None:
        """Log an answer, unless it is that of a health check."""
        if bare_path(exchange.path, self._prefix) not in health.PATHS:
            app_id = None if exchange.app is None else exchange.app.id
            peer = self._peers.name(exchange.caller, exchange.headers)
            access.call(app_id, peer, exchange.method, exchange.path, status, size, seconds, trace_id)

    def _cors_headers(self, exchange: Exchange) -> dict[str, str]:
        app, origin = exchange.app, exchange.origin
        origins = app.origins if app is not None and app.origins.patterns else None
        if exchange.method == "OPTIONS":
            return self._cors.preflight(origin, origins)
        if origin is None and origins is None:
            return self._cors.without_origin.copy()
        return self._cors.answer(origin, origins)

    def _sign(self, headers: dict[str, str]) -> None:
        headers["Server"] = SOFTWARE
        if self.leaving:
            headers["Connection"] = "close"
