"""The tracer on OpenTelemetry's SDK: it makes spans, and a thread exports them in batches."""

import asyncio
import logging
import threading
import time
from collections.abc import Mapping
from uuid import uuid4

from opentelemetry import context, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, Sampler, TraceIdRatioBased
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from soketpy.core.tracing import Attributes, Served

log = logging.getLogger("soketpy.tracing")

STOP_TIMEOUT = 3.0
"""Seconds that the export of the last spans may take when the server stops."""

LONGEST = 1024
"""Most characters of an attribute. The rest is cut off."""

_NANO = 1_000_000_000
_NOWHERE = context.Context()


class OtelSpan:
    """A request that this server makes now. See ``core.tracing.Span``."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span
        self.headers: Mapping[str, str] = _headers_of(span)

    def end(self, attributes: Attributes, error: str = "") -> None:
        """End the span."""
        self._span.set_attributes(_clean(attributes))
        _note(self._span, error)
        self._span.end()


class OtelTracer:
    """See ``core.tracing.Tracer``. The global state of OpenTelemetry belongs to the program, and is not changed."""

    def __init__(
        self, exporter: SpanExporter, resource: Resource, version: str, sampler: Sampler | None = None
    ) -> None:
        """Start the thread of the exporter. Raise ValueError if ``variables_problem`` finds one."""
        self._provider = TracerProvider(
            resource=resource,
            sampler=sampler,
            shutdown_on_exit=False,
            span_limits=SpanLimits(max_attribute_length=LONGEST),
        )
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._exporter = exporter
        self._tracer = self._provider.get_tracer("soketpy", version)

    def served(self, request: Served) -> str | None:
        """Export the span of an answered request. Return the id of its trace, or None if the span is not exported."""
        ended = int(time.time() * _NANO)
        began = ended - int(request.seconds * _NANO)
        parent, links = _parent_of(request)
        span = self._tracer.start_span(
            request.name, parent, SpanKind.SERVER, _clean(request.attributes), links, start_time=began
        )
        if not span.is_recording():
            return None
        if request.published is not None:
            inside = trace.set_span_in_context(span, _NOWHERE)
            sent, confirmed = (min(ended, began + int(seconds * _NANO)) for seconds in request.published)
            self._tracer.start_span("publish", inside, start_time=sent).end(confirmed)
        _note(span, request.error)
        span.end(ended)
        return trace.format_trace_id(span.get_span_context().trace_id)

    def begin(self, name: str, attributes: Attributes) -> OtelSpan:
        """Begin the span of a request that this server makes."""
        return OtelSpan(self._tracer.start_span(name, _NOWHERE, SpanKind.CLIENT, _clean(attributes)))

    async def stop(self) -> None:
        """Export the last spans. Return after ``STOP_TIMEOUT`` in any case.

        The thread is a daemon, so that a collector that never answers cannot keep the process.
        """
        loop = asyncio.get_running_loop()
        stopped = asyncio.Event()

        def shut_down() -> None:
            try:
                self._provider.shutdown()
            finally:
                if not loop.is_closed():
                    loop.call_soon_threadsafe(stopped.set)

        threading.Thread(target=shut_down, name="soketpy-traces-stop", daemon=True).start()
        try:
            async with asyncio.timeout(STOP_TIMEOUT):
                await stopped.wait()
        except TimeoutError:
            log.warning(
                "The last traces could not be exported within %(seconds)g s, and are lost",
                {"event": "tracing_not_flushed", "seconds": STOP_TIMEOUT},
            )
            self._exporter.shutdown()


def resource_of(name: str | None, attributes: Mapping[str, str], version: str) -> Resource:
    """Return what all spans of this process say of it. Variables of OpenTelemetry fill in what is not given."""
    defaults = {"service.name": "soketpy", "service.version": version, "service.instance.id": str(uuid4())}
    given = Resource.create().attributes
    written = {key: value for key, value in given.items() if not str(value).startswith("unknown_service")}
    named = {} if name is None else {"service.name": name}
    return Resource({**defaults, **written, **attributes, **named})


def variables_problem() -> str | None:
    """Return what is wrong with the variables of OpenTelemetry (``OTEL_…``), or None. No span is exported."""
    try:
        SpanLimits()
        processor: SpanProcessor = BatchSpanProcessor(InMemorySpanExporter())
    except ValueError as fault:
        return f"a variable OTEL_… is invalid: {fault}"
    processor.shutdown()
    return None


def ratio_sampler(ratio: float) -> Sampler:
    """Return a sampler that exports this part of the traces that begin here, and others if their caller does."""
    return ParentBased(TraceIdRatioBased(ratio))


_propagator = TraceContextTextMapPropagator()


def _parent_of(request: Served) -> tuple[context.Context, tuple[trace.Link, ...]]:
    """Return the context in which the span of a request begins, and its links."""
    if "traceparent" not in request.headers:
        return _NOWHERE, ()
    found = _propagator.extract(request.headers, _NOWHERE)
    if request.continues:
        return found, ()
    caller = trace.get_current_span(found).get_span_context()
    return _NOWHERE, (trace.Link(caller),) if caller.is_valid else ()


def _headers_of(span: trace.Span) -> dict[str, str]:
    headers: dict[str, str] = {}
    _propagator.inject(headers, trace.set_span_in_context(span, _NOWHERE))
    return headers


def _note(span: trace.Span, error: str) -> None:
    """Note the fault of a span, if there is one."""
    if error:
        span.set_attribute("error.type", error)
        span.set_status(Status(StatusCode.ERROR))


def _clean(attributes: Attributes) -> dict[str, str | int | float]:
    """Return attributes that the protocol of the exporter can encode: one lone surrogate would lose a whole batch."""
    return {
        name: value.encode("utf-8", "replace").decode() if isinstance(value, str) and not value.isascii() else value
        for name, value in attributes.items()
    }
