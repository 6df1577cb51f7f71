"""The messages of clients: every accepted form and every reason for refusal. Nothing else is raised."""

import json
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from soketpy.protocol import events
from soketpy.protocol.errors import BadMessage, ConnectionRefused
from tests.protocol.anything import json_texts, nearly_events, nested

AUTH = "app-key:signature"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"event":"pusher:ping"}', events.PING),
        ('{"event":"pusher:ping","data":{}}', events.PING),
        ('{"event":"pusher:pong","data":"{}"}', events.PONG),
        ('{"event":"pusher:subscribe","data":{"channel":"news"}}', events.Subscribe("news")),
        (
            '{"event":"pusher:subscribe","data":{"channel":"private-a","auth":"k:s","channel_data":"{}"}}',
            events.Subscribe("private-a", "k:s", "{}"),
        ),
        (
            # pusher-js sends an empty auth along for public channels.
            '{"event":"pusher:subscribe","data":{"auth":"","channel":"news"}}',
            events.Subscribe("news", ""),
        ),
        ('{"event":"pusher:subscribe","data":{"channel":"news","auth":null}}', events.Subscribe("news")),
        ('{"event":"pusher:unsubscribe","data":{"channel":"news"}}', events.Unsubscribe("news")),
        ('{"event":"pusher:signin","data":{"auth":"k:s","user_data":"{}"}}', events.SignIn("k:s", "{}")),
        (
            '{"event":"client-said","channel":"private-a","data":{"a" : 1}}',
            events.ClientEvent("client-said", "private-a", b'{"a" : 1}'),
        ),
        ('{"event":"client-said","channel":"a","data":"text"}', events.ClientEvent("client-said", "a", b'"text"')),
        ('{"event":"client-said","channel":"a"}', events.ClientEvent("client-said", "a", b"null")),
        ('{"event":"client-","channel":"a","data":null}', events.ClientEvent("client-", "a", b"null")),
        ('{"event":"pusher:ping","something":"else"}', events.PING),
        (' \n{"event" : "pusher:ping"} ', events.PING),
    ],
)
def test_a_message_of_the_protocol_is_read(text: str, message: events.ClientMessage) -> None:
    assert events.parse(text.encode()) == message


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "The message is not a valid event"),
        ("hello", "The message is not a valid event"),
        ("[]", "The message is not a valid event: Expected `object`"),
        ("null", "The message is not a valid event: Expected `object`"),
        ("{}", "The message is not a valid event: Object missing required field `event`"),
        ('{"event":5}', "The message is not a valid event: Expected `str`, got `int`"),
        ('{"event":"client-a","channel":5}', "The message is not a valid event: Expected `str | null`, got `int`"),
        ('{"event":"pusher:ping"} x', "The message is not a valid event: trailing characters"),
        ('{"event":"client-a","channel":"a","data":"\x01"}', "The message is not a valid event: invalid character"),
        ('{"event":"client-a"}', "A client event needs a channel."),
        ('{"event":"pusher:subscribe"}', "The data of pusher:subscribe is not valid"),
        ('{"event":"pusher:subscribe","data":"{}"}', "The data of pusher:subscribe is not valid: Expected `object`"),
        ('{"event":"pusher:subscribe","data":{}}', "The data of pusher:subscribe is not valid: Object missing"),
        ('{"event":"pusher:subscribe","data":{"channel":["a"]}}', "The data of pusher:subscribe is not valid"),
        ('{"event":"pusher:subscribe","data":{"channel":7}}', "The data of pusher:subscribe is not valid"),
        ('{"event":"pusher:unsubscribe","data":null}', "The data of pusher:unsubscribe is not valid"),
        ('{"event":"said"}', "The server has no event named 'said'; client events start with client-."),
        ('{"event":"pusher:subscription_succeeded"}', "The server has no event named"),
        ('{"event":"pusher_internal:member_added"}', "The server has no event named"),
        ('{"event":"Client-said","channel":"a"}', "The server has no event named"),
        ('{"event":""}', "The server has no event named ''"),
    ],
)
def test_a_message_of_another_form_is_told_its_fault(text: str, reason: str) -> None:
    with pytest.raises(BadMessage) as fault:
        events.parse(text.encode())
    assert fault.value.message.startswith(reason)
    assert fault.value.code == 4300


