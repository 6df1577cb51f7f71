"""The files for Docker Compose: what they mount, name and publish exists, and no secret has a default."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from soketpy.config import Settings, load
from soketpy.config.environment import variables

FOLDER = Path(__file__).parents[2] / "deploy/compose"
FILES = ["compose.yaml", "two-nodes.yaml"]
NODES = {"compose.yaml": ["soketpy"], "two-nodes.yaml": ["node-1", "node-2"]}
SERVICES = [(name, service) for name in FILES for service in yaml.safe_load((FOLDER / name).read_text())["services"]]
KEYS = {
    *("build", "image", "init", "restart", "environment", "ports", "volumes", "depends_on", "command", "healthcheck"),
    *("read_only", "tmpfs", "cap_drop", "security_opt", "ulimits", "stop_grace_period"),
}
"""The keys of a service that these files use. A misspelled key is none of them."""

GIVEN = {
    "SOKETPY_APP_KEY": "a-key",
    "SOKETPY_APP_SECRET": "a-secret",
    "GRAFANA_PASSWORD": "a-password",
    "DOMAIN": "ws.example.com",
}
"""The values that an operator writes into .env."""


def document(name: str) -> dict[str, Any]:
    found = yaml.safe_load((FOLDER / name).read_text())
    assert isinstance(found, dict)
    return found


def service_of(name: str, service: str) -> dict[str, Any]:
    found = document(name)["services"][service]
    assert isinstance(found, dict)
    return found


def interpolated(text: str) -> str:
    """Replace the variables of a text as Compose does."""
    return re.sub(r"\$\{(\w+)(?::([-?])([^}]*))?\}", lambda v: GIVEN.get(v[1], v[3] if v[2] == "-" else ""), text)


def settings_of(name: str, service: str) -> Settings:
    environment = service_of(name, service)["environment"]
    return load(None, {key: interpolated(value) for key, value in environment.items()}, {})


@pytest.mark.parametrize(("name", "service"), SERVICES)
def test_a_service_has_only_keys_that_exist_an_exact_image_and_a_health_check(name: str, service: str) -> None:
    found = service_of(name, service)
    assert found.keys() <= KEYS
    assert found["restart"] == "unless-stopped"
    if service in NODES[name]:
        assert found["image"] == "${IMAGE:-soketpy}"  # the image has its own health check
    else:
        assert re.fullmatch(r"[\w/-]+:v?\d[\w.-]*", found["image"]), "an exact version"
        assert found["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize("name", FILES)
def test_the_first_node_is_built_from_the_dockerfile(name: str) -> None:
    context = service_of(name, NODES[name][0])["build"]
    assert (FOLDER / context / "Dockerfile").resolve() == FOLDER.parents[1] / "Dockerfile"
    assert (FOLDER.parents[1] / "Dockerfile").exists()


@pytest.mark.parametrize(("name", "service"), SERVICES)
def test_what_is_mounted_exists(name: str, service: str) -> None:
    for mount in service_of(name, service).get("volumes", []):
        source, _, rest = mount.partition(":")
        if source.startswith("."):
            assert (FOLDER / source).is_file(), mount
            assert rest.endswith(":ro"), mount
        else:
            assert source in document(name)["volumes"], mount


@pytest.mark.parametrize(("name", "service"), SERVICES)
def test_a_service_waits_for_services_that_exist(name: str, service: str) -> None:
    for needed in service_of(name, service).get("depends_on", []):
        assert "healthcheck" in service_of(name, needed) or needed in NODES[name]


@pytest.mark.parametrize(("name", "service"), SERVICES)
def test_only_the_server_and_its_proxy_are_published_to_others(name: str, service: str) -> None:
    public = [port for port in service_of(name, service).get("ports", []) if not port.startswith("127.0.0.1:")]
    assert public == {"soketpy": ["6001:6001"], "caddy": ["80:80", "443:443"]}.get(service, [])


@pytest.mark.parametrize(("name", "service"), [(name, node) for name in FILES for node in NODES[name]])
def test_the_environment_of_a_node_is_valid_and_has_no_secret(name: str, service: str) -> None:
    environment = service_of(name, service)["environment"]
    assert environment.keys() <= set(variables())
    assert environment["SOKETPY_APP_SECRET"].startswith("${SOKETPY_APP_SECRET:?")
    settings = settings_of(name, service)
    assert (settings.cluster, settings.redis.host) == ("redis", "redis")
    assert "redis" in document(name)["services"]
    assert (settings.apps[0].keys[0].key, settings.apps[0].keys[0].secret) == ("a-key", "a-secret")


@pytest.mark.parametrize(("name", "service"), [(name, node) for name in FILES for node in NODES[name]])
def test_a_node_has_no_rights_and_enough_time_to_stop(name: str, service: str) -> None:
    found = service_of(name, service)
    assert (found["read_only"], found["cap_drop"], found["init"]) == (True, ["ALL"], True)
    assert found["security_opt"] == ["no-new-privileges:true"]
    timeouts = settings_of(name, service).timeouts
    assert int(found["stop_grace_period"].removesuffix("s")) >= timeouts.drain + 2 * timeouts.shutdown + 20


def test_the_example_of_env_names_each_variable_that_must_be_set() -> None:
    required = {each for name in FILES for each in re.findall(r"\$\{(\w+):\?", (FOLDER / name).read_text())}
    lines = (FOLDER / ".env.example").read_text().splitlines()
    assert {line for line in lines if line and not line.startswith("#")} == {f"{each}=" for each in required}
    assert required == set(GIVEN)


def test_prometheus_reads_the_port_of_the_metrics_under_the_name_that_the_rules_need() -> None:
    (job,) = document("prometheus.yaml")["scrape_configs"]
    (source,) = job["dns_sd_configs"]
    assert (job["job_name"], source["names"], source["port"]) == (
        *("soketpy", NODES["compose.yaml"]),
        settings_of("compose.yaml", "soketpy").metrics.port,
    )
    mounts = service_of("compose.yaml", "prometheus")["volumes"]
    assert "../../config/monitoring/alerts.yaml:/etc/prometheus/alerts.yaml:ro" in mounts
    assert document("prometheus.yaml")["rule_files"] == ["alerts.yaml"]


def test_grafana_finds_its_data_and_the_dashboard() -> None:
    (source,) = document("grafana/datasource.yaml")["datasources"]
    assert source["url"] == "http://prometheus:9090"
    (provider,) = document("grafana/dashboards.yaml")["providers"]
    mounts = service_of("compose.yaml", "grafana")["volumes"]
    assert any(f"grafana-dashboard.json:{provider['options']['path']}/" in mount for mount in mounts)


def test_caddy_accepts_its_file_and_asks_the_nodes(tmp_path: Path) -> None:
    file = FOLDER / "Caddyfile"
    nodes = " ".join(f"{node}:{Settings().port}" for node in NODES["two-nodes.yaml"])
    assert f"reverse_proxy {nodes} {{\n" in file.read_text()
    if shutil.which("caddy") is None:
        pytest.skip("needs Caddy: make test-deploy")
    words = ["caddy", "validate", "--config", str(file), "--adapter", "caddyfile"]
    environment = {**os.environ, "DOMAIN": "ws.example.com", "HOME": str(tmp_path)}
    done = subprocess.run(words, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
