"""The chart, rendered by Helm. ``python -m tests.deploy.chart`` prints the plain manifests of ``deploy/kubernetes``."""

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent.parent
CHART = ROOT / "deploy/helm/soketpy"
PLAIN = ROOT / "deploy/kubernetes"
KUBERNETES = "1.34.0"
"""The version of Kubernetes that Helm assumes. A Helm built from its module knows none."""

HEADER = """\
# soketpy on Kubernetes, without Helm: two pods over Redis. README.md says how to use this file.
# `make manifests` writes it from the chart with the values of values.yaml: change those, not this file.
"""
Manifest = dict[str, Any]


def program() -> str | None:
    """Return the path of Helm: the one that is installed, or the one that ``make test-deploy`` has compiled."""
    own = ROOT / "build/tools/helm"
    return shutil.which("helm") or (str(own) if own.exists() else None)


def helm(command: str, *words: str, chart: Path = CHART) -> "subprocess.CompletedProcess[str]":
    """Run a command of Helm with the chart."""
    path = program()
    assert path is not None
    done = [path, command, *(["soketpy"] if command == "template" else []), str(chart)]
    return subprocess.run([*done, "--kube-version", KUBERNETES, *words], capture_output=True, text=True, check=False)


def template(values: Sequence[Path], *words: str) -> str:
    """Return the manifests for these files of values. Raise ValueError with Helm's reason if the chart refuses them."""
    done = helm("template", *(f"--values={file}" for file in values), *words)
    if done.returncode != 0:
        raise ValueError(done.stderr)
    return done.stdout


def manifests(text: str) -> list[Manifest]:
    return [each for each in yaml.safe_load_all(text) if each]


def plain() -> str:
    """Return the plain manifests: those of the chart without the marks of Helm.

    A checksum of the configuration makes sense only while Helm computes it.
    """
    text = template([PLAIN / "values.yaml"])
    text = re.sub(r"^ +annotations:\n( +#.*\n)?( +checksum/.*\n)+", "", text, flags=re.M)
    marks = ("# Source: ", "helm.sh/chart: ", "app.kubernetes.io/managed-by: ")
    lines = [line for line in text.splitlines() if not line.strip().startswith(marks)]
    return HEADER + "\n".join(lines) + "\n"


if __name__ == "__main__":
    if program() is None:
        sys.exit("Helm is missing: install it, or Go")
    print(plain(), end="")
