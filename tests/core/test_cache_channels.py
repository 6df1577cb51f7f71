"""Cache channels: a new subscriber gets the last event at once."""

import pytest

from tests.fakes import House, channel_auth

pytestmark = pytest.mark.usefixtures("nodes")

CACHE_CHANNELS = ["cache-a", "private-cache-a", "private-encrypted-cache-a", "presence-cache-a"]


@pytest.fixture
def house() -> House:
    return House()


@pytest.mark.parametrize("channel", CACHE_CHANNELS)
def test_a_newcomer_gets_the_last_event_right_after_the_answer(house: House, channel: str) -> None:
    house.trigger(channel, "first", "1")
    house.trigger(channel, "second", '{"a":2}')
    client = house.connect()
    client.subscribe(channel, "1")
    answer, event = client.take()
    assert answer["event"] == "pusher_internal:subscription_succeeded"
    assert event == {"event": "second", "channel": channel, "data": {"a": 2}}


@pytest.mark.parametrize("channel", CACHE_CHANNELS)
def test_a_newcomer_to_an_empty_cache_is_told_so(house: House, channel: str) -> None:
    client = house.connect()
    client.subscribe(channel, "1")
    answer, miss = client.take()
    assert answer["event"] == "pusher_internal:subscription_succeeded"
    assert miss == {"event": "pusher:cache_miss", "channel": channel, "data": {}}


@pytest.mark.parametrize("channel", ["news", "private-a", "private-encrypted-a", "presence-a"])
def test_other_channels_remember_nothing(house: House, channel: str) -> None:
    house.trigger(channel, "said")
    client = house.connect()
    client.subscribe(channel, "1")
    assert client.heard() == ["subscription_succeeded"]


def test_the_cached_event_is_the_one_that_was_sent_byte_for_byte(house: House) -> None:
    early = house.connect()
    early.subscribe("cache-a")
    early.take()
    house.trigger("cache-a", "said", '{"a" : "\\u00e9"}')
    house.loop.settle()
    late = house.connect()
    late.subscribe("cache-a")
    assert late.transport.frames[-1] == early.transport.frames[-1]


def test_who_joins_right_after_the_event_gets_it_once(house: House) -> None:
    other = house.connect()
    other.subscribe("cache-a")
    other.take()
    house.trigger("cache-a", "said")
    client = house.connect()
    client.subscribe("cache-a")
    assert client.heard() == ["subscription_succeeded", "said"]
    assert other.heard() == ["said"]


def test_subscribing_again_gives_the_last_event_again(house: House) -> None:
    client = house.connect()
    client.subscribe("cache-a")
    house.trigger("cache-a", "said")
    client.take()
    client.subscribe("cache-a")
    assert client.heard() == ["subscription_succeeded", "said"]


def test_the_cache_is_kept_while_nobody_is_there(house: House) -> None:
    client = house.connect()
    client.subscribe("cache-a")
    house.trigger("cache-a", "said")
    client.leave()
    other = house.connect()
    other.subscribe("cache-a")
    assert other.heard() == ["subscription_succeeded", "said"]


@pytest.mark.parametrize("nodes", ["one node"], indirect=True)  # by a clock that Redis does not have
def test_the_cache_is_empty_again_after_half_an_hour(house: House) -> None:
    house.trigger("cache-a", "said")
    house.loop.advance(1800)
    client = house.connect()
    client.subscribe("cache-a")
    assert client.heard() == ["subscription_succeeded", "cache_miss"]


def test_client_events_never_enter_the_cache(house: House) -> None:
    sender, client = house.connect(), house.connect()
    sender.subscribe("private-cache-a")
    sender.say("client-said", {}, channel="private-cache-a")
    assert sender.heard() == ["subscription_succeeded", "cache_miss"]
    client.subscribe("private-cache-a")
    assert client.heard() == ["subscription_succeeded", "cache_miss"]


def test_what_the_server_itself_says_never_enters_the_cache(house: House) -> None:
    first, second = house.connect(), house.connect()
    house.trigger("presence-cache-a", "said")
    first.subscribe("presence-cache-a", "1")
    second.subscribe("presence-cache-a", "2")
    assert second.heard() == ["subscription_succeeded", "said"]


def test_an_event_that_excluded_a_socket_is_remembered_for_it_too(house: House) -> None:
    client = house.connect()
    house.trigger("cache-a", "said", exclude=client)
    client.subscribe("cache-a")
    assert client.heard() == ["subscription_succeeded", "said"]


def test_a_refused_subscription_gets_nothing_of_the_cache(house: House) -> None:
    house.trigger("private-cache-a", "secret")
    client = house.connect()
    client.subscribe("private-cache-a", auth=channel_auth(client.id, "private-a"))
    assert client.heard() == ["subscription_error"]
