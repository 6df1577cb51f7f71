"""The chart and the plain manifests: what Helm, Kubernetes and the server accept, and what operators rely on."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from soketpy import __version__
from soketpy.config import Settings, load
from soketpy.config.environment import CONFIG_FILE, variables
from soketpy.web.health import PATHS
from tests.deploy.chart import CHART, PLAIN, ROOT, Manifest, helm, manifests, plain, program, template

kubernetes_validate = pytest.importorskip("kubernetes_validate", reason="needs kubernetes-validate: make test-deploy")

VALUES = sorted(CHART.glob("ci/*-values.yaml"))
CUSTOM = {"HTTPRoute", "PrometheusRule", "ServiceMonitor"}
"""Kinds that Kubernetes itself does not know."""

needs_helm = pytest.mark.skipif(program() is None, reason="needs helm, or go to compile it: make test-deploy")


@pytest.fixture(params=[*VALUES, PLAIN], ids=lambda path: path.stem)
def rendered(request: pytest.FixtureRequest) -> list[Manifest]:
    """The manifests of the chart for each file of values, and the plain manifests."""
    if request.param == PLAIN:
        return manifests((PLAIN / "soketpy.yaml").read_text())
    if program() is None:
        pytest.skip("needs helm, or go to compile it: make test-deploy")
    return manifests(template([request.param]))


def of(kind: str, rendered: list[Manifest]) -> list[Manifest]:
    return [each for each in rendered if each["kind"] == kind]


def the(kind: str, rendered: list[Manifest]) -> Any:
    (found,) = of(kind, rendered)
    return found


def pod(rendered: list[Manifest]) -> Any:
    return the("Deployment", rendered)["spec"]["template"]


def container(rendered: list[Manifest]) -> Any:
    (found,) = pod(rendered)["spec"]["containers"]
    return found


def settings(rendered: list[Manifest], folder: Path) -> Settings:
    """Return the settings of a pod: those of its ConfigMap, of its variables and of its Secret."""
    file = folder / "soketpy.yaml"
    file.write_text(the("ConfigMap", rendered)["data"]["soketpy.yaml"])
    given = {each["name"]: each["value"] for each in container(rendered)["env"] if each["name"] != CONFIG_FILE}
    if of("Secret", rendered):
        given |= the("Secret", rendered)["stringData"]
    else:
        given |= variables_of_the_readme()
    return load(str(file), given, {})


def variables_of_the_readme() -> dict[str, str]:
    """Return the variables of the Secret that the README of the plain manifests creates."""
    names = re.findall(r"--from-literal=(\w+)=", (PLAIN / "README.md").read_text())
    assert names
    return dict.fromkeys(names, "a-secret")


@needs_helm
@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_helm_finds_no_fault(values: Path) -> None:
    done = helm("lint", "--strict", f"--values={values}")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("version", ["1.25", "1.34", "1.37"])
def test_kubernetes_accepts_each_object(rendered: list[Manifest], version: str) -> None:
    for each in rendered:
        if each["kind"] not in CUSTOM:
            kubernetes_validate.validate(each, version, strict=True)


@needs_helm
def test_the_plain_manifests_are_those_of_the_chart() -> None:
    assert (PLAIN / "soketpy.yaml").read_text() == plain(), "run: make manifests"


@needs_helm
def test_all_parts_of_the_chart_are_tested() -> None:
    tested = {each["kind"] for values in VALUES for each in manifests(template([values]))}
    assert tested == {kind for file in CHART.glob("templates/*.yaml") for kind in kinds(file)}


def kinds(template: Path) -> list[str]:
    return re.findall(r"^kind: (\w+)$", template.read_text(), flags=re.M)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["replica=3"], "additional properties 'replica' not allowed"),
        (["replicas=many"], "got string, want integer"),
        (["config.prot=6001"], "additional properties 'prot' not allowed"),
        (["config.port=high"], "/config/port"),
        (["config.redis.password=a-secret"], "additional properties 'password' not allowed"),
        (["config.apps[0].secret=a-secret"], "additional properties 'secret' not allowed"),
        (["config.cluster=local"], "Several pods need config.cluster: redis"),
        (["persistence.enabled=true"], "persistence.enabled needs replicas: 1"),
        (["secret.existing="], "Give the app a secret"),
        (["secret.values.SOKETPY_APP_SECRET=x"], "exclude each other"),
        (["secret.values.APP_SECRET=x"], "additional properties 'APP_SECRET' not allowed"),
        (["serviceMonitor.enabled=true", "config.metrics.enabled=false"], "serviceMonitor.enabled needs"),
        (["httpRoute.enabled=true"], "httpRoute.enabled needs httpRoute.parentRefs"),
        (["image.digest=latest"], "/image/digest"),
        (["config.host=127.0.0.1"], "config.host must be an address that Kubernetes can reach"),
        (["config.host={127.0.0.1,::1}"], "config.host must be an address that Kubernetes can reach"),
        (["config.metrics.host=localhost"], "config.metrics.host must be an address that Prometheus can reach"),
        (["autoscaling.enabled=true", "config.metrics.enabled=false"], "autoscaling.by: connections needs"),
        (["ingress.enabled=true", "ingress.path=/realtime"], "ingress.path: /realtime needs the same path"),
        (
            ["httpRoute.enabled=true", "httpRoute.parentRefs[0].name=public", "httpRoute.path=/realtime"],
            "httpRoute.path: /realtime needs the same path",
        ),
    ],
)
@needs_helm
def test_wrong_values_are_refused_with_the_reason(words: list[str], reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        template([VALUES[1]], *(f"--set={word}" for word in words))


@needs_helm
@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ([], True),
        (["ingress.enabled=true"], False),
        (["httpRoute.enabled=true", "httpRoute.parentRefs[0].name=public"], False),
        (["service.type=LoadBalancer"], False),
    ],
)
def test_the_notes_ask_for_an_ingress_only_if_nothing_else_lets_clients_in(
    words: list[str], hint: bool, tmp_path: Path
) -> None:
    copy = shutil.copytree(CHART, tmp_path / "soketpy")
    (copy / "templates/notes.yaml").write_text('notes: {{ include "soketpy/templates/NOTES.txt" . | quote }}')
    given = [f"--values={VALUES[1]}", "--show-only=templates/notes.yaml", *(f"--set={word}" for word in words)]
    done = helm("template", *given, chart=copy)
    assert "Wait until all pods are ready" in done.stdout
    assert ("Clients outside of the cluster need" in done.stdout) is hint


def test_the_server_accepts_the_configuration_of_a_pod(rendered: list[Manifest], tmp_path: Path) -> None:
    assert not settings(rendered, tmp_path).ignored


def test_each_variable_of_a_pod_is_a_setting(rendered: list[Manifest]) -> None:
    names = {each["name"] for each in container(rendered)["env"]}
    names |= {name for secret in of("Secret", rendered) for name in secret["stringData"]}
    names |= set(variables_of_the_readme())
    assert names <= {CONFIG_FILE, *variables()}


def test_a_pod_has_time_to_stop(rendered: list[Manifest], tmp_path: Path) -> None:
    timeouts = settings(rendered, tmp_path).timeouts
    waits = int(container(rendered)["lifecycle"]["preStop"]["exec"]["command"][1])
    needed = waits + timeouts.drain + 2 * timeouts.shutdown + 20
    assert needed < pod(rendered)["spec"]["terminationGracePeriodSeconds"] < needed + 10


def test_the_probes_ask_the_port_of_the_server(rendered: list[Manifest], tmp_path: Path) -> None:
    given = settings(rendered, tmp_path)
    probes = {name: container(rendered)[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    assert {name: probe["path"] for name, probe in probes.items()} == {
        "startup": "/",
        "liveness": "/",
        "readiness": "/serving",
    }
    assert {probe["path"] for probe in probes.values()} <= PATHS
    assert {probe["scheme"] for probe in probes.values()} == {"HTTPS" if given.tls.cert else "HTTP"}
    assert {probe["port"] for probe in probes.values()} == {"http"}
    assert ports(rendered)["http"] == given.port
    assert ports(rendered).get("metrics") == (given.metrics.port if given.metrics.enabled else None)
    assert ports(rendered).get("admin") == (given.admin.port if given.admin.enabled else None)


def ports(rendered: list[Manifest]) -> dict[str, int]:
    return {each["name"]: each["containerPort"] for each in container(rendered)["ports"]}


def test_the_container_has_no_rights(rendered: list[Manifest]) -> None:
    spec = pod(rendered)["spec"]
    assert container(rendered)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert (spec["securityContext"]["runAsNonRoot"], spec["automountServiceAccountToken"]) == (True, False)
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container(rendered)["workingDir"] in {each["mountPath"] for each in container(rendered)["volumeMounts"]}
    assert {each["name"] for each in container(rendered)["volumeMounts"]} == {each["name"] for each in spec["volumes"]}


def selectors(rendered: list[Manifest]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the kind of each object that selects pods, and the labels that the pods must have."""
    for each in rendered:
        spec = each.get("spec", {})
        match each["kind"]:
            case "Service":
                yield "Service", spec["selector"]
            case "Deployment" | "PodDisruptionBudget":
                yield each["kind"], spec["selector"]["matchLabels"]
            case "NetworkPolicy":
                yield "NetworkPolicy", spec["podSelector"]["matchLabels"]


