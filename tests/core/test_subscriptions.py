"""Subscribing and unsubscribing."""

from dataclasses import replace
from typing import Any

import pytest

from tests.fakes import APP, Client, House, channel_auth

pytestmark = pytest.mark.usefixtures("nodes")

SUCCEEDED = "pusher_internal:subscription_succeeded"


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
def client(house: House) -> Client:
    return house.connect()


def refusal(client: Client) -> dict[str, Any]:
    """The data of the one answer that was heard; the connection has stayed."""
    [answer] = client.take()
    assert answer["event"] == "pusher:subscription_error"
    assert client.closed is None
    data: dict[str, Any] = answer["data"]
    assert data["error"]
    return data


@pytest.mark.parametrize("channel", ["news", "private-a", "private-encrypted-a"])
def test_a_subscription_is_answered_with_empty_data(client: Client, channel: str) -> None:
    client.subscribe(channel)
    assert client.take() == [{"event": SUCCEEDED, "channel": channel, "data": {}}]


def test_the_empty_data_is_a_string(client: Client) -> None:
    client.subscribe("news")
    assert b'"data":"{}"' in client.transport.frames[0]


def test_a_public_channel_asks_for_no_auth_and_minds_none(client: Client) -> None:
    client.subscribe("news", auth="nonsense")
    assert client.heard() == ["subscription_succeeded"]


@pytest.mark.parametrize(
    "channel",
    [
        "private-a",
        "private-cache-a",
        "private-encrypted-a",
        "private-encrypted-cache-a",
        "presence-a",
        "presence-cache-a",
    ],
)
@pytest.mark.parametrize("auth", [None, "", "app-key:0", "app-key:ключ", "\x00", 7, True, {}, ["app-key:0"]])
def test_a_guarded_channel_is_not_joined_without_a_good_auth(
    house: House, client: Client, channel: str, auth: object
) -> None:
    client.subscribe(channel, "1", auth=auth)
    data = refusal(client)
    assert (data["type"], data["status"]) == ("AuthError", 401)
    assert house.count(channel) == 0
    house.trigger(channel, "said")
    assert client.heard() == []


@pytest.mark.parametrize("channel_data", [{"user_id": "1"}, 1, False, ["1"]])
def test_channel_data_that_is_no_text_is_refused(client: Client, channel_data: object) -> None:
    auth = channel_auth(client.id, "presence-a")
    client.say("pusher:subscribe", {"channel": "presence-a", "auth": auth, "channel_data": channel_data})
    assert refusal(client)["type"] == "AuthError"


def test_channel_data_is_signed_with_a_private_channel_where_the_client_sends_it(client: Client) -> None:
    client.subscribe("private-a", channel_data='{"user_id":"1"}')
    assert client.heard() == ["subscription_succeeded"]
    client.subscribe("private-b", channel_data="{}", auth=channel_auth(client.id, "private-b"))
    assert refusal(client)["type"] == "AuthError"


@pytest.mark.parametrize(
    ("channel", "type", "status"),
    [
        ("", "InvalidChannel", 4009),
        ("two words", "InvalidChannel", 4009),
        ("private-#", "InvalidChannel", 4009),
        ("#news", "InvalidChannel", 4009),
        ("x" * 201, "LimitReached", 4009),
    ],
)
def test_a_bad_name_is_refused(client: Client, channel: str, type: str, status: int) -> None:
    client.subscribe(channel)
    data = refusal(client)
    assert (data["type"], data["status"]) == (type, status)


def test_a_refusal_names_the_channel(client: Client) -> None:
    client.subscribe("private-a", auth=None)
    [answer] = client.take()
    assert answer["channel"] == "private-a"


def test_a_connection_has_its_limit_of_channels(house: House) -> None:
    client = house.connect(replace(APP, max_subscriptions_per_connection=2))
    for channel in ("a", "b"):
        client.subscribe(channel)
    client.take()
    client.subscribe("c")
    data = refusal(client)
    assert (data["type"], data["status"]) == ("LimitReached", 4004)
    client.subscribe("b")
    assert client.heard() == ["subscription_succeeded"], "it is on this one already"
    client.unsubscribe("a")
    client.subscribe("c")
    assert client.heard() == ["subscription_succeeded"]


