"""Variables with quotes around their values, which Docker's ``--env-file`` keeps, are errors."""

import json
from pathlib import Path

import pytest

from soketpy.cli import main
from soketpy.config import ConfigError, load
from soketpy.config.environment import CONFIG_FILE, variables
from soketpy.config.soketi.names import VARIABLES

QUOTES = "remove the quotes: they are read as part of the value"
WEBHOOKS = "SOKETI_DEFAULT_APP_WEBHOOKS"
VALUES = ["1", "true", "a", "a,b", "127.0.0.1,::1", "[]", '["a"]', "{}", "a.yaml", "", " 1 "]


def said_of(environ: dict[str, str]) -> str:
    with pytest.raises(ConfigError) as caught:
        load(None, environ, {})
    return str(caught.value)


@pytest.mark.parametrize("quote", ["'", '"'])
@pytest.mark.parametrize("name", [CONFIG_FILE, *variables()])
def test_every_variable_with_quotes_around_its_value_is_an_error_that_says_so(name: str, quote: str) -> None:
    for value in VALUES:
        for text in (f"{quote}{value}{quote}", f" {quote}{value}{quote} "):
            said = said_of({name: text})
            assert said.startswith(f"{name}: "), said
            assert said.endswith(QUOTES), said


@pytest.mark.parametrize("name", VARIABLES)
def test_every_variable_of_soketis_with_single_quotes_around_its_value_is_an_error_that_says_so(name: str) -> None:
    for value in VALUES:
        said = said_of({name: f"'{value}'"})
        assert said.startswith(f"{name}: "), said
        assert said.endswith(QUOTES), said


@pytest.mark.parametrize("name", VARIABLES)
def test_double_quotes_around_a_value_of_soketis_are_json_as_in_soketi(name: str) -> None:
    plain = outcome({name: "1"})
    assert outcome({name: '"1"'}) == plain


def outcome(environ: dict[str, str]) -> object:
    try:
        return load(None, environ, {})
    except ConfigError as mistake:
        return str(mistake)


@pytest.mark.parametrize(
    "environ",
    [
        {CONFIG_FILE: "'a.yaml'"},
        {WEBHOOKS: "'[]'"},
        {"SOKETI_DB_MYSQL_HOST": "'a'"},
        {"SOKETI_ADAPTER_DRIVER": "'local'"},
        {"SOKETPY_HOST": "'a,b'"},
        {"SOKETPY_HOST": "'a',b"},
    ],
)
def test_the_error_says_to_remove_the_quotes(environ: dict[str, str]) -> None:
    assert said_of(environ) == f"{next(iter(environ))}: {QUOTES}"


@pytest.mark.parametrize("name", ["a.json", "it's.json", '5".json'])
def test_a_path_without_quotes_around_it_is_that_of_the_file(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / name
    path.write_text(json.dumps({"port": 7000}))
    monkeypatch.setenv(CONFIG_FILE, str(path))
    assert load(str(path), {CONFIG_FILE: str(path)}, {}).port == 7000


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (("start",), 2),
        (("check-config", "a.yaml"), 2),
        (("trigger", "a", "b", "c"), 2),
        (("sign", "channel", "1.2", "private-a"), 2),
        (("check-config",), 2),
        (("healthcheck",), 1),
    ],
)
def test_every_command_says_that_the_path_of_its_file_has_quotes(
    argv: tuple[str, ...], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(CONFIG_FILE, "'a.yaml'")
    assert main(argv) == code
    assert f"{CONFIG_FILE}: {QUOTES}" in capsys.readouterr().err
