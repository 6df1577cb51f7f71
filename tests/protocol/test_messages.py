"""The messages of the server, byte for byte: strings inside JSON are Pusher's "double encoding"."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soketpy.protocol import messages
from soketpy.protocol.ids import NumericId
from soketpy.protocol.messages import Message

DATA = rb'"{\"a\" : 1}"'

# Every message, and the text that it has on the wire.
TEXTS = [
    (
        messages.connection_established("1.2", 120),
        r'{"event":"pusher:connection_established","data":"{\"socket_id\":\"1.2\",\"activity_timeout\":120}"}',
    ),
    (
        messages.connection_established("1.2", 0.5),
        r'{"event":"pusher:connection_established","data":"{\"socket_id\":\"1.2\",\"activity_timeout\":0.5}"}',
    ),
    (messages.error(4009, "no"), '{"event":"pusher:error","data":{"code":4009,"message":"no"}}'),
    (
        messages.error(4301, "no", "private-a"),
        '{"event":"pusher:error","channel":"private-a","data":{"code":4301,"message":"no"}}',
    ),
    (messages.PING, '{"event":"pusher:ping","data":"{}"}'),
    (messages.PONG, '{"event":"pusher:pong","data":{}}'),
    (
        messages.subscription_succeeded("news"),
        '{"event":"pusher_internal:subscription_succeeded","channel":"news","data":"{}"}',
    ),
    (
        messages.subscription_error("private-a", "AuthError", 401, "no"),
        '{"event":"pusher:subscription_error","channel":"private-a",'
        '"data":{"type":"AuthError","error":"no","status":401}}',
    ),
    (
        messages.internal_subscription_error("private-a", "AuthError", 401, "no"),
        '{"event":"pusher_internal:subscription_error","channel":"private-a",'
        '"data":{"type":"AuthError","error":"no","status":401}}',
    ),
    (
        messages.member_added("presence-a", rb"\"1\"", rb"{\"name\":\"Ada\"}"),
        r'{"event":"pusher_internal:member_added","channel":"presence-a",'
        r'"data":"{\"user_id\":\"1\",\"user_info\":{\"name\":\"Ada\"}}"}',
    ),
    (
        messages.member_added("presence-a", rb"\"1\"", b""),
        r'{"event":"pusher_internal:member_added","channel":"presence-a","data":"{\"user_id\":\"1\"}"}',
    ),
    (
        messages.member_removed("presence-a", rb"\"1\""),
        r'{"event":"pusher_internal:member_removed","channel":"presence-a","data":"{\"user_id\":\"1\"}"}',
    ),
    (
        messages.subscription_count("news", 7),
        r'{"event":"pusher_internal:subscription_count","channel":"news","data":"{\"subscription_count\":7}"}',
    ),
    (messages.cache_miss("cache-a"), '{"event":"pusher:cache_miss","channel":"cache-a","data":"{}"}'),
    (
        messages.signin_success('{"id":"1"}'),
        r'{"event":"pusher:signin_success","data":{"user_data":"{\"id\":\"1\"}"}}',
    ),
    (
        messages.watchlist_events(["1"], ["2", "3"]),
        r'{"event":"pusher_internal:watchlist_events","data":"{\"events\":['
        r"{\"name\":\"online\",\"user_ids\":[\"1\"]},{\"name\":\"offline\",\"user_ids\":[\"2\",\"3\"]}]}"
        '"}',
    ),
    (
        messages.watchlist_events([], ["2"]),
        r'{"event":"pusher_internal:watchlist_events","data":"{\"events\":['
        r"{\"name\":\"offline\",\"user_ids\":[\"2\"]}]}"
        '"}',
    ),
    (messages.event("news", "said", DATA), r'{"event":"said","channel":"news","data":"{\"a\" : 1}"}'),
    (
        messages.event("presence-a", "client-said", b'{"a" : 1}', "7"),
        '{"event":"client-said","channel":"presence-a","data":{"a" : 1},"user_id":"7"}',
    ),
    (
        messages.event("presence-a", "client-said", b'{"a" : 1}', NumericId("7")),
        '{"event":"client-said","channel":"presence-a","data":{"a" : 1},"user_id":7}',
    ),
    (messages.event("news", "\ud83d", b"1"), r'{"event":"\ud83d","channel":"news","data":1}'),
]


@pytest.mark.parametrize(("message", "text"), TEXTS, ids=lambda value: value[10:60] if isinstance(value, str) else "")
def test_a_message_is_this_text(message: Message, text: str) -> None:
    assert message.text.decode() == text
    assert json.loads(text)


@pytest.mark.parametrize("message", [message for message, _ in TEXTS])
def test_the_frame_of_a_message_carries_its_text(message: Message) -> None:
    assert message.frame[0] == 0x81
    assert message.frame.endswith(message.text)


def test_a_roster_tells_ids_infos_and_count() -> None:
    members = [(rb"\"1\"", rb"{\"name\":\"Ada\"}"), (rb"\"2\"", b"")]
    message = json.loads(messages.subscription_succeeded("presence-a", messages.roster(members)).text)
    assert json.loads(message["data"]) == {
        "presence": {"ids": ["1", "2"], "hash": {"1": {"name": "Ada"}, "2": None}, "count": 2}
    }


def test_the_roster_of_an_empty_channel_is_empty() -> None:
    assert json.loads(json.loads(b'"' + messages.roster([]) + b'"')) == {
        "presence": {"ids": [], "hash": {}, "count": 0}
    }


texts = st.text()
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(texts, texts, values, texts)
def test_whatever_a_name_holds_an_event_is_one_json_object(channel: str, name: str, data: object, user_id: str) -> None:
    message = messages.event(channel, name, json.dumps(data).encode(), user_id)
    assert json.loads(message.text) == {"event": name, "channel": channel, "data": data, "user_id": user_id}


@given(texts, values)
def test_whatever_members_tell_of_themselves_survives_the_double_encoding(user_id: str, info: object) -> None:
    escaped_id = messages.escape(messages.literal(user_id))
    escaped_info = messages.escape(json.dumps(info).encode())
    added = json.loads(messages.member_added("presence-a", escaped_id, escaped_info).text)
    assert json.loads(added["data"]) == {"user_id": user_id, "user_info": info}
    greeted = json.loads(b'"' + messages.roster([(escaped_id, escaped_info)]) + b'"')
    assert json.loads(greeted)["presence"]["hash"] == {user_id: info}