@pytest.mark.parametrize(
    "data", ["null", "5", '"{}"', "{}", '{"auth":"k:s"}', '{"auth":"k:s","user_data":{"id":"1"}}', '{"auth":5}']
)
def test_a_malformed_sign_in_is_refused(data: str) -> None:
    with pytest.raises(ConnectionRefused, match="The data of pusher:signin is not valid") as fault:
        events.parse(b'{"event":"pusher:signin","data":' + data.encode() + b"}")
    assert fault.value.code == 4009


def test_a_long_name_is_quoted_in_part() -> None:
    with pytest.raises(BadMessage) as fault:
        events.parse(json.dumps({"event": "x" * 10_000}).encode())
    assert "x" * 50 + "…" in fault.value.message
    assert len(fault.value.message) < 200


def test_nesting_without_end_is_a_bad_message() -> None:
    with pytest.raises(BadMessage, match="it is truncated"):
        events.parse(b'{"event":"client-a","channel":"a","data":' + b"[" * 100_000)


def test_text_that_is_not_utf8_is_a_bad_message() -> None:
    with pytest.raises(BadMessage, match="it is not UTF-8"):
        events.parse(b'{"event":"pusher:subscribe","data":{"channel":"\xff"}}')


@given(st.binary() | json_texts | nearly_events)
@example(nested(100_000))
@example(b'{"event":"\\ud800"}')
def test_no_bytes_raise_anything_but_the_two_errors(text: bytes) -> None:
    with suppress(BadMessage, ConnectionRefused):
        assert isinstance(events.parse(text), events.ClientMessage)


@given(nearly_events)
def test_the_data_of_a_client_event_is_whole_json_and_is_not_touched(text: bytes) -> None:
    with suppress(BadMessage, ConnectionRefused):
        message = events.parse(text)
        if isinstance(message, events.ClientEvent):
            assert message.data in text or message.data == b"null"
            json.loads(message.data)


# Members


@pytest.mark.parametrize(
    ("channel_data", "member"),
    [
        ('{"user_id":"1"}', events.ChannelData("1", b"")),
        ('{"user_id":10,"user_info":{"name":"Mr. Channels"}}', events.ChannelData("10", b'{"name":"Mr. Channels"}')),
        ('{"user_id":-7}', events.ChannelData("-7", b"")),
        ('{"user_id":5.0}', events.ChannelData("5", b"")),
        ('{"user_id":1e3}', events.ChannelData("1000", b"")),
        ('{"user_id":1.5}', events.ChannelData("1.5", b"")),
        (r'{"user_id":"1","user_info":{"preview":"\ud83d"}}', events.ChannelData("1", rb'{"preview":"\ud83d"}')),
        (r'{"user\u005fid":"\u0031","user_info":1e999}', events.ChannelData("1", b"1e999")),
        ('{"user_id":"1","user_info":"\ud83d"}', events.ChannelData("1", rb'"\ud83d"')),
        ('{"user_id":"0","user_id":"1"}', events.ChannelData("1", b"")),
        ('{"user_id":123456789012345678901234567890}', events.ChannelData("123456789012345678901234567890", b"")),
        ('{"user_id":"1","user_info":null}', events.ChannelData("1", b"null")),
        ('{"user_id":"1","user_info": [1, "é"] ,"more":1}', events.ChannelData("1", '[1, "é"]'.encode())),
    ],
)
def test_a_member_is_read(channel_data: str, member: events.ChannelData) -> None:
    assert events.parse_member(channel_data) == member


