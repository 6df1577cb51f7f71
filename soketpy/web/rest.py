"""The REST API: from a path to the verb that serves it, and every answer's form.

Source: Pusher's HTTP API reference; where it is silent, soketi 1.6.1.
"""

import logging
import re
import time
from http import HTTPStatus
from typing import NoReturn
from urllib.parse import unquote

import msgspec
from aiohttp import web

from soketpy.apps import App, Apps
from soketpy.limits import RateLimiter
from soketpy.node import Node
from soketpy.triggers import RequestError
from soketpy.web import calls
from soketpy.web.api import Answer, Api, Asked, Verb
from soketpy.web.calls import Call
from soketpy.web.cors import Cors
from soketpy.web.health import memory

log = logging.getLogger("soketpy.rest")
access_log = logging.getLogger("soketpy.access")

_encode = msgspec.json.encode

_TEXT, _JSON = "text/plain; charset=utf-8", "application/json"

READS = ("GET", "HEAD")
"""Methods that are served alike, but that HEAD is answered without the body (RFC 9110, section 9.3.2)."""

SOFTWARE = "soketpy"
"""What the Server header says; aiohttp would tell its own version and Python's."""


class Rest:
    """Serves HTTP requests, one call each."""

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
    ) -> None:
        self.draining = False
        self.under_way = 0  # calls that were let in and whose body has not come whole
        self._node = node
        self._apps = apps
        self._cors = cors
        self._prefix = prefix
        self._body_size = body_size
        self._memory_percent = memory_percent
        self._log_access = log_access
        api = Api(node, limiter)
        self._routes: tuple[tuple[str, re.Pattern[str], Verb], ...] = (
            ("POST", re.compile("events"), api.events),
            ("POST", re.compile("batch_events"), api.batch_events),
            ("GET", re.compile("channels"), api.channels),
            ("GET", re.compile("channels/([^/]+)"), api.channel),
            ("GET", re.compile("channels/([^/]+)/users"), api.users),
            ("POST", re.compile("users/([^/]+)/terminate_connections"), api.terminate),
        )

    async def __call__(self, request: web.BaseRequest) -> web.Response:
        """Serve one request; never raises."""
        path, _, query = target_of(request).partition("?")
        app = self._app_of(path)
        origin = request.headers.get("Origin")
        allowed = app.allowed_origins if app is not None else ()
        if request.method == "OPTIONS":
            headers = {**self._cors.preflight(origin, allowed), "Server": SOFTWARE}
            return web.Response(status=HTTPStatus.NO_CONTENT, headers=headers)
        answer = await self._serve(request, path, query, app)
        body = answer.value.encode() if isinstance(answer.value, str) else _encode(answer.value)
        response = web.Response(body=body, status=answer.status, headers=self._cors.answer(origin, allowed))
        response.headers["Content-Type"] = _TEXT if isinstance(answer.value, str) else _JSON
        response.headers["Server"] = SOFTWARE
        response.headers.update(answer.headers)
        if app is not None and answer.received is not None:
            self._node.traffic[app.id].answered(answer.received, len(body))
        if self._log_access:
            access_log.info("%s %s %s %d", request.method, path, int(answer.status), len(body))
        return response

    async def _serve(self, request: web.BaseRequest, path: str, query: str, app: App | None) -> Answer:
        try:
            bare = self._bare(path)
            if bare.startswith("/apps/"):
                return await self._serve_app(request, path, bare, query, app)
            return self._serve_server(request.method, bare)
        except RequestError as fault:
            return _refused(fault.status, fault.message, fault.headers)
        except Exception:
            log.exception("A request could not be served: %s %s", request.method, path)
            self._node.failures += 1
            return _refused(HTTPStatus.INTERNAL_SERVER_ERROR, "The server failed to serve this request.")

    def _bare(self, path: str) -> str:
        """The path without the prefix that a proxy may have left in front of it."""
        if self._prefix and path.startswith(self._prefix + "/"):
            return path.removeprefix(self._prefix)
        return path

    def _app_of(self, path: str) -> App | None:
        parts = self._bare(path).split("/", 3)
        return self._apps.by_id(unquote(parts[2])) if len(parts) == 4 and parts[1] == "apps" else None

    # The server itself

    def _serve_server(self, method: str, path: str) -> Answer:
        if method not in READS and path in ("/", "/ready", "/accept-traffic"):
            _not_allowed("GET")
        match path:
            case "/":
                return Answer("OK")
            case "/ready":
                self._refuse_when_draining()
                return Answer("OK")
            case "/accept-traffic":
                return self._accept_traffic()
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
            raise RequestError(HTTPStatus.SERVICE_UNAVAILABLE, "The server is stopping; choose another.")

    # Apps

    async def _serve_app(self, request: web.BaseRequest, path: str, bare: str, query: str, app: App | None) -> Answer:
        self._refuse_when_draining()
        verb, arguments = self._route(request.method, bare.split("/", 3)[-1])
        if app is None:
            raise RequestError(HTTPStatus.NOT_FOUND, "The app could not be found.")
        if not app.enabled:
            raise RequestError(HTTPStatus.FORBIDDEN, "The app is disabled.")
        call = Call(request.method, path, bare, calls.parse_query(query), self._prefix)
        calls.authenticate(call, app, time.time())
        body = b""
        try:
            self.under_way += 1
            try:
                body = await calls.read_body(request, call, self._body_size)
            finally:
                self.under_way -= 1
            answer = verb(Asked(call, app, request.content_type, body, arguments))
        except RequestError as fault:
            answer = _refused(fault.status, fault.message, fault.headers)
        answer.received = len(body)
        return answer

    def _route(self, method: str, path: str) -> tuple[Verb, tuple[str, ...]]:
        method, allowed = "GET" if method in READS else method, None
        for wanted, pattern, verb in self._routes:
            found = pattern.fullmatch(path)
            if found is not None:
                if wanted == method:
                    return verb, tuple(unquote(group) for group in found.groups())
                allowed = wanted
        if allowed is not None:
            _not_allowed(allowed)
        raise RequestError(HTTPStatus.NOT_FOUND, "There is nothing at this path.")


