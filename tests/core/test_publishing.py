"""Events of publishers: receivers, order and counters."""

import json

import pytest

from soketpy.core import triggers
from tests.fakes import APP, Client, House

pytestmark = pytest.mark.usefixtures("nodes")


@pytest.fixture
def house() -> House:
    return House()


def on(house: House, *channels: str) -> Client:
    client = house.connect()
    for channel in channels:
        client.subscribe(channel)
    client.take()
    return client


def publish(house: House, **event: object) -> None:
    body = json.dumps({"name": "said", "data": "{}", **event}).encode()
    house.node.publish(APP, triggers.check(triggers.parse_event(body), APP))


def test_an_event_goes_to_all_who_are_on_its_channel(house: House) -> None:
    first, second, elsewhere = on(house, "news"), on(house, "news"), on(house, "sport")
    house.trigger("news", "said", '{"a":1}')
    message = {"event": "said", "channel": "news", "data": {"a": 1}}
    assert (first.take(), second.take(), elsewhere.take()) == ([message], [message], [])


def test_an_event_on_several_channels_comes_once_on_each(house: House) -> None:
    both, one = on(house, "news", "sport"), on(house, "sport")
    publish(house, channels=["news", "sport", "news", "weather"])
    assert [message["channel"] for message in both.take()] == ["news", "sport"]
    assert [message["channel"] for message in one.take()] == ["sport"]


@pytest.mark.parametrize("data", ['{ "a" : "\\u00e9" }', "text", "", '"', "\n\t\u2028"])
def test_data_that_is_a_string_arrives_byte_for_byte(house: House, data: str) -> None:
    client = on(house, "news")
    body = json.dumps({"name": "said", "channel": "news", "data": data})
    literal = json.dumps(data).encode()
    house.node.publish(APP, triggers.check(triggers.parse_event(body.encode()), APP))
    house.loop.settle()
    assert b'"data":' + literal + b"}" in client.transport.frames[0]


def test_data_that_is_no_string_arrives_as_its_compact_text(house: House) -> None:
    client = on(house, "news")
    publish(house, channel="news", data={"a": [1, 2]})
    house.loop.settle()
    assert rb'"data":"{\"a\":[1,2]}"}' in client.transport.frames[0]


def test_an_event_is_not_sent_to_the_socket_that_it_excludes(house: House) -> None:
    sender, other = on(house, "news", "sport"), on(house, "news", "sport")
    publish(house, channels=["news", "sport"], socket_id=sender.id)
    house.trigger("news", "after")
    assert sender.heard() == ["after"]
    assert other.heard() == ["said", "after", "said"], "news has one write, sport another"


def test_excluding_a_socket_that_is_unknown_or_gone_changes_nothing(house: House) -> None:
    client, gone = on(house, "news"), on(house, "news")
    gone.leave()
    publish(house, channel="news", socket_id="1.2")
    house.trigger("news", "said", exclude=gone)
    assert client.heard() == ["said", "said"]


def test_events_of_a_channel_come_in_the_order_of_publishing(house: House) -> None:
    client = on(house, "private-a")
    speaker = on(house, "private-a")
    house.trigger("private-a", "1")
    speaker.say("client-2", {}, channel="private-a")
    house.trigger("private-a", "3")
    house.loop.tick()
    house.trigger("private-a", "4")
    assert client.heard() == ["1", "client-2", "3", "4"]
    assert speaker.heard() == ["1", "3", "4"]


@pytest.mark.parametrize("slice_size", [1, 2, 3])
def test_a_long_fan_out_reaches_everyone_once(slice_size: int) -> None:
    house = House(slice_size=slice_size)
    clients = [on(house, "news") for _ in range(5)]
    house.trigger("news", "first")
    house.loop.tick()
    late = house.connect()
    late.subscribe("news")
    house.trigger("news", "second")
    clients[0].unsubscribe("news")
    clients[1].connection.refuse(4009, "enough")
    house.trigger("news", "third")
    assert clients[0].heard() == ["first", "second"]
    assert clients[1].heard() == ["first", "second", "error"]
    assert [client.heard() for client in clients[2:]] == [["first", "second", "third"]] * 3
    assert late.heard() == ["subscription_succeeded", "second", "third"]


# Counting


def sent_by(house: House, **event: object) -> tuple[int, int]:
    """Return the messages and bytes that an event adds to the counters."""
    before = house.sent()
    publish(house, **event)
    house.loop.settle()
    after = house.sent()
    return after[0] - before[0], after[1] - before[1]


def test_messages_are_counted_once_for_each_who_gets_them(house: House) -> None:
    sender, _ = on(house, "news"), on(house, "news")
    size = len(b'{"event":"said","channel":"news","data":"{}"}')
    assert sent_by(house, channel="news") == (2, 2 * size)
    assert sent_by(house, channel="news", socket_id=sender.id) == (1, size)
    assert sent_by(house, channel="sport") == (0, 0)
    assert sent_by(house, channel="news", socket_id="1.2") == (2, 2 * size)


def test_excluding_a_socket_of_another_channel_takes_nothing_from_the_count(house: House) -> None:
    on(house, "news")
    elsewhere = on(house, "sport")
    assert sent_by(house, channel="news", socket_id=elsewhere.id)[0] == 1
