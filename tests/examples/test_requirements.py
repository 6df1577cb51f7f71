"""What the examples install, and what they share."""

import json
from pathlib import Path

import pytest

from tests.examples.apps import EXAMPLES

REQUIREMENTS = sorted(EXAMPLES.glob("*/requirements.txt"))
PACKAGES = sorted(EXAMPLES.glob("*/package.json"))


@pytest.mark.parametrize("file", REQUIREMENTS, ids=lambda file: file.parent.name)
def test_an_example_requires_the_versions_of_the_tests(file: Path) -> None:
    tested = (EXAMPLES.parent / "constraints.txt").read_text().splitlines()
    assert set(file.read_text().splitlines()) <= set(tested)


@pytest.mark.parametrize("file", PACKAGES, ids=lambda file: file.parent.name)
def test_npm_installs_what_is_locked_from_any_registry_and_runs_nothing_of_it(file: Path) -> None:
    settings = (file.parent / ".npmrc").read_text().splitlines()
    assert {"ignore-scripts=true", "omit-lockfile-registry-resolved=true"} <= set(settings)
    packages = json.loads((file.parent / "package-lock.json").read_text())["packages"]
    del packages[""]
    assert packages
    for package in packages.values():
        assert "resolved" not in package
        assert package.get("integrity") or package.get("inBundle")


def test_the_chats_look_alike() -> None:
    sheets = [path for path in EXAMPLES.glob("*-chat/**/globals.css") if "node_modules" not in path.parts]
    assert len(sheets) == 4
    assert len({sheet.read_text() for sheet in sheets}) == 1
