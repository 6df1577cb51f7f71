"""Events of publishers, checked against the limits of the app."""

import json
import sys
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from soketpy.core import triggers
from soketpy.core.triggers import Trigger, TriggerRefused
from soketpy.web.errors import of_trigger
from tests.fakes import APP
from tests.protocol.anything import json_texts, json_values


def check(app: object = APP, **fields: object) -> Trigger:
    """A trigger with these fields in place of a good event's; None for one that is left out."""
    event = {"name": "said", "channel": "news", "data": "{}", **fields}
    body = json.dumps({name: value for name, value in event.items() if value is not None}).encode()
    return triggers.check(triggers.parse_event(body), APP if app is None else app)  # type: ignore[arg-type]


def refusal(**fields: object) -> tuple[int, str]:
    with pytest.raises(TriggerRefused) as refused:
        check(**fields)
    return int(of_trigger(refused.value).status), refused.value.reason


def test_an_event_is_read() -> None:
    body = rb'{"name":"said","channels":["a","b"],"data":"{\"a\":1}","socket_id":"1.2","info":"user_count"}'
    trigger = triggers.check(triggers.parse_event(body), APP)
    assert trigger == Trigger("said", rb'"{\"a\":1}"', ("a", "b"), "1.2", ("user_count",))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"x",
        b"null",
        b"[]",
        b"{}",
        b'{"name":"said","channel":"a"}',
        b'{"name":5,"channel":"a","data":""}',
        b'{"name":"said","channel":5,"data":""}',
        b'{"name":"said","channels":"a","data":""}',
        b'{"name":"said","channels":[5],"data":""}',
        b'{"name":"said","channel":"a","data":"","socket_id":5}',
        b'{"name":"said","channel":"a","data":"","info":["user_count"]}',
        b'{"name":"said","channel":"a","data":"\xff"}',
        b'{"name":"said","channel":"a","data":"\x00"}',
        b'{"name":"said","channel":"a","data":' + b"[" * 100_000,
        b'{"name":"said","channel":"a","data":""} x',
    ],
)
def test_a_body_of_another_form_is_400(body: bytes) -> None:
    for parse in (triggers.parse_event, triggers.parse_batch):
        with pytest.raises(TriggerRefused, match="The body is not valid") as refused:
            parse(body if parse is triggers.parse_event else b'{"batch":[' + body + b"]}" * bool(body))
        assert of_trigger(refused.value).status == HTTPStatus.BAD_REQUEST


def test_a_batch_that_is_none_is_400() -> None:
    with pytest.raises(TriggerRefused, match="Object missing required field `batch`"):
        triggers.parse_batch(b"{}")


@pytest.mark.parametrize("batch", ["5", "{}", '"x"', "null"])
def test_a_batch_that_is_no_list_is_400_whatever_else_is_in_the_body(batch: str) -> None:
    for more in ("", '"more":"\\ud83d",'):
        with pytest.raises(TriggerRefused, match="The body is not valid") as refused:
            triggers.parse_batch(f'{{{more}"batch":{batch}}}'.encode())
        assert of_trigger(refused.value).status == HTTPStatus.BAD_REQUEST


# Data


@pytest.mark.parametrize(
    "literal",
    [rb'"{\"some\" : \"data\"}"', rb'"\u00e9\/\n"', '"é"'.encode(), b'""', b'"not JSON"'],
)
def test_the_data_of_an_event_stays_byte_for_byte(literal: bytes) -> None:
    body = triggers.parse_event(b'{"name":"said","channel":"a", "data" :  ' + literal + b" }")
    assert triggers.check(body, APP).data == literal


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ('{ "a" : [1, 2.50, null] }', '{"a":[1,2.50,null]}'),
        ("[]", "[]"),
        ("1e999", "1e999"),
        ("null", "null"),
        ("true", "true"),
        ('{"a":"\\u00e9 \\""}', '{"a":"\\u00e9 \\""}'),
    ],
)
def test_data_that_is_no_string_is_sent_as_its_compact_text(data: str, text: str) -> None:
    body = triggers.parse_event(f'{{"name":"said","channel":"a","data":{data}}}'.encode())
    assert json.loads(triggers.check(body, APP).data) == text


