"""The webhooks of apps in files and variables, and the errors for wrong ones."""

import json
import sys
from pathlib import Path

import pytest

from soketpy import Filter, Webhook
from soketpy.cli import main
from soketpy.config import ConfigError, load
from soketpy.core.aws_options import AwsOptions
from soketpy.core.webhook_headers import LONGEST, MOST
from soketpy.core.webhooks import LambdaOptions
from soketpy.protocol.event_types import EVENT_TYPES

APP = "id: a, key: k, secret: s"
HOOK = "url: 'https://example.com/hidden', event_types: [cache_miss]"
FUNCTION = "lambda_function: f, event_types: [cache_miss]"
TOO_MANY = ", ".join(f"X-{at}: hidden" for at in range(MOST + 1))
ASCII = "must be printable ASCII characters, without a space at its beginning or end"
EVENTS = f"must be {', '.join(EVENT_TYPES[:-1])} or {EVENT_TYPES[-1]}, not"

YAML = """\
apps:
  - id: a
    key: k
    secret: s
    webhooks:
      - url: https://example.com/webhooks
        event_types: [channel_occupied, user_online]
        filter:
          channel_name_starts_with: presence-
          channel_name_ends_with: "-room"
        headers:
          Authorization: Bearer hidden
        batching: true
      - lambda_function: chat-events
        event_types: [client_event]
        lambda:
          region: eu-west-1
          async: true
          client_options:
            endpoint: http://localhost:4566
            credentials: {accessKeyId: hidden-key, secretAccessKey: hidden}
"""
LIST = [
    {
        "url": "https://example.com/webhooks",
        "event_types": ["channel_occupied", "user_online"],
        "filter": {"channel_name_starts_with": "presence-", "channel_name_ends_with": "-room"},
        "headers": {"Authorization": "Bearer hidden"},
        "batching": True,
    },
    {
        "lambda_function": "chat-events",
        "event_types": ["client_event"],
        "lambda": {
            "region": "eu-west-1",
            "async": True,
            "client_options": {
                "endpoint": "http://localhost:4566",
                "credentials": {"accessKeyId": "hidden-key", "secretAccessKey": "hidden"},
            },
        },
    },
]
EXPECTED = (
    Webhook(
        url="https://example.com/webhooks",
        event_types=("channel_occupied", "user_online"),
        filter=Filter(channel_name_starts_with="presence-", channel_name_ends_with="-room"),
        headers={"Authorization": "Bearer hidden"},
        batching=True,
    ),
    Webhook(
        lambda_function="chat-events",
        event_types=("client_event",),
        lambda_=LambdaOptions(
            region="eu-west-1",
            async_=True,
            client_options=AwsOptions(
                endpoint="http://localhost:4566", access_key_id="hidden-key", secret_access_key="hidden"
            ),
        ),
    ),
)


def webhooks_of(tmp_path: Path, name: str, content: str) -> tuple[Webhook, ...]:
    (tmp_path / name).write_text(content)
    return load(str(tmp_path / name), {}, {}).apps[0].webhooks


def test_yaml_has_webhooks(tmp_path: Path) -> None:
    assert webhooks_of(tmp_path, "soketpy.yaml", YAML) == EXPECTED


def test_json_has_webhooks(tmp_path: Path) -> None:
    app = {"id": "a", "key": "k", "secret": "s", "webhooks": LIST}
    assert webhooks_of(tmp_path, "soketpy.json", json.dumps({"apps": [app]})) == EXPECTED


def test_variables_have_webhooks(tmp_path: Path) -> None:
    apps = json.dumps([{"id": "a", "key": "k", "secret": "s", "webhooks": LIST}])
    assert load(None, {"SOKETPY_APPS": apps}, {}).apps[0].webhooks == EXPECTED
    assert load(None, {"SOKETPY_APP_WEBHOOKS": json.dumps(LIST)}, {}).apps[0].webhooks == EXPECTED


def test_a_variable_replaces_the_webhooks_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "soketpy.yaml").write_text(YAML)
    for text, expected in (("[]", ()), (json.dumps(LIST[1:]), EXPECTED[1:])):
        assert load(str(tmp_path / "soketpy.yaml"), {"SOKETPY_APP_WEBHOOKS": text}, {}).apps[0].webhooks == expected


