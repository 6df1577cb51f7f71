"""Client events: from one client to the other subscribers of a channel."""

from dataclasses import replace

import pytest

from soketpy.core.apps import App
from tests.fakes import APP, Client, House

pytestmark = pytest.mark.usefixtures("nodes")


@pytest.fixture
def house() -> House:
    return House()


def on(house: House, channel: str, app: App = APP, **subscription: object) -> Client:
    """A client that has joined the channel."""
    client = house.connect(app)
    client.subscribe(channel, **subscription)
    client.take()
    return client


def rejected(client: Client) -> str:
    """The reason of the one answer that was heard: a 4301, after which the connection stays."""
    [answer] = client.take()
    assert answer["event"] == "pusher:error"
    assert answer["data"]["code"] == 4301
    assert client.closed is None
    return str(answer["data"]["message"])


@pytest.mark.parametrize("channel", ["private-a", "private-cache-a"])
def test_a_client_event_goes_to_all_others_and_not_to_its_sender(house: House, channel: str) -> None:
    sender, first, second = (on(house, channel) for _ in range(3))
    sender.say("client-said", {"a": 1}, channel=channel)
    message = {"event": "client-said", "channel": channel, "data": {"a": 1}}
    assert (first.take(), second.take(), sender.take()) == ([message], [message], [])


@pytest.mark.parametrize("data", ['{"a" : 1.0}', '"text"', r'"\u00e9\/"', "null", "[1, 2]", "1e2"])
def test_the_data_goes_out_as_it_came_in(house: House, data: str) -> None:
    sender, listener = on(house, "private-a"), on(house, "private-a")
    sender.connection.receive(f'{{"event":"client-said","channel":"private-a","data": {data} }}'.encode())
    house.loop.settle()
    assert f'"data":{data}}}'.encode() in listener.transport.frames[0]


def test_on_a_presence_channel_the_event_names_the_member_who_sent_it(house: House) -> None:
    sender, listener = on(house, "presence-a", user_id="ada"), on(house, "presence-a", user_id="bob")
    sender.take()
    sender.say("client-said", {}, channel="presence-a", user_id="eve")
    assert listener.take() == [{"event": "client-said", "channel": "presence-a", "data": {}, "user_id": "ada"}]


def test_on_a_private_channel_nobody_is_named(house: House) -> None:
    sender, listener = on(house, "private-a"), on(house, "private-a")
    sender.sign_in("ada")
    sender.say("client-said", {}, channel="private-a", user_id="eve")
    assert listener.take() == [{"event": "client-said", "channel": "private-a", "data": {}}]


def test_the_member_who_is_named_is_the_one_of_the_channel(house: House) -> None:
    sender, listener = house.connect(), on(house, "presence-b", user_id="listener")
    sender.subscribe("presence-a", "in-a")
    sender.subscribe("presence-b", "in-b")
    listener.take()
    sender.say("client-said", {}, channel="presence-b")
    assert [message["user_id"] for message in listener.take()] == ["in-b"]


def test_other_connections_of_the_same_user_get_the_event(house: House) -> None:
    first, second = on(house, "presence-a", user_id="ada"), on(house, "presence-a", user_id="ada")
    first.say("client-said", {}, channel="presence-a")
    assert second.heard() == ["client-said"]


def test_client_events_come_in_the_order_of_sending(house: House) -> None:
    first, second, listener = (on(house, "private-a") for _ in range(3))
    first.say("client-1", {}, channel="private-a")
    house.loop.settle()  # between what two people send there is no order but the one of time
    second.say("client-2", {}, channel="private-a")
    house.loop.settle()
    first.say("client-3", {}, channel="private-a")
    assert listener.heard() == ["client-1", "client-2", "client-3"]
    assert first.heard() == ["client-2"]
    assert second.heard() == ["client-1", "client-3"]


# Rejections


def test_an_app_may_have_client_events_switched_off(house: House) -> None:
    client = on(house, "private-a", replace(APP, client_events=False))
    client.say("client-said", {}, channel="private-a")
    assert "switched off" in rejected(client)


