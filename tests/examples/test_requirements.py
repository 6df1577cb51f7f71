"""What the Python examples install is what their tests have passed with."""

from pathlib import Path

import pytest

from tests.examples.apps import EXAMPLES

FILES = sorted(EXAMPLES.glob("*/requirements.txt"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.parent.name)
def test_an_example_requires_the_versions_of_the_tests(file: Path) -> None:
    tested = (EXAMPLES.parent / "constraints.txt").read_text().splitlines()
    assert set(file.read_text().splitlines()) <= set(tested)
