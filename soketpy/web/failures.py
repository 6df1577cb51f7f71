"""The answers to requests that fail, and the log lines about them."""

import logging
from http import HTTPStatus

from soketpy.core.app_registry import RegistryUnavailable
from soketpy.core.apps import App
from soketpy.core.containment import attempt, contain
from soketpy.core.idempotency import KeyReused
from soketpy.core.node import Node
from soketpy.core.ports import NotStored, PartlySent, Unavailable
from soketpy.core.triggers import TriggerRefused
from soketpy.protocol.requests import TooManyParameters, bare_path
from soketpy.web.answers import Answer, failed, refused
from soketpy.web.errors import RequestError, no_registry, of_trigger, unavailable, unconfirmed
from soketpy.web.exchange import Exchange
from soketpy.web.peers import Peers

log = logging.getLogger("soketpy.rest")


class Failures:
    """Turns exceptions into answers. No other module gives exceptions of the core or the protocol an HTTP status."""

    def __init__(self, node: Node, prefix: str, peers: Peers) -> None:
        self._node = node
        self._prefix = prefix
        self._peers = peers

    def answer(self, exchange: Exchange, fault: Exception) -> Answer:
        """Return the answer to a request that cannot be served. Never raises."""
        try:
            return self._answer(exchange, fault)
        except Exception as another:
            contain(
                log, another, "The answer to a failed request could not be made: %s %s", exchange.method, exchange.path
            )
            return failed()

    def _answer(self, exchange: Exchange, fault: Exception) -> Answer:
        if isinstance(fault, TriggerRefused):
            fault = of_trigger(fault)
        elif isinstance(fault, PartlySent):
            fault = unconfirmed(str(fault))
        elif isinstance(fault, Unavailable):
            is_certain = exchange.call is None or not exchange.call.published or isinstance(fault, NotStored)
            fault = unavailable(str(fault)) if is_certain else unconfirmed()
        elif isinstance(fault, RegistryUnavailable):
            fault = no_registry()
        elif isinstance(fault, KeyReused):
            fault = RequestError(HTTPStatus.UNPROCESSABLE_ENTITY, str(fault))
        elif isinstance(fault, TooManyParameters):
            fault = RequestError(HTTPStatus.BAD_REQUEST, "The query has too many parameters.")
        if isinstance(fault, RequestError):
            self.log_call(exchange, fault)
            return refused(fault)
        contain(log, fault, "A request could not be served: %s %s", exchange.method, exchange.path)
        return failed()

    def log_call(self, exchange: Exchange, fault: RequestError) -> None:
        """Log a refused request if it is a call of an app. Never raises."""
        bare = bare_path(exchange.path, self._prefix)
        if bare.startswith(("/apps/", "/users/")) or exchange.app is not None:
            self.log(exchange, exchange.app, fault.status, fault.message)

    def log(self, exchange: Exchange, app: App | None, status: HTTPStatus, reason: str) -> None:
        """Log a refused request. Never raises."""
        attempt(log, self._log, exchange, app, status, reason)

    def _log(self, exchange: Exchange, app: App | None, status: HTTPStatus, reason: str) -> None:
        app_id = None if app is None else app.id
        peer = self._peers.name(exchange.caller, exchange.headers)
        self._node.refusals.request(app_id, peer, exchange.method, exchange.path, int(status), reason)
