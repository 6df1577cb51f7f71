"""The traces of REST calls: one span for each call of an app, made when the call is answered."""

from collections.abc import Mapping
from http import HTTPStatus
from time import monotonic

from soketpy.core.refusals import ip_of
from soketpy.core.tracing import Served, Tracer
from soketpy.protocol.requests import bare_path
from soketpy.web.authentication import Call
from soketpy.web.exchange import Exchange
from soketpy.web.peers import Peers

ROUTES = {
    "events": "/apps/{app_id}/events",
    "batch_events": "/apps/{app_id}/batch_events",
    "channels": "/apps/{app_id}/channels",
    "channel": "/apps/{app_id}/channels/{channel_name}",
    "users": "/apps/{app_id}/channels/{channel_name}/users",
    "history": "/apps/{app_id}/channels/{channel_name}/events",
    "terminate": "/apps/{app_id}/users/{user_id}/terminate_connections",
}
"""The route of each operation, by its name."""

BY_KEY = "/users/{user_id}/terminate_connections"
"""The route of the one operation that may name its app by its key alone."""

METHODS = frozenset(("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"))
"""The methods that OpenTelemetry's semantic conventions know."""

_NOTHING: Mapping[str, str] = {}


class CallTraces:
    """Makes the spans of calls. No span has a query, which has a signature, or a body."""

    def __init__(self, tracer: Tracer, peers: Peers, prefix: str = "") -> None:
        self._tracer = tracer
        self._peers = peers
        self._prefix = prefix

    def answered(self, exchange: Exchange, status: int, seconds: float) -> str | None:
        """Export the span of a call. Return the id of its trace.

        Return None if the span is not exported, and for requests that are no calls of an app. Only a call with a valid
        signature continues the trace of its caller: others cannot decide what is exported.
        """
        bare = bare_path(exchange.path, self._prefix)
        is_by_key = bare.startswith("/users/")
        if exchange.method == "OPTIONS" or not (is_by_key or bare.startswith("/apps/")):
            return None
        operation = None if exchange.operation is None else exchange.operation.__name__
        route = None if operation is None else self._prefix + (BY_KEY if is_by_key else ROUTES[operation])
        method = exchange.method if exchange.method in METHODS else "HTTP"
        return self._tracer.served(
            Served(
                method if route is None else f"{method} {route}",
                self._attributes(exchange, route, status),
                seconds,
                exchange.headers or _NOTHING,
                continues=exchange.call is not None,
                published=None
                if exchange.call is None or not exchange.call.sent
                else _published(exchange, exchange.call),
                error=str(status) if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "",
            )
        )

    def _attributes(self, exchange: Exchange, route: str | None, status: int) -> dict[str, str | int]:
        headers = exchange.headers or _NOTHING
        attributes: dict[str, str | int] = {
            "http.request.method": exchange.method,
            "url.path": exchange.path,
            "url.scheme": "http",
            "http.response.status_code": status,
        }
        if exchange.method not in METHODS:
            attributes["http.request.method"] = "_OTHER"
            attributes["http.request.method_original"] = exchange.method
        if route is not None:
            attributes["http.route"] = route
        if (client := ip_of(self._peers.name(exchange.caller, headers))) is not None:
            attributes["client.address"] = client
        if exchange.caller is not None and self._peers.client(exchange.caller, headers)[1]:
            attributes["url.scheme"] = "https"
        if exchange.app is not None:
            attributes["soketpy.app.id"] = exchange.app.id
        if exchange.call is not None and exchange.call.published:
            attributes["soketpy.channel.count"] = exchange.call.published
        return attributes


def _published(exchange: Exchange, call: Call) -> tuple[float, float]:
    """Return when the events were sent to other nodes, and when these or the answer to the call came."""
    return call.sent - exchange.began, (call.confirmed or monotonic()) - exchange.began
