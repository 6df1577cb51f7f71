"""The REST API: from a path to the verb that serves it, and every answer's form.

A request is opened by its head alone: path, app and signature are looked at before the body is read, so that the body
of a stranger costs nothing. Source: Pusher's HTTP API reference; where it is silent, soketi 1.6.1.
"""

import logging
import re
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import NoReturn
from urllib.parse import unquote

import msgspec

from soketpy.apps import App, Apps
from soketpy.cluster import Unavailable
from soketpy.containment import attempt, contain
from soketpy.limits import RateLimiter
from soketpy.node import Node
from soketpy.protocol import handshake
from soketpy.triggers import RequestError
from soketpy.web import calls
from soketpy.web.api import Answer, Api, Verb
from soketpy.web.calls import Call
from soketpy.web.cors import Cors
from soketpy.web.health import memory

log = logging.getLogger("soketpy.rest")
access_log = logging.getLogger("soketpy.access")

_encode = msgspec.json.encode

_TEXT, _JSON = "text/plain; charset=utf-8", "application/json"

_HEALTH = frozenset({"/", "/ready", "/accept-traffic"})

READS = ("GET", "HEAD")
"""Methods that are served alike, but that HEAD is answered without the body (RFC 9110, section 9.3.2)."""

SOFTWARE = "soketpy"
"""What the Server header says."""


class Exchange(msgspec.Struct):
    """One request, by its head, and what becomes of it: an answer at once, or a call that waits for its body."""

    method: str
    path: str
    origin: str | None
    app: App | None
    answer: Answer | None = None
    call: Call | None = None
    verb: Verb | None = None


class Reply(msgspec.Struct):
    """What goes over the wire; a body of None for an answer that has none."""

    status: HTTPStatus
    headers: dict[str, str]
    body: bytes | None = None


