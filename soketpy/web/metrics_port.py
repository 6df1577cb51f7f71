"""The metrics port: memory, and the metrics for Prometheus."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from functools import partial
from http import HTTPStatus
from itertools import chain
from urllib.parse import parse_qsl

import msgspec
from prometheus_client import Metric, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from soketpy.core import steps
from soketpy.core.containment import contain
from soketpy.core.measures import Measures
from soketpy.core.traffic import Traffic
from soketpy.protocol.requests import HEAD_LIMIT
from soketpy.web.answers import JSON, SOFTWARE, TEXT, Answer, Reply, failed, readiness, refused
from soketpy.web.errors import READS, RequestError
from soketpy.web.exchange import Ended, Exchange
from soketpy.web.exposition import NO_LABELS, Family, as_json, as_text
from soketpy.web.memory import memory
from soketpy.web.metrics import ByHost, Metrics

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
        self._metrics = Metrics(prefix, port, traffic, connected, measures, webhooks)
        self._python = ProcessCollector(namespace=prefix.rstrip("_"), registry=None)
        self._scrapes: dict[bool, asyncio.Task[bytes]] = {}  # those in progress: of JSON, and of the text

    # HTTP; ``soketpy.web.http_port.Api`` documents these methods

    @property
    def stopped(self) -> bool:
        """Return False: this port serves each request to its end, also when the server stops."""
        return False

    def open(
        self, method: str, target: str, headers: Mapping[str, str], caller: asyncio.BaseTransport | None = None
    ) -> Exchange:
        """Open a request. It has its answer unless it reads the metrics, or the counters must be refreshed first."""
        exchange = Exchange(method, target, None, None, caller)
        path = _path(exchange)
        if not (_reads_metrics(exchange) or (path == "/ready" and self._refresh is not None)):
            self._serve(exchange)
        return exchange

    def wait(self, exchange: Exchange, ended: Ended) -> None:
        """Do nothing: no operation of this port uses the body of a request."""

    def begin(self, exchange: Exchange, body: bytes, ended: Ended) -> bool:
        """Refresh the counters and serve the request. Return False if ``ended`` is called when that is done."""
        return steps.begin(self._refresh_and_serve(exchange), partial(ended, exchange))

    async def _refresh_and_serve(self, exchange: Exchange) -> None:
        try:
            if _reads_metrics(exchange):
                exchange.answer = await self._scrape(wants_json=_wants_json(exchange))
                return
            if self._refresh is not None:
                await asyncio.ensure_future(self._refresh())  # a task, so that it can use asyncio.timeout
        except Exception as fault:
            contain(log, fault, "The metrics could not be refreshed")
            exchange.answer = failed()
        else:
            self._serve(exchange)

    async def _scrape(self, *, wants_json: bool) -> Answer:
        """Return the metrics. Scrapes that are asked for while another one is in progress share its answer."""
        task = self._scrapes.get(wants_json)
        if task is None:
            task = self._scrapes[wants_json] = asyncio.ensure_future(self._read(wants_json=wants_json))
            task.add_done_callback(lambda _: self._scrapes.pop(wants_json))
        text = await asyncio.shield(task)
        return Answer(text, headers={"Content-Type": JSON if wants_json else CONTENT_TYPE_PLAIN_0_0_4})

    async def _read(self, *, wants_json: bool) -> bytes:
        if self._refresh is not None:
            await self._refresh()
        families = chain(self._metrics.families(), _of_python(self._python.collect()))
        return await (as_json if wants_json else as_text)(families)

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
        if isinstance(answer.value, bytes):
            return Reply(answer.status, headers | answer.headers, answer.value)
        if isinstance(answer.value, str):
            return Reply(answer.status, headers | {"Content-Type": TEXT} | answer.headers, answer.value.encode())
        return Reply(answer.status, headers | {"Content-Type": JSON} | answer.headers, _encode(answer.value))

    # Content

    def _answer(self, method: str, target: str) -> Answer:
        path = target.partition("?")[0]
        if path == "/":  # the same for every method, because a load balancer may use any
            return Answer("OK")
        if path == "/ready":
            return readiness(self._draining(), self._available())
        if method not in READS:
            return Answer("", HTTPStatus.METHOD_NOT_ALLOWED, {"Allow": ", ".join(READS)})
        if path == "/usage":
            return Answer(self._usage())
        return Answer("There is nothing at this path.", HTTPStatus.NOT_FOUND)

    def _usage(self) -> dict[str, object]:
        now = memory()
        usage = {"free": now.total - now.used, "used": now.used, "total": now.total, "percent": now.percent}
        return {"memory": usage}


def _path(exchange: Exchange) -> str:
    return exchange.path.partition("?")[0]


def _reads_metrics(exchange: Exchange) -> bool:
    return exchange.method in READS and _path(exchange) == "/metrics"


def _wants_json(exchange: Exchange) -> bool:
    return bool(dict(parse_qsl(exchange.path.partition("?")[2])).get("json"))


def _of_python(metrics: Iterable[Metric]) -> Iterator[Family]:
    """Yield the metrics that prometheus_client has of the Python process: some numbers without labels."""
    for metric in metrics:
        samples = [(each.name, NO_LABELS, "", each.value) for each in metric.samples]
        yield Family(samples[0][0], metric.documentation, "gauge" if metric.type == "gauge" else "counter", samples)
