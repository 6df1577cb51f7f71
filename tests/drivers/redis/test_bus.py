"""Nodes send each other the event. Each node with subscribers encodes the event once."""

import json
from dataclasses import replace
from typing import Any

import pytest

from soketpy.core.apps import App
from soketpy.protocol import messages
from tests.fakes import APP, Client, House

pytestmark = pytest.mark.usefixtures("nodes")
everywhere = pytest.mark.parametrize(
    "nodes", ["one node", "two nodes", "two nodes over a Redis Cluster"], indirect=True
)
over_redis = pytest.mark.parametrize("nodes", ["two nodes", "two nodes over a Redis Cluster"], indirect=True)


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list of the channels of all events that are encoded for clients."""
    names, event_text = list[str](), messages.event_text

    def note(channel: str, *arguments: Any) -> bytes:
        names.append(channel)
        return event_text(channel, *arguments)

    monkeypatch.setattr(messages, "event_text", note)
    return names


def on_node(house: House, number: int, app: App = APP) -> Client:
    """Return a client of this node."""
    client = house.connect(app)
    while client.connection._node is not house.nodes[number]:
        client = house.connect(app)
    return client


@everywhere
@pytest.mark.parametrize("channel", ["news", "cache-news"])
def test_an_event_is_encoded_once_on_each_node_with_subscribers(encoded: list[str], channel: str) -> None:
    house = House()
    clients = [on_node(house, number) for number in range(len(house.nodes)) for _ in range(2)]
    for client in clients:
        client.subscribe(channel)
        client.take()
    house.trigger(channel, "said")
    assert [client.heard() for client in clients] == [["said"]] * len(clients)
    assert encoded == [channel] * len(house.nodes)


@everywhere
@pytest.mark.parametrize("channel", ["news", "cache-news"])
def test_an_event_that_nobody_gets_is_not_encoded(encoded: list[str], channel: str) -> None:
    house = House()
    client = house.connect()
    client.subscribe("other")
    client.take()
    house.trigger(channel, "said")
    assert client.heard() == []
    assert encoded == []


@over_redis
@pytest.mark.parametrize("user_id", ["7", 7, -1.5, "ä", "-"], ids=repr)
def test_a_client_event_arrives_with_the_id_of_its_sender_as_that_was_given(user_id: object) -> None:
    house, app = House(), replace(APP, numeric_ids=True)
    sender, receiver = on_node(house, 0, app), on_node(house, 1, app)
    sender.subscribe("presence-a", user_id)
    receiver.subscribe("presence-a", "receiver")
    receiver.take()
    sender.say("client-said", {"a": 1}, channel="presence-a")
    [message] = receiver.take()
    assert message == {"event": "client-said", "channel": "presence-a", "data": {"a": 1}, "user_id": user_id}


@over_redis
@pytest.mark.parametrize("channel", ["news", "cache-news"])
def test_an_event_arrives_byte_for_byte_whatever_its_name_is(channel: str) -> None:
    house = House()
    receivers = [on_node(house, 0), on_node(house, 1)]
    for receiver in receivers:
        receiver.subscribe(channel)
        receiver.take()
    for name in ("\ud83d", "ä", "\x00", '"'):
        house.trigger(channel, name, json.dumps({"a": name}))
        house.loop.settle()
        expected = messages.event(channel, name, messages.literal(json.dumps({"a": name})))
        assert [b"".join(receiver.transport.frames) for receiver in receivers] == [expected.frame] * 2
        for receiver in receivers:
            receiver.take()


@over_redis
def test_an_event_is_not_sent_to_the_connection_that_caused_it() -> None:
    house = House()
    sender, receiver = on_node(house, 0), on_node(house, 1)
    for client in (sender, receiver):
        client.subscribe("cache-news")
        client.take()
    house.trigger("cache-news", "said", exclude=sender)
    assert (sender.heard(), receiver.heard()) == ([], ["said"])
    sender.unsubscribe("cache-news")
    sender.subscribe("cache-news")
    assert sender.heard() == ["subscription_succeeded", "said"], "the cache remembers the event"
