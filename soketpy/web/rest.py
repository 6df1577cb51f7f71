"""The REST API: from a path to the verb that serves it, and every answer's form.

A request is opened by its head alone: path, app and signature are looked at before the body is read, so that the body
of a stranger costs nothing. Source: Pusher's HTTP API reference; where it is silent, soketi 1.6.1.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import NoReturn
from urllib.parse import unquote

import msgspec

from soketpy.core import steps
from soketpy.core.apps import App, Apps
from soketpy.core.containment import attempt, contain
from soketpy.core.node import Node
from soketpy.core.ports import RateLimiter, Unavailable
from soketpy.core.refusals import address
from soketpy.core.triggers import RequestError
from soketpy.protocol import handshake
from soketpy.web import calls
from soketpy.web.answers import (
    JSON,
    READS,
    SOFTWARE,
    TEXT,
    Answer,
    Reply,
    crowded,
    failed,
    not_allowed,
    readiness,
    refused,
    stopping,
    unavailable,
    unconfirmed,
)
from soketpy.web.api import Api, Operation
from soketpy.web.calls import Call
from soketpy.web.calls_in_progress import CallsInProgress
from soketpy.web.cors import CorsHeaders
from soketpy.web.health import memory

log = logging.getLogger("soketpy.rest")
access_log = logging.getLogger("soketpy.access")

_encode = msgspec.json.encode

_HEALTH = frozenset({"/", "/ready", "/accept-traffic"})
"""Health checks, which load balancers send all the time: the access log leaves them out."""


class Exchange(msgspec.Struct, eq=False):
    """One request, by its head, and what becomes of it: an answer at once, or a call that waits for its body."""

    method: str
    path: str
    origin: str | None
    app: App | None
    caller: asyncio.BaseTransport | None = None
    answer: Answer | None = None
    call: Call | None = None
    operation: Operation | None = None


Ended = Callable[[Exchange], None]
"""Called with a call that has its answer now."""


class Rest:
    """Serves HTTP requests, one call each. Knows nothing of how they are carried."""

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
        log_access: bool = False,
        available: Callable[[], bool] = lambda: True,
        most_calls: int | None = None,
    ) -> None:
        """Make the API of a node. One app may have ``most_calls`` calls in progress."""
        self.draining = False  # whether whoever calls is to go elsewhere
        self.leaving = False  # whether who calls here is served, and then to connect anew
        self.body_size = body_size
        self._node = node
        self._apps = apps
        self._cors = cors
        self._prefix = prefix
        self._memory_percent = memory_percent
        self._log_access = log_access
        self._available = available
        self._in_progress = CallsInProgress[Exchange](most_calls)
        self._api = api = Api(node, limiter)
        self._terminate: Operation = api.terminate  # which a disabled app may call
        self._routes: dict[str, tuple[str, Operation]] = {
            "events": ("POST", api.events),
            "batch_events": ("POST", api.batch_events),
            "channels": ("GET", api.channels),
            "channels/*": ("GET", api.channel),
            "channels/*/users": ("GET", api.users),
            "users/*/terminate_connections": ("POST", self._terminate),
        }

    @property
    def under_way(self) -> int:
        """Return how many calls wait for their body, for other nodes, or for room."""
        return len(self._in_progress)

    @property
    def stopped(self) -> bool:
        """Return whether ``stop`` has answered all calls."""
        return self._api.stopped

    def open(
        self, method: str, target: str, headers: Mapping[str, str], caller: asyncio.BaseTransport | None = None
    ) -> Exchange:
        """Look at the head of a request, whose headers are found by names in lower case. Never raises.

        The log names the address of the ``caller`` if the request is refused.
        """
        path, _, query = target.partition("?")
        exchange = Exchange(method, path, headers.get("origin"), None, caller)
        try:
            bare = handshake.bare_path(path, self._prefix)
            parts = bare.split("/", 3)
            of_app = len(parts) == 4 and parts[1] == "apps"
            if of_app:
                exchange.app = self._apps.by_id(unquote(parts[2]) if "%" in parts[2] else parts[2])
            if of_app and method != "OPTIONS":
                self._let_in(exchange, parts[3], bare, query, headers)
            elif bare in _HEALTH:
                exchange.answer = self._health(method, bare)
            elif method == "OPTIONS":
                exchange.answer = Answer(None, HTTPStatus.NO_CONTENT)
            elif len(parts) == 4 and parts[1] == "users":
                self._let_in(exchange, bare[1:], bare, query, headers, by_key=True)
            else:
                self._refuse_path(exchange)
        except Exception as fault:
            exchange.answer = self._answer_to(exchange, fault)
        return exchange

    def _let_in(
        self, exchange: Exchange, route: str, bare: str, query: str, headers: Mapping[str, str], *, by_key: bool = False
    ) -> None:
        """Let a call of an app in, if its signature holds; ``by_key`` if only its key names the app.

        Raise RequestError if the call cannot be let in.
        """
        if self.draining:
            raise stopping()
        exchange.operation, arguments = self._route(exchange.method, route)
        try:
            call = self._authenticate(exchange, bare, arguments, calls.parse_query(query), headers, by_key)
        except RequestError as fault:
            if "+" not in query:
                raise
            # The plus may be one that was sent unencoded: the signature says which was meant.
            try:
                unencoded = calls.parse_query(query, plus_is_space=False)
                call = self._authenticate(exchange, bare, arguments, unencoded, headers, by_key)
            except RequestError:
                raise fault from None
        exchange.app, exchange.call = call.app, call

    def _authenticate(
        self,
        exchange: Exchange,
        bare: str,
        arguments: tuple[str, ...],
        parameters: list[tuple[str, str]],
        headers: Mapping[str, str],
        by_key: bool,
    ) -> Call:
        """Return the call with these parameters if its signature holds. Raise RequestError."""
        given, kind = dict(parameters), headers.get("content-type", "")
        app = self._app_of_key(given) if by_key else exchange.app
        if app is None:
            raise RequestError(HTTPStatus.NOT_FOUND, "The app could not be found.")
        if not app.enabled and exchange.operation != self._terminate:
            raise RequestError(HTTPStatus.FORBIDDEN, "The app is disabled.")
        if app.id in self._in_progress.full:
            raise crowded()  # before the signature is computed, since there are many of these
        call = Call(app, exchange.method, exchange.path, bare, self._prefix, parameters, given, arguments, kind)
        calls.authenticate(call, time.time())
        return call

    def _app_of_key(self, given: Mapping[str, str]) -> App:
        """Return the app that a call names by its key alone. Raise RequestError."""
        app = self._apps.by_key(given.get("auth_key", ""))
        if app is None:
            raise RequestError(HTTPStatus.UNAUTHORIZED, "The auth_key is missing, or is not the key of an app.")
        return app

    def wait(self, exchange: Exchange, ended: Ended) -> None:
        """Count a call whose body has not come whole. ``ended`` is called if ``stop`` answers it."""
        if exchange.app is not None:
            self._in_progress.enter(exchange, exchange.app.id, ended)

    def begin(self, exchange: Exchange, body: bytes, ended: Ended) -> bool:
        """Serve a call whose body has come. Return whether it has its answer; if not, ``ended`` is called later."""
        if steps.begin(self.serve(exchange, body), partial(self._ended, exchange, ended)):
            if self._in_progress:
                self._in_progress.leave(exchange)
            return True
        self.wait(exchange, ended)
        return False

    def _ended(self, exchange: Exchange, ended: Ended) -> None:
        """Tell that a call has its answer which had to wait. Nothing if ``stop`` has answered it before."""
        if self._in_progress.leave(exchange):
            ended(exchange)

    def stop(self) -> None:
        """Answer 503 to every call that is in progress, and to those that come. What still waits publishes nothing."""
        self.draining = self._api.stopped = True
        for exchange, (_, ended) in list(self._in_progress.items()):
            self._in_progress.leave(exchange)
            published = exchange.call is not None and exchange.call.published
            self.refuse(exchange, unconfirmed() if published else stopping())
            try:
                ended(exchange)
            except Exception as fault:
                contain(log, fault, "A call could not be answered at the stop")

    async def serve(self, exchange: Exchange, body: bytes) -> None:
        """Serve a call whose body has come; a verb for ``steps``. Never raises."""
        call, operation = exchange.call, exchange.operation
        assert call is not None and operation is not None  # noqa: S101, PT018 - of a call that open let in
        try:
            calls.check_body(call, body, self.body_size)
            answer = await operation(call, body)
        except Exception as fault:
            answer = self._answer_to(exchange, fault)
        answer.received = len(body)
        exchange.answer = answer

    def refuse(self, exchange: Exchange, fault: RequestError) -> None:
        """Answer a call that cannot be served, unless it has its answer."""
        self._in_progress.leave(exchange)
        if exchange.answer is not None:
            return
        self._note(exchange, fault)
        exchange.answer = refused(fault)
        exchange.answer.received = 0

    def abandon(self, exchange: Exchange) -> None:
        """Count a call no more whose client has gone, or that has its answer."""
        self._in_progress.leave(exchange)

    def reply(self, exchange: Exchange) -> Reply:
        """The answer of a request that has one, ready for the wire; counted and logged."""
        answer, app = exchange.answer or failed(), exchange.app  # a verb that was cancelled has left no answer
        allowed = app.origins if app is not None else None
        preflight = exchange.method == "OPTIONS"
        headers = (self._cors.preflight if preflight else self._cors.answer)(exchange.origin, allowed)
        if answer.value is None:
            self._sign(headers)
            return Reply(answer.status, headers)
        if isinstance(answer.value, str):
            body, headers["Content-Type"] = answer.value.encode(), TEXT
        else:
            body, headers["Content-Type"] = _encode(answer.value), JSON
        if answer.headers:
            headers.update(answer.headers)
        self._sign(headers)
        try:
            if app is not None and answer.received is not None:
                self._node.traffic[app.id].answered(answer.received, len(body))
            if self._log_access and handshake.bare_path(exchange.path, self._prefix) not in _HEALTH:
                access_log.info("%s %s %s %d", exchange.method, exchange.path, int(answer.status), len(body))
        except Exception as fault:
            contain(log, fault, "An answer could not be counted or logged: %s %s", exchange.method, exchange.path)
        return Reply(answer.status, headers, body)

    def _sign(self, headers: dict[str, str]) -> None:
        headers["Server"] = SOFTWARE
        if self.leaving:
            headers["Connection"] = "close"

    def _answer_to(self, exchange: Exchange, fault: Exception) -> Answer:
        """Return the answer to a request that could not be served. Never raises."""
        try:
            return self._failed(exchange, fault)
        except Exception as another:
            contain(log, another, "A fault could not be explained: %s %s", exchange.method, exchange.path)
            return failed()

    def _failed(self, exchange: Exchange, fault: Exception) -> Answer:
        """Return the answer that tells a fault."""
        if isinstance(fault, Unavailable):
            published = exchange.call is not None and exchange.call.published
            fault = unconfirmed() if published else unavailable(str(fault))
        if isinstance(fault, RequestError):
            self._note(exchange, fault)
            return refused(fault)
        contain(log, fault, "A request could not be served: %s %s", exchange.method, exchange.path)
        return failed()

    def _note(self, exchange: Exchange, fault: RequestError) -> None:
        """Let a refused call of an app leave a trace in the log."""
        bare = handshake.bare_path(exchange.path, self._prefix)
        if bare.startswith(("/apps/", "/users/")) or exchange.app is not None:
            attempt(log, self._leave_line, exchange, exchange.app, fault.status, fault.message)

    def _leave_line(self, exchange: Exchange, app: App | None, status: HTTPStatus, reason: str) -> None:
        app_id, caller = None if app is None else app.id, exchange.caller
        peer = address(None if caller is None else caller.get_extra_info("peername"))
        self._node.refusals.request(app_id, peer, exchange.method, exchange.path, int(status), reason)

    # The server itself

    def _health(self, method: str, path: str) -> Answer:
        """Tell the state of the server: the same to every method, since a load balancer may ask with any."""
        match path:
            case "/ready":
                return readiness(self.draining, self._available())
            case "/accept-traffic":
                return self._accept_traffic()
        return Answer("OK")

    def _refuse_path(self, exchange: Exchange) -> NoReturn:
        """Refuse a path that is no call: that of a WebSocket, or any other one."""
        key = handshake.app_key(unquote(exchange.path), self._prefix) if exchange.method in READS else None
        if key is not None:
            app, status = self._apps.by_key(key), HTTPStatus.UPGRADE_REQUIRED
            attempt(log, self._leave_line, exchange, app, status, handshake.LOST_UPGRADE)
            upgrade = {"Upgrade": "websocket", "Connection": "Upgrade"}
            raise RequestError(HTTPStatus.UPGRADE_REQUIRED, handshake.LOST_UPGRADE, upgrade)
        raise RequestError(HTTPStatus.NOT_FOUND, "There is nothing at this path.")

    def _accept_traffic(self) -> Answer:
        if self.draining:
            raise stopping()
        now = memory()
        if now.percent > self._memory_percent:
            raise RequestError(HTTPStatus.SERVICE_UNAVAILABLE, "The server is low on memory; choose another.")
        used = {"usedSize": now.used, "totalSize": now.total, "percentUsage": now.percent}
        return Answer({"memory": used})

    # Apps

    def _route(self, method: str, path: str) -> tuple[Operation, tuple[str, ...]]:
        """The verb for a path behind ``/apps/ID/``, and the decoded part of the path that it is about."""
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
        return route[1], arguments
