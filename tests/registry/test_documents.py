"""The JSON documents of apps."""

import json
from dataclasses import fields

import pytest

from soketpy.config.app_documents import read_document
from soketpy.core.app_registry import BrokenApp
from soketpy.core.apps import App, Key, limit_fields
from soketpy.core.aws_options import AwsOptions
from soketpy.core.history import HistoryRule
from soketpy.core.webhooks import Filter, LambdaOptions, Webhook
from soketpy.registry.administration import NEW, ROTATION
from soketpy.registry.documents import document_of
from soketpy.registry.operations import CHANGEABLE

RULE = HistoryRule(channels="room-*", events=50)
HOOK = Webhook(
    url="https://hooks.example/x",
    event_types=("channel_occupied",),
    headers={"X-Token": "hidden"},
    filter=Filter(channel_name_starts_with="room-"),
)
APP = App(id="a", keys=(Key("k", "hidden"), Key("old", "hidden", 5.0)), max_connections=7, webhooks=(HOOK,))


def test_a_document_has_every_field_of_an_app() -> None:
    assert document_of(APP).keys() == {each.name for each in fields(App)}


def test_a_document_has_no_secrets() -> None:
    assert "hidden" not in json.dumps(document_of(APP))


def test_a_document_has_the_secret_of_a_new_key_only() -> None:
    assert document_of(APP, ["k"])["keys"] == [
        {"key": "k", "secret": "hidden", "ends_at": None},
        {"key": "old", "ends_at": 5.0},
    ]


def test_the_headers_of_a_webhook_have_names_and_no_values() -> None:
    assert document_of(APP)["webhooks"] == [
        {
            "url": "https://hooks.example/x",
            "event_types": ["channel_occupied"],
            "filter": {"channel_name_starts_with": "room-"},
            "headers": {"X-Token": None},
        }
    ]


def test_the_credentials_of_a_function_are_not_shown() -> None:
    options = AwsOptions(endpoint="http://localhost:1", access_key_id="hidden", secret_access_key="hidden")
    hook = Webhook(
        lambda_function="f", event_types=("member_added",), lambda_=LambdaOptions(async_=True, client_options=options)
    )
    assert document_of(App(id="a", keys=(Key("k", "s"),), webhooks=(hook,)))["webhooks"] == [
        {
            "lambda_function": "f",
            "event_types": ["member_added"],
            "lambda": {
                "async": True,
                "client_options": {
                    "endpoint": "http://localhost:1",
                    "access_key_id": None,
                    "secret_access_key": None,
                },
            },
        }
    ]


def test_a_broken_entry_has_its_problem() -> None:
    broken = BrokenApp("a", ("k",), "secret: missing")
    assert document_of(broken) == {"id": "a", "keys": [{"key": "k"}], "problem": "secret: missing"}


def test_a_document_without_secrets_can_be_read_again() -> None:
    app = App(
        id="a", keys=(Key("k", "s"),), max_connections=7, allowed_origins=("https://example.com",), history=(RULE,)
    )
    document = {name: value for name, value in document_of(app).items() if name in CHANGEABLE}
    assert read_document(json.dumps(document).encode(), CHANGEABLE) == {
        **{name: getattr(app, name) for name in limit_fields()},
        "webhooks": (),
        "history": app.history,
    }


def test_an_empty_body_is_an_empty_document() -> None:
    assert read_document(b" ", NEW) == {}


WRONG = [
    (b"{", "not valid JSON: expected a name in double quotes"),
    (b"[]", "must be a JSON object, not a list"),
    (b'"a"', "must be a JSON object, not text"),
    (b"{} {}", "not valid JSON: something follows the end of the value"),
    (b"\xff", "not valid JSON: the text is not valid UTF-8"),
    (b'{"id": "a", "id": "b"}', "id: given twice"),
    (b'{"max_connections": NaN}', "not valid JSON: not a number that JSON has"),
    (b'{"max_conections": 1}', "max_conections: no such field; did you mean max_connections?"),
    (b'{"enableClientMessages": true}', "enableClientMessages: no such field; did you mean client_events?"),
    (b'{"keys": []}', "keys: write one key and its secret, and add further keys by rotation"),
    (b'{"id": 5}', "put it in quotes"),
    (b'{"id": "a/b"}', "id: must be text of "),
    (b'{"key": "a:b"}', "key: must be text of "),
    (b'{"secret": ""}', "secret: must not be empty"),
    (b'{"secret": "a\\u0000"}', "secret: must not have control characters or broken Unicode in it"),
    (b'{"allowed_origins": "x"}', "allowed_origins: must be a list, not text"),
    (b'{"allowed_origins": [5]}', "allowed_origins[0]: must be text, not a number"),
    (b'{"webhooks": {}}', "webhooks: must be a list, not a table"),
    (b'{"defaults": ["max_conections"]}', "defaults[0]: max_conections: no such field; did you mean max_connections?"),
    (b'{"defaults": ["enabled", "secret"]}', "defaults[1]: secret: has no default"),
    (b'{"defaults": [5]}', "defaults[0]: must be the name of a field, not a number"),
    (b'{"defaults": ["enabled"], "enabled": true}', "enabled: has a value, and is in defaults: use one of both"),
    (b'{"webhooks": [{"url": "https://x"}]}', "webhooks[0]: must have event_types"),
    (
        b'{"webhooks": [{"url": "https://x", "event_types": ["member_added"], "headers": {"A": null}}]}',
        "webhooks[0].headers.A: is null: answers do not contain the secrets of webhooks",
    ),
    (
        b'{"webhooks": [{"lambda_function": "f", "lambda": {"client_options": {"access_key_id": null}}}]}',
        "webhooks[0].lambda.client_options.access_key_id: is null: ",
    ),
]


@pytest.mark.parametrize(("body", "problem"), WRONG)
def test_a_wrong_document_is_an_error_that_names_the_field(body: bytes, problem: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the text is compared
        read_document(body, NEW)
    assert problem in str(error.value)


VALUES = [None, "x", "", 0, -2, 1.5, 2**60, True, [], ["x"], {}, {"a": 1}]


@pytest.mark.parametrize("name", sorted({*NEW, *ROTATION}))
def test_every_field_names_itself_in_the_error_for_a_wrong_type(name: str) -> None:
    problems = [problem for value in VALUES if (problem := problem_of(name, value)) is not None]
    assert len(problems) >= 6
    assert all(problem.startswith(name) for problem in problems), problems


def problem_of(name: str, value: object) -> str | None:
    """Return the error for a value of a field, or None if the field takes the value."""
    try:
        read_document(json.dumps({name: value}).encode(), [*NEW, *ROTATION])
    except ValueError as error:
        return str(error)
    return None


@pytest.mark.parametrize("name", ["id", "key", "secret", "keys"])
def test_a_change_cannot_have_the_id_or_the_keys(name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}: "):
        read_document(json.dumps({name: "x"}).encode(), CHANGEABLE)


def test_the_error_of_a_rotation_guesses_among_its_fields() -> None:
    with pytest.raises(ValueError, match=r"end_at: no such field; did you mean ends_at\?"):
        read_document(b'{"end_at": 5}', ROTATION)


def test_the_error_for_a_secret_does_not_show_it() -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the text is compared
        read_document(b'{"secret": 7654321}', NEW)
    assert "7654321" not in str(error.value)
