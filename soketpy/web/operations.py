"""The metrics port: how much memory is used, and everything that Prometheus reads."""

import msgspec
from aiohttp import web
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from soketpy.metrics import TrafficCollector
from soketpy.node import Node
from soketpy.web.health import memory

_ANYONE = {"Access-Control-Allow-Origin": "*"}


class Operations:
    """Serves ``/usage`` and ``/metrics``, under soketi's names. Asks for no signature: keep the port inside."""

    def __init__(self, node: Node, prefix: str, port: int) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(
            TrafficCollector(prefix, port, node.traffic, lambda app_id: len(node.connections(app_id)))
        )
        ProcessCollector(namespace=prefix.rstrip("_"), registry=self._registry)

    async def __call__(self, request: web.BaseRequest) -> web.Response:
        """Serve one request."""
        path = request.raw_path.partition("?")[0]
        if request.method not in ("GET", "HEAD"):
            return web.Response(status=405, headers={**_ANYONE, "Allow": "GET"})
        match path:
            case "/" | "/ready":
                return web.Response(text="OK", headers=_ANYONE)
            case "/usage":
                return web.Response(body=self._usage(), content_type="application/json", headers=_ANYONE)
            case "/metrics":
                headers = {**_ANYONE, "Content-Type": CONTENT_TYPE_PLAIN_0_0_4}
                return web.Response(body=generate_latest(self._registry), headers=headers)
        return web.Response(status=404, text="There is nothing at this path.", headers=_ANYONE)

    def _usage(self) -> bytes:
        now = memory()
        usage = {"free": now.total - now.used, "used": now.used, "total": now.total, "percent": now.percent}
        return msgspec.json.encode({"memory": usage})
