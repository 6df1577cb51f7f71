"""The file that lists every setting agrees with the code."""

from itertools import takewhile
from pathlib import Path

import pytest

from soketpy.config import Settings, load
from soketpy.config.draft import setting_fields
from soketpy.config.environment import variables
from soketpy.config.files import read_file
from soketpy.config.sample import sample
from soketpy.config.tree import ConfigNode
from soketpy.core.apps import TABLES, App, app_fields, limit_fields
from soketpy.core.fields import Field, fields_of
from soketpy.core.history import HistoryRule
from soketpy.core.webhooks import Filter, LambdaOptions, Webhook
from tests.deploy import schema

ROOT = Path(__file__).parent.parent.parent
FILE = ROOT / "config" / "soketpy.yaml"
CHART_SCHEMA = ROOT / "deploy/helm/soketpy/values.schema.json"


def test_the_file_is_generated_from_the_fields() -> None:
    assert FILE.read_text() == sample(), "run: python -m soketpy.config.sample > config/soketpy.yaml"


def test_the_schema_of_the_chart_has_the_same_settings() -> None:
    assert CHART_SCHEMA.read_text() == schema.text(), f"run: python -m tests.deploy.schema > {CHART_SCHEMA}"


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
    assert set(limit_fields()) == fields - {"id", "keys", *TABLES}


def test_the_webhook_in_comments_can_be_used_and_has_every_setting_of_a_webhook(tmp_path: Path) -> None:
    lines = FILE.read_text().splitlines()
    start = lines.index("    # webhooks:")
    shown = list(takewhile(lambda line: line.startswith("    #  ") or line == lines[start], lines[start:]))
    (tmp_path / "soketpy.yaml").write_text(
        "\n".join([*lines[:start], *(line.replace("# ", "", 1) for line in shown), *lines[start + len(shown) :]])
    )
    (webhook,) = load(str(tmp_path / "soketpy.yaml"), {}, {}).apps[0].webhooks
    types = ("channel_occupied", "channel_vacated")
    assert webhook == Webhook(url="https://example.com/webhooks", event_types=types)
    text = "\n".join(shown)
    for name, field in {**fields_of(Webhook), **fields_of(Filter), **fields_of(LambdaOptions)}.items():
        assert f"# {field.help}\n" in text
        assert f" {name.rstrip('_')}:" in text


def test_the_history_in_comments_can_be_used_and_has_every_setting_of_a_rule(tmp_path: Path) -> None:
    lines = FILE.read_text().splitlines()
    start = lines.index("    # history:")
    shown = list(takewhile(lambda line: line.startswith("    #   ") or line == lines[start], lines[start:]))
    (tmp_path / "soketpy.yaml").write_text(
        "\n".join([*lines[:start], *(line.replace("# ", "", 1) for line in shown), *lines[start + len(shown) :]])
    )
    assert load(str(tmp_path / "soketpy.yaml"), {}, {}).apps[0].history == (HistoryRule(channels="private-orders-*"),)
    text = "\n".join(shown)
    for name, field in fields_of(HistoryRule).items():
        assert f"# {field.help}\n" in text
        assert f" {name}:" in text


def test_no_two_settings_share_a_variable() -> None:
    assert len(variables()) == len(setting_fields()) + len(app_fields())