@pytest.mark.parametrize("data", [rb'"\q"', b'"', b"[", b"{]", b""])
def test_data_that_is_no_json_is_400_whoever_read_it(data: bytes) -> None:
    with pytest.raises(TriggerRefused, match="The body is not valid") as refused:
        triggers.check(triggers.Body(name="said", data=msgspec.Raw(data), channel="news"), APP)
    assert of_trigger(refused.value).status == HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize(
    ("data", "size"),
    [("x" * 1025, 1025), ("é" * 513, 1026), ({"a": "x" * 1017}, 1025), ({"a": "é" * 1000}, 2008)],
)
def test_data_over_the_limit_is_413_and_says_both_sizes(data: object, size: int) -> None:
    status, reason = refusal(app=replace(APP, max_event_payload_in_kb=1), data=data)
    assert status == 413
    assert "The data content of this event exceeds the allowed maximum (1024 bytes)" in reason  # Pusher's text
    assert f"The event data has {size} bytes; the app allows 1024." in reason


@pytest.mark.parametrize("data", ["x" * 1024, "é" * 512, "\n" * 1024, {"a": "x" * 1016}])
def test_data_up_to_the_limit_passes_counted_as_subscribers_read_it(data: object) -> None:
    assert check(app=replace(APP, max_event_payload_in_kb=1), data=data)


def test_data_of_100_kib_passes_by_default_and_one_byte_more_does_not() -> None:
    assert check(data="x" * 102_400)
    assert refusal(data="x" * 102_401)[0] == 413


# Names and socket ids


def test_an_event_name_has_its_limit() -> None:
    assert check(name="é" * 200)
    assert refusal(name="é" * 201) == (400, "The event name is longer than the allowed 200 characters.")
    assert refusal(name="") == (400, "The event name is empty.")


@pytest.mark.parametrize("socket_id", ["", "1", "1.", ".1", "1.2.3", "1.2\n", "a.b", "-1.2", " 1.2", "١.١"])
def test_a_socket_id_has_its_form(socket_id: str) -> None:
    assert check(socket_id="1.2").socket_id == "1.2"
    assert refusal(socket_id=socket_id) == (400, "The socket_id is not of the form N.N.")


# Channels


def test_an_event_without_a_channel_is_400() -> None:
    assert refusal(channel=None) == (400, "The event has no channel.")
    assert refusal(channels=[]) == (400, "The event has no channel.")


def test_an_event_goes_to_each_channel_once_and_in_order() -> None:
    assert check(channels=["b", "a", "b"]).channels == ("b", "a")


def test_an_event_has_its_limit_of_channels() -> None:
    assert len(check(channels=[f"c{number}" for number in range(100)]).channels) == 100
    reason = "An event may go to 100 channels at most; this one names 101."
    assert refusal(channels=[f"c{number}" for number in range(101)]) == (400, reason)


@pytest.mark.parametrize("name", ["", "a b", "#a", "é", "x" * 201])
def test_one_bad_channel_refuses_the_event(name: str) -> None:
    status, reason = refusal(channels=["good", name])
    assert status == 400
    assert "channel name" in reason


def test_the_longest_channel_name_is_the_apps_setting() -> None:
    assert refusal(app=replace(APP, max_channel_name_length=3))[0] == 400


def test_an_encrypted_channel_is_alone_in_its_event() -> None:
    assert check(channels=["private-encrypted-a"])
    assert check(channels=["private-encrypted-a", "private-encrypted-a"]).channels == ("private-encrypted-a",)
    reason = "An event for an encrypted channel cannot go to further channels."
    for other in ("a", "private-encrypted-b"):
        assert refusal(channels=[other, "private-encrypted-a"]) == (400, reason)
    assert refusal(channels=["a", "private-encrypted-cache-a"]) == (400, reason)


def test_the_channel_of_a_user_is_one_to_trigger_on() -> None:
    assert check(channel="#server-to-user-1").channels == ("#server-to-user-1",)


# Info


