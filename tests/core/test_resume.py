"""Resume: a tab that reconnects gets the events that it has missed."""

import json
from dataclasses import replace
from typing import Any

import pytest

from soketpy.core.history import Entry, HistoryRule
from soketpy.core.replays import _last_entries
from soketpy.core.steps import Future
from soketpy.protocol.messages import Event
from tests.fakes import APP, Client, House
from tests.patience import attempts

pytestmark = pytest.mark.usefixtures("nodes")

STORED = replace(APP, history=(HistoryRule(channels="*room"),))
TAB = "a-tab"


@pytest.fixture
def house() -> House:
    return House()


def triggered(house: House, channel: str, *names: str, exclude: Client | None = None, app: Any = STORED) -> None:
    for name in names:
        house.trigger(channel, name, json.dumps({"of": name}), app=app, exclude=exclude)
    house.loop.settle()


def subscribed(house: House, channel: str = "room", tab: str | None = TAB, app: Any = STORED) -> Client:
    client = house.connect(app, tab)
    client.subscribe(channel)
    return client


def acknowledged(client: Client) -> None:
    """Have the client acknowledge everything that it has received."""
    client.house.loop.advance(2.5)
    client.pong()
    client.house.loop.advance(2.5)


def recovered(messages: list[dict[str, Any]]) -> tuple[list[str], bool]:
    """Return the names of the replayed events, and whether they are complete."""
    answer, *events, last = messages
    assert answer["event"] == "pusher_internal:subscription_succeeded"
    assert last["event"] == "soketpy:recovered", messages
    assert last["data"]["to"] == answer["data"]["position"]
    return [event["event"] for event in events], last["data"]["complete"]


def test_a_tab_gets_the_events_that_it_has_missed(house: House) -> None:
    client = subscribed(house)
    triggered(house, "room", "one", "two")
    acknowledged(client)
    client.leave()
    triggered(house, "room", "three", "four")
    client = subscribed(house)
    triggered(house, "room", "five")
    *replay, live = client.take()
    assert recovered(replay) == (["three", "four"], True)
    assert live["event"] == "five"


def test_events_that_were_not_acknowledged_come_again(house: House) -> None:
    client = subscribed(house)
    client.take()
    acknowledged(client)
    triggered(house, "room", "one")
    assert client.heard() == ["one"]
    client.leave()
    assert recovered(subscribed(house).take()) == (["one"], True)


def test_a_tab_that_missed_nothing_is_told_so(house: House) -> None:
    client = subscribed(house)
    triggered(house, "room", "one")
    acknowledged(client)
    client.leave()
    assert recovered(subscribed(house).take()) == ([], True)


def test_a_first_connection_recovers_nothing(house: House) -> None:
    triggered(house, "room", "one")
    assert subscribed(house).heard() == ["subscription_succeeded"]


def test_a_client_without_a_tab_recovers_nothing_and_gets_no_pings(house: House) -> None:
    client = subscribed(house, tab=None)
    triggered(house, "room", "one")
    house.loop.advance(10)
    assert client.pong() == 0
    client.leave()
    triggered(house, "room", "two")
    assert subscribed(house, tab=None).heard() == ["subscription_succeeded"]


def test_another_tab_recovers_nothing(house: House) -> None:
    client = subscribed(house)
    client.leave()
    triggered(house, "room", "one")
    assert subscribed(house, tab="another").heard() == ["subscription_succeeded"]


def test_the_same_tab_of_another_app_recovers_nothing(house: House) -> None:
    subscribed(house).leave()
    triggered(house, "room", "one")
    assert subscribed(house, app=replace(STORED, id="another")).heard() == ["subscription_succeeded"]


def test_pings_come_at_most_every_two_seconds_and_only_after_events(house: House) -> None:
    client = subscribed(house)
    house.loop.advance(3)
    client.pong()
    house.loop.advance(60)
    assert client.pong() == 0
    triggered(house, "room", *map(str, range(50)))
    house.loop.advance(1.9)
    assert client.pong() == 0
    house.loop.advance(0.2)
    assert client.pong() == 1
    house.loop.advance(60)
    assert client.pong() == 0


def test_a_ping_acknowledges_only_what_was_written_before_it(house: House) -> None:
    client = subscribed(house)
    client.take()
    triggered(house, "room", "one")
    house.loop.advance(2.5)
    triggered(house, "room", "two")
    client.pong()
    client.leave()
    assert recovered(subscribed(house).take()) == (["two"], True)


