"""``soketpy check-config --print``: every value with its source, and no secret."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from soketpy.cli import main
from soketpy.config.draft import APP_DEFAULTS, APPS, setting_fields
from soketpy.config.effective import MASK, without_credentials
from soketpy.config.environment import PREFIX
from soketpy.config.settings import Settings
from soketpy.core.apps import App, Key
from soketpy.core.fields import Field, fields_of
from soketpy.core.webhooks import Webhook

MARKER = "MARKERMARKERMARKERMARKER"

Shown = Callable[..., tuple[int, str, str]]


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str]) -> Shown:
    """Run ``check-config`` and return its exit code and output."""

    def run(*argv: str) -> tuple[int, str, str]:
        code = main(["check-config", *argv])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def every_field(of: type, path: str = "") -> Iterator[tuple[str, Field]]:
    for name, field in fields_of(of).items():
        if field.is_group:
            yield from every_field(field.type, f"{path}{name}.")
        else:
            yield f"{path}{name}", field


@pytest.mark.parametrize("of", [Settings, App, Key, Webhook])
def test_each_field_whose_name_sounds_like_a_secret_is_one(of: type) -> None:
    public = {"tls.key", "key", "keys", "access_key_id", "webhooks.keep_dead_letters"}
    for path, field in every_field(of):
        if re.search("pass|secret|token|key|credential", path) and path not in public and field.type in (str, tuple):
            assert field.secret or path in ("close_connections_of_removed_keys",), path


def with_secrets() -> dict[str, Any]:
    """Return a configuration with a marker in each secret, and in each part of a URL that may be one."""
    tree: dict[str, Any] = {}
    for path, field in setting_fields().items():
        if path == APPS or path.startswith(f"{APP_DEFAULTS}.") or not field.secret:
            continue
        *groups, name = path.split(".")
        inner = tree
        for group in groups:
            inner = inner.setdefault(group, {})
        inner[name] = [MARKER] if field.many else MARKER
    tree["tracing"].update(headers=[f"api-key={MARKER}"], endpoint=f"http://127.0.0.1/?{MARKER}")
    tree["tls"] = {}  # its passphrase needs files; the environment below has it
    for name in ("sqs", "dynamodb"):
        tree[name]["endpoint"] = f"http://127.0.0.1/?{MARKER}"
    webhook = {
        "url": f"https://receiver.example.com/{MARKER}?token={MARKER}#{MARKER}",
        "event_types": ["channel_occupied"],
        "headers": {"Authorization": MARKER},
    }
    keys = {"access_key_id": MARKER, "secret_access_key": MARKER, "session_token": MARKER}
    function = {
        "lambda_function": "my-function",
        "event_types": ["channel_vacated"],
        "lambda": {"client_options": {**keys, "endpoint": f"http://127.0.0.1/?{MARKER}"}},
    }
    tree[APPS] = [
        {"id": "a", "key": "k", "secret": MARKER, "webhooks": [webhook, function]},
        {"id": "b", "keys": [{"key": "k2", "secret": MARKER}, {"key": "k3", "secret": MARKER}]},
    ]
    return tree


@pytest.mark.parametrize("options", [["--print"], ["--json"], []])
def test_no_secret_of_any_setting_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shown: Shown, options: list[str]
) -> None:
    file = tmp_path / "c.json"
    file.write_text(json.dumps(with_secrets()))
    code, out, err = shown(*options, str(file))
    assert (code, err, MARKER in out) == (0, "", False), err
    assert "--print" not in options or out.count(MASK) > 15
    # Mistakes of secrets, and of the settings beside them, do not show a secret either.
    monkeypatch.setenv(f"{PREFIX}TLS_PASSPHRASE", MARKER)
    monkeypatch.setenv(f"{PREFIX}APP_SECRET", f"'{MARKER}'")
    monkeypatch.setenv(f"{PREFIX}ADMIN_TOKENS", MARKER[:3])
    monkeypatch.setenv(f"{PREFIX}PORT", "x")
    code, out, err = shown(*options, str(file))
    assert (code, MARKER[:3] in out + err) == (2, False)


def test_the_marker_would_be_found(tmp_path: Path, shown: Shown) -> None:
    file = tmp_path / "c.json"
    file.write_text(json.dumps({"redis": {"username": MARKER, "password": "p"}}))
    assert MARKER in shown("--print", str(file))[1]


def test_each_value_has_its_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shown: Shown) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(
        "port: 7000\nhost: 127.0.0.1\napp_defaults: {client_events: true}\napps:\n- {id: a, key: k, secret: s}\n"
    )
    monkeypatch.setenv("SOKETPY_LOG_LEVEL", "error")
    monkeypatch.setenv("SOKETPY_PORT", "7001")
    monkeypatch.setenv("SOKETI_SHUTDOWN_GRACE_PERIOD", "1500")
    monkeypatch.setenv("SOKETPY_APP_MAX_CONNECTIONS", "3")
    lines = shown("--print", str(file))[1].splitlines()
    for line in (
        "port: 7001  # SOKETPY_PORT",
        f'host: "127.0.0.1"  # {file}:2',
        'cluster: "local"  # default',
        '  level: "error"  # SOKETPY_LOG_LEVEL',
        "  shutdown: 1.5  # SOKETI_SHUTDOWN_GRACE_PERIOD",
        "  pong: 30  # default",
        f"  client_events: true  # {file}:3",
        "  numeric_ids: true  # soketi's defaults",
        f'  - id: "a"  # {file}:5',
        f'    secret: "{MASK}"  # {file}:5',
        f"    client_events: true  # {file}:3",
        "    max_connections: 3  # SOKETPY_APP_MAX_CONNECTIONS",
    ):
        assert line in lines


def test_a_value_of_soketis_file_has_soketis_name(tmp_path: Path, shown: Shown) -> None:
    file = tmp_path / "c.json"
    file.write_text('{"database.redis.host": "r", "port": 6002}')
    lines = shown("--print", str(file))[1].splitlines()
    assert f'  host: "r"  # {file}:1 (database.redis.host)' in lines
    assert f"port: 6002  # {file}:1" in lines


def test_the_printed_values_are_yaml_with_every_setting(tmp_path: Path, shown: Shown) -> None:
    file = tmp_path / "c.yaml"
    file.write_text('host: ["::1", 127.0.0.1]\nworkers: auto\nredis: {prefix: "a:b#c"}\n')
    printed = yaml.safe_load(shown("--print", str(file))[1])
    assert (printed["host"], printed["workers"], printed["redis"]["prefix"]) == (
        ["::1", "127.0.0.1"],
        "auto",
        "a:b#c",
    )
    for path in setting_fields():
        group, _, name = path.rpartition(".")
        assert group == APP_DEFAULTS or name in (printed[group] if group else printed)


def test_json_has_the_values_the_warnings_and_the_mistakes(tmp_path: Path, shown: Shown) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("port: 7000\n")
    document = json.loads(shown("--json", str(file))[1])
    assert document["settings"]["port"] == {"value": 7000, "source": f"{file}:1"}
    assert document["apps"][0]["secret"] == {"value": MASK, "source": "default"}
    assert [each[:18] for each in document["warnings"]] == ["The default secret", "The port is open t"]
    file.write_text("port: x\nhost: []\n")
    code, out, err = shown("--json", str(file))
    assert (code, len(json.loads(out)["errors"]), err.count("\n")) == (2, 2, 2)


def test_apps_of_soketis_that_a_database_replaces_are_not_printed(
    monkeypatch: pytest.MonkeyPatch, shown: Shown, tmp_path: Path
) -> None:
    file = tmp_path / "c.json"
    apps = [{"id": "1", "key": "k", "secret": "s"}]
    file.write_text(json.dumps({"appManager.driver": "mysql", "appManager.array.apps": apps}))
    code, out, _ = shown("--print", str(file))
    assert (code, "apps: []" in out.splitlines()) == (0, True)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://example.com/a/b.fifo", "https://example.com/a/b.fifo"),
        ("http://u:p@h:1/x", f"http://h:1/x?{MASK}"),
        ("http://h?token=x#y", f"http://h?{MASK}"),
        ("http://[broken", MASK),
        ("no url @ all", "no url @ all"),
    ],
)
def test_a_url_is_printed_without_what_may_be_secret(url: str, said: str) -> None:
    assert without_credentials(url) == said
