"""The spans of webhooks at a collector, and the traces that receivers can continue."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from soketpy import Webhook
from soketpy.core.webhooks import LambdaOptions
from tests.aws import functions, options
from tests.collector import CLIENT, Collector
from tests.conftest import StartServer
from tests.fakes import APP
from tests.receiver import answer_with, receiving


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("soketpy.core.retries.FIRST_PAUSE", 0.001)
    monkeypatch.setattr("soketpy.core.retries.LONGEST_PAUSE", 0.001)


def hook(url: str, **headers: str) -> Webhook:
    return Webhook(url=url, event_types=("channel_occupied",), headers=headers)


def trace_in(headers: Mapping[str, str]) -> tuple[str, str]:
    """Return the ids of the trace and of the span in the headers of a request that is exported."""
    _, trace_id, span_id, flags = headers["traceparent"].split("-")
    assert int(flags, 16) & 1
    return trace_id, span_id


async def test_the_receiver_gets_the_trace_of_the_attempt(collector: Collector, start_server: StartServer) -> None:
    async with receiving() as receiver:
        webhook = hook(receiver.url("/hook?token=hidden"))
        peers = await start_server(tracing=collector.settings, apps=(replace(APP, webhooks=(webhook,)),))
        await (await peers.client()).subscribe("my-channel")
        span = await collector.span("POST")
        [request] = receiver.requests
    assert trace_in(request.headers) == (span.trace_id, span.span_id)
    assert (span.kind, span.parent_id, span.failed) == (CLIENT, "", False)
    assert span.attributes == {
        "http.request.method": "POST",
        "url.scheme": "http",
        "server.address": "127.0.0.1",
        "server.port": receiver.port,
        "http.response.status_code": 200,
        "soketpy.app.id": "app-id",
        "soketpy.webhook.id": webhook.id,
        "soketpy.delivery.id": request.delivery,
        "soketpy.delivery.attempt": 1,
        "soketpy.event.count": 1,
    }
    assert b"hidden" not in b"".join(collector.bodies)


async def test_each_attempt_has_a_span_and_one_that_fails_says_why(
    collector: Collector, start_server: StartServer
) -> None:
    async with receiving() as receiver:
        receiver.answer = answer_with(503, 200)
        apps = (replace(APP, webhooks=(hook(receiver.url()),)),)
        peers = await start_server(tracing=collector.settings, apps=apps)
        await (await peers.client()).subscribe("my-channel")
        first, second = await collector.several(2, "POST")
        told = [trace_in(request.headers) for request in receiver.requests]
    assert told == [(first.trace_id, first.span_id), (second.trace_id, second.span_id)]
    assert (first.failed, second.failed) == (True, False)
    assert (first.attributes["error.type"], first.attributes["http.response.status_code"]) == ("503", 503)
    assert first.attributes["soketpy.delivery.id"] == second.attributes["soketpy.delivery.id"]
    assert second.attributes["soketpy.delivery.attempt"] == 2
    assert second.attributes["http.request.resend_count"] == 1
    assert "http.request.resend_count" not in first.attributes


async def test_a_receiver_that_cannot_be_reached_is_an_error_in_words(
    collector: Collector, start_server: StartServer
) -> None:
    async with receiving() as receiver:
        url = receiver.url()
    peers = await start_server(tracing=collector.settings, apps=(replace(APP, webhooks=(hook(url),)),))
    await (await peers.client()).subscribe("my-channel")
    span = await collector.span("POST")
    assert span.failed
    assert span.attributes["error.type"] == "cannot connect: Connection refused"
    assert "http.response.status_code" not in span.attributes


async def test_a_webhook_keeps_a_traceparent_of_its_own(collector: Collector, start_server: StartServer) -> None:
    async with receiving() as receiver:
        webhook = hook(receiver.url(), Traceparent="own")
        peers = await start_server(tracing=collector.settings, apps=(replace(APP, webhooks=(webhook,)),))
        await (await peers.client()).subscribe("my-channel")
        await collector.span("POST")
        assert receiver.requests[0].headers.getall("traceparent") == ["own"]


async def test_a_lambda_function_gets_the_trace_among_its_headers(
    collector: Collector, start_server: StartServer
) -> None:
    async with functions() as lambdas:
        webhook = Webhook(
            lambda_function="my-function",
            lambda_=LambdaOptions(client_options=options(lambdas.url)),
            event_types=("channel_occupied",),
        )
        peers = await start_server(tracing=collector.settings, apps=(replace(APP, webhooks=(webhook,)),))
        await (await peers.client()).subscribe("my-channel")
        span = await collector.span("Invoke")
        [invocation] = lambdas.invocations
    assert trace_in(invocation.event["headers"]) == (span.trace_id, span.span_id)
    assert (span.kind, span.failed) == (CLIENT, False)
    assert span.attributes["faas.invoked_name"] == "my-function"
    assert span.attributes["faas.invoked_provider"] == "aws"
    assert span.attributes["faas.invoked_region"] == "us-east-1"


async def test_without_traces_no_receiver_gets_a_traceparent(start_server: StartServer) -> None:
    async with receiving() as receiver:
        peers = await start_server(apps=(replace(APP, webhooks=(hook(receiver.url()),)),))
        await (await peers.client()).subscribe("my-channel")
        [request] = await receiver.wait_for(1)
        assert "traceparent" not in request.headers
