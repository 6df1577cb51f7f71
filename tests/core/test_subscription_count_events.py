"""subscription_count events, as the subscribers of a channel receive them."""

from dataclasses import replace

import pytest

from tests.fakes import APP, Client, House

pytestmark = pytest.mark.usefixtures("nodes")

COUNTED = replace(APP, subscription_count_events=True)


@pytest.fixture
def house() -> House:
    return House()


def on(house: House, channel: str = "news") -> Client:
    client = house.connect(COUNTED)
    client.subscribe(channel, "1")
    return client


def counts(client: Client) -> list[int]:
    """The counts that were heard."""
    messages = [message for message in client.take() if message["event"] == "pusher_internal:subscription_count"]
    return [message["data"]["subscription_count"] for message in messages]


def rest(house: House) -> None:
    """Let enough time pass for the next count."""
    house.loop.advance(0.25)


@pytest.mark.parametrize("channel", ["news", "private-a", "cache-a", "private-encrypted-a"])
def test_every_change_is_told_to_all_who_are_there(house: House, channel: str) -> None:
    first = on(house, channel)
    assert counts(first) == [1]
    second = on(house, channel)
    rest(house)
    assert counts(first) == [2]
    assert counts(second) == [2]
    second.unsubscribe(channel)
    rest(house)
    assert counts(first) == [1]
    assert counts(second) == []


def test_changes_that_follow_one_another_closely_are_told_together(house: House) -> None:
    listener, restless = on(house), house.connect(COUNTED)
    rest(house)
    counts(listener)
    for _ in range(50):
        restless.subscribe("news")
        restless.unsubscribe("news")
    restless.subscribe("news")
    rest(house)
    heard = counts(listener)
    assert len(heard) <= 3
    assert heard[-1] == 2


def test_the_answer_precedes_the_count(house: House) -> None:
    client = on(house)
    assert client.take() == [
        {"event": "pusher_internal:subscription_succeeded", "channel": "news", "data": {}},
        {"event": "pusher_internal:subscription_count", "channel": "news", "data": {"subscription_count": 1}},
    ]


def test_a_lost_connection_is_a_change(house: House) -> None:
    first, second = on(house), on(house)
    rest(house)
    counts(first)
    second.leave()
    rest(house)
    assert counts(first) == [1]


def test_subscribing_again_is_no_change(house: House) -> None:
    client = on(house)
    client.subscribe("news")
    assert counts(client) == [1]


@pytest.mark.parametrize("channel", ["presence-a", "presence-cache-a"])
def test_presence_channels_have_no_counts(house: House, channel: str) -> None:
    client = on(house, channel)
    on(house, channel).leave()
    assert counts(client) == []


def test_apps_that_did_not_switch_them_on_have_no_counts(house: House) -> None:
    client = house.connect()
    client.subscribe("news")
    assert client.heard() == ["subscription_succeeded"]
    assert house.count("news") == 1, "REST has it always"


def test_above_100_subscribers_the_last_count_comes_once_in_5_s(house: House) -> None:
    first = on(house)
    for _ in range(99):
        on(house)
        rest(house)
    rest(house)
    assert counts(first) == list(range(1, 101))
    for _ in range(20):
        on(house)
    assert counts(first) == [101]
    house.loop.advance(4.9)
    assert counts(first) == []
    house.loop.advance(0.1)
    assert counts(first) == [120]
