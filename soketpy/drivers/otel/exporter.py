"""The exporter of spans: OTLP over HTTP, in a thread of its own, with few log lines about a collector that fails."""

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import requests
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

log = logging.getLogger("soketpy.tracing")

PATH = "/v1/traces"

LINE_INTERVAL = 60.0
"""Seconds between two log lines about exports that fail, at least."""

MOST_READ = 64 * 1024
"""Bytes of an answer that are read. The connection of a longer answer is closed."""

SLOWEST_ANSWER = 5.0
"""Seconds for the body of an answer, which has no effect. The connection of a slower one is closed."""

MOST_CAUSES = 10
"""Exceptions behind an exception that are looked at."""


class BoundedSession(requests.Session):
    """An HTTP client that reads a bounded part of each answer. ``reason`` says why the last request failed."""

    def __init__(self) -> None:
        super().__init__()
        self.reason = ""

    def request(self, *args: Any, **options: Any) -> requests.Response:
        """Make a request. Raise HTTPError for a redirect: it is not followed, and the exporter would accept it."""
        try:
            answer = super().request(*args, **{**options, "stream": True})
        except Exception as fault:
            self.reason = reason_of(fault)
            raise
        self.reason = f"HTTP {answer.status_code}"
        _discard(answer)
        if answer.is_redirect:
            raise requests.HTTPError
        return answer


def _discard(answer: requests.Response) -> None:
    """Read the body of an answer to its end, so that the connection can be used again; or close the connection."""
    until, left = time.monotonic() + SLOWEST_ANSWER, MOST_READ
    try:
        while left > 0 and time.monotonic() < until:
            piece = answer.raw.read1(left)
            if not piece:
                return
            left -= len(piece)
    except Exception as fault:  # the status has decided
        log.debug("The answer of the collector was incomplete: %s", reason_of(fault))
    answer.close()


def reason_of(fault: BaseException) -> str:
    """Return why a request failed, without its URL and headers: the text of the system, or the kind of the fault."""
    if isinstance(fault, requests.Timeout):
        return "no answer in time"
    each = fault
    for _ in range(MOST_CAUSES):
        if isinstance(each, OSError) and each.strerror:
            return each.strerror
        inner = [part for part in (*each.args, getattr(each, "reason", None)) if isinstance(part, BaseException)]
        cause = inner[0] if inner else each.__cause__ or each.__context__
        if cause is None:
            break
        each = cause
    return type(each).__name__


class LoggingExporter(SpanExporter):
    """Exports by another exporter. It logs that spans are lost, at most once in ``LINE_INTERVAL``, and the recovery."""

    def __init__(
        self,
        exporter: SpanExporter,
        address: str,
        reason: Callable[[], str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Export to the collector at ``address``. ``reason`` returns why its last request failed."""
        self._exporter = exporter
        self._address = address
        self._reason = reason
        self._clock = clock
        self._lost = 0
        self._said = -LINE_INTERVAL
        self._stopped = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export a batch of spans."""
        result = self._exporter.export(spans)
        if result is SpanExportResult.SUCCESS:
            if self._lost:
                log.info(
                    "Traces are exported to %(address)s again; spans lost: %(count)d",
                    {"event": "tracing_recovered", "address": self._address, "count": self._lost},
                )
                self._lost = 0
            return result
        self._lost += len(spans)
        if (now := self._clock()) - self._said >= LINE_INTERVAL:
            self._said = now
            log.warning(
                "Traces cannot be exported to %(address)s (%(reason)s); spans lost so far: %(count)d",
                {
                    "event": "tracing_failed",
                    "address": self._address,
                    "reason": self._reason() or "the export failed",
                    "count": self._lost,
                },
            )
        return result

    def shutdown(self) -> None:
        """Stop the export in progress as soon as possible. A second call has no effect."""
        if not self._stopped:
            self._stopped = True
            self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Return at once: an exporter keeps no spans."""
        return True


def exporter_of(endpoint: str | None, headers: Mapping[str, str]) -> LoggingExporter:
    """Return the exporter to a collector. Variables of OpenTelemetry fill in what is not given."""
    session = BoundedSession()
    url = endpoint_of(endpoint)
    exporter = OTLPSpanExporter(endpoint=url, headers=dict(headers), session=session)
    return LoggingExporter(exporter, address_of(url), lambda: session.reason)


def endpoint_of(given: str | None, environ: Mapping[str, str] = os.environ) -> str:
    """Return the URL for traces of the setting ``tracing.endpoint``, or else of OpenTelemetry's variables."""
    if given is not None:
        parts = urlsplit(given)
        return given if parts.path.strip("/") else parts._replace(path=PATH).geturl()
    if exact := environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        return exact
    return (environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or "http://localhost:4318").rstrip("/") + PATH


def address_of(url: str) -> str:
    """Return host and port of a URL, for the log."""
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2]
