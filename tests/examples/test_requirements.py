"""The packages of the examples, and rules that all of them follow."""

import json
import re
from pathlib import Path

import pytest

from tests.examples.apps import EXAMPLES

REQUIREMENTS = sorted(EXAMPLES.glob("*/requirements.txt"))
PACKAGES = sorted(EXAMPLES.glob("*/package.json"))
HTML = sorted(
    page
    for page in EXAMPLES.rglob("*.html")
    if not {"node_modules", "dist", "build", ".next", ".output"} & set(page.parts[len(EXAMPLES.parts) :])
)


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


@pytest.mark.parametrize("page", HTML, ids=lambda page: str(page.relative_to(EXAMPLES)))
def test_a_list_with_another_role_is_none(page: Path) -> None:
    # Otherwise its items belong to no list: the element with the role log must be around the list.
    assert not re.findall(r'<[ou]l\b[^>]* role="(?!list")[^>]*>', page.read_text())


def test_the_chats_look_alike() -> None:
    sheets = [path for path in EXAMPLES.glob("*-chat/**/globals.css") if "node_modules" not in path.parts]
    assert len(sheets) == 4
    assert len({sheet.read_text() for sheet in sheets}) == 1