def test_the_frames_of_a_channel_are_written_before_its_ping(house: House) -> None:
    client = subscribed(house)
    client.take()
    house.loop.advance(1.5)
    house.trigger("room", "one", app=STORED)
    client.house.loop.advance(10)
    stream = b"".join(client.transport.frames)
    assert stream.index(b"one") < stream.index(b"\x89")


@pytest.mark.parametrize("payload", [b"", b"x", b"999", b"1" * 100, b"-1", b"1.0"])
def test_an_unknown_pong_acknowledges_nothing(house: House, payload: bytes) -> None:
    client = subscribed(house)
    triggered(house, "room", "one")
    house.loop.advance(2.5)
    client.take()
    client.connection.pong(payload)
    client.leave()
    assert recovered(subscribed(house).take()) == (["one"], True)


def test_a_log_that_no_longer_reaches_back_is_incomplete_and_replays_nothing(house: House) -> None:
    app = replace(APP, history=(HistoryRule(channels="room", events=2),))
    client = subscribed(house, app=app)
    acknowledged(client)
    client.leave()
    triggered(house, "room", "one", "two", "three", app=app)
    assert recovered(subscribed(house, app=app).take()) == ([], False)


def test_a_tab_that_was_away_for_too_long_is_told_so(house: House) -> None:
    client = subscribed(house)
    acknowledged(client)
    client.leave()
    house.wall.passed = 301
    assert recovered(subscribed(house).take()) == ([], False)


def test_a_channel_that_was_left_is_not_resumed(house: House) -> None:
    client = subscribed(house)
    client.unsubscribe("room")
    client.leave()
    triggered(house, "room", "one")
    assert subscribed(house).heard() == ["subscription_succeeded"]


def test_each_channel_is_resumed_at_its_own_position(house: House) -> None:
    client = subscribed(house)
    client.subscribe("private-room")
    triggered(house, "room", "one")
    acknowledged(client)
    client.leave()
    triggered(house, "private-room", "two")
    triggered(house, "room", "three")
    client = subscribed(house, "private-room")
    assert recovered(client.take()) == (["two"], True)
    client.subscribe("room")
    assert recovered(client.take()) == (["three"], True)


def test_a_connection_that_ends_before_it_subscribes_again_loses_no_position(house: House) -> None:
    client = subscribed(house)
    client.subscribe("private-room")
    acknowledged(client)
    client.leave()
    triggered(house, "room", "one")
    subscribed(house, "private-room").leave()
    assert recovered(subscribed(house).take()) == (["one"], True)


def test_a_tab_can_come_back_before_its_old_connection_ends(house: House) -> None:
    old = subscribed(house)
    triggered(house, "room", "one")
    acknowledged(old)
    triggered(house, "room", "two")
    new = subscribed(house)
    assert recovered(new.take()) == (["two"], True)
    acknowledged(new)
    old.leave()
    new.leave()
    assert recovered(subscribed(house).take()) == ([], True)


def test_a_tab_can_come_back_before_anything_was_acknowledged(house: House) -> None:
    """A node that dies cannot save the tabs of its clients either."""
    old = subscribed(house)
    old.subscribe("private-room")
    house.loop.advance(0.1)
    triggered(house, "room", "one")
    triggered(house, "private-room", "two")
    new = subscribed(house, "private-room")
    assert recovered(new.take()) == (["two"], True)
    new.subscribe("room")
    assert recovered(new.take()) == (["one"], True)


def test_a_tab_whose_node_dies_after_a_long_silence_gets_what_it_has_missed(house: House) -> None:
    old = subscribed(house)
    acknowledged(old)
    house.wall.passed = 1_000
    triggered(house, "room", "one")
    assert recovered(subscribed(house).take()) == (["one"], True)


def test_a_tab_does_not_get_back_the_events_of_its_own_connections(house: House) -> None:
    client = subscribed(house)
    client.take()
    triggered(house, "room", "own", exclude=client)
    triggered(house, "room", "other")
    client.leave()
    assert recovered(subscribed(house).take()) == (["other"], True)


