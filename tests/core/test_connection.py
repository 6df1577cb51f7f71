"""One client's connection: its answers, the errors that close it, and that no input breaks it."""

import logging
import re
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from soketpy.core.containment import failures
from soketpy.protocol import events
from tests.conftest import Contained
from tests.fakes import APP, Client, House
from tests.protocol.anything import json_texts, nearly_events, nested


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
def client(house: House) -> Client:
    return house.connect()


def test_a_ping_is_answered_with_a_pong(client: Client) -> None:
    client.say("pusher:ping", {})
    assert client.take() == [{"event": "pusher:pong", "data": {}}]


def test_a_pong_is_not_answered(client: Client) -> None:
    client.say("pusher:pong", {})
    assert client.take() == []


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"hello",
        b"[]",
        b'{"event":5}',
        b'{"event":"said"}',
        b'{"event":"pusher:subscribe"}',
        b'{"event":"pusher:subscribe","data":{"channel":5}}',
        b'{"event":"pusher:unsubscribe","data":null}',
        b'{"event":"client-said","data":{}}',
    ],
)
def test_a_message_of_another_form_is_answered_and_the_connection_stays(client: Client, text: bytes) -> None:
    client.connection.receive(text)
    [answer] = client.take()
    assert answer["event"] == "pusher:error"
    assert answer["data"]["code"] == 4300
    assert answer["data"]["message"]
    assert client.closed is None
    client.say("pusher:ping")
    assert client.heard() == ["pong"]


def test_a_budget_of_bad_messages_is_answered_and_the_next_one_closes() -> None:
    house = House(bad_messages=3)
    client = house.connect()
    for _ in range(3):
        client.connection.receive(b"x")
    assert client.heard() == ["error"] * 3
    client.connection.receive(b"x")
    [error] = client.take()
    assert error["data"]["code"] == 4009
    assert client.closed is not None
    assert client.closed[0] == 4009


def test_a_spent_budget_fills_again_within_a_minute() -> None:
    house = House(bad_messages=3)
    client = house.connect()
    for _ in range(30):
        client.connection.receive(b"x")
        house.loop.advance(20)
    assert client.closed is None
    assert client.heard() == ["error"] * 30


def test_a_budget_of_none_closes_at_the_first_bad_message() -> None:
    client = House(bad_messages=0).connect()
    client.connection.receive(b"x")
    assert client.closed is not None


def test_a_refused_client_event_costs_none_of_the_budget() -> None:
    client = House(bad_messages=1).connect()
    for _ in range(5):
        client.say("client-said", {}, channel="private-not-joined")
    assert client.closed is None
    assert [message["data"]["code"] for message in client.take()] == [4301] * 5


def test_a_closed_connection_hears_and_says_nothing(house: House, client: Client) -> None:
    client.connection.refuse(4009, "enough")
    client.take()
    client.say("pusher:ping")
    client.subscribe("news")
    client.connection.refuse(4100, "again")
    assert client.take() == []
    assert house.count("news") == 0
    assert client.closed == (4009, "enough")
    assert house.node.total == 0


def test_a_refusal_is_an_error_and_a_close_with_the_same_code(client: Client) -> None:
    client.connection.refuse(4009, "enough")
    assert client.take() == [{"event": "pusher:error", "data": {"code": 4009, "message": "enough"}}]
    assert client.closed == (4009, "enough")


def test_a_connection_that_ends_twice_leaves_once(house: House, client: Client) -> None:
    client.leave()
    client.leave()
    assert house.node.traffic[APP.id].disconnections == 1