def test_each_object_selects_the_pods(rendered: list[Manifest]) -> None:
    labels = pod(rendered)["metadata"]["labels"]
    for kind, selector in selectors(rendered):
        assert selector.items() <= labels.items(), kind
    for service in of("Service", rendered):
        assert {each["targetPort"] for each in service["spec"]["ports"]} <= set(ports(rendered))
    for monitor in of("ServiceMonitor", rendered):
        found = [
            each
            for each in of("Service", rendered)
            if monitor["spec"]["selector"]["matchLabels"].items() <= each["metadata"]["labels"].items()
        ]
        assert [each["metadata"]["name"] for each in found] == [monitor["metadata"]["name"] + "-metrics"]
    for route in of("HTTPRoute", rendered):
        (backend,) = route["spec"]["rules"][0]["backendRefs"]
        services = {each["metadata"]["name"]: each["spec"]["ports"][0]["port"] for each in of("Service", rendered)}
        assert services[backend["name"]] == backend["port"]
    for scaler in of("HorizontalPodAutoscaler", rendered):
        assert scaler["spec"]["scaleTargetRef"]["name"] == the("Deployment", rendered)["metadata"]["name"]
        assert "replicas" not in the("Deployment", rendered)["spec"]


def test_a_service_for_clients_has_no_metrics(rendered: list[Manifest]) -> None:
    clients = [each for each in of("Service", rendered) if each["spec"].get("clusterIP") != "None"]
    assert [port["name"] for each in clients for port in each["spec"]["ports"]] == ["http"]