def test_a_private_channel_is_authorized_again(house: House) -> None:
    client = subscribed(house, "private-room")
    client.take()
    client.leave()
    triggered(house, "private-room", "secret")
    thief = house.connect(STORED, TAB)
    thief.say("pusher:subscribe", {"channel": "private-room", "auth": "app-key:wrong"})
    assert thief.heard() == ["subscription_error"]


def test_a_flush_loses_and_repeats_nothing(house: House) -> None:
    client = subscribed(house)
    triggered(house, "room", "one")
    [node] = [node for node in house.nodes if client.connection in node.every_connection()]
    assert node.resume.flush([client.connection]) == [client.connection]
    assert client.heard()[-1] == "one"
    triggered(house, "room", "two")
    client.pong()
    assert client.heard() == []
    client.leave()
    assert recovered(subscribed(house).take()) == (["two"], True)


def test_a_flushed_tab_acknowledges_nothing_that_is_sent_after_the_flush(house: House) -> None:
    client = subscribed(house)
    triggered(house, "room", "one")
    [node] = [node for node in house.nodes if client.connection in node.every_connection()]
    node.resume.flush([client.connection])
    triggered(house, "room", "two")
    house.loop.advance(5)
    client.pong()
    client.leave()
    assert recovered(subscribed(house).take()) == (["two"], True)


def test_a_loss_is_told_until_the_tab_has_acknowledged_it(house: House) -> None:
    app = replace(APP, history=(HistoryRule(channels="room", events=2),))
    client = subscribed(house, app=app)
    acknowledged(client)
    client.leave()
    triggered(house, "room", "one", "two", "three", app=app)
    subscribed(house, app=app).leave()
    client = subscribed(house, app=app)
    assert recovered(client.take()) == ([], False)
    acknowledged(client)
    client.leave()
    assert recovered(subscribed(house, app=app).take()) == ([], True)


def test_rewound_events_that_were_not_acknowledged_come_again(house: House) -> None:
    app = replace(APP, history=(HistoryRule(channels="room", rewind=2),))
    triggered(house, "room", "one", "two", "three", app=app)
    client = subscribed(house, app=app)
    client.leave()
    triggered(house, "room", "four", app=app)
    client = subscribed(house, app=app)
    assert recovered(client.take()) == (["two", "three", "four"], True)
    acknowledged(client)
    client.leave()
    assert recovered(subscribed(house, app=app).take()) == ([], True)


def test_the_state_of_a_tab_is_bounded(house: House) -> None:
    app = replace(STORED, max_subscribes_per_second=None, max_subscriptions_per_connection=3_000)
    for round in range(2):
        client = house.connect(app, TAB)
        for number in range(1_500):
            client.subscribe(f"{round}-{number}-room")
        client.leave()
    assert recovered(subscribed(house, app=app).take()) == ([], False)


def test_a_subscription_waits_until_the_tab_has_read_earlier_events_and_loses_no_time(house: House) -> None:
    client = subscribed(house)
    client.subscribe("another-room")
    client.leave()
    triggered(house, "another-room", "one")
    client = subscribed(house)
    client.take()
    unread = client.transport.drain = Future[None]()
    client.connection.receive(b'{"event":"pusher:subscribe","data":{"channel":"another-room"}}')
    house.loop.advance(1_000)
    assert client.take() == []
    client.transport.drain, client.transport.waiting = None, True
    unread.set_result(None)
    for _ in attempts():
        house.loop.settle()
        if not client.transport.waiting:
            break
    assert recovered(client.take()) == (["one"], True)


def test_a_tab_that_ends_while_its_subscription_waits_is_on_no_channel(house: House) -> None:
    client = house.connect(STORED, TAB)
    unread = client.transport.drain = Future[None]()
    client.connection.receive(b'{"event":"pusher:subscribe","data":{"channel":"room"}}')
    client.leave()
    unread.set_result(None)
    house.loop.settle()
    assert house.count("room") == 0
    assert not client.connection.channels


def test_a_replay_has_only_the_last_events_that_fit_into_the_unread_bytes() -> None:
    entries = [Entry(number, 0, Event("e" * 100, b"d" * 100)) for number in range(10)]
    assert len(_last_entries("room", entries, 10_000)) == 10
    assert [entry.serial for entry in _last_entries("room", entries, 1_000)] == [7, 8, 9]
    assert len(_last_entries("room", entries, 100)) == 1
    assert not _last_entries("room", (), 100)
