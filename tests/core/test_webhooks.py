"""Webhooks and their filters: the values that a program may give, and the events that a webhook wants."""

import pickle
import re
from dataclasses import replace
from typing import Any

import pytest

from soketpy import App, Filter, Key, Webhook
from soketpy.core.webhook_headers import LONGEST, MOST
from soketpy.core.webhooks import LambdaOptions
from soketpy.protocol.event_types import EVENT_TYPES, EventType

URL = "https://example.com/hooks/hidden-token"
OCCUPIED = ("channel_occupied",)
HOOK = Webhook(url=URL, event_types=OCCUPIED, headers={"Authorization": "Bearer hidden"})


def test_a_webhook_takes_a_list_of_events_and_a_mapping_of_headers() -> None:
    webhook = Webhook(url=URL, event_types=["channel_occupied"], headers={"Authorization": "Bearer hidden"})
    assert webhook == HOOK
    assert hash(webhook) == hash(HOOK)
    assert webhook.event_types == OCCUPIED
    assert dict(webhook.headers) == {"Authorization": "Bearer hidden"}


def test_a_changed_mapping_does_not_change_the_webhook() -> None:
    headers = {"X-A": "1"}
    webhook = Webhook(url=URL, event_types=OCCUPIED, headers=headers)
    headers["X-B"] = "2"
    assert dict(webhook.headers) == {"X-A": "1"}


def test_an_event_that_is_named_twice_or_as_a_constant_is_the_same_event() -> None:
    assert Webhook(url=URL, event_types=[EventType.CHANNEL_OCCUPIED, *OCCUPIED]).event_types == OCCUPIED


def test_neither_the_headers_nor_the_path_of_the_url_are_shown() -> None:
    app = App(id="1", keys=(Key("k", "s"),), webhooks=(HOOK,))
    for shown in (repr(HOOK), str(HOOK), repr(app), repr(HOOK.headers), str(HOOK.headers)):
        assert "hidden" not in shown
    assert "example.com" in repr(HOOK)


def test_a_webhook_reaches_another_process() -> None:
    again = pickle.loads(pickle.dumps(HOOK))
    assert (again, again.id, dict(again.headers)) == (HOOK, HOOK.id, dict(HOOK.headers))


def test_the_id_depends_on_the_target_the_events_and_the_filter_only() -> None:
    same = replace(HOOK, headers={}, batching=True)
    others = [
        replace(HOOK, url="https://example.com/other"),
        replace(HOOK, event_types=EVENT_TYPES),
        replace(HOOK, filter=Filter(channel_name_starts_with="a")),
        Webhook(lambda_function="f", event_types=OCCUPIED),
        Webhook(lambda_function="f", lambda_=LambdaOptions(region="eu-west-1"), event_types=OCCUPIED),
    ]
    assert same.id == HOOK.id
    assert len({HOOK.id, *(each.id for each in others)}) == 1 + len(others)


