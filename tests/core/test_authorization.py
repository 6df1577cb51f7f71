"""The checks that decide who may subscribe to a guarded channel or sign in."""

import json
from dataclasses import replace

import pytest

from soketpy.core.apps import App, Key
from soketpy.core.authorization import auth_holds, check_channel, member_of, user_of
from soketpy.protocol import events, signatures
from soketpy.protocol.errors import ConnectionRefused, SubscriptionRefused
from tests.fakes import APP, channel_auth, user_auth

PUSHER = App(id="3", keys=(Key("278d425bdf160c739803", "7ad3773142a6692b25b8"),))
ROTATED = replace(APP, keys=(Key("new-key", "new-secret"), *APP.keys))
SOCKET = "1234.1234"
ADA = events.User("ada", b'{"name":"Ada"}', ())


def subscribe(channel: str, auth: str | None, channel_data: str | None = None) -> events.Subscribe:
    return events.Subscribe(channel, auth, channel_data)


def test_pushers_example_of_a_private_channel_may_join() -> None:
    signature = "58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4"
    check_channel(PUSHER, SOCKET, subscribe("private-foobar", f"278d425bdf160c739803:{signature}"))


def test_pushers_example_of_a_user_may_sign_in() -> None:
    signature = "4708d583dada6a56435fb8bc611c77c359a31eebde13337c16ab43aa6de336ba"
    request = events.SignIn(f"278d425bdf160c739803:{signature}", '{"id":"12345"}')
    assert user_of(PUSHER, SOCKET, request) == events.User("12345", b"", ())


def test_every_key_of_an_app_signs() -> None:
    for key in ROTATED.keys:
        auth = f"{key.key}:{signatures.sign(key.secret, 'text')}"
        assert auth_holds(ROTATED, auth, "text")


def test_the_secret_of_one_key_does_not_sign_for_another() -> None:
    assert not auth_holds(ROTATED, f"new-key:{signatures.sign('app-secret', 'text')}", "text")


GOOD = channel_auth(SOCKET, "private-a")


@pytest.mark.parametrize(
    "auth",
    [
        None,
        "",
        ":",
        "app-key",
        "app-key:",
        GOOD.removeprefix("app-key:"),
        GOOD.replace("app-key", "other-key"),
        GOOD.upper(),
        GOOD + "0",
        GOOD + ":0",
        " " + GOOD,
        "app-key:" + "é" * 64,
        "app-key:\x00",
        channel_auth("1.1", "private-a"),
        channel_auth(SOCKET, "private-b"),
        channel_auth(SOCKET, "private-a", "{}"),
    ],
)
def test_a_channel_is_not_joined_without_its_own_signature(auth: str | None) -> None:
    check_channel(APP, SOCKET, subscribe("private-a", GOOD))
    with pytest.raises(SubscriptionRefused) as refused:
        check_channel(APP, SOCKET, subscribe("private-a", auth))
    assert (refused.value.type, refused.value.status) == ("AuthError", 401)


def test_channel_data_is_part_of_what_is_signed_on_a_private_channel_too() -> None:
    check_channel(APP, SOCKET, subscribe("private-a", channel_auth(SOCKET, "private-a", "{}"), "{}"))
    with pytest.raises(SubscriptionRefused):
        check_channel(APP, SOCKET, subscribe("private-a", GOOD, "{}"))


def test_a_refusal_says_what_should_have_been_signed_but_not_the_right_signature() -> None:
    with pytest.raises(SubscriptionRefused) as refused:
        check_channel(APP, SOCKET, subscribe("private-a", "app-key:0"))
    assert "digest of 1234.1234:private-a, " in refused.value.message
    assert GOOD.removeprefix("app-key:") not in refused.value.message
    assert "app-secret" not in refused.value.message


def test_what_should_have_been_signed_is_quoted_in_part_where_it_is_long() -> None:
    with pytest.raises(SubscriptionRefused) as refused:
        check_channel(APP, SOCKET, subscribe("presence-a", "app-key:0", "x" * 10_000))
    assert len(refused.value.message) < 500


# Members


def test_the_channel_data_says_who_joins() -> None:
    request = subscribe("presence-a", "", '{"user_id":10,"user_info":{"name":"Mr. Channels"}}')
    assert member_of(APP, ADA, request) == events.ChannelData("10", b'{"name":"Mr. Channels"}')


def test_without_channel_data_the_signed_in_user_joins() -> None:
    assert member_of(APP, ADA, subscribe("presence-a", "")) == events.ChannelData("ada", b'{"name":"Ada"}')


