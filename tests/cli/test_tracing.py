"""Traces of ``soketpy start`` at a collector: several workers, PyPI's ``pusher``, and no secret in any export."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pusher
import pusher.requests
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import format_span_id, format_trace_id, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from tests.cli.test_workers import Together
from tests.collector import collecting
from tests.conftest import until
from tests.patience import PATIENCE

pytestmark = pytest.mark.usefixtures("redis")  # workers need it

ROUTE = "POST /apps/{app_id}/events"
API_KEY, SECRET, DATA = "key-of-the-collector", "secret-of-the-app", "data-of-an-event"
APP = {"id": "1", "key": "app-key", "secret": SECRET}


class Backend(pusher.requests.RequestsBackend):  # type: ignore[misc]
    """The HTTP client of the library, with further headers, on a connection of its own for each call."""

    def __init__(self, client: Any, headers: dict[str, str], urls: list[str]) -> None:
        super().__init__(client)
        self.session.headers.update({**headers, "Connection": "close"})
        self.session.hooks["response"].append(lambda answer, **_: urls.append(answer.url))


async def test_calls_of_a_traced_backend_are_in_its_trace_whichever_worker_serves_them(tmp_path: Path) -> None:
    span, headers, urls = TracerProvider().get_tracer("backend").start_span("job"), dict[str, str](), list[str]()
    TraceContextTextMapPropagator().inject(headers, set_span_in_context(span))
    job = span.get_span_context()
    async with collecting() as collector:
        server = await asyncio.to_thread(
            Together,
            tmp_path,
            env={"OTEL_BSP_SCHEDULE_DELAY": "10", "OTEL_RESOURCE_ATTRIBUTES": "team=chat", "OTEL_SERVICE_NAME": "rt"},
            tracing={"enabled": True, "endpoint": collector.url, "headers": [f"api-key={API_KEY}"]},
            log={"access": True, "format": "json"},
            apps=[APP],
        )
        try:
            library = pusher.Pusher(
                app_id=APP["id"], key=APP["key"], secret=SECRET, ssl=False, host="127.0.0.1", port=server.port,
                timeout=PATIENCE, backend=Backend, headers=headers, urls=urls,
            )  # fmt: skip

            async def both_have_served() -> bool:
                await asyncio.to_thread(library.trigger, "my-channel", "e", DATA)
                return len({span.resource["service.instance.id"] for span in collector.named(ROUTE)}) == 2

            await until(both_have_served)
            log = await asyncio.to_thread(server.end_and_read)
            spans = collector.named(ROUTE)
            assert len(spans) == len(urls)  # the last ones were exported at the stop
        finally:
            await asyncio.to_thread(server.end)
    assert {(span.trace_id, span.parent_id) for span in spans} == {
        (format_trace_id(job.trace_id), format_span_id(job.span_id))
    }
    assert {(span.resource["team"], span.resource["service.name"]) for span in spans} == {("chat", "rt")}
    assert {each["api-key"] for each in collector.headers} == {API_KEY}
    lines = [json.loads(line) for line in log.splitlines()]
    assert [line["trace_id"] for line in lines if line["event"] == "call"] == [format_trace_id(job.trace_id)] * len(
        urls
    )
    exported = b"".join(collector.bodies).decode("latin-1")
    assert API_KEY not in log + exported
    for secret in (SECRET, DATA, "auth_signature", *(url.rpartition("auth_signature=")[2][:64] for url in urls)):
        assert secret not in log + exported
