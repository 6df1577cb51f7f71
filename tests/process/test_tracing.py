"""Traces of a server, as a collector receives them by OTLP over HTTP."""

import logging
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from soketpy.cli import main
from soketpy.config.settings import Log
from soketpy.config.tracing import Tracing
from soketpy.protocol import signatures
from tests.collector import SERVER, Collector, collecting
from tests.conftest import Peers, Reply, StartServer
from tests.patience import PATIENCE

CALLER = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
TRACEPARENT = f"00-{CALLER}-{PARENT}-01"


@pytest.fixture(autouse=True)
def exports_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    async with collecting() as collector:
        yield collector


def to(collector: Collector) -> Tracing:
    return Tracing(enabled=True, endpoint=collector.url)


async def test_a_call_is_a_span_with_the_attributes_of_http(start_server: StartServer, collector: Collector) -> None:
    peers = await start_server(tracing=to(collector))
    await peers.call("POST", "/events", {"name": "e", "channels": ["one", "two"], "data": "hidden data"})
    span = await collector.span("POST /apps/{app_id}/events")
    assert collector.paths[0] == "/v1/traces"
    assert (span.kind, span.parent_id, span.failed) == (SERVER, "", False)
    assert span.attributes == {
        "http.request.method": "POST",
        "http.route": "/apps/{app_id}/events",
        "url.path": "/apps/app-id/events",
        "url.scheme": "http",
        "http.response.status_code": 200,
        "client.address": "127.0.0.1",
        "soketpy.app.id": "app-id",
        "soketpy.channel.count": 2,
    }
    assert 0 < span.ended - span.began < 60_000_000_000
    assert span.resource["service.name"] == "soketpy"
    assert len(span.resource["service.instance.id"]) == 36


async def call_with(peers: Peers, headers: dict[str, str], secret: str = "app-secret") -> Reply:
    """Trigger an event, with these headers."""
    body = b'{"name":"e","channel":"c","data":"d"}'
    query = signatures.signed_query("app-key", secret, "POST", "/apps/app-id/events", body, int(time.time()))
    return await peers.request("POST", f"/apps/app-id/events?{query}", data=body, headers=headers)


async def test_a_call_continues_the_trace_of_its_caller(start_server: StartServer, collector: Collector) -> None:
    peers = await start_server(tracing=to(collector))
    await call_with(peers, {"traceparent": TRACEPARENT, "tracestate": "vendor=0123"})
    span = await collector.span("POST /apps/{app_id}/events")
    assert (span.trace_id, span.parent_id, span.state) == (CALLER, PARENT, "vendor=0123")


async def test_a_caller_that_exports_nothing_decides_the_same_for_its_calls(
    start_server: StartServer, collector: Collector
) -> None:
    peers = await start_server(tracing=to(collector))
    await call_with(peers, {"traceparent": TRACEPARENT.removesuffix("1") + "0"})
    await peers.call("GET", "/channels")
    await collector.span("GET /apps/{app_id}/channels")
    assert not collector.named("POST /apps/{app_id}/events")


async def test_a_call_without_a_valid_signature_begins_a_trace_with_a_link_to_its_caller(
    start_server: StartServer, collector: Collector
) -> None:
    peers = await start_server(tracing=to(collector))
    reply = await call_with(peers, {"traceparent": TRACEPARENT}, secret="wrong")
    span = await collector.span("POST /apps/{app_id}/events")
    assert (reply.status, span.attributes["http.response.status_code"]) == (401, 401)
    assert (span.parent_id, span.failed, span.links) == ("", False, [(CALLER, PARENT)])
    assert span.trace_id != CALLER


@pytest.mark.parametrize("text", ["", "00", "00-0-0-01", f"ff-{CALLER}-{PARENT}-01", f"00-{'0' * 32}-{PARENT}-01"])
async def test_a_broken_traceparent_is_as_none(start_server: StartServer, collector: Collector, text: str) -> None:
    peers = await start_server(tracing=to(collector))
    assert (await call_with(peers, {"traceparent": text})).status == 200
    span = await collector.span("POST /apps/{app_id}/events")
    assert (span.parent_id, span.links) == ("", [])


async def test_the_access_log_has_the_id_of_the_trace(
    start_server: StartServer, collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    peers = await start_server(tracing=to(collector), log=Log(access=True))
    await call_with(peers, {"traceparent": TRACEPARENT})
    await call_with(peers, {"traceparent": TRACEPARENT.removesuffix("1") + "0"})
    [one, other] = [record.args for record in caplog.records if record.name == "soketpy.access"]
    assert isinstance(one, dict)
    assert isinstance(other, dict)
    assert one["trace_id"] == CALLER
    assert "trace_id" not in other


def test_a_server_without_tracing_loads_no_library(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys, soketpy\n"
        "async def run():\n"
        "    async with soketpy.Server(host='127.0.0.1', port=0): pass\n"
        "asyncio.run(run())\n"
        "print([name for name in sys.modules if name.startswith(('opentelemetry', 'requests'))])\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE
    )
    assert (ran.stdout, ran.stderr) == ("[]\n", "")


@pytest.mark.parametrize(
    ("environ", "problem"),
    [
        (
            {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "traces are exported by http/protobuf only, and OTEL_EXPORTER_OTLP_PROTOCOL is 'grpc'",
        ),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317"},
            "the URL of OTEL_EXPORTER_OTLP_ENDPOINT is not an http:// or https:// URL with a host",
        ),
        (
            {"OTEL_TRACES_SAMPLER": "sometimes"},
            "OTEL_TRACES_SAMPLER must be one of always_on, always_off, parentbased_always_on, parentbased_always_off,"
            " traceidratio, parentbased_traceidratio, not 'sometimes'",
        ),
        (
            {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "5%"},
            "OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1, not '5%'",
        ),
        ({"OTEL_BSP_MAX_QUEUE_SIZE": "-1"}, "a variable OTEL_… is invalid: max_queue_size must be a positive integer."),
    ],
)
def test_variables_that_the_server_cannot_follow_are_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    environ: dict[str, str],
    problem: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    Path("soketpy.yaml").write_text("tracing:\n  enabled: true\n")
    for command in (["check-config", "soketpy.yaml"], ["start", "--port", "0", "--config", "soketpy.yaml"]):
        assert main(command) == 2
        error = capsys.readouterr().err.splitlines()[-1]
        assert error == f"soketpy {command[0]}: error: soketpy.yaml:2: tracing.enabled: {problem}"


def test_a_missing_library_is_one_line_that_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    monkeypatch.delitem(sys.modules, "soketpy.drivers.otel.exporter", raising=False)
    monkeypatch.delattr("soketpy.drivers.otel.exporter", raising=False)
    Path("soketpy.yaml").write_text("tracing: {enabled: true}\n")
    assert main(["check-config", "soketpy.yaml"]) == 2
    assert "tracing.enabled: traces need the library opentelemetry" in (error := capsys.readouterr().err)
    assert error.endswith(": pip install 'soketpy[otel]'\n")