@pytest.mark.parametrize("channel_data", [None, "", "x", "{}", '{"user_id":null}', '{"user_id":""}'])
def test_a_member_that_is_none_is_refused(channel_data: str | None) -> None:
    with pytest.raises(SubscriptionRefused) as refused:
        member_of(APP, None, subscribe("presence-a", "", channel_data))
    assert (refused.value.type, refused.value.status) == ("AuthError", 401)


@pytest.mark.parametrize("user", [None, ADA])
def test_an_id_or_info_up_to_the_limit_may_join(user: events.User | None) -> None:
    app = replace(APP, max_user_id_length=3, max_presence_member_size_in_kb=14 / 1024)
    data = json.dumps({"user_id": "é" * 3, "user_info": "é" * 6}, ensure_ascii=False)
    assert member_of(app, user, subscribe("presence-a", "", data)).user_id == "ééé"


@pytest.mark.parametrize(
    ("auth", "reason"),
    [
        ("app-key:0000", f"Invalid signature: Expected HMAC SHA256 hex digest of {SOCKET}:private-a, but got 0000"),
        ("other:0000", "Invalid key in subscription auth data: 'other'"),
        ("0000", "Auth value for subscription to private-a is invalid: should be of format 'key:signature'"),
        ("app-key:", "Auth value for subscription to private-a is invalid: should be of format 'key:signature'"),
    ],
)
def test_a_refused_auth_is_explained_in_pushers_words(auth: str, reason: str) -> None:
    with pytest.raises(SubscriptionRefused) as refused:
        check_channel(APP, SOCKET, subscribe("private-a", auth))
    assert refused.value.message == reason


@pytest.mark.parametrize(
    ("member", "status", "reason"),
    [
        ({"user_id": "adas"}, 4009, "A user_id may have 3 characters at most."),
        ({"user_id": 1234}, 4009, "A user_id may have 3 characters at most."),
        ({"user_id": "ada", "user_info": "é" * 7 + "e"}, 4301, "The user_info has 15 bytes; the app allows 14."),
    ],
)
def test_an_id_or_info_over_the_limit_is_refused(member: object, status: int, reason: str) -> None:
    app = replace(APP, max_user_id_length=3, max_presence_member_size_in_kb=14 / 1024)
    with pytest.raises(SubscriptionRefused) as refused:
        member_of(app, None, subscribe("presence-a", "", json.dumps(member, ensure_ascii=False)))
    assert (refused.value.type, refused.value.status, refused.value.message) == ("LimitReached", status, reason)


def test_the_limits_hold_for_the_signed_in_user_too() -> None:
    with pytest.raises(SubscriptionRefused, match="The user_info has 14 bytes; the app allows 10"):
        member_of(replace(APP, max_presence_member_size_in_kb=10 / 1024), ADA, subscribe("presence-a", ""))


# Users


def signed(user_data: str) -> events.SignIn:
    return events.SignIn(user_auth(SOCKET, user_data), user_data)


def test_a_user_is_who_the_user_data_says() -> None:
    user = user_of(APP, SOCKET, signed('{"id":"1","user_info":{"a":1},"watchlist":["2"]}'))
    assert user == events.User("1", b'{"a":1}', ("2",))


@pytest.mark.parametrize(
    "sign_in",
    [
        events.SignIn("", '{"id":"1"}'),
        events.SignIn("app-key:0", '{"id":"1"}'),
        events.SignIn(user_auth(SOCKET, '{"id":"1"}'), '{"id":"2"}'),
        events.SignIn(user_auth("1.1", '{"id":"1"}'), '{"id":"1"}'),
        # The signature of a channel does not sign anybody in.
        events.SignIn(channel_auth(SOCKET, ":user", '{"id":"1"}').replace("::", ":"), '{"id":"1"}'),
        signed(""),
        signed("{}"),
        signed('{"id":""}'),
        signed('{"id":true}'),
        signed(json.dumps({"id": "x" * 129})),
    ],
)
def test_a_bad_sign_in_is_4009(sign_in: events.SignIn) -> None:
    with pytest.raises(ConnectionRefused) as refused:
        user_of(APP, SOCKET, sign_in)
    assert refused.value.code == 4009


def test_a_user_id_may_be_as_long_as_the_app_allows() -> None:
    assert user_of(APP, SOCKET, signed(json.dumps({"id": "x" * 128}))).id == "x" * 128
