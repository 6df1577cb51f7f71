"""Collectors that are unavailable, slow, endless or wrong: no call fails or waits, and the log has few lines."""

import errno
import logging
import os
from collections.abc import Sequence

import pytest
import requests
from aiohttp import web
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from soketpy.config.tracing import Tracing
from soketpy.drivers.otel import exporter, tracer
from soketpy.drivers.otel.exporter import endpoint_of, reason_of
from tests.collector import Collector
from tests.conftest import Peers, StartServer
from tests.patience import PATIENCE, until
from tests.raw_receiver import Script, close, endless, hang, hang_in_headers, raw_receiving, reset, status

ENDLESS_HEADERS = endless(b"HTTP/1.1 200 OK\r\n", b"X-More: more\r\n")
ENDLESS_BODY = endless(b"HTTP/1.1 400 Bad Request\r\n\r\n", b"x" * 65536)


@pytest.fixture(autouse=True)
def one_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an export that fails fail at once. The exporter makes further attempts for some seconds."""
    monkeypatch.setattr("opentelemetry.exporter.otlp.common.http._MAX_RETRIES", 1)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", str(PATIENCE))
    monkeypatch.setattr(tracer, "STOP_TIMEOUT", 0.1)
    monkeypatch.setattr(exporter, "SLOWEST_ANSWER", 0.1)


def failures(caplog: pytest.LogCaptureFixture, address: str) -> list[str]:
    """The lines about exports to a collector that failed. Threads of earlier tests may log some about others."""
    lines = [record.getMessage() for record in caplog.records]
    return [line for line in lines if line.startswith(f"Traces cannot be exported to {address} ")]


async def call(peers: Peers, times: int = 1) -> None:
    for _ in range(times):
        assert (await peers.trigger("my-channel", "e")).status == 200


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (hang, "no answer in time"),
        (hang_in_headers, "no answer in time"),
        (close, "RemoteDisconnected"),
        (reset, "Connection reset by peer"),
        (status(301, "Location: https://127.0.0.1/"), "HTTP 301"),
        (status(401), "HTTP 401"),
        (status(503), "HTTP 503"),
        (ENDLESS_BODY, "HTTP 400"),
        (ENDLESS_HEADERS, "HTTPException"),
    ],
)
async def test_calls_are_served_and_one_line_has_the_reason(
    start_server: StartServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    script: Script,
    reason: str,
) -> None:
    if script in (hang, hang_in_headers):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.1")
    caplog.set_level(logging.INFO, "soketpy.tracing")
    async with raw_receiving(script) as receiver:
        address = f"127.0.0.1:{receiver.port}"
        tracing = Tracing(enabled=True, endpoint=receiver.url(""), headers=("api-key=well-hidden",))
        peers = await start_server(tracing=tracing)
        await call(peers)
        await until(lambda: failures(caplog, address))
        asked = len(receiver.requests)
        await call(peers)
        await until(lambda: len(receiver.requests) > asked)
        await peers.server.stop()
    [line] = failures(caplog, address)
    assert line == f"Traces cannot be exported to {address} ({reason}); spans lost so far: 1"
    assert b"api-key: well-hidden" in receiver.requests[0]
    assert "well-hidden" not in caplog.text


async def test_an_endless_answer_that_accepts_the_spans_is_not_read_to_its_end(
    start_server: StartServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with raw_receiving(endless(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 1000)) as receiver:
        peers = await start_server(tracing=Tracing(enabled=True, endpoint=receiver.url("")))
        await call(peers)
        await until(lambda: len(receiver.requests) == 1 and not receiver.open)
        await call(peers)
        await until(lambda: len(receiver.requests) == 2)
        await peers.server.stop()
    assert not failures(caplog, f"127.0.0.1:{receiver.port}")


async def test_a_collector_that_returns_gets_later_spans_and_the_log_says_so(
    collector: Collector, start_server: StartServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "soketpy.tracing")
    works, address = collector.answer, f"127.0.0.1:{collector.port}"
    collector.answer = refuse
    peers = await start_server(tracing=collector.settings)
    await call(peers)
    await until(lambda: failures(caplog, address))
    collector.answer = works
    await call(peers)
    again = f"Traces are exported to {address} again; spans lost: "
    await until(lambda: any(record.getMessage().startswith(again) for record in caplog.records))


async def test_a_full_queue_drops_spans_and_the_server_stops_in_time(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "2")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1")
    async with raw_receiving(hang) as receiver:
        peers = await start_server(tracing=Tracing(enabled=True, endpoint=receiver.url("")))
        await call(peers)
        await until(lambda: receiver.requests)
        await call(peers, 10)
        await peers.server.stop()
        assert len(receiver.requests) == 1
    assert "The last traces could not be exported within 0.1 s, and are lost" in caplog.messages


async def refuse(request: object) -> web.StreamResponse:
    return web.Response(status=400)


def test_a_second_line_follows_after_a_minute_with_all_losses(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = [1000.0]
    logging_exporter = exporter.LoggingExporter(Refusing(), "collector:4318", lambda: "HTTP 401", lambda: now[0])
    for seconds in (0, 30, 29, 1, 59):
        now[0] += seconds
        logging_exporter.export([ReadableSpan("a"), ReadableSpan("b")])
    lines = failures(caplog, "collector:4318")
    assert [line.rpartition(" ")[2] for line in lines] == ["2", "8"]


class Refusing(InMemorySpanExporter):
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.FAILURE


@pytest.mark.parametrize(
    ("given", "environ", "url"),
    [
        (None, {}, "http://localhost:4318/v1/traces"),
        (None, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:1/"}, "http://c:1/v1/traces"),
        (None, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:1/otlp"}, "http://c:1/otlp/v1/traces"),
        (None, {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:1/exact"}, "http://c:1/exact"),
        ("http://c:1", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://other"}, "http://c:1/v1/traces"),
        ("http://c:1/", {}, "http://c:1/v1/traces"),
        ("http://c:1?token=t", {}, "http://c:1/v1/traces?token=t"),
        ("http://c:1/v1/traces", {}, "http://c:1/v1/traces"),
        ("https://tempo.example.com/otlp/v1/traces", {}, "https://tempo.example.com/otlp/v1/traces"),
    ],
)
def test_the_url_is_that_of_the_setting_or_of_the_variables(
    given: str | None, environ: dict[str, str], url: str
) -> None:
    assert endpoint_of(given, environ) == url


def test_a_reason_has_no_url() -> None:
    with pytest.raises(requests.ConnectionError) as raised:
        requests.get("http://user:well-hidden@127.0.0.1:1/well-hidden", timeout=PATIENCE)
    assert reason_of(raised.value) == os.strerror(errno.ECONNREFUSED)
