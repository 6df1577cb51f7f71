"""Texts in the values of the chart: each is refused, or it is data and changes nothing else."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.deploy.chart import CHART, Manifest, manifests, program, template
from tests.deploy.schema import config, values

FULL = CHART / "ci/full-values.yaml"
EVIL = {
    "lines": "a\nevil: true\n---\nkind: Evil\n",
    "quotes": "a\": {'b\\",
    "template": "{{ .Release }}{{",
    "long": "a-" * 150,
}
"""Texts that are no names, paths or numbers."""

ONE_POD = (
    "--set-json=autoscaling.enabled=false",
    '--set-json=persistence={"enabled":true,"storageClass":"fast"}',
    "--set=replicas=1",
)
VARIANTS: dict[str, tuple[tuple[str, ...], set[str]]] = {
    "full": ((), {"secret.existing"}),
    "new claim": ((*ONE_POD, "--set=image.digest="), {"secret.existing", "image.digest", "persistence.existingClaim"}),
    "own claim": (
        (*ONE_POD, "--set=persistence.existingClaim=a", "--set=secret.existing=a", "--set-json=secret.values={}"),
        set(),
    ),
}
"""Arguments of Helm that together use each value; and the values that they must leave as they are."""

DATA = ("podAnnotations.a", "service.annotations.a", "ingress.annotations.a", "serviceAccount.annotations.a")

pytestmark = [
    pytest.mark.skipif(program() is None, reason="needs helm, or go to compile it: make test-deploy"),
    pytest.mark.parametrize("evil", EVIL.values(), ids=EVIL),
]


def texts(schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """Yield the path of each value that may be a text, and not only one of a few."""
    for name, inner in schema.get("properties", {}).items():
        if path or name != "config":
            yield from texts(inner, f"{path}.{name}".strip("."))
    if any(each.get("type") == "string" for each in (schema, *schema.get("anyOf", []))):
        yield path


PATHS = sorted(texts(values()))


def shape(value: object) -> object:
    """Return the value without the contents of its texts."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    return type(value) if isinstance(value, str) else value


def shapes(found: list[Manifest]) -> list[str]:
    """Return the shapes in an order that does not depend on the names of the objects."""
    return sorted(each["kind"] + str(shape(each)) for each in found)


def rendered(*words: str) -> list[Manifest]:
    return manifests(template([FULL], *words))


def setting(path: str, text: object) -> str:
    return f"--set-json={path}={json.dumps(text)}"


def test_a_text_that_is_no_name_is_refused(evil: str) -> None:
    assert {"priorityClassName", "ingress.path", "ingress.host", "image.repository", "nameOverride"} <= set(PATHS)
    for path in PATHS:
        with pytest.raises(ValueError, match="/" + path.replace(".", "/")):
            rendered(setting(path, evil))


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_text_changes_nothing_else_even_without_the_schema(evil: str, variant: str) -> None:
    words, kept = VARIANTS[variant]
    changed = [setting(path, evil) for path in (*PATHS, *DATA) if path not in kept]
    harmless = [*(setting(path, "a") for path in DATA), "--set=podDisruptionBudget.maxUnavailable=50%"]
    usual = rendered(*words, *harmless)
    found = rendered("--skip-schema-validation", *words, *changed)
    assert shapes(found) == shapes(usual)
    assert found != usual


def test_a_text_of_the_configuration_is_data(evil: str) -> None:
    given: dict[str, Any] = {"cluster": "redis", "metrics": {"enabled": True}}
    for path in texts(config(), "config"):
        *groups, name = path.split(".")[1:]
        place = given
        for group in groups:
            place = place.setdefault(group, {})
        place[name] = evil
    assert {"host", "path_prefix"} <= set(given)
    found = rendered(setting("config", given))
    (file,) = (each["data"]["soketpy.yaml"] for each in found if each["kind"] == "ConfigMap")
    assert yaml.safe_load(file).items() >= given.items()
    assert "Evil" not in {each["kind"] for each in found}


def test_a_label_is_refused_if_it_is_none_or_selects_the_pods(evil: str) -> None:
    for path in ("podLabels.a", "nodeSelector.a", "serviceMonitor.labels.a", "prometheusRule.labels.a"):
        with pytest.raises(ValueError, match="/" + path.replace(".", "/")):
            rendered(setting(path, evil))
    with pytest.raises(ValueError, match=r"/podLabels/app\.kubernetes\.io"):
        rendered('--set-json=podLabels={"app.kubernetes.io/name":"other"}')
