"""The metrics, their table in docs/metrics.md, and the files of config/monitoring."""

import asyncio
import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from soketpy.config.settings import Metrics
from tests.clients.programs import free_port
from tests.conftest import Peers, StartServer
from tests.patience import PATIENCE, until

ROOT = Path(__file__).parent.parent
MONITORING = ROOT / "config/monitoring"
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


# The files of config/monitoring


def promtool(*arguments: str | Path, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run promtool, which `make tools` installs."""
    words = ["promtool", *map(str, arguments)]
    return subprocess.run(words, input=text, cwd=MONITORING, capture_output=True, text=True, timeout=PATIENCE)


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((MONITORING / "alerts.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((MONITORING / "grafana-dashboard.json").read_text())
    return found


def panels() -> list[dict[str, Any]]:
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def expressions_of_dashboard() -> list[str]:
    """The expressions of all panels, with the values that Grafana would fill in."""
    values = {"$job": "soketpy", "$instance": ".*", "$__rate_interval": "5m"}
    found = [target["expr"] for panel in panels() for target in panel["targets"]]
    return [re.sub(r"\$\w+", lambda name: values[name[0]], each) for each in found]


def unknown_metrics(expression: str) -> set[str]:
    """The names in an expression that the documentation does not have. A histogram has three series."""
    documented = table()
    of_histograms = {
        f"{name}_{series}"
        for name, row in documented.items()
        if row.kind == "histogram"
        for series in ("bucket", "sum", "count")
    }
    names = set(re.findall(r"\b(?:soketpy|soketi)_\w+", expression))
    return {name for name in names - documented.keys() - of_histograms if not name.startswith(OF_PYTHON)}


def anchor(name: str) -> str:
    return f"docs/metrics.md#{name.lower()}"


def test_prometheus_accepts_the_example_and_the_rules() -> None:
    for words in (("config", "prometheus.yaml"), ("rules", "alerts.yaml")):
        ended = promtool("check", *words)
        assert ended.returncode == 0, ended.stdout + ended.stderr


def test_each_alert_fires_and_stays_quiet_when_it_should() -> None:
    ended = promtool("test", "rules", "alerts-test.yaml")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    cases = [case["name"] for case in yaml.safe_load((MONITORING / "alerts-test.yaml").read_text())["tests"]]
    assert sorted(cases) == sorted(f"{rule['alert']} {what}" for rule in rules() for what in ("fires", "stays quiet"))


def test_the_tests_of_the_rules_notice_a_rule_that_never_fires(tmp_path: Path) -> None:
    text = (MONITORING / "alerts.yaml").read_text()
    (tmp_path / "alerts.yaml").write_text(text.replace("soketpy_redis_links_up < soketpy_redis_links", "vector(0) > 1"))
    cases = yaml.safe_load((MONITORING / "alerts-test.yaml").read_text())
    cases["tests"] = [case for case in cases["tests"] if case["name"] == "SoketpyRedisDown fires"]
    (tmp_path / "alerts-test.yaml").write_text(yaml.safe_dump(cases))
    ended = promtool("test", "rules", tmp_path / "alerts-test.yaml")
    assert ended.returncode == 1
    assert "SoketpyRedisDown" in ended.stdout + ended.stderr


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_each_rule_uses_documented_metrics_and_says_what_to_do(rule: dict[str, Any]) -> None:
    assert unknown_metrics(rule["expr"]) == set()
    assert rule["labels"].keys() == {"severity"}
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert rule["annotations"].keys() == {"summary", "description", "runbook"}
    assert rule["annotations"]["runbook"] == anchor(rule["alert"])


def test_the_documentation_has_each_alert_and_no_other() -> None:
    sections = (ROOT / "docs/metrics.md").read_text().split("\n## Alerts\n")[1]
    headings = re.findall(r"^### (\w+)\n\n\*(\w+)", sections, flags=re.M)
    assert headings == [(rule["alert"], rule["labels"]["severity"]) for rule in rules()]


def test_the_dashboard_has_panels_with_documented_metrics() -> None:
    assert {name for each in expressions_of_dashboard() for name in unknown_metrics(each)} == set()
    assert all(panel["title"] and panel["description"] and panel["targets"] for panel in panels())


def test_the_dashboard_shows_every_metric() -> None:
    shown = " ".join(expressions_of_dashboard())
    totals = {"soketi_http_calls_received_total", "soketi_http_transmitted_bytes"}  # the REST panels say more
    assert {name for name in table() if name not in shown} - totals == {"soketpy_config_last_reload_seconds"}


def test_each_expression_of_the_dashboard_is_valid(tmp_path: Path) -> None:
    records = [{"record": f"panel:{n}", "expr": each} for n, each in enumerate(expressions_of_dashboard())]
    assert len(records) > len(panels())
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": records}]}))
    ended = promtool("check", "rules", tmp_path / "rules.yaml")
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_dashboard_can_be_imported_with_any_data_source() -> None:
    found = dashboard()
    variables = {each["name"]: each for each in found["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    sources = [panel["datasource"] for panel in panels()]
    sources += [target["datasource"] for panel in panels() for target in panel["targets"]]
    sources += [each["datasource"] for each in variables.values() if each["type"] == "query"]
    assert all(source == chosen for source in sources)
    used = {name for target in json.dumps(found["panels"]).split() for name in re.findall(r"\$(\w+)", target)}
    assert used - {"__rate_interval"} <= variables.keys()
    identities = [panel["id"] for panel in found["panels"]]
    assert len(set(identities)) == len(identities)


def test_no_two_panels_of_the_dashboard_overlap() -> None:
    cells = [
        (x, y)
        for panel in dashboard()["panels"]
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24


# With Prometheus


async def test_the_names_follow_the_rules_of_prometheus(answer: str) -> None:
    ended = await asyncio.to_thread(promtool, "check", "metrics", text=answer)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


async def test_prometheus_reads_a_server_and_evaluates_all_rules(start_server: StartServer, tmp_path: Path) -> None:
    peers = await start_server(metrics=OPEN)
    port = free_port()
    config = yaml.safe_load((MONITORING / "prometheus.yaml").read_text())
    config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    config["rule_files"], config["alerting"] = [str(MONITORING / "alerts.yaml")], {}
    config["scrape_configs"][0]["static_configs"] = [{"targets": [f"127.0.0.1:{peers.server.metrics_port}"]}]
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    options = ["--config.file=prometheus.yml", "--storage.tsdb.path=data", f"--web.listen-address=127.0.0.1:{port}"]
    process = await asyncio.create_subprocess_exec(
        "prometheus", *options, cwd=tmp_path, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:

            async def found(path: str) -> Any:
                try:
                    async with session.get(path) as reply:
                        return (await reply.json())["data"] if reply.status == 200 else None
                except aiohttp.ClientConnectionError:
                    return None

            async def is_read() -> bool:
                data = await found("/api/v1/targets")
                return data is not None and [each["health"] for each in data["activeTargets"]] == ["up"]

            async def are_evaluated() -> bool:
                data = await found("/api/v1/rules")
                health = [rule["health"] for group in (data or {"groups": []})["groups"] for rule in group["rules"]]
                return health == ["ok"] * len(rules())

            await until(is_read)
            await until(are_evaluated)
            assert (await found("/api/v1/query?query=soketpy_workers_running"))["result"][0]["value"][1] == "1"
    finally:
        process.kill()
        await process.wait()