def test_the_settings_of_a_webhook_may_be_null(tmp_path: Path) -> None:
    content = f"apps: [{{{APP}, webhooks: [{{{HOOK}, filter: null, headers: ~, batching: null, lambda_function: ~}}]}}]"
    expected = (Webhook(url="https://example.com/hidden", event_types=["cache_miss"]),)
    assert webhooks_of(tmp_path, "soketpy.yaml", content) == expected


MISTAKES = [
    (f"{{{HOOK}, event_type: a}}", ".event_type: no such setting of a webhook; did you mean event_types?"),
    (f"{{{HOOK}, qqqqqq: a}}", ".qqqqqq: no such setting of a webhook"),
    ("5", ": must be a table with a url and event_types, not a number"),
    ("hidden", ": must be a table with a url and event_types, not text"),
    ("{event_types: [cache_miss]}", ": must have a url or a lambda_function"),
    ("{url: 'http://a'}", ": must have event_types, a list of the events to send"),
    (
        "{url: 'http://a', event_types: []}",
        ".event_types: must have at least one event: without one, the webhook sends nothing",
    ),
    ("{url: 'http://a', event_types: cache_miss}", ".event_types: must be a list, not text"),
    (
        "{url: 'http://a', event_types: [cache_miss, channel_ocupied]}",
        ".event_types[1]: no such event: channel_ocupied; did you mean channel_occupied?",
    ),
    ("{url: 'http://a', event_types: [qqqqqq]}", f".event_types[0]: {EVENTS} 'qqqqqq'"),
    ("{url: 'http://a', event_types: [1]}", f".event_types[0]: {EVENTS} a number; put it in quotes"),
    (
        f"{{{HOOK}, lambda_function: f}}",
        ".lambda_function: given next to url (config.yaml:2): a webhook has one target",
    ),
    (f"{{{HOOK}, lambda: {{async: true}}}}", ".lambda: has no effect without lambda_function"),
    (f"{{{FUNCTION}, lambda: fast}}", ".lambda: must be a table of settings, such as region, not text"),
    (
        f"{{{FUNCTION}, lambda: {{asnyc: true}}}}",
        ".lambda.asnyc: no such setting; did you mean async?",
    ),
    (f"{{{FUNCTION}, lambda: {{async: 5}}}}", ".lambda.async: must be true or false, not 5"),
    (
        f"{{{FUNCTION}, lambda: {{client_options: {{accessKeyId: hidden}}}}}}",
        ".lambda.client_options: accessKeyId: has no effect without secretAccessKey",
    ),
    (
        f"{{{FUNCTION}, lambda: {{client_options: {{credentials: {{secretAccessKey: [hidden]}}}}}}}}",
        ".lambda.client_options: secretAccessKey: must be text, or null for none, not a list",
    ),
    (
        "{lambda_function: a b, event_types: [cache_miss]}",
        ".lambda_function: must be the name or ARN of a Lambda function, or null for none, not 'a b'",
    ),
    (
        "{url: 'ftp://a/hidden', event_types: [cache_miss]}",
        ".url: must be an http:// or https:// URL with a host",
    ),
    ("{url: 'http://a:99999/hidden', event_types: [cache_miss]}", ".url: must have a port from 0 to 65535"),
    ("{url: 'http://a:hidden/', event_types: [cache_miss]}", ".url: must have a port from 0 to 65535"),
    ("{url: 'http://[::1/hidden', event_types: [cache_miss]}", ".url: must be a valid http:// or https:// URL"),
    (
        "{url: 'https://a:hidden@a', event_types: [cache_miss]}",
        ".url: must not contain a user or a password: write them in headers",
    ),
    ("{url: 5, event_types: [cache_miss]}", ".url: must be text, or null for none, not a number; put it in quotes"),
    (f"{{{HOOK}, batching: 'yes'}}", ".batching: must be true or false, or null for none, not 'yes'"),
    (
        f"{{{HOOK}, filter: private-}}",
        ".filter: must be a table of settings, such as channel_name_starts_with, not text",
    ),
    (
        f"{{{HOOK}, filter: {{channel_name_begins_with: a}}}}",
        ".filter.channel_name_begins_with: no such setting; a filter has "
        "channel_name_starts_with, channel_name_ends_with, channel_name_matches",
    ),
    (
        f"{{{HOOK}, filter: {{channel_name_starts_with: ''}}}}",
        ".filter.channel_name_starts_with: must not be empty",
    ),
    (
        f"{{{HOOK}, filter: {{channel_name_matches: 'room-('}}}}",
        ".filter.channel_name_matches: 'room-(' is not a regular expression of RE2: missing ): room-(",
    ),
    (f"{{{HOOK}, headers: [hidden]}}", ".headers: must be a table of names and values, not a list"),
    (f"{{{HOOK}, headers: {{Host: hidden}}}}", ".headers.Host: is set by the server itself"),
    (f"{{{HOOK}, headers: {{x-pusher-key: hidden}}}}", ".headers.x-pusher-key: is set by the server itself"),
    (f"{{{HOOK}, headers: {{a b: hidden}}}}", ".headers.a b: is not the name of a header"),
    (f'{{{HOOK}, headers: {{"a\\r\\nb": hidden}}}}', ".headers.'a\\r\\nb': is not the name of a header"),
    (f"{{{HOOK}, headers: {{X-A: 5}}}}", ".headers.X-A: must be text, not a number; put it in quotes"),
    (f"{{{HOOK}, headers: {{X-A: ''}}}}", ".headers.X-A: must not be empty"),
    (f"{{{HOOK}, headers: {{X-A: ~}}}}", ".headers.X-A: must be text, not null"),
    (
        f'{{{HOOK}, headers: {{X-A: "hidden\\r\\nX-B: c"}}}}',
        ".headers.X-A: must not have control characters or broken Unicode in it",
    ),
    (f"{{{HOOK}, headers: {{X-A: hiddén}}}}", f".headers.X-A: {ASCII}"),
    (f"{{{HOOK}, headers: {{X-A: {'h' * (LONGEST + 1)}}}}}", f".headers.X-A: must have at most {LONGEST} characters"),
    (f"{{{HOOK}, headers: {{X-A: hidden, x-a: hidden}}}}", ".headers.x-a: given twice, first at config.yaml:2"),
    (f"{{{HOOK}, headers: {{{TOO_MANY}}}}}", f".headers: must have at most {MOST} headers"),
]