@pytest.mark.parametrize(
    ("channel_data", "reason"),
    [
        ("", "The channel_data is not valid"),
        ("[]", "The channel_data is not valid: Expected `object`"),
        ("{}", "The channel_data is not valid: Object missing required field `user_id`"),
        ('{"user_id":null}', "The channel_data is not valid"),
        ('{"user_id":true}', "The channel_data is not valid"),
        ('{"user_id":["1"]}', "The channel_data is not valid"),
        ('{"user_id":""}', "The user_id of the channel_data is empty."),
        ('{"user_id":' + "9" * 5_000 + "}", "The channel_data is not valid"),
        ('{"user_id":"\ud800"}', "The channel_data is not valid: it is not UTF-8."),
        ('{"user_id":"1","user_info":' + "[" * 100_000, "The channel_data is not valid: it is truncated."),
    ],
)
def test_a_malformed_member_is_told_its_fault(channel_data: str, reason: str) -> None:
    with pytest.raises(ValueError, match="channel_data") as fault:
        events.parse_member(channel_data)
    assert str(fault.value).startswith(reason)


# Users


@pytest.mark.parametrize(
    ("user_data", "user"),
    [
        ('{"id":"12345"}', events.User("12345", b"", ())),
        ('{"id":"1","user_info":{"name":"Ada"}}', events.User("1", b'{"name":"Ada"}', ())),
        ('{"id":"1","watchlist":["2","3","2"]}', events.User("1", b"", ("2", "3"))),
        ('{"id":"1","watchlist":null}', events.User("1", b"", ())),
        ('{"id":1,"watchlist":[2,2.0,"2",1e3]}', events.User("1", b"", ("2", "1000"))),
        ('{"id":"1","watchlist":{"0":"a","2":5}}', events.User("1", b"", ("a", "5"))),
        ('{"id":"1","watchlist":{}}', events.User("1", b"", ())),
        (r'{"id":"1","user_info":"\ud83d"}', events.User("1", rb'"\ud83d"', ())),
    ],
)
def test_a_user_is_read(user_data: str, user: events.User) -> None:
    assert events.parse_user(user_data) == user


@pytest.mark.parametrize(
    ("user_data", "reason"),
    [
        ("", "The user_data is not valid"),
        ("{}", "The user_data is not valid: Object missing required field `id`"),
        ('{"id":[1]}', "The user_data is not valid: Expected `int | float | str`, got `array`"),
        ('{"id":1e999}', "The user_data is not valid: its id is a number out of range."),
        ('{"id":null}', "The user_data is not valid"),
        ('{"id":""}', "The id of the user_data is empty."),
        ('{"id":"1","watchlist":"2"}', "The user_data is not valid"),
        ('{"id":"1","watchlist":[null]}', "The user_data is not valid"),
        ('{"id":"1","watchlist":{"0":["2"]}}', "The user_data is not valid"),
        ('{"id":"\ud800"}', "The user_data is not valid: it is not UTF-8."),
        ('{"id":"1","user_info":' + "[" * 100_000, "The user_data is not valid: it is truncated."),
    ],
)
def test_a_malformed_user_is_told_its_fault(user_data: str, reason: str) -> None:
    with pytest.raises(ValueError, match="user_data") as fault:
        events.parse_user(user_data)
    assert str(fault.value).startswith(reason)


@given(st.text(st.characters(exclude_categories=[])) | json_texts.map(bytes.decode))
def test_no_text_makes_a_member_or_a_user_raise_anything_but_a_value_error(text: str) -> None:
    with suppress(ValueError):
        assert events.parse_member(text).user_id
    with suppress(ValueError):
        assert events.parse_user(text).id


@pytest.mark.parametrize("user_id", ["a\nb", "\x00", "a\x7f"])
def test_a_user_whom_no_channel_could_reach_is_refused(user_id: str) -> None:
    with pytest.raises(ValueError, match="control characters"):
        events.parse_user(json.dumps({"id": user_id}))
