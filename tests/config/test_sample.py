"""The file that lists every setting agrees with the code."""

from pathlib import Path

import pytest

from soketpy.config import Settings, load
from soketpy.config.draft import setting_fields
from soketpy.config.environment import variables
from soketpy.config.files import read_file
from soketpy.config.sample import sample
from soketpy.config.tree import ConfigNode
from soketpy.core.apps import App, app_fields, limit_fields
from soketpy.core.fields import Field

FILE = Path(__file__).parent.parent.parent / "config" / "soketpy.yaml"


def test_the_file_is_generated_from_the_fields() -> None:
    assert FILE.read_text() == sample(), "run: python -m soketpy.config.sample > config/soketpy.yaml"


def test_the_file_is_the_defaults() -> None:
    assert load(str(FILE), {}, {}) == Settings()


def names(table: dict[str, ConfigNode], prefix: str = "") -> set[str]:
    found: set[str] = set()
    for name, node in table.items():
        found |= names(node.value, f"{prefix}{name}.") if isinstance(node.value, dict) else {prefix + name}
    return found


def test_every_setting_is_in_the_file() -> None:
    assert names(read_file(str(FILE))) == {path for path in setting_fields() if not path.startswith("app_defaults.")}


@pytest.mark.parametrize("field", [*setting_fields().values(), *app_fields().values()], ids=lambda field: field.name)
def test_every_setting_has_its_line_of_help_in_the_file(field: Field) -> None:
    assert field.help
    assert f"# {field.help}" in FILE.read_text()


def test_every_field_of_an_app_can_be_written() -> None:
    fields = set(App.__dataclass_fields__)
    assert set(app_fields()) - {"key", "secret"} == fields
    assert set(limit_fields()) == fields - {"id", "keys"}


def test_no_two_settings_share_a_variable() -> None:
    assert len(variables()) == len(setting_fields()) + len(app_fields())