class Rest:
    """Serves HTTP requests, one call each. Knows nothing of how they are carried."""

    def __init__(
        self,
        node: Node,
        apps: Apps,
        limiter: RateLimiter,
        cors: Cors,
        *,
        prefix: str = "",
        body_size: int = 100 * 1024 * 1024,
        memory_percent: float = 85,
        log_access: bool = False,
        available: Callable[[], bool] = lambda: True,
    ) -> None:
        self.draining = False  # whether whoever calls is to go elsewhere
        self.leaving = False  # whether who calls here is served, and then to connect anew
        self.under_way = 0  # calls that were let in and have no answer yet
        self.body_size = body_size
        self._node = node
        self._apps = apps
        self._cors = cors
        self._prefix = prefix
        self._memory_percent = memory_percent
        self._log_access = log_access
        self._available = available
        api = Api(node, limiter)
        self._terminate: Verb = api.terminate  # which a disabled app may call
        self._routes: dict[str, tuple[str, Verb]] = {
            "events": ("POST", api.events),
            "batch_events": ("POST", api.batch_events),
            "channels": ("GET", api.channels),
            "channels/*": ("GET", api.channel),
            "channels/*/users": ("GET", api.users),
            "users/*/terminate_connections": ("POST", self._terminate),
        }

    def open(self, method: str, target: str, headers: Mapping[str, str]) -> Exchange:
        """Look at the head of a request, whose headers are found by names in lower case. Never raises."""
        path, _, query = target.partition("?")
        bare = handshake.bare_path(path, self._prefix)
        parts = bare.split("/", 3)
        of_app = len(parts) == 4 and parts[1] == "apps"
        app = self._apps.by_id(unquote(parts[2])) if of_app else None
        exchange = Exchange(method, path, headers.get("origin"), app)
        try:
            if of_app and method != "OPTIONS":
                self._let_in(exchange, parts[3], bare, query, headers)
            elif bare in _HEALTH:
                exchange.answer = self._health(method, bare)
            elif method == "OPTIONS":
                exchange.answer = Answer(None, HTTPStatus.NO_CONTENT)
            elif len(parts) == 4 and parts[1] == "users":
                self._let_in(exchange, bare[1:], bare, query, headers, by_key=True)
            else:
                self._refuse_path(method, path)
        except Exception as fault:
            exchange.answer = self._failed(exchange, fault)
        return exchange

    def _let_in(
        self, exchange: Exchange, route: str, bare: str, query: str, headers: Mapping[str, str], *, by_key: bool = False
    ) -> None:
        """Let a call of an app in, if its signature holds; ``by_key`` if only its key names the app.

        Raise RequestError if the call cannot be let in.
        """
        self._refuse_when_draining()
        exchange.verb, arguments = self._route(exchange.method, route)
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
        self.under_way += 1

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
        if not app.enabled and exchange.verb != self._terminate:
            raise RequestError(HTTPStatus.FORBIDDEN, "The app is disabled.")
        call = Call(app, exchange.method, exchange.path, bare, self._prefix, parameters, given, arguments, kind)
        calls.authenticate(call, time.time())
        return call

    def _app_of_key(self, given: Mapping[str, str]) -> App:
        """Return the app that a call names by its key alone. Raise RequestError."""
        app = self._apps.by_key(given.get("auth_key", ""))
        if app is None:
            raise RequestError(HTTPStatus.UNAUTHORIZED, "The auth_key is missing, or is not the key of an app.")
        return app

    async def serve(self, exchange: Exchange, body: bytes) -> None:
        """Serve a call whose body has come; a verb for ``steps``. Never raises."""
        call, verb = exchange.call, exchange.verb
        assert call is not None and verb is not None  # noqa: S101, PT018 - of a call that open let in
        try:
            calls.check_body(call, body, self.body_size)
            exchange.answer = await verb(call, body)
        except Exception as fault:
            exchange.answer = self._failed(exchange, fault)
        exchange.answer.received = len(body)
        self.under_way -= 1

    def refuse(self, exchange: Exchange, fault: RequestError) -> None:
        """Answer a call whose body cannot be taken."""
        self.under_way -= 1
        self._note(exchange, fault)
        exchange.answer = _refused(fault)
        exchange.answer.received = 0

    def abandon(self, exchange: Exchange) -> None:
        """The client of a call went before its body was whole."""
        if exchange.answer is None:
            self.under_way -= 1

    def reply(self, exchange: Exchange) -> Reply:
        """The answer of a request that has one, ready for the wire; counted and logged."""
        answer, app = exchange.answer, exchange.app
        assert answer is not None  # noqa: S101 - of open, serve or refuse
        allowed = app.origins if app is not None else None
        preflight = exchange.method == "OPTIONS"
        headers = (self._cors.preflight if preflight else self._cors.answer)(exchange.origin, allowed)
        if answer.value is None:
            self._sign(headers)
            return Reply(answer.status, headers)
        if isinstance(answer.value, str):
            body, headers["Content-Type"] = answer.value.encode(), _TEXT
        else:
            body, headers["Content-Type"] = _encode(answer.value), _JSON
        if answer.headers:
            headers.update(answer.headers)
        self._sign(headers)
        if app is not None and answer.received is not None:
            self._node.traffic[app.id].answered(answer.received, len(body))
        if self._log_access:
            access_log.info("%s %s %s %d", exchange.method, exchange.path, int(answer.status), len(body))
        return Reply(answer.status, headers, body)

    def _sign(self, headers: dict[str, str]) -> None:
        headers["Server"] = SOFTWARE
        if self.leaving:
            headers["Connection"] = "close"

    def _failed(self, exchange: Exchange, fault: Exception) -> Answer:
        """The answer to a request that could not be served."""
        if isinstance(fault, Unavailable):
            fault = _unavailable(str(fault))
        if isinstance(fault, RequestError):
            self._note(exchange, fault)
            return _refused(fault)
        contain(log, fault, "A request could not be served: %s %s", exchange.method, exchange.path)
        reason = "The server failed to serve this request."
        return _refused(RequestError(HTTPStatus.INTERNAL_SERVER_ERROR, reason))

    def _note(self, exchange: Exchange, fault: RequestError) -> None:
        """Let a refused call of an app leave a trace in the log."""
        if exchange.path.startswith("/apps/") or exchange.app is not None:
            app_id = None if exchange.app is None else exchange.app.id
            self._node.refusals.request(app_id, exchange.method, exchange.path, int(fault.status), fault.message)

    # The server itself

    def _health(self, method: str, path: str) -> Answer:
        """Tell the state of the server: the same to every method, since a load balancer may ask with any."""
        match path:
            case "/ready":
                return readiness(self.draining, self._available())
            case "/accept-traffic":
                return self._accept_traffic()
        return Answer("OK")

    def _refuse_path(self, method: str, path: str) -> NoReturn:
        """Refuse a path that is no call: that of a WebSocket, or any other one."""
        key = handshake.app_key(unquote(path), self._prefix) if method in READS else None
        if key is not None:
            app = self._apps.by_key(key)
            app_id, status = None if app is None else app.id, HTTPStatus.UPGRADE_REQUIRED
            attempt(log, self._node.refusals.request, app_id, method, path, status.value, handshake.LOST_UPGRADE)
            upgrade = {"Upgrade": "websocket", "Connection": "Upgrade"}
            raise RequestError(HTTPStatus.UPGRADE_REQUIRED, handshake.LOST_UPGRADE, upgrade)
        raise RequestError(HTTPStatus.NOT_FOUND, "There is nothing at this path.")

    def _accept_traffic(self) -> Answer:
        self._refuse_when_draining()
        now = memory()
        if now.percent > self._memory_percent:
            raise RequestError(HTTPStatus.SERVICE_UNAVAILABLE, "The server is low on memory; choose another.")
        used = {"usedSize": now.used, "totalSize": now.total, "percentUsage": now.percent}
        return Answer({"memory": used})

    def _refuse_when_draining(self) -> None:
        if self.draining:
            raise stopping()

    # Apps

    def _route(self, method: str, path: str) -> tuple[Verb, tuple[str, ...]]:
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
            _not_allowed(route[0])
        return route[1], arguments