@needs_helm
def test_the_network_policy_opens_metrics_and_admin_api_to_named_peers_only() -> None:
    policy = the("NetworkPolicy", manifests(template([CHART / "ci/full-values.yaml"])))["spec"]
    rules = {rule["ports"][0]["port"]: rule.get("from") for rule in policy["ingress"]}
    assert rules == {
        8443: [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}],
        9602: [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
        6002: [{"podSelector": {"matchLabels": {"app": "back-office"}}}],
    }
    assert {port["port"] for rule in policy["egress"] for port in rule["ports"]} == {53, 6379, 26379, 26380, 5432}


@needs_helm
def test_the_admin_api_is_closed_without_named_peers() -> None:
    text = template([CHART / "ci/full-values.yaml"], "--set-json=networkPolicy.admin=[]")
    policy = the("NetworkPolicy", manifests(text))["spec"]
    assert [rule["ports"][0]["port"] for rule in policy["ingress"]] == [8443, 9602]


@needs_helm
def test_a_changed_configuration_replaces_the_pods() -> None:
    texts = [template([VALUES[1]], f"--set=config.timeouts.shutdown={seconds}") for seconds in (3, 4)]
    first, second = (pod(manifests(text))["metadata"]["annotations"] for text in texts)
    assert first["checksum/config"] != second["checksum/config"]
    assert first["checksum/secret"] == second["checksum/secret"]


@needs_helm
def test_the_command_of_the_readme_installs_the_chart() -> None:
    (command,) = re.findall(r"helm install (.+?)\n```", (CHART / "README.md").read_text(), flags=re.S)
    name, chart, *words = command.replace("\\\n", " ").split()
    assert (name, chart) == ("realtime", str(CHART.relative_to(ROOT)))
    assert the("Deployment", manifests(template([], *words)))


@needs_helm
def test_the_alerts_of_the_chart_are_those_of_the_repository() -> None:
    alerts = ROOT / "config/monitoring/alerts.yaml"
    assert (CHART / "files/alerts.yaml").read_text() == alerts.read_text(), "run: make manifests"
    rendered = manifests(template([CHART / "ci/full-values.yaml"]))
    assert the("PrometheusRule", rendered)["spec"] == yaml.safe_load(alerts.read_text())


@needs_helm
def test_the_alerts_find_the_nodes_by_their_job() -> None:
    (job,) = set(re.findall(r'up\{job=~"(.+?)"', (CHART / "files/alerts.yaml").read_text()))
    for name in ("realtime", "soketpy", "a-soketpy"):
        rendered = manifests(template([CHART / "ci/full-values.yaml"], f"--set=fullnameOverride={name}"))
        (endpoint,) = the("ServiceMonitor", rendered)["spec"]["endpoints"]
        assert re.fullmatch(job, endpoint["relabelings"][0]["replacement"])


def test_the_version_of_the_chart_is_that_of_the_server() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)


def leaves(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Yield the path of each value, and its default."""
    whole = {"config", "resources", "ingress.annotations"}
    if isinstance(value, dict) and value and path not in whole:
        for name, inner in value.items():
            yield from leaves(inner, f"{path}.{name}".strip("."))
    else:
        yield path, value


def test_the_readme_has_each_value_with_its_default() -> None:
    rows = re.findall(r"^\| `([\w.]+)` \| (.+?) \| .+ \|$", (CHART / "README.md").read_text(), flags=re.M)
    shown = {path: default.strip("`") for path, default in rows}
    defaults = dict(leaves(yaml.safe_load((CHART / "values.yaml").read_text())))
    assert list(shown) == list(defaults)
    for path, default in defaults.items():
        if shown[path] != "see `values.yaml":
            assert yaml.safe_load(shown[path]) == default, path


def test_the_rule_of_the_adapter_makes_the_metric_that_autoscaling_uses() -> None:
    adapter = yaml.safe_load((PLAIN / "prometheus-adapter.yaml").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    (rule,) = adapter["rules"]["custom"]
    assert rule["name"]["as"] == values["autoscaling"]["metric"]
    assert rule["seriesQuery"].startswith(f"{Settings().metrics.prefix}connected{{")
