"""The file that lists every setting says what the code says."""

from pathlib import Path

import pytest

from soketpy.config import Settings, load
from soketpy.config.app_rows import HELP, app_rows, default_rows
from soketpy.config.draft import setting_rows
from soketpy.config.environment import variables
from soketpy.config.files import read_file
from soketpy.config.rows import Row
from soketpy.config.sample import sample
from soketpy.config.tree import Table
from soketpy.core.apps import App

FILE = Path(__file__).parent.parent.parent / "config" / "soketpy.yaml"


def test_the_file_is_what_the_rows_say() -> None:
    assert FILE.read_text() == sample(), "run: python -m soketpy.config.sample > config/soketpy.yaml"


def test_the_file_is_the_defaults() -> None:
    assert load(str(FILE), {}, {}) == Settings()


def names(table: Table, prefix: str = "") -> set[str]:
    found: set[str] = set()
    for name, entry in table.entries.items():
        found |= names(entry.node, f"{prefix}{name}.") if isinstance(entry.node, Table) else {prefix + name}
    return found


def test_every_setting_is_in_the_file() -> None:
    assert names(read_file(str(FILE))) == {path for path in setting_rows() if not path.startswith("app_defaults.")}


@pytest.mark.parametrize("row", [*setting_rows().values(), *app_rows().values()], ids=lambda row: row.name)
def test_every_setting_has_its_line_of_help_in_the_file(row: Row) -> None:
    assert row.help
    assert f"# {row.help}" in FILE.read_text()


def test_every_field_of_an_app_can_be_written() -> None:
    fields = set(App.__dataclass_fields__)
    assert set(app_rows()) - {"key", "secret"} == fields
    assert set(default_rows()) == set(HELP) == fields - {"id", "keys"}


def test_no_two_settings_share_a_variable() -> None:
    assert len(variables()) == len(setting_rows()) + len(app_rows())
