"""The metrics, their table in docs/metrics.md, and the files of config/monitoring."""

import re
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from soketpy.config.settings import Metrics
from tests.conftest import Peers, StartServer
from tests.patience import until

ROOT = Path(__file__).parent.parent
OPEN = Metrics(enabled=True, host="127.0.0.1", port=0)
OF_EVERY_METRIC = {"port"}
OF_PYTHON = "soketi_process_"
"""Begins the metrics of prometheus_client, which the documentation names together."""


@dataclass(frozen=True)
class Row:
    """A row of the table: the type and the labels of a metric."""

    kind: str
    labels: frozenset[str]


def table() -> dict[str, Row]:
    """The rows of the table in docs/metrics.md, by the name of the metric."""
    section = (ROOT / "docs/metrics.md").read_text().split("\n## All metrics\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?) \| .+ \|$", section, flags=re.M)
    found = {name: Row(kind, frozenset(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}
    assert len(found) == len(rows)
    return found


async def text_of_metrics(peers: Peers) -> str:
    url = f"http://127.0.0.1:{peers.server.metrics_port}/metrics"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return await response.text()


@pytest.fixture
async def answer(start_server: StartServer) -> str:
    """The answer of a server that has had a client, a call, and a webhook."""
    peers = await start_server(metrics=OPEN)
    client = await peers.client()
    await client.say("pusher:subscribe", {"channel": "private-room", "auth": "wrong"})
    await client.hear()
    await client.subscribe("news")
    await (await peers.client()).peer.close()
    await until(lambda: peers.server.connections == 1)
    await peers.trigger("news", "my-event")
    await (await peers.socket("/app/nobody")).closed()
    peers.server.webhook_traffic()["app-id", "example.com"].requested(0.1)
    return await text_of_metrics(peers)


async def test_every_metric_is_documented_with_its_type_and_no_other(answer: str) -> None:
    served = dict(re.findall(r"^# TYPE (\w+) (\w+)$", answer, flags=re.M))
    assert {name: row.kind for name, row in table().items()} == {
        name: kind for name, kind in served.items() if not name.startswith(OF_PYTHON)
    }


async def test_every_label_is_documented_and_no_other(answer: str) -> None:
    documented = table()
    for family in text_string_to_metric_families(answer):
        for sample in family.samples:
            if not sample.name.startswith(OF_PYTHON):
                name = re.sub("_(bucket|sum|count)$", "", sample.name) if family.type == "histogram" else sample.name
                assert sample.labels.keys() - OF_EVERY_METRIC - {"le"} == documented[name].labels, sample.name


async def test_the_metrics_with_labels_have_samples(answer: str) -> None:
    """Otherwise the test of the labels would test nothing."""
    samples = {sample.name for family in text_string_to_metric_families(answer) for sample in family.samples}
    of_tls = {"soketpy_tls_certificate_expiry_seconds"}
    without = {name for name, row in table().items() if row.kind != "histogram"} - samples - of_tls
    assert without == set()