WRONG_TYPES: list[tuple[dict[str, Any], str]] = [
    ({"url": 1}, "Webhook.url must be a str or None, not int"),
    ({"event_types": "channel_occupied"}, "Webhook.event_types must be a list or tuple of str, not str"),
    ({"event_types": [1]}, "Webhook.event_types must be a list or tuple of str, not of int"),
    ({"filter": {"channel_name_starts_with": "a"}}, "Webhook.filter must be a Filter, not dict"),
    ({"headers": [("X-A", "hidden")]}, "Webhook.headers must be a Mapping, not list"),
    ({"headers": {"X-A": 1}}, "Webhook.headers must be a mapping of str to str"),
    ({"headers": {1: "hidden"}}, "Webhook.headers must be a mapping of str to str"),
    ({"batching": "yes"}, "Webhook.batching must be True or False or None, not str"),
]
HTTP = "Webhook.url: must be an http:// or https:// URL"
ASCII = "must be printable ASCII characters, without a space at its beginning or end"
WRONG_VALUES: list[tuple[dict[str, Any], str]] = [
    ({"url": None}, "Webhook must have either a url or a lambda_function"),
    ({"lambda_function": "f"}, "Webhook must have either a url or a lambda_function"),
    ({"url": ""}, "Webhook.url must not be empty"),
    ({"url": "ftp://example.com/hidden"}, f"{HTTP} with a host"),
    ({"url": "example.com/hidden"}, f"{HTTP} with a host"),
    ({"url": "http:///hidden"}, f"{HTTP} with a host"),
    ({"url": "http://[hidden"}, "Webhook.url: must be a valid http:// or https:// URL"),
    ({"url": "http://a:hidden/"}, "Webhook.url: must have a port from 0 to 65535"),
    ({"url": "https://a:hidden@a"}, "Webhook.url: must not contain a user or a password: write them in headers"),
    ({"url": "https://a/hidden\n"}, "Webhook.url: must not have control characters or broken Unicode in it"),
    ({"url": "https://a/hidden b"}, "Webhook.url: must not contain spaces"),
    ({"url": f"https://a/{'a' * 2048}"}, "Webhook.url: must have at most 2048 characters"),
    ({"event_types": []}, "Webhook.event_types must have at least one event type"),
    ({"event_types": ["occupied"]}, f"Webhook.event_types[0]: must be {', '.join(EVENT_TYPES[:-1])} or unsubscribed"),
    ({"headers": {"a b": "hidden"}}, "Webhook.headers: 'a b' is not the name of a header"),
    ({"headers": {"": "hidden"}}, "Webhook.headers: '' is not the name of a header"),
    ({"headers": {"X-A\r\nX-B": "hidden"}}, r"Webhook.headers: 'X-A\r\nX-B' is not the name of a header"),
    ({"headers": {"host": "hidden"}}, "Webhook.headers: 'host' is set by the server itself"),
    ({"headers": {"Content-Length": "1"}}, "Webhook.headers: 'Content-Length' is set by the server itself"),
    ({"headers": {"X-Pusher-Signature": "1"}}, "Webhook.headers: 'X-Pusher-Signature' is set by the server itself"),
    ({"headers": {"x-soketpy-delivery": "1"}}, "Webhook.headers: 'x-soketpy-delivery' is set by the server itself"),
    ({"headers": {"X-A": "hidden\r\nHost: a"}}, f"Webhook.headers['X-A'] {ASCII}"),
    ({"headers": {"X-A": "hidden\x00"}}, f"Webhook.headers['X-A'] {ASCII}"),
    ({"headers": {"X-A": " hidden"}}, f"Webhook.headers['X-A'] {ASCII}"),
    ({"headers": {"X-A": "hiddén"}}, f"Webhook.headers['X-A'] {ASCII}"),
    ({"headers": {"X-A": ""}}, "Webhook.headers['X-A'] must not be empty"),
    ({"headers": {"X-A": "h" * (LONGEST + 1)}}, f"Webhook.headers['X-A'] must have at most {LONGEST} characters"),
    ({"headers": {"X-A": "hidden", "x-a": "hidden"}}, "Webhook.headers: 'x-a' is given twice"),
    ({"headers": {f"X-{at}": "h" for at in range(MOST + 1)}}, f"Webhook.headers must have at most {MOST} headers"),
]


@pytest.mark.parametrize(("given", "said"), WRONG_TYPES)
def test_a_webhook_with_a_value_of_another_type_cannot_be_made(given: dict[str, Any], said: str) -> None:
    with pytest.raises(TypeError) as fault:
        Webhook(**{"url": URL, "event_types": OCCUPIED, **given})
    assert str(fault.value) == said


@pytest.mark.parametrize(("given", "said"), WRONG_VALUES)
def test_a_webhook_with_a_value_that_cannot_work_cannot_be_made(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(said)}") as fault:
        Webhook(**{"url": URL, "event_types": OCCUPIED, **given})
    assert "hidden" not in str(fault.value)


@pytest.mark.parametrize("text", ["", 1, "a\x00"])
def test_a_condition_of_a_filter_is_some_text(text: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^Filter\.channel_name_starts_with"):
        Filter(channel_name_starts_with=text)


def test_an_app_with_the_same_webhook_twice_cannot_be_made() -> None:
    again = replace(HOOK, headers={})
    said = r"^App\.webhooks\[1\] has the target, event types and filter of an earlier webhook$"
    with pytest.raises(ValueError, match=said):
        App(id="1", keys=(Key("k", "s"),), webhooks=(HOOK, again))


def test_an_app_takes_a_list_of_webhooks_and_no_others() -> None:
    keys = (Key("k", "s"),)
    assert App(id="1", keys=keys, webhooks=[HOOK]).webhooks == (HOOK,)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^App\.webhooks must be a list or tuple of Webhook, not of dict$"):
        App(id="1", keys=keys, webhooks=[{"url": URL}])  # type: ignore[arg-type]