def readiness(draining: bool, available: bool) -> Answer:
    """Return the answer to ``/ready``, which is the same on all ports."""
    if draining:
        return _refused(stopping())
    return Answer("OK") if available else _refused(_unavailable())


def _unavailable(reason: str = "") -> RequestError:
    reason = reason or "The server cannot reach the other nodes now; try again."
    return RequestError(HTTPStatus.SERVICE_UNAVAILABLE, reason)


def stopping() -> RequestError:
    """A request that comes, or is not whole, while the server stops."""
    return RequestError(HTTPStatus.SERVICE_UNAVAILABLE, "The server is stopping; choose another.")


def too_slow(seconds: float) -> RequestError:
    """A body that does not come whole."""
    return RequestError(HTTPStatus.REQUEST_TIMEOUT, f"The body did not come within {seconds:g} s.")


def malformed(status: HTTPStatus, reason: str | None) -> Reply:
    """The answer to a request that is not HTTP; only the first line of ``reason`` goes out."""
    text = reason or "The request is not valid HTTP."
    if status == HTTPStatus.BAD_REQUEST and reason:
        text = f"The request is not valid HTTP: {reason.splitlines()[0].rstrip(':')}."
    answer = _refused(RequestError(status, text))
    headers = {"Access-Control-Allow-Origin": "*", "Content-Type": _JSON, "Server": SOFTWARE}
    return Reply(answer.status, headers, _encode(answer.value))


def path_of(target: str) -> str:
    """The path and query of a request's target, also where that is a whole URL (RFC 9112, section 3.2.2).

    Bytes that are not UTF-8 are replaced: they could not be put into an answer or a log line.
    """
    if not target.isascii():
        target = target.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if target.startswith("/"):
        return target
    _, scheme, rest = target.partition("://")
    path = re.search("[/?]", rest) if scheme else None
    if path is None:
        return "/" if scheme else target
    return rest[path.start() :] if path.group() == "/" else "/" + rest[path.start() :]


def _refused(fault: RequestError) -> Answer:
    return Answer({"error": fault.message, "code": int(fault.status)}, fault.status, fault.headers)


def _not_allowed(allowed: str) -> NoReturn:
    methods = (*READS, "OPTIONS") if allowed in READS else (allowed, "OPTIONS")
    reason = f"Only {allowed} is served at this path."
    raise RequestError(HTTPStatus.METHOD_NOT_ALLOWED, reason, {"Allow": ", ".join(methods)})
