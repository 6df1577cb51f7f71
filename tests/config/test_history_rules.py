"""The history of apps in files and variables, and the errors for wrong rules."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from soketpy.cli import main
from soketpy.config import load
from soketpy.config.changes import changes
from soketpy.core.history import HistoryRule

APP = "id: a, key: k, secret: s"
LIST = [{"channels": "private-orders-*", "events": 50, "seconds": 3600, "kib": 64.5, "rewind": 2}, {"channels": "news"}]
EXPECTED = (
    HistoryRule(channels="private-orders-*", events=50, seconds=3600, kib=64.5, rewind=2),
    HistoryRule(channels="news"),
)
YAML = """\
apps:
  - id: a
    key: k
    secret: s
    history:
      - channels: private-orders-*
        events: 50
        seconds: 3600
        kib: 64.5
        rewind: 2
        rewind_seconds: null
      - {channels: news, client_events: false}
"""


def history_of(tmp_path: Path, name: str, content: str) -> tuple[HistoryRule, ...]:
    (tmp_path / name).write_text(content)
    return load(str(tmp_path / name), {}, {}).apps[0].history


def test_yaml_has_history(tmp_path: Path) -> None:
    assert history_of(tmp_path, "soketpy.yaml", YAML) == EXPECTED


def test_json_has_history(tmp_path: Path) -> None:
    app = {"id": "a", "key": "k", "secret": "s", "history": LIST}
    assert history_of(tmp_path, "soketpy.json", json.dumps({"apps": [app]})) == EXPECTED


def test_variables_have_history() -> None:
    apps = json.dumps([{"id": "a", "key": "k", "secret": "s", "history": LIST}])
    assert load(None, {"SOKETPY_APPS": apps}, {}).apps[0].history == EXPECTED
    assert load(None, {"SOKETPY_APP_HISTORY": json.dumps(LIST)}, {}).apps[0].history == EXPECTED


def test_a_variable_replaces_the_history_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "soketpy.yaml").write_text(YAML)
    for text, expected in (("[]", ()), (json.dumps(LIST[1:]), EXPECTED[1:])):
        assert load(str(tmp_path / "soketpy.yaml"), {"SOKETPY_APP_HISTORY": text}, {}).apps[0].history == expected


NAMES = "may contain only the characters of channel names, and one *"
MISTAKES = [
    ("{channels: b, event: 5}", ".event: no such setting of history; did you mean events?"),
    ("{channels: b, qqqqqq: 5}", ".qqqqqq: no such setting of history"),
    ("5", ": must be a table with channels, such as {channels: private-orders-*}, not a number"),
    ("b", ": must be a table with channels, such as {channels: private-orders-*}, not text"),
    ("{events: 5}", ": must have channels: the name of a channel, or a pattern such as room-*"),
    ("{channels: ''}", ".channels: must not be empty"),
    ("{channels: [b]}", ".channels: must be text, not a list"),
    ("{channels: 5}", ".channels: must be text, not a number; put it in quotes"),
    ("{channels: '*-b-*'}", ".channels: '*-b-*' may contain one * at most"),
    ("{channels: 'room/*'}", f".channels: 'room/*' {NAMES}"),
    ("{channels: '^room'}", f".channels: '^room' {NAMES}"),
    ("{channels: räume}", f".channels: 'räume' {NAMES}"),
    ("{channels: a}", ".channels: a has a rule at apps[0].history[0]: remove one of the two"),
    ("{channels: b, events: 0}", ".events: must be a whole number from 1 to 100000, not 0"),
    ("{channels: b, events: -1}", ".events: must be a whole number from 1 to 100000, not -1"),
    ("{channels: b, events: 1e9}", ".events: must be a whole number from 1 to 100000, not 1000000000.0"),
    ("{channels: b, events: 1000000000}", ".events: must be a whole number from 1 to 100000, not 1000000000"),
    ("{channels: b, events: many}", ".events: must be a whole number from 1 to 100000, not 'many'"),
    ("{channels: b, events: true}", ".events: must be a whole number from 1 to 100000, not true"),
    ("{channels: b, events: ~}", ".events: must be a whole number from 1 to 100000, not null"),
    ("{channels: b, seconds: 0}", ".seconds: must be a number above 0 and at most 315360000, not 0"),
    ("{channels: b, seconds: -1}", ".seconds: must be a number above 0 and at most 315360000, not -1"),
    ("{channels: b, seconds: 1000000000}", ".seconds: must be a number above 0 and at most 315360000, not 1000000000"),
    ("{channels: b, kib: 0}", ".kib: must be a number above 0 and at most 1048576, not 0"),
    ("{channels: b, kib: -1}", ".kib: must be a number above 0 and at most 1048576, not -1"),
    ("{channels: b, kib: 1000000000}", ".kib: must be a number above 0 and at most 1048576, not 1000000000"),
    ("{channels: b, rewind: -1}", ".rewind: must be a whole number from 0 to 1000, not -1"),
    ("{channels: b, rewind: 1000000000}", ".rewind: must be a whole number from 0 to 1000, not 1000000000"),
    (
        "{channels: b, rewind_seconds: 0}",
        ".rewind_seconds: must be a number above 0 and at most 315360000, or null for no limit, not 0",
    ),
    ("{channels: b, client_events: 'yes'}", ".client_events: must be true or false, not 'yes'"),
]


@pytest.mark.parametrize(("rule", "said"), MISTAKES)
def test_a_mistake_in_a_rule_names_its_line_and_setting(
    rule: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_text(f"apps: [{{{APP}, history: [{{channels: a}},\n{rule}]}}]")
    assert main(["check-config", "config.yaml"]) == 2
    assert capsys.readouterr().err.endswith(f"config.yaml:2: apps[0].history[1]{said}\n")


def test_all_mistakes_of_a_list_are_said_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_text(f"apps: [{{{APP}, history: [{{channels: a, kib: 0, x: 1}},\n{{}}]}}]")
    assert main(["check-config", "config.yaml"]) == 2
    error = capsys.readouterr().err
    assert [name for name in ("[0].kib", "[0].x", "[1]: must") if f"history{name}" not in error] == []


def test_a_list_at_the_top_of_the_file_has_its_place_in_the_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_text("history: [{channels: a}]")
    assert main(["check-config", "config.yaml"]) == 2
    assert "write the history of an app in an item of apps:" in capsys.readouterr().err


def test_a_variable_that_is_no_list_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Exception, match=r"SOKETPY_APP_HISTORY: must be a list as JSON, such as \[{…}\], not text"):
        load(None, {"SOKETPY_APP_HISTORY": "room-*"}, {})


def test_the_printed_configuration_has_the_history(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "soketpy.yaml").write_text(YAML)
    assert main(["check-config", "--print", str(tmp_path / "soketpy.yaml")]) == 0
    shown = '[{"channels": "private-orders-*", "events": 50, "seconds": 3600, "kib": 64.5, "rewind": 2}'
    assert f'history: {shown}, {{"channels": "news"}}]  # {tmp_path}/soketpy.yaml:6' in capsys.readouterr().out


def test_a_changed_rule_is_a_change_of_its_app(tmp_path: Path) -> None:
    (tmp_path / "soketpy.yaml").write_text(YAML)
    before = load(str(tmp_path / "soketpy.yaml"), {}, {})
    [app] = before.apps
    after = replace(before, apps=(replace(app, history=EXPECTED[:1]),))
    assert str(changes(before, after)) == "apps changed: a (history)"
