"""The text of metrics is that of prometheus_client, and no scrape keeps the event loop."""

import asyncio
from collections.abc import Iterator

import msgspec
import pytest
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from soketpy.core.traffic import TrafficByApp
from soketpy.web import exposition
from soketpy.web.exchange import Exchange
from soketpy.web.exposition import NO_LABELS, Family, Kind, Labels, Sample, as_json, as_text
from soketpy.web.metrics import Metrics
from soketpy.web.metrics_port import MetricsPort
from tests.patience import attempts, until

KINDS: tuple[tuple[Kind, str], ...] = (("counter", "_total"), ("gauge", ""), ("untyped", ""), ("histogram", ""))
STRANGE = Labels(app_id='o"ther\\n\n', port="6001")


def samples(name: str, kind: Kind) -> list[Sample]:
    if kind == "histogram":
        counted = [(f"{name}_bucket", STRANGE, bound, number) for bound, number in (("0.1", 3), ("+Inf", 70))]
        return [*counted, (f"{name}_sum", STRANGE, "", 0.1 + 0.2), (f"{name}_count", STRANGE, "", 70)]
    return [(name, STRANGE, "", 123_456), (name, NO_LABELS, "", 0.25)]


def families() -> Iterator[Family]:
    for kind, suffix in KINDS:
        name = f"of_{kind}{suffix}"
        yield Family(name, f"Help of \\ {kind}\nin two lines.", kind, samples(name, kind))
    yield Family("empty", "No samples.", "gauge", [])


class Oracle(Collector):
    """The same metrics as objects of prometheus_client."""

    def collect(self) -> Iterator[Metric]:
        for family in families():
            kind = "unknown" if family.kind == "untyped" else family.kind
            metric = Metric(family.name.removesuffix("_total"), family.help, kind)
            for name, labels, bound, value in family.samples:
                metric.add_sample(name, {**labels.values, **({"le": bound} if bound else {})}, value)
            yield metric


async def test_the_text_is_that_of_prometheus_client() -> None:
    ours = (await as_text(families())).decode()
    registry = CollectorRegistry()
    registry.register(Oracle())
    theirs = generate_latest(registry).decode()
    assert [line for line in ours.splitlines() if line.startswith("#")] == [
        line for line in theirs.splitlines() if line.startswith("#")
    ]
    read = [
        [
            (each.name, each.labels, each.value)
            for family in text_string_to_metric_families(text)
            for each in family.samples
        ]
        for text in (ours, theirs)
    ]
    assert read[0] == read[1]
    assert len(read[0]) == 10


async def test_json_has_every_sample_and_no_empty_metric() -> None:
    found = msgspec.json.decode(await as_json(families()))
    assert [each["name"] for each in found] == ["of_counter_total", "of_gauge", "of_untyped", "of_histogram_bucket"]
    assert [each["type"] for each in found] == ["counter", "gauge", "counter", "counter"]
    assert [each["aggregator"] for each in found] == ["sum"] * 4
    assert found[1]["values"] == [{"value": 123_456, "labels": STRANGE.values}, {"value": 0.25, "labels": {}}]
    assert found[3]["values"][0]["labels"] == {**STRANGE.values, "le": "0.1"}
    assert msgspec.json.decode(await as_json([])) == []


def apps(number: int) -> TrafficByApp:
    traffic = TrafficByApp()
    for index in range(number):
        traffic[str(index)].connections = index
    return traffic


async def test_others_are_served_between_two_slices_and_may_add_apps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exposition, "SLICE_SECONDS", 0)
    number = 10 * exposition.SLICE_SIZE
    traffic = apps(number)
    scrape = asyncio.ensure_future(as_text(Metrics("soketi_", 6001, traffic, lambda app_id: 0).families()))
    served = 0
    for _ in attempts():
        if scrape.done():
            break
        served += 1
        traffic[f"new-{served}"].connections = 1
        traffic.pop(str(served), None)
        await asyncio.sleep(0)
    assert served > 10 * number / exposition.SLICE_SIZE
    text = (await scrape).decode()
    assert text.count("\nsoketi_new_connections_total{") == text.count("\nsoketi_connected{") == number


async def test_scrapes_at_the_same_time_share_one_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    readings, go = 0, asyncio.Event()

    async def read(families: object) -> bytes:
        nonlocal readings
        readings += 1
        await go.wait()
        return b"the text"

    monkeypatch.setattr("soketpy.web.metrics_port.as_text", read)
    port, ended = MetricsPort("soketi_", 6001, {}, lambda app_id: 0), list[Exchange]()

    def scrape() -> None:
        exchange = port.open("GET", "/metrics", {})
        assert exchange.answer is None
        assert not port.begin(exchange, b"", ended.append)

    for _ in range(3):
        scrape()
    await asyncio.sleep(0)
    go.set()
    await until(lambda: len(ended) == 3)
    assert readings == 1
    scrape()
    await until(lambda: len(ended) == 4)
    assert readings == 2
    assert {port.reply(each).body for each in ended} == {b"the text"}