@pytest.mark.parametrize("channel", ["private-b", "presence-a", "news", "", "#server-to-user-ada"])
def test_the_sender_must_be_on_the_channel(house: House, channel: str) -> None:
    client, there = on(house, "private-a"), on(house, "private-b")
    client.sign_in("ada")
    client.take()
    client.say("client-said", {}, channel=channel)
    assert "not on this channel" in rejected(client)
    assert there.take() == []


def test_who_has_left_may_send_no_more(house: House) -> None:
    client = on(house, "private-a")
    client.unsubscribe("private-a")
    client.say("client-said", {}, channel="private-a")
    assert "not on this channel" in rejected(client)


@pytest.mark.parametrize("channel", ["news", "cache-a", "private-encrypted-a", "private-encrypted-cache-a"])
def test_public_and_encrypted_channels_have_no_client_events(house: House, channel: str) -> None:
    client, there = on(house, channel), on(house, channel)
    client.say("client-said", {}, channel=channel)
    assert "private and presence channels" in rejected(client)
    assert there.take() == []


def test_the_name_has_its_limit(house: House) -> None:
    client, there = on(house, "private-a"), on(house, "private-a")
    client.say("client-".ljust(200, "x"), {}, channel="private-a")
    assert len(there.take()) == 1
    client.say("client-".ljust(201, "x"), {}, channel="private-a")
    assert "longer than the allowed 200" in rejected(client)
    assert there.take() == []


def test_the_data_has_its_limit_in_bytes(house: House) -> None:
    app = replace(APP, max_event_payload_in_kb=1)
    client, there = on(house, "private-a", app), on(house, "private-a", app)
    client.say("client-said", "x" * 1024, channel="private-a")
    assert len(there.take()) == 1
    client.say("client-said", "x" * 1025, channel="private-a")
    assert rejected(client) == "The event data has 1025 bytes; the app allows 1024."
    assert there.take() == []


# The rate


def test_a_connection_has_its_rate_of_client_events(house: House) -> None:
    app = replace(APP, max_client_events_per_second=2)
    client, there = on(house, "private-a", app), on(house, "private-a", app)
    for _ in range(3):
        client.say("client-said", {}, channel="private-a")
    assert "2 client events a second" in rejected(client)
    assert len(there.take()) == 2
    house.loop.advance(0.5)
    client.say("client-said", {}, channel="private-a")
    assert len(there.take()) == 1


def test_every_connection_has_a_rate_of_its_own(house: House) -> None:
    app = replace(APP, max_client_events_per_second=1)
    first, second = on(house, "private-a", app), on(house, "private-a", app)
    first.say("client-said", {}, channel="private-a")
    second.say("client-said", {}, channel="private-a")
    assert (first.heard(), second.heard()) == (["client-said"], ["client-said"])


def test_what_is_rejected_for_another_reason_costs_nothing_of_the_rate(house: House) -> None:
    app = replace(APP, max_client_events_per_second=1)
    client, there = on(house, "private-a", app), on(house, "private-a", app)
    client.say("client-said", {}, channel="private-b")
    client.say("client-said", {}, channel="private-a")
    assert len(there.take()) == 1


def test_a_rate_of_nothing_allows_nothing(house: House) -> None:
    client = on(house, "private-a", replace(APP, max_client_events_per_second=0))
    client.say("client-said", {}, channel="private-a")
    assert "0 client events a second" in rejected(client)


def test_a_new_rate_holds_at_once(house: House) -> None:
    client = on(house, "private-a", replace(APP, max_client_events_per_second=1))
    client.say("client-said", {}, channel="private-a")
    house.node.update({APP.id: replace(APP, max_client_events_per_second=2)}.get)
    client.say("client-said", {}, channel="private-a")
    client.say("client-said", {}, channel="private-a")
    client.say("client-said", {}, channel="private-a")
    assert "2 client events a second" in rejected(client)


def test_without_a_rate_there_is_no_limit(house: House) -> None:
    client, there = on(house, "private-a"), on(house, "private-a")
    for _ in range(1_000):
        client.say("client-said", {}, channel="private-a")
    assert len(there.take()) == 1_000