@pytest.mark.parametrize(
    ("info", "attributes"),
    [
        (None, ()),
        ("", ()),
        ("user_count", ("user_count",)),
        ("user_count,subscription_count", ("user_count", "subscription_count")),
        (" user_count , ", ("user_count",)),
    ],
)
def test_info_is_a_list_of_attributes(info: str | None, attributes: tuple[str, ...]) -> None:
    assert triggers.parse_info(info) == attributes


def test_an_unknown_attribute_is_400_and_is_told_the_known() -> None:
    reason = "The info attribute 'cache' is unknown; there are user_count, subscription_count."
    assert refusal(info="user_count,cache") == (400, reason)
    assert triggers.parse_info("cache", ("cache",)) == ("cache",)


# Batches


def check_batch(*events: dict[str, object]) -> list[Trigger]:
    good = {"name": "said", "channel": "news", "data": "{}"}
    body = json.dumps({"batch": [{**good, **event} for event in events]}).encode()
    return triggers.check_batch(triggers.parse_batch(body), APP)


def batch_refusal(*events: dict[str, object]) -> tuple[int, str]:
    with pytest.raises(TriggerRefused) as refused:
        check_batch(*events)
    return int(of_trigger(refused.value).status), refused.value.reason


def test_a_batch_keeps_its_order() -> None:
    assert [trigger.channels for trigger in check_batch({"channel": "b"}, {"channel": "a"})] == [("b",), ("a",)]


def test_a_batch_has_its_limit() -> None:
    assert len(check_batch(*[{}] * 10)) == 10
    assert batch_refusal(*[{}] * 11) == (400, "Batch too large. A batch may hold 10 events at most; this one holds 11.")
    assert batch_refusal() == (400, "The batch is empty.")


def test_one_bad_event_refuses_the_batch_and_is_numbered() -> None:
    assert batch_refusal({}, {"name": ""}) == (400, "Event 1 of the batch: The event name is empty.")
    assert batch_refusal({"data": "x" * 102_401}, {})[0] == 413


def test_an_event_of_a_batch_has_one_channel() -> None:
    reason = "Event 0 of the batch: An event of a batch goes to one channel, given as channel."
    assert batch_refusal({"channels": ["a"]}) == (400, reason)


# Whatever may come


def test_data_of_any_depth_is_taken_or_refused() -> None:
    taken = set()
    for depth in range(1, sys.getrecursionlimit() + 1):
        body = b'{"name":"said","channel":"news","data":' + b"[" * depth + b"]" * depth + b"}"
        try:
            taken.add(len(json.loads(triggers.check(triggers.parse_event(body), APP).data)) // 2)
        except TriggerRefused as refused:
            assert refused.reason == "The body is not valid: it is nested too deeply."  # noqa: PT017
    assert taken == set(range(1, max(taken) + 1))


nearly_bodies = st.fixed_dictionaries(
    {"name": st.just("said") | json_values, "data": json_values},
    optional={
        "channel": st.just("news") | json_values,
        "channels": st.lists(st.just("news") | json_values, max_size=3),
        "socket_id": st.just("1.2") | json_values,
        "info": st.just("user_count") | json_values,
    },
)


@given(st.binary() | json_texts | nearly_bodies.map(lambda body: json.dumps(body).encode()))
@example(b'{"name":"said","channel":"a","data":' + b"[" * 990 + b"]" * 990 + b"}")
@example(b'{"name":"said","channel":"a","data":' + b'{"a":' * 990 + b"1" + b"}" * 990 + b"}")
def test_no_body_raises_anything_but_a_request_error(body: bytes) -> None:
    with suppress(TriggerRefused):
        trigger = triggers.check(triggers.parse_event(body), APP)
        assert isinstance(json.loads(trigger.data), str)


@given(
    st.binary()
    | json_texts
    | st.lists(nearly_bodies, max_size=3).map(lambda bodies: json.dumps({"batch": bodies}).encode())
)
def test_no_batch_raises_anything_but_a_request_error(body: bytes) -> None:
    with suppress(TriggerRefused):
        assert triggers.check_batch(triggers.parse_batch(body), APP)