def malformed(reason: str | None) -> web.Response:
    """The answer to a request that is not HTTP; only the first line of ``reason`` goes out."""
    text = "The request is not valid HTTP" + (f": {reason.splitlines()[0].rstrip(':')}." if reason else ".")
    answer = _refused(HTTPStatus.BAD_REQUEST, text)
    headers = {"Access-Control-Allow-Origin": "*", "Content-Type": _JSON, "Server": SOFTWARE}
    return web.Response(body=_encode(answer.value), status=answer.status, headers=headers)


def target_of(request: web.BaseRequest) -> str:
    """The path and query as they were sent, also where the target is a whole URL (RFC 9112, section 3.2.2).

    Bytes that are not UTF-8 are replaced: they could not be put into an answer or a log line.
    """
    target = request.raw_path
    if not target.isascii():
        target = target.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if target.startswith("/"):
        return target
    _, scheme, rest = target.partition("://")
    path = re.search("[/?]", rest) if scheme else None
    if path is None:
        return "/" if scheme else target
    return rest[path.start() :] if path.group() == "/" else "/" + rest[path.start() :]


def _refused(status: HTTPStatus, reason: str, headers: dict[str, str] | None = None) -> Answer:
    return Answer({"error": reason, "code": int(status)}, status, headers or {})


def _not_allowed(allowed: str) -> NoReturn:
    methods = (*READS, "OPTIONS") if allowed in READS else (allowed, "OPTIONS")
    reason = f"Only {allowed} is served at this path."
    raise RequestError(HTTPStatus.METHOD_NOT_ALLOWED, reason, {"Allow": ", ".join(methods)})
