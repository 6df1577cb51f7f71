"""Any content of a file or a variable results in settings or in a ConfigError of one line."""

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from soketpy.config import ConfigError, Settings, load, yaml_tree
from soketpy.config.environment import variables
from soketpy.config.soketi.names import BY_PATH, VARIABLES

ANY = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=100)
NAMES = "port apps metrics log id key secret keys webhooks url event_types app_defaults appManager.array.apps"
SIGNS = ": |\n|  |\t|- |{|}|[|]|,|'|\"|&a |*a|!!int |>\n|? |#|%|@|---\n|...\n|<<|\\u0000|\ud7ff|\ufeff"
PLAIN = "null true -1 1e999 .nan 0x1F 1_0 2001-01-01 12:30:45"
SCRAPS = st.sampled_from([*BY_PATH, *NAMES.split(), *SIGNS.split("|"), "|", *PLAIN.split()])
TEXTS = st.one_of(st.text(), st.lists(SCRAPS, max_size=30).map("".join))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | SCRAPS, inner),
    max_leaves=15,
)


def settings_or_one_line(path: str | None, environ: dict[str, str]) -> None:
    try:
        assert isinstance(load(path, environ, {}), Settings)
    except ConfigError as error:
        assert "\n" not in str(error)  # noqa: PT017 - settings are fine too


@pytest.mark.parametrize("loader", [yaml.SafeLoader, yaml_tree.LOADER])
@pytest.mark.parametrize("name", ["config.yaml", "config.json", "config"])
@given(content=st.binary() | TEXTS.map(lambda text: text.encode("utf-8", "surrogatepass")))
@ANY
def test_any_file(tmp_path: Path, name: str, loader: object, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yaml_tree, "LOADER", loader)
        settings_or_one_line(str(path), {})


@given(value=st.dictionaries(SCRAPS | st.text(), JSON))
@ANY
def test_any_json_object(tmp_path: Path, value: object) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(value))
    settings_or_one_line(str(path), {})


@given(environ=st.dictionaries(st.sampled_from([*variables(), *VARIABLES]), TEXTS | JSON.map(str), max_size=5))
@ANY
def test_any_environment(environ: dict[str, str]) -> None:
    settings_or_one_line(None, environ)


@pytest.mark.parametrize("loader", [yaml.SafeLoader, yaml_tree.LOADER])
@pytest.mark.parametrize("scrap", ["[", "{a: ", "- ", "? ", "&a ", "a: {", "'", "!", "\n- ", "%"])
def test_no_nesting_is_too_deep_to_be_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scrap: str, loader: object
) -> None:
    monkeypatch.setattr(yaml_tree, "LOADER", loader)
    path = tmp_path / "config.yaml"
    path.write_text(scrap * 20_000)
    with pytest.raises(ConfigError):
        load(str(path), {}, {})
