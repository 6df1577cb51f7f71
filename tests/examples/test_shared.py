"""The files that the chats share are equal in all of them."""

from pathlib import Path

import pytest

from examples.shared.copy import EXAMPLES, FOLDERS, SHARED, copies

COPIES = copies()


@pytest.mark.parametrize("path", COPIES, ids=lambda path: str(path.relative_to(EXAMPLES)))
def test_a_copy_is_equal_to_its_source(path: Path) -> None:
    assert path.read_text() == COPIES[path], "change examples/shared, then run python examples/shared/copy.py"


def test_every_shared_file_is_copied() -> None:
    assert {path.name for path in SHARED.iterdir() if path.suffix in (".css", ".ts", ".yaml")} == set(FOLDERS)