def test_a_failure_of_the_server_closes_one_connection_with_1011_and_is_logged_and_counted(
    house: House,
    client: Client,
    contained: Contained,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    other = house.connect()
    monkeypatch.setattr(house.node, "subscribe", fail)
    with caplog.at_level(logging.ERROR, "soketpy.connection"):
        client.subscribe("news")
    [error] = client.take()
    assert error["data"]["code"] == 1011
    assert "a bug" not in error["data"]["message"]
    assert client.closed is not None
    assert client.closed[0] == 1011
    assert contained.count == 1
    assert "a bug" in caplog.text
    assert client.id in caplog.text
    assert "secret" not in caplog.text
    other.say("pusher:ping")
    assert other.heard() == ["pong"]


@pytest.mark.parametrize("wrong", [b"no message", b'{"event":"client-said","data":{},"channel":"private-a"}'])
def test_an_error_that_cannot_be_sent_closes_the_connection(
    house: House, client: Client, contained: Contained, monkeypatch: pytest.MonkeyPatch, wrong: bytes
) -> None:
    def fail_once(frame: bytes) -> None:
        client.connection.write = client.transport.write
        raise RuntimeError("a bug")

    client.connection.write = fail_once
    client.connection.receive(wrong)
    assert client.closed is not None
    assert client.closed[0] == 1011
    assert contained.count == 1
    assert house.total == 0


def test_messages_and_their_bytes_are_counted_both_ways(house: House, client: Client) -> None:
    traffic = house.node.traffic[APP.id]
    received, sent = traffic.messages_received, traffic.messages_sent
    bytes_received, bytes_sent = traffic.bytes_received, traffic.bytes_sent
    client.connection.receive(b'{"event":"pusher:ping"}')
    assert traffic.messages_received - received == 1
    assert traffic.bytes_received - bytes_received == len(b'{"event":"pusher:ping"}')
    assert traffic.messages_sent - sent == 1
    assert traffic.bytes_sent - bytes_sent == len(b'{"event":"pusher:pong","data":{}}')


# Whatever may come

subscribes = st.sampled_from(["news", "private-a", "presence-a", "cache-a", "private-encrypted-a"])


def check_still_sound(house: House, client: Client) -> None:
    """Check that the connection answers or was closed with an error, and that the server contained no fault."""
    assert failures.count == 0
    if client.closed is None:
        client.say("pusher:ping")
        assert client.heard()[-1] == "pong"
    else:
        last = client.take()[-1]
        assert last["event"] == "pusher:error"
        assert (last["data"]["code"], last["data"]["message"]) == client.closed
        assert house.node.total == 0


@given(st.lists(st.binary() | json_texts | nearly_events, max_size=8), st.booleans())
@example([nested(100_000)], True)
@example([b'{"event":"pusher:signin","data":null}', b'{"event":"pusher:subscribe"}'], False)
def test_no_bytes_whatsoever_break_a_connection(texts: list[bytes], joined: bool) -> None:
    house = House(bad_messages=4)
    client = house.connect()
    if joined:
        client.subscribe("private-a")
        client.subscribe("presence-a", "1", {})
        client.take()
    for text in texts:
        client.connection.receive(text)
    check_still_sound(house, client)


@given(st.lists(st.tuples(subscribes, st.text(st.characters(exclude_categories=[])) | json_texts.map(bytes.decode))))
def test_no_channel_data_breaks_a_connection_however_well_it_is_signed(joins: list[tuple[str, str]]) -> None:
    house = House()
    client = house.connect()
    for channel, channel_data in joins:
        client.subscribe(channel, channel_data=channel_data)
        client.unsubscribe(channel)
    check_still_sound(house, client)


@given(st.text(st.characters(exclude_categories=[])) | json_texts.map(bytes.decode))
def test_no_user_data_breaks_a_connection_however_well_it_is_signed(user_data: str) -> None:
    house = House()
    client = house.connect()
    client.sign_in_with(user_data)
    check_still_sound(house, client)


@given(nearly_events)
def test_what_clients_send_each_other_is_json_for_the_others_too(text: bytes) -> None:
    house = House()
    speaker, listener = house.connect(), house.connect()
    for client in (speaker, listener):
        client.subscribe("private-a")
        client.take()
    speaker.connection.receive(text)
    for message in listener.take():
        assert message["event"].startswith(events.CLIENT_PREFIX)
        assert message["channel"] == "private-a"


def test_an_app_with_new_limits_holds_for_open_connections(house: House, client: Client) -> None:
    stricter = replace(APP, max_subscriptions_per_connection=0)
    house.node.update({APP.id: stricter}.get)
    client.subscribe("news")
    assert client.heard() == ["subscription_error"]


def test_a_connection_shows_its_socket_and_app_but_no_secret(client: Client) -> None:
    assert re.fullmatch(r"<Connection \d+\.\d+ of app app-id>", repr(client.connection))
