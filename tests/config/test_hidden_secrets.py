"""No output shows a secret that was written in the wrong place, in whatever way the configuration is broken."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from soketpy.cli import main
from soketpy.config.draft import APP_DEFAULTS, APPS, setting_fields
from soketpy.config.environment import PREFIX
from soketpy.core.apps import app_fields
from soketpy.core.aws_options import AwsOptions
from soketpy.core.fields import fields_of
from soketpy.core.quoting import may_be_shown
from soketpy.core.webhooks import Filter, LambdaOptions, Webhook

WORD = "Hunter"
"""A secret that looks like a word: only its place in an address or a query shows that it is one."""

TOKEN = "sk9f8e7d6c5b4a3210"
"""A secret that looks like one wherever it is."""

ADDRESSES = [
    f"user:{WORD}@host",
    f"user:{WORD}@host:6379",
    f"redis://user:{WORD}@host:6379/0",
    f"redis://:{WORD}@host",
    f"https://user:pass/{WORD}@host/q",
    f"https://user:pass#{WORD}@host/q",
    f"https://user:pass?{WORD}@host/q",
    f"https://host/q.fifo?token={WORD}",
    f"https://host/q#token={WORD}",
    f"host=db;password={WORD}",
    f"Bearer {WORD}",
]
FORMS = [*ADDRESSES, TOKEN, f"{TOKEN}\x01", f"/{TOKEN}", f"{TOKEN}:6379", f"[{TOKEN}]", f'"{TOKEN}"']


def broken(secret: str) -> Iterator[Any]:
    """Yield values with a secret: as text, in a list, twice in a list, in a table, and as a name of a table."""
    yield from (secret, [secret, secret], [[secret]], {secret: secret}, [{secret: 1}])


def documents(value: Any) -> Iterator[dict[str, Any]]:
    """Yield configurations with this value in the place of each setting, of each group, and of each part of an app."""
    settings: dict[str, Any] = {}
    for path in setting_fields():
        group, _, name = path.rpartition(".")
        if path != APPS:
            (settings.setdefault(group, {}) if group else settings)[name] = value
    yield settings
    yield dict.fromkeys((name for name, each in settings.items() if isinstance(each, dict)), value) | {"apps": value}
    webhook = dict.fromkeys((name.rstrip("_") for name in fields_of(Webhook)), value)
    nested = {
        "filter": dict.fromkeys(fields_of(Filter), value),
        "lambda": dict.fromkeys(fields_of(LambdaOptions), value),
        "headers": {"X-A": value, "x-a": value},
        "client_options": dict.fromkeys(fields_of(AwsOptions), value),
    }
    webhooks = [webhook, nested, {"url": value, "event_types": ["channel_occupied"]}, {"headers": {"A": value}}]
    pair = {"key": value, "secret": value}
    keys = {"id": "1", **pair, "keys": [value, pair, pair]}
    valid = {"id": "1", "key": "k", "secret": "s"}
    yield {
        "apps": [dict.fromkeys(app_fields(), value), value, keys, *({**valid, "webhooks": [each]} for each in webhooks)]
    }


def names(secret: str) -> Iterator[dict[str, Any]]:
    """Yield configurations with a secret in the place of a name."""
    groups = sorted({path.rpartition(".")[0] for path in setting_fields()} - {""})
    yield {secret: 1, **{group: {secret: 1} for group in groups}}
    webhook = {"url": "https://a.example", "event_types": ["channel_occupied", secret]}
    apps = ({secret: 1}, {"webhooks": [{secret: 1}]}, {"webhooks": [{**webhook, "headers": {secret: "a"}}]})
    yield {"apps": [{"id": "1", "key": "k", "secret": "s", **app} for app in apps]}
    yield {"adapter": {"redis": {secret: 1, "redisPubOptions": {secret: 1}}}}
    yield {"appManager": {"array": {"apps": [{secret: 1}]}}, secret: 1}


@pytest.fixture
def written(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that checks a configuration in all ways, and returns the output."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("soketpy.config.problems.MOST", 10_000)

    def check(content: str, name: str, *flags: tuple[str, ...]) -> str:
        Path(name).write_text(content)
        for each in flags:
            assert main(["check-config", name, *each]) in (0, 2)
        out = capsys.readouterr()
        return out.out + out.err

    return check


@pytest.mark.parametrize("form", FORMS)
def test_a_secret_in_the_place_of_any_value_is_not_shown(form: str, written: Any) -> None:
    secret = TOKEN if TOKEN in form else WORD
    for value in broken(form):
        for document in documents(value):
            found = written(json.dumps(document), "config.json", ())
            assert secret not in found, found


def test_a_secret_that_is_a_valid_value_is_not_printed(written: Any) -> None:
    for path, field in setting_fields().items():
        group, _, name = path.rpartition(".")
        if field.type is str and group != APP_DEFAULTS:
            for form in ADDRESSES[::3]:
                value = [form] if field.many else form
                found = written(
                    json.dumps({group: {name: value}} if group else {name: value}), "config.json", ("--print",)
                )
                assert WORD not in found, found


@pytest.mark.parametrize("form", FORMS)
def test_a_secret_in_the_place_of_any_name_is_not_shown(form: str, written: Any) -> None:
    secret = TOKEN if TOKEN in form else WORD
    for document in names(form):
        text = json.dumps(document)
        found = written(text, "config.json", ()) + written(text, "config.yaml", ())
        twice = f'{{"redis": {{{json.dumps(form)}: 1, {json.dumps(form)}: 2}}}}'
        found += written(twice, "config.json", ()) + written(twice, "config.yaml", ())
        assert secret not in found, found


@pytest.mark.parametrize("form", FORMS)
def test_a_secret_in_the_place_of_any_variable_is_not_shown(
    form: str, written: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = TOKEN if TOKEN in form else WORD
    for path in setting_fields():
        monkeypatch.setenv(PREFIX + path.upper().replace(".", "_"), form)
    found = written("{}", "config.json", ())
    assert secret not in found, found


@pytest.mark.parametrize(
    "text",
    [
        f"redis: {{password: !{TOKEN}!x 1}}",
        f"redis: {{password: &{TOKEN} 1, host: *{TOKEN}}}",
        f"redis:\n  password: '{TOKEN}\n  host: a",
        f"redis: {{password: {TOKEN}",
        f"redis:\n  password: a: {TOKEN}",
        f"%TAG !{TOKEN}! x\n%TAG !{TOKEN}! x\n---\na: 1",
        f"{TOKEN}",
        f"- {TOKEN}",
        f"? [{TOKEN}]\n: 1",
        f'{{"redis": {{"password": "{TOKEN}}}}}',
        f'{{"redis": {{"password": {TOKEN}}}}}',
    ],
)
@pytest.mark.parametrize("name", ["config.yaml", "config.json"])
def test_a_file_that_cannot_be_read_is_refused_without_its_text(text: str, name: str, written: Any) -> None:
    found = written(text, name, ())
    assert found
    assert TOKEN not in found


@pytest.mark.parametrize(
    "text",
    [
        "maybe",
        "a.b.c",
        "redis-0.redis.svc.cluster.local",
        "10.0.0.1:6379",
        "[::1]",
        "/etc/soketpy/cert.pem",
        "https://a/b",
    ],
)
def test_a_harmless_text_is_shown(text: str) -> None:
    assert may_be_shown(text)
