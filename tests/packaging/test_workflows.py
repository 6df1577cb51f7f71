"""The workflows that test and publish: what they name exists, and each job may do only what it needs."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.packaging.conftest import ROOT
from tests.packaging.test_contents import PYTHONS

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
JOBS = [(path.name, job) for path in WORKFLOWS for job in yaml.safe_load(path.read_text())["jobs"]]

WRITES = {
    ("release.yml", "dist"): {"id-token", "attestations"},
    ("release.yml", "image"): {"id-token", "attestations", "packages"},
    ("release.yml", "pypi"): {"id-token"},
    ("release.yml", "github"): {"contents"},
}
"""What each job may change. All other jobs only read."""


def document(name: str) -> dict[str, Any]:
    found = yaml.safe_load((ROOT / ".github/workflows" / name).read_text())
    assert isinstance(found, dict)
    return found


def job_of(name: str, job: str) -> dict[str, Any]:
    found = document(name)["jobs"][job]
    assert isinstance(found, dict)
    return found


def commands(name: str, job: str) -> list[str]:
    return [step["run"] for step in job_of(name, job).get("steps", []) if "run" in step]


@pytest.mark.parametrize(("name", "job"), JOBS)
def test_a_job_may_do_only_what_it_needs_in_a_limited_time(name: str, job: str) -> None:
    found = job_of(name, job)
    permissions = found.get("permissions", document(name)["permissions"])
    assert {scope for scope, level in permissions.items() if level != "read"} == WRITES.get((name, job), set())
    assert "timeout-minutes" in found or "uses" in found


@pytest.mark.parametrize(("name", "job"), JOBS)
def test_a_job_uses_actions_of_one_commit_and_files_that_exist(name: str, job: str) -> None:
    used = [step["uses"] for step in job_of(name, job).get("steps", []) if "uses" in step]
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", each) for each in used)
    called = job_of(name, job).get("uses")
    assert called is None or (ROOT / called).is_file()


def test_each_commit_of_an_action_has_its_version_beside_it() -> None:
    lines = [line for path in WORKFLOWS for line in path.read_text().splitlines() if re.search(r"uses: [^.]", line)]
    found = {re.split(r"uses: ([\w-]+/[\w-]+)@", line)[1]: line.partition("@")[2] for line in lines}
    assert all(re.fullmatch(r"[0-9a-f]{40} # v\d+\.\d+\.\d+", pin) for pin in found.values())
    assert all(line.endswith(found[name]) for line in lines for name in found if f" {name}@" in line)


@pytest.mark.parametrize(("name", "job"), JOBS)
def test_a_command_of_a_job_names_targets_and_files_that_exist(name: str, job: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.M))
    for command in commands(name, job):
        assert set(re.findall(r"\bmake ([a-z-]+)", command)) - {"make"} <= targets, command
        for path in re.findall(r"(?:\.ci/run|soketpy/[\w/.]+|[A-Z]+\.md)", command):
            assert (ROOT / path).is_file(), command


def test_every_declared_python_is_tested() -> None:
    assert job_of("test.yml", "pythons")["strategy"]["matrix"]["python"] == PYTHONS
    assert commands("test.yml", "full")[-1] == ".ci/run"


def test_a_release_is_tested_first_and_published_last() -> None:
    needs = {job: job_of("release.yml", job).get("needs") for job in document("release.yml")["jobs"]}
    assert needs == {"test": None, "dist": "test", "image": "test", "pypi": ["dist", "image"], "github": "pypi"}


def test_the_image_is_built_for_both_processors_with_a_list_of_its_parts() -> None:
    (options,) = [step["with"] for step in job_of("release.yml", "image")["steps"] if step.get("id") == "push"]
    assert options["platforms"] == "linux/amd64,linux/arm64"
    assert (options["sbom"], options["provenance"]) == (True, "mode=max")


def test_a_release_needs_the_version_of_the_package_and_a_date_in_the_changelog(tmp_path: Path) -> None:
    checks = [command for command in commands("release.yml", "dist") if command.startswith("grep")]
    assert len(checks) == 2
    (tmp_path / "soketpy").mkdir()
    (tmp_path / "soketpy/__init__.py").write_text('__version__ = "1.2.3"\n')

    def codes(tag: str, changelog: str) -> list[int]:
        (tmp_path / "CHANGELOG.md").write_text(changelog)
        environment = {"GITHUB_REF_NAME": tag, "PATH": "/usr/bin:/bin"}
        return [subprocess.run(["sh", "-c", each], cwd=tmp_path, env=environment).returncode for each in checks]

    assert codes("v1.2.3", "## [1.2.3] - 2026-12-01\n") == [0, 0]
    assert codes("v1.2.3", "## [1.2.3] - unreleased\n") == [0, 1]
    assert codes("v1.2.4", "## [1.2.3] - 2026-12-01\n") == [1, 1]


def test_actionlint_finds_no_mistake() -> None:
    program = ROOT / "build/tools/actionlint"
    if not program.exists():
        pytest.skip("needs actionlint: make test-dist, with Go")
    words = [str(program), "-shellcheck=", "-pyflakes=", *map(str, WORKFLOWS)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
