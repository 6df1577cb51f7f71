"""The spans of REST calls, as a collector receives them from a server."""

import logging
import time
from uuid import uuid4

import pytest

from soketpy.config.settings import Log, Redis
from soketpy.protocol import signatures
from tests.collector import INTERNAL, SERVER, Collector
from tests.conftest import Peers, Reply, StartServer
from tests.redis import LONG_LEASE

CALLER = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
TRACEPARENT = f"00-{CALLER}-{PARENT}-01"


async def test_a_call_is_a_span_with_the_attributes_of_http(collector: Collector, start_server: StartServer) -> None:
    peers = await start_server(tracing=collector.settings)
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


async def test_a_call_continues_the_trace_of_its_caller(collector: Collector, start_server: StartServer) -> None:
    peers = await start_server(tracing=collector.settings)
    await call_with(peers, {"traceparent": TRACEPARENT, "tracestate": "vendor=0123"})
    span = await collector.span("POST /apps/{app_id}/events")
    assert (span.trace_id, span.parent_id, span.state) == (CALLER, PARENT, "vendor=0123")


async def test_a_caller_that_exports_nothing_decides_the_same_for_its_calls(
    collector: Collector, start_server: StartServer
) -> None:
    peers = await start_server(tracing=collector.settings)
    await call_with(peers, {"traceparent": TRACEPARENT.removesuffix("1") + "0"})
    await peers.call("GET", "/channels")
    await collector.span("GET /apps/{app_id}/channels")
    assert not collector.named("POST /apps/{app_id}/events")


async def test_a_call_without_a_valid_signature_begins_a_trace_with_a_link_to_its_caller(
    collector: Collector, start_server: StartServer
) -> None:
    peers = await start_server(tracing=collector.settings)
    reply = await call_with(peers, {"traceparent": TRACEPARENT}, secret="wrong")
    span = await collector.span("POST /apps/{app_id}/events")
    assert (reply.status, span.attributes["http.response.status_code"]) == (401, 401)
    assert (span.parent_id, span.failed, span.links) == ("", False, [(CALLER, PARENT)])
    assert span.trace_id != CALLER


@pytest.mark.parametrize("text", ["", "00", "00-0-0-01", f"ff-{CALLER}-{PARENT}-01", f"00-{'0' * 32}-{PARENT}-01"])
async def test_a_broken_traceparent_is_as_none(collector: Collector, start_server: StartServer, text: str) -> None:
    peers = await start_server(tracing=collector.settings)
    assert (await call_with(peers, {"traceparent": text})).status == 200
    span = await collector.span("POST /apps/{app_id}/events")
    assert (span.parent_id, span.links) == ("", [])


async def test_the_access_log_has_the_id_of_the_trace(
    collector: Collector, start_server: StartServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    peers = await start_server(tracing=collector.settings, log=Log(access=True))
    await call_with(peers, {"traceparent": TRACEPARENT})
    await call_with(peers, {"traceparent": TRACEPARENT.removesuffix("1") + "0"})
    [one, other] = [record.args for record in caplog.records if record.name == "soketpy.access"]
    assert isinstance(one, dict)
    assert isinstance(other, dict)
    assert one["trace_id"] == CALLER
    assert "trace_id" not in other


async def test_a_publication_over_redis_is_a_span_inside_the_call(
    collector: Collector, start_server: StartServer, redis: str
) -> None:
    meeting = Redis(unix_socket=redis, prefix=f"test-{uuid4()}", lease=LONG_LEASE)
    peers = await start_server(tracing=collector.settings, cluster="redis", redis=meeting)
    await peers.trigger("my-channel", "e")
    outer = await collector.span("POST /apps/{app_id}/events")
    inner = await collector.span("publish")
    assert (inner.kind, inner.trace_id, inner.parent_id) == (INTERNAL, outer.trace_id, outer.span_id)
    assert outer.began <= inner.began <= inner.ended <= outer.ended
