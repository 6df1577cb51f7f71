"""A collector of traces: a real HTTP server that decodes what an exporter of OpenTelemetry sends."""

import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from soketpy.config.tracing import Tracing
from tests.patience import until

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Span:
    """One span that has arrived, with its ids in hexadecimal digits."""

    name: str
    kind: int
    trace_id: str
    span_id: str
    parent_id: str
    state: str
    attributes: dict[str, Any]
    resource: dict[str, Any]
    links: list[tuple[str, str]]
    began: int
    ended: int
    failed: bool


SERVER, CLIENT, INTERNAL = 2, 3, 1
"""The kinds of spans (opentelemetry/proto/trace/v1/trace.proto)."""


async def accept(request: web.Request) -> web.StreamResponse:
    return web.Response(content_type="application/x-protobuf")


@dataclass
class Collector:
    """Stores the spans of all exports. ``answer`` may be replaced at any time."""

    port: int = 0
    answer: Answer = accept
    spans: list[Span] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    headers: list[Any] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def settings(self) -> Tracing:
        """Return the settings of a server that exports to this collector."""
        return Tracing(enabled=True, endpoint=self.url)

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]

    async def span(self, name: str) -> Span:
        """Wait until a span with this name has arrived. Return the first one."""
        return (await self.several(1, name))[0]

    async def several(self, number: int, name: str) -> list[Span]:
        """Wait until so many spans with this name have arrived. Return them in the order of their begin."""
        await until(lambda: len(self.named(name)) >= number)
        return sorted(self.named(name), key=lambda span: span.began)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if request.headers.get("Content-Encoding") == "gzip" and body[:2] == b"\x1f\x8b":
            body = gzip.decompress(body)
        self.bodies.append(body)
        self.headers.append(request.headers)
        self.paths.append(request.path)
        self.spans += spans_of(body)
        return await self.answer(request)


def spans_of(body: bytes) -> list[Span]:
    """Return the spans of one export."""
    return [
        Span(
            each.name,
            each.kind,
            each.trace_id.hex(),
            each.span_id.hex(),
            each.parent_span_id.hex(),
            each.trace_state,
            _values(each.attributes),
            _values(resource.resource.attributes),
            [(link.trace_id.hex(), link.span_id.hex()) for link in each.links],
            each.start_time_unix_nano,
            each.end_time_unix_nano,
            each.status.code == 2,
        )
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for each in scope.spans
    ]


def _values(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    """Run a collector on a free port of the loopback address."""
    collector = Collector()
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_post("/{path:.*}", collector._serve)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        collector.port = runner.addresses[0][1]
        yield collector
    finally:
        await runner.cleanup()
