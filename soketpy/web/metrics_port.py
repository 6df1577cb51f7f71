"""The metrics port: memory, and the metrics for Prometheus."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from http import HTTPStatus
from urllib.parse import parse_qsl

import msgspec
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from soketpy.core import steps
from soketpy.core.containment import contain
from soketpy.core.measures import Measures
from soketpy.core.traffic import Traffic
from soketpy.protocol.requests import HEAD_LIMIT
from soketpy.web.answers import JSON, SOFTWARE, TEXT, Answer, Reply, failed, readiness, refused
from soketpy.web.errors import READS, RequestError
from soketpy.web.exchange import Ended, Exchange
from soketpy.web.memory import memory
from soketpy.web.metrics import ByHost, TrafficCollector

log = logging.getLogger("soketpy.http")

_encode = msgspec.json.encode


class MetricsPort:
    """Serves ``/usage`` and ``/metrics``, with soketi's names. Asks for no signature: do not expose the port."""

    body_size = HEAD_LIMIT
    leaving = False

    def __init__(
        self,
        prefix: str,
        port: int,
        traffic: Mapping[str, Traffic],
        connected: Callable[[str], int],
        measures: Callable[[], Measures] = Measures,
        refresh: Callable[[], Awaitable[None]] | None = None,
        *,
        webhooks: Callable[[], ByHost] = dict,
        draining: Callable[[], bool] = lambda: False,
        available: Callable[[], bool] = lambda: True,
    ) -> None:
        self._refresh = refresh
        self._draining = draining
        self._available = available
        self._registry = CollectorRegistry()
        self._registry.register(TrafficCollector(prefix, port, traffic, connected, measures, webhooks))
        ProcessCollector(namespace=prefix.rstrip("_"), registry=self._registry)

    # HTTP; ``soketpy.web.http_port.Api`` documents these methods

    @property
    def stopped(self) -> bool:
        """Return False: this port serves each request to its end, also when the server stops."""
        return False

    def open(
        self, method: str, target: str, headers: Mapping[str, str], caller: asyncio.BaseTransport | None = None
    ) -> Exchange:
        """Open a request. It has its answer unless the metrics must be refreshed first."""
        exchange = Exchange(method, target, None, None, caller)
        if self._refresh is None or not self._reads_metrics(exchange):
            self._serve(exchange)
        return exchange

    def _reads_metrics(self, exchange: Exchange) -> bool:
        path = exchange.path.partition("?")[0]
        return path == "/ready" or (path == "/metrics" and exchange.method in READS)

    def wait(self, exchange: Exchange, ended: Ended) -> None:
        """Do nothing: no operation of this port uses the body of a request."""

    def begin(self, exchange: Exchange, body: bytes, ended: Ended) -> bool:
        """Refresh the metrics and serve the request. Return False if ``ended`` is called when that is done."""
        return steps.begin(self._refresh_and_serve(exchange), partial(ended, exchange))

    async def _refresh_and_serve(self, exchange: Exchange) -> None:
        try:
            if self._refresh is not None:
                await asyncio.ensure_future(self._refresh())  # a task, so that it can use asyncio.timeout
        except Exception as fault:
            contain(log, fault, "The metrics could not be refreshed")
            exchange.answer = failed()
        else:
            self._serve(exchange)

    def _serve(self, exchange: Exchange) -> None:
        try:
            exchange.answer = self._answer(exchange.method, exchange.path)
        except Exception as fault:
            contain(log, fault, "A request for metrics could not be served: %s %s", exchange.method, exchange.path)
            exchange.answer = failed()

    def refuse(self, exchange: Exchange, fault: RequestError) -> None:
        """Answer a request with an error, unless it has an answer."""
        exchange.answer = exchange.answer or refused(fault)

    def reply(self, exchange: Exchange) -> Reply:
        """Return the answer in the form in which it is sent."""
        answer = exchange.answer or failed()
        headers = {"Access-Control-Allow-Origin": "*", "Server": SOFTWARE}
        if isinstance(answer.value, str):
            return Reply(answer.status, headers | {"Content-Type": TEXT} | answer.headers, answer.value.encode())
        return Reply(answer.status, headers | {"Content-Type": JSON} | answer.headers, _encode(answer.value))

    # Content

    def _answer(self, method: str, target: str) -> Answer:
        path, _, query = target.partition("?")
        if path == "/":  # the same for every method, because a load balancer may use any
            return Answer("OK")
        if path == "/ready":
            return readiness(self._draining(), self._available())
        if method not in READS:
            return Answer("", HTTPStatus.METHOD_NOT_ALLOWED, {"Allow": ", ".join(READS)})
        match path:
            case "/usage":
                return Answer(self._usage())
            case "/metrics" if dict(parse_qsl(query)).get("json"):
                return Answer(self._metrics())
            case "/metrics":
                return Answer(
                    generate_latest(self._registry).decode(), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4}
                )
        return Answer("There is nothing at this path.", HTTPStatus.NOT_FOUND)

    def _usage(self) -> dict[str, object]:
        now = memory()
        usage = {"free": now.total - now.used, "used": now.used, "total": now.total, "percent": now.percent}
        return {"memory": usage}

    def _metrics(self) -> list[dict[str, object]]:
        """Return the metrics as soketi answers ``?json=1``, in the form of prom-client."""
        return [
            {
                "help": metric.documentation,
                "name": metric.samples[0].name,
                "type": "gauge" if metric.type == "gauge" else "counter",
                "values": [{"value": sample.value, "labels": sample.labels} for sample in metric.samples],
                "aggregator": "sum",
            }
            for metric in self._registry.collect()
            if metric.samples
        ]