def test_subscribing_again_is_answered_and_changes_nothing(house: House, client: Client) -> None:
    client.subscribe("private-a")
    client.subscribe("private-a", auth="no longer asked for")
    assert client.heard() == ["subscription_succeeded"] * 2
    assert house.count("private-a") == 1
    house.trigger("private-a", "said")
    assert client.heard() == ["said"]
    client.unsubscribe("private-a")
    house.trigger("private-a", "said")
    assert client.heard() == []


def test_an_answer_precedes_every_event_of_the_channel(house: House, client: Client) -> None:
    other = house.connect()
    other.subscribe("news")
    house.trigger("news", "before")
    client.subscribe("news")
    house.trigger("news", "after")
    assert client.heard() == ["subscription_succeeded", "after"]
    assert other.heard() == ["subscription_succeeded", "before", "after"]


def test_unsubscribing_is_silent_and_final(house: House, client: Client) -> None:
    client.subscribe("news")
    client.unsubscribe("news")
    house.trigger("news", "said")
    assert client.heard() == ["subscription_succeeded"]
    assert house.count("news") == 0


def test_unsubscribing_loses_nothing_that_was_said_before(house: House, client: Client) -> None:
    client.subscribe("news")
    house.trigger("news", "before")
    client.unsubscribe("news")
    house.trigger("news", "after")
    assert client.heard() == ["subscription_succeeded", "before"]


@pytest.mark.parametrize("channel", ["news", "presence-a", "", "two words", "#server-to-user-1"])
def test_unsubscribing_from_where_one_is_not_is_silent(house: House, client: Client, channel: str) -> None:
    client.unsubscribe(channel)
    assert client.take() == []


def test_a_page_that_joins_200_channels_at_once_does_not_wait(house: House, client: Client) -> None:
    before = house.loop.now
    for number in range(200):
        client.subscribe(f"room-{number}")
    assert client.heard() == ["subscription_succeeded"] * 200
    assert house.loop.now == before


def test_more_subscriptions_than_an_app_allows_wait_and_none_is_lost(house: House) -> None:
    client = house.connect(replace(APP, max_subscribes_per_second=10))
    before = house.loop.now
    for number in range(30):
        client.subscribe("news" if number % 2 else f"room-{number}")
        client.unsubscribe("news")
    assert client.heard() == ["subscription_succeeded"] * 30
    assert 1.9 < house.loop.now - before < 2.5


def test_what_comes_behind_a_subscription_that_waits_is_served_after_it(house: House) -> None:
    client = house.connect(replace(APP, max_subscribes_per_second=1))
    client.subscribe("one")
    client.subscribe("two")
    client.say("pusher:ping")
    assert client.heard() == ["subscription_succeeded", "subscription_succeeded", "pong"]


def test_a_client_that_goes_while_its_subscription_waits_leaves_nothing(house: House) -> None:
    client = house.connect(replace(APP, max_subscribes_per_second=1))
    client.subscribe("one")
    assert not client.connection.receive(b'{"event":"pusher:subscribe","data":{"channel":"two"}}')
    client.leave()
    house.loop.advance(5)
    assert house.channels() == {}


def test_an_app_may_have_no_limit_of_subscriptions(house: House) -> None:
    client = house.connect(replace(APP, max_subscribes_per_second=None))
    before = house.loop.now
    for _ in range(500):
        client.subscribe("news")
    assert house.loop.now == before


def test_one_may_leave_and_come_back(house: House, client: Client) -> None:
    client.subscribe("news")
    client.unsubscribe("news")
    client.subscribe("news")
    house.trigger("news", "said")
    assert client.heard() == ["subscription_succeeded"] * 2 + ["said"]


def test_only_what_is_guarded_authorizes_a_connection(client: Client) -> None:
    client.subscribe("news")
    client.subscribe("private-a", auth=None)
    assert not client.connection.authorized
    client.subscribe("private-a")
    client.unsubscribe("private-a")
    client.subscribe("news")
    assert client.connection.authorized


def test_signing_in_authorizes_a_connection(client: Client) -> None:
    client.sign_in("ada")
    assert client.connection.authorized
