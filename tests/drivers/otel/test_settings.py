"""The effects of the settings of traces, and of OpenTelemetry's own variables."""

import pytest

from soketpy.config.tracing import Tracing
from tests.collector import Collector
from tests.conftest import StartServer
from tests.drivers.otel.test_calls import TRACEPARENT, call_with

ROUTE = "POST /apps/{app_id}/events"


async def test_the_settings_have_precedence_over_the_variables(
    collector: Collector, start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "one=1,two=2")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "other")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "team=chat,deployment.environment.name=other")
    tracing = Tracing(
        enabled=True,
        endpoint=collector.url,
        headers=("Two=zwei", "three=3=3"),
        service_name="realtime",
        resource=("deployment.environment.name=staging",),
    )
    peers = await start_server(tracing=tracing)
    await peers.trigger("my-channel", "e")
    span = await collector.span(ROUTE)
    assert [collector.headers[0][name] for name in ("one", "two", "three")] == ["1", "zwei", "3=3"]
    assert span.resource["service.name"] == "realtime"
    assert (span.resource["team"], span.resource["deployment.environment.name"]) == ("chat", "staging")


async def test_the_variables_decide_what_the_settings_leave_out(
    collector: Collector, start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_always_off")
    peers = await start_server(tracing=Tracing(enabled=True))
    await peers.trigger("my-channel", "not exported")
    await call_with(peers, {"traceparent": TRACEPARENT})
    await collector.span(ROUTE)
    assert len(collector.spans) == 1
    assert collector.headers[0]["Content-Encoding"] == "gzip"


async def test_the_ratio_counts_for_traces_that_begin_here(
    collector: Collector, start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_on")
    peers = await start_server(tracing=Tracing(enabled=True, endpoint=collector.url, sample_ratio=0))
    await peers.trigger("my-channel", "not exported")
    await call_with(peers, {"traceparent": TRACEPARENT}, secret="wrong")
    await call_with(peers, {"traceparent": TRACEPARENT})
    await collector.span(ROUTE)
    assert [span.attributes["http.response.status_code"] for span in collector.spans] == [200]


async def test_the_sdk_can_be_disabled(
    collector: Collector, start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    peers = await start_server(tracing=collector.settings)
    assert (await peers.trigger("my-channel", "e")).status == 200
    await peers.server.stop()
    assert not collector.spans


async def test_the_route_has_the_prefix_and_a_path_without_a_route_has_none(
    collector: Collector, start_server: StartServer
) -> None:
    peers = await start_server(tracing=collector.settings, path_prefix="/realtime")
    await peers.request("GET", "/realtime/apps/app-id/channels")
    await peers.request("GET", "/realtime/apps/app-id/nothing/like/this")
    await peers.request("GET", "/realtime/ready")
    await peers.request("GET", "/elsewhere")
    span = await collector.span("GET /realtime/apps/{app_id}/channels")
    assert span.attributes["http.route"] == "/realtime/apps/{app_id}/channels"
    await peers.server.stop()
    assert [each.name for each in collector.spans] == ["GET /realtime/apps/{app_id}/channels", "GET"]
    assert collector.spans[1].attributes["url.path"] == "/realtime/apps/app-id/nothing/like/this"


async def test_text_of_a_stranger_is_cut_and_never_loses_a_batch(
    collector: Collector, start_server: StartServer
) -> None:
    peers = await start_server(tracing=collector.settings)
    await peers.request("GET", "/apps/" + "x" * 5000 + "?auth_signature=hidden")
    await peers.request("GET", "/apps/%ED%A0%80/%FF")
    await peers.server.stop()
    assert [len(span.attributes["url.path"]) for span in collector.spans] == [1024, len("/apps/%ED%A0%80/%FF")]
    assert b"hidden" not in b"".join(collector.bodies)