@pytest.mark.parametrize(("webhook", "said"), MISTAKES)
def test_a_mistake_in_a_webhook_names_its_line_and_setting(
    webhook: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    content = f"apps: [{{{APP}, webhooks: [{{url: 'http://b', event_types: [cache_miss]}},\n{webhook}]}}]"
    Path("config.yaml").write_text(content)
    assert main(["check-config", "config.yaml"]) == 2
    error = capsys.readouterr().err
    assert error.endswith(f"config.yaml:2: apps[0].webhooks[1]{said}\n")
    assert "hidden" not in error


def test_a_pattern_without_its_library_is_a_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "re2", None)
    Path("config.yaml").write_text(
        f"apps: [{{{APP}, webhooks: [{{{HOOK}, filter: {{\nchannel_name_matches: ^room}}}}]}}]"
    )
    assert main(["check-config", "config.yaml"]) == 2
    said = "apps[0].webhooks[0].filter.channel_name_matches: '^room' needs the library RE2: pip install google-re2\n"
    assert capsys.readouterr().err.endswith(f"config.yaml:2: {said}")


def test_the_same_webhook_twice_is_a_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_text(f"apps: [{{{APP}, webhooks: [{{{HOOK}}},\n{{{HOOK}, batching: true}}]}}]")
    with pytest.raises(ConfigError) as caught:
        load("config.yaml", {}, {})
    assert str(caught.value) == (
        "config.yaml:2: apps[0].webhooks[1]: has the target, event_types and filter of apps[0].webhooks[0]: "
        "remove one of the two"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a", "must be a list as JSON, such as [{…}], not text"),
        ('[{"url": "http://a"}]', "apps[0].webhooks[0]: must have event_types, a list of the events to send"),
        ("[{]", "not valid JSON: expected a name in double quotes"),
    ],
)
def test_a_mistake_in_a_variable_names_the_variable(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(None, {"SOKETPY_APP_WEBHOOKS": text}, {})
    assert str(caught.value) == f"SOKETPY_APP_WEBHOOKS: {said}"


def test_two_targets_are_the_mistake_also_without_the_library_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("soketpy.core.aws_options.has_library", lambda: False)
    (tmp_path / "soketpy.yaml").write_text(f"apps: [{{{APP}, webhooks: [{{{HOOK}, lambda_function: f}}]}}]")
    with pytest.raises(ConfigError, match="a webhook has one target"):
        load(str(tmp_path / "soketpy.yaml"), {}, {})


def test_the_summary_of_a_configuration_shows_no_secret_of_a_webhook(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "soketpy.yaml").write_text(f"apps: [{{{APP}, webhooks: [{{{HOOK}, headers: {{X-A: hidden}}}}]}}]")
    assert main(["check-config", str(tmp_path / "soketpy.yaml")]) == 0
    shown = capsys.readouterr()
    assert "hidden" not in shown.out + shown.err


# soketi's form

APPS = "appManager.array.apps"


def soketis(tmp_path: Path, webhooks: object) -> tuple[tuple[Webhook, ...], tuple[str, ...]]:
    (tmp_path / "config.json").write_text(json.dumps({f"{APPS}.0.webhooks": webhooks}))
    settings = load(str(tmp_path / "config.json"), {}, {})
    return settings.apps[0].webhooks, settings.ignored


def test_webhooks_in_soketis_form_mean_the_same(tmp_path: Path) -> None:
    assert soketis(tmp_path, LIST) == (EXPECTED, ())
    assert soketis(tmp_path, json.dumps(LIST)) == (EXPECTED, ())
    assert soketis(tmp_path, []) == ((), ())
    assert load(None, {"SOKETI_DEFAULT_APP_WEBHOOKS": json.dumps(LIST)}, {}).apps[0].webhooks == EXPECTED


def test_a_webhook_of_soketi_without_events_is_named_as_without_effect(tmp_path: Path) -> None:
    webhooks = [{"url": "http://a", "event_types": []}, *LIST]
    assert soketis(tmp_path, webhooks) == (EXPECTED, (f"{APPS}.0.webhooks.0 (no event_types)",))
    settings = load(None, {"SOKETI_DEFAULT_APP_WEBHOOKS": json.dumps(webhooks)}, {})
    assert settings.apps[0].webhooks == EXPECTED
    assert settings.ignored == ("SOKETI_DEFAULT_APP_WEBHOOKS [0] (no event_types)",)


def test_headers_of_soketi_that_soketpy_sets_itself_are_named_as_without_effect(tmp_path: Path) -> None:
    headers = {"content-type": "application/json", "X-Pusher-Key": "a", "X-A": "b", "X-Number": 5}
    webhooks = [{"url": "http://a", "event_types": ["cache_miss"], "headers": headers}]
    (webhook,), ignored = soketis(tmp_path, webhooks)
    assert dict(webhook.headers) == {"X-A": "b", "X-Number": "5"}
    assert ignored == tuple(
        f"{APPS}.0.webhooks.0.headers.{name} (set by the server)" for name in ("content-type", "X-Pusher-Key")
    )


def test_an_empty_text_is_nothing_in_soketis_form(tmp_path: Path) -> None:
    filter = {"channel_name_starts_with": "", "channel_name_ends_with": "z"}
    webhook = {"url": "http://a", "lambda_function": "", "event_types": ["cache_miss"], "filter": filter}
    expected = Webhook(url="http://a", event_types=["cache_miss"], filter=Filter(channel_name_ends_with="z"))
    assert soketis(tmp_path, [webhook]) == ((expected,), ())


SOKETIS_MISTAKES = [
    ([5], ".0", "[0]", "must be a table with a url and event_types, not a number"),
    ([{"event_types": ["cache_miss"]}], ".0", "[0]", "must have a url or a lambda_function"),
    (
        [{"url": "http://a", "event_types": ["member_add"]}],
        ".0.event_types.0",
        "[0].event_types[0]",
        "no such event: member_add; did you mean member_added?",
    ),
    (
        [{"url": "http://a", "event_types": ["cache_miss"], "headers": {"Host": "hidden"}}],
        ".0.headers.Host",
        "[0].headers.Host",
        "is set by the server itself",
    ),
]


@pytest.mark.parametrize(("webhooks", "in_file", "in_variable", "said"), SOKETIS_MISTAKES)
def test_a_mistake_in_soketis_form_is_named_in_soketis_form(
    webhooks: object, in_file: str, in_variable: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        soketis(Path(), webhooks)
    assert str(caught.value) == f"config.json:1: {APPS}.0.webhooks{in_file}: {said}"
    with pytest.raises(ConfigError) as caught:
        load(None, {"SOKETI_DEFAULT_APP_WEBHOOKS": json.dumps(webhooks)}, {})
    assert str(caught.value) == f"SOKETI_DEFAULT_APP_WEBHOOKS: {in_variable}: {said}"
