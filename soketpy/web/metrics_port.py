"""The metrics port: how much memory is used, and everything that Prometheus reads."""

from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from soketpy.core.traffic import Totals, Traffic
from soketpy.web.answers import SOFTWARE, path_of, readiness
from soketpy.web.errors import READS
from soketpy.web.memory import memory
from soketpy.web.metrics import TrafficCollector

_ANYONE = {"Access-Control-Allow-Origin": "*", "Server": SOFTWARE}


class MetricsPort:
    """Serves ``/usage`` and ``/metrics``, under soketi's names. Asks for no signature: keep the port inside."""

    def __init__(
        self,
        prefix: str,
        port: int,
        traffic: Mapping[str, Traffic],
        connected: Callable[[str], int],
        totals: Callable[[], Totals] = Totals,
        refresh: Callable[[], Awaitable[None]] | None = None,
        *,
        draining: Callable[[], bool] = lambda: False,
        available: Callable[[], bool] = lambda: True,
    ) -> None:
        self._refresh = refresh
        self._draining = draining
        self._available = available
        self._registry = CollectorRegistry()
        self._registry.register(TrafficCollector(prefix, port, traffic, connected, totals))
        ProcessCollector(namespace=prefix.rstrip("_"), registry=self._registry)

    async def __call__(self, request: web.BaseRequest) -> web.Response:
        """Serve one request."""
        path, _, query = path_of(request.raw_path).partition("?")
        if path == "/":  # the same to every method, since a load balancer may ask with any
            return web.Response(text="OK", headers=_ANYONE)
        if path == "/ready":
            return await self._ready()
        if request.method not in READS:
            return web.Response(status=405, headers={**_ANYONE, "Allow": ", ".join(READS)})
        if self._refresh is not None and path == "/metrics":
            await self._refresh()
        match path:
            case "/usage":
                return _json(self._usage())
            case "/metrics" if dict(parse_qsl(query)).get("json"):
                return _json(self._metrics())
            case "/metrics":
                headers = {**_ANYONE, "Content-Type": CONTENT_TYPE_PLAIN_0_0_4}
                return web.Response(body=generate_latest(self._registry), headers=headers)
        return web.Response(status=404, text="There is nothing at this path.", headers=_ANYONE)

    async def _ready(self) -> web.Response:
        """Tell whether the server is to get clients: the same to every method, and the same as on the main port."""
        if self._refresh is not None:
            await self._refresh()
        answer = readiness(self._draining(), self._available())
        if isinstance(answer.value, str):
            return web.Response(text=answer.value, headers=_ANYONE)
        return _json(answer.value, answer.status)

    def _usage(self) -> dict[str, object]:
        now = memory()
        usage = {"free": now.total - now.used, "used": now.used, "total": now.total, "percent": now.percent}
        return {"memory": usage}

    def _metrics(self) -> list[dict[str, object]]:
        """The metrics as soketi gives them to ``?json=1``, in the form of prom-client."""
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


def _json(value: object, status: int = 200) -> web.Response:
    body = msgspec.json.encode(value)
    return web.Response(body=body, status=status, content_type="application/json", headers=_ANYONE)
