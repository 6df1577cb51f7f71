"""Channels with history: stored events, for subscribers and for readers of the log."""

import json
from dataclasses import replace
from typing import Any

import pytest

from soketpy.core.history import HistoryRule, Position, parse_position
from tests.fakes import APP, Client, House

pytestmark = pytest.mark.usefixtures("nodes")

STORED = replace(APP, history=(HistoryRule(channels="*room"), HistoryRule(channels="rewound-*", rewind=2)))


@pytest.fixture
def house() -> House:
    return House()


def triggered(house: House, channel: str, *names: str, exclude: Client | None = None) -> None:
    for name in names:
        house.trigger(channel, name, json.dumps({"of": name}), app=STORED, exclude=exclude)
    house.loop.settle()


def page(client: Client, channel: str, **asked: object) -> Any:
    """Return the answer of the log to a client."""
    client.say("soketpy:history", {"channel": channel, **asked})
    [answer] = client.take()
    assert (answer["event"], answer["channel"]) == ("soketpy:history", channel), answer
    return answer["data"]


def names(page: Any) -> list[str]:
    return [event["name"] for event in page["events"]]


@pytest.mark.parametrize("channel", ["room", "private-room", "presence-room", "private-encrypted-room"])
def test_the_answer_to_a_subscription_has_a_position(house: House, channel: str) -> None:
    client = house.connect(STORED)
    client.subscribe(channel, "1")
    [answer] = client.take()
    before = parse_position(answer["data"]["position"])
    assert before.serial == 0
    triggered(house, channel, "one")
    assert client.heard() == ["one"]
    late = house.connect(STORED)
    late.subscribe(channel, "2")
    answer = late.take()[0]
    assert parse_position(answer["data"]["position"]) == Position(before.epoch, 1)


def test_a_channel_without_a_rule_has_no_position_and_no_log(house: House) -> None:
    client = house.connect(STORED)
    client.subscribe("news")
    assert client.take()[0]["data"] == {}
    client.say("soketpy:history", {"channel": "news"})
    [answer] = client.take()
    assert answer == {
        "event": "pusher:error",
        "channel": "news",
        "data": {"code": 4301, "message": "The channel has no history."},
    }


def test_a_reader_gets_the_events_after_its_position_in_their_order(house: House) -> None:
    client = house.connect(STORED)
    client.subscribe("room")
    position = client.take()[0]["data"]["position"]
    triggered(house, "room", "one", "two", "three")
    client.take()
    found = page(client, "room", after=position)
    assert names(found) == ["one", "two", "three"]
    assert found["complete"] is True
    epoch = parse_position(position).epoch
    assert [event["id"] for event in found["events"]] == [f"{epoch}:{serial}" for serial in (1, 2, 3)]
    assert (found["first"], found["last"]) == (f"{epoch}:1", f"{epoch}:3")
    assert [json.loads(event["data"]) for event in found["events"]] == [{"of": "one"}, {"of": "two"}, {"of": "three"}]


def test_pages_follow_each_other_without_gaps(house: House) -> None:
    client = house.connect(STORED)
    client.subscribe("room")
    position = client.take()[0]["data"]["position"]
    triggered(house, "room", *map(str, range(10)))
    client.take()
    read = list[str]()
    for _ in range(4):
        found = page(client, "room", after=position, limit=3)
        assert found["complete"] is True
        read += names(found)
        position = found["events"][-1]["id"]
    assert read == list(map(str, range(10)))


def test_a_reader_without_a_position_gets_the_last_events(house: House) -> None:
    client = house.connect(STORED)
    client.subscribe("room")
    triggered(house, "room", *map(str, range(10)))
    client.take()
    newest = page(client, "room", limit=3)
    assert names(newest) == ["7", "8", "9"]
    assert names(page(client, "room", limit=3, before=newest["events"][0]["id"])) == ["4", "5", "6"]


@pytest.mark.parametrize("serial", [4, 10**15])
def test_a_position_in_the_future_is_incomplete(house: House, serial: int) -> None:
    client = house.connect(STORED)
    client.subscribe("room")
    epoch = parse_position(client.take()[0]["data"]["position"]).epoch
    triggered(house, "room", "one", "two", "three")
    client.take()
    found = page(client, "room", after=f"{epoch}:{serial}")
    assert (names(found), found["complete"]) == ([], False)


def test_a_position_of_another_channel_is_incomplete(house: House) -> None:
    client = house.connect(STORED)
    client.subscribe("room")
    client.subscribe("other-room")
    position = client.take()[1]["data"]["position"]
    triggered(house, "room", "one")
    client.take()
    assert page(client, "room", after=position)["complete"] is False


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"limit": 0}, "The limit must be from 1 to 1000."),
        ({"limit": -1}, "The limit must be from 1 to 1000."),
        ({"limit": 10**9}, "The limit must be from 1 to 1000."),
        ({"after": "7"}, "The parameter after must be a position, such as the id of an event."),
        ({"before": "x" * 10_000}, "The parameter before must be a position, such as the id of an event."),
        ({"after": "0" * 16 + ":" + "9" * 16}, "The parameter after must be a position, such as the id of an event."),
    ],
)
def test_a_wrong_request_gets_the_reason(house: House, asked: dict[str, object], reason: str) -> None:
    client = house.connect(STORED)
    client.subscribe("room")
    client.take()
    client.say("soketpy:history", {"channel": "room", **asked})
    [answer] = client.take()
    assert answer["data"] == {"code": 4301, "message": reason}
    assert client.closed is None


def test_only_a_subscriber_may_read_the_log(house: House) -> None:
    triggered(house, "private-room", "secret")
    client = house.connect(STORED)
    client.say("soketpy:history", {"channel": "private-room"})
    assert client.take()[0]["data"]["message"] == "The connection is not on this channel."


def test_no_app_reads_the_log_of_another_app(house: House) -> None:
    other = replace(STORED, id="another")
    client = house.connect(other)
    client.subscribe("room")
    client.take()
    triggered(house, "room", "secret")
    assert page(client, "room")["events"] == []


def test_a_rule_replays_the_last_events_to_a_new_subscriber(house: House) -> None:
    triggered(house, "rewound-a", "one", "two", "three")
    client = house.connect(STORED)
    client.subscribe("rewound-a")
    triggered(house, "rewound-a", "four")
    answer, *events = client.take()
    assert answer["event"] == "pusher_internal:subscription_succeeded"
    assert parse_position(answer["data"]["position"]).serial == 3
    assert [(event["event"], event["data"]) for event in events] == [
        (name, {"of": name}) for name in ("two", "three", "four")
    ]


@pytest.mark.parametrize(
    ("asked", "replayed"),
    [
        ({"rewind": 2}, ["two", "three"]),
        ({"rewind": 0}, []),
        ({"rewind_seconds": 3600}, ["one", "two", "three"]),
        ({"rewind": 1, "rewind_seconds": 3600}, ["three"]),
        ({"rewind_seconds": 0}, []),
    ],
)
def test_signed_channel_data_asks_for_a_replay(house: House, asked: dict[str, object], replayed: list[str]) -> None:
    triggered(house, "private-room", "one", "two", "three")
    client = house.connect(STORED)
    client.subscribe("private-room", channel_data=json.dumps(asked))
    assert client.heard() == ["subscription_succeeded", *replayed]


@pytest.mark.parametrize(
    "asked",
    [
        {"rewind": -1},
        {"rewind": 10**9},
        {"rewind": "5"},
        {"rewind_seconds": -0.5},
        {"rewind_seconds": 1e308},
        {"rewind_seconds": 315360001},
    ],
)
def test_a_wrong_request_for_a_replay_refuses_the_subscription(house: House, asked: dict[str, object]) -> None:
    client = house.connect(STORED)
    client.subscribe("private-room", channel_data=json.dumps(asked))
    [answer] = client.take()
    assert answer["event"] == "pusher:subscription_error"
    assert answer["data"]["status"] == 400
    assert house.count("private-room", STORED) == 0
    client.subscribe("private-room", channel_data=json.dumps({"rewind": 1}))
    assert client.heard() == ["subscription_succeeded"]


def test_a_replay_on_a_channel_without_history_is_refused(house: House) -> None:
    client = house.connect(STORED)
    client.subscribe("private-news", channel_data=json.dumps({"rewind": 1}))
    [answer] = client.take()
    assert answer["data"] == {"type": "NoHistory", "error": "The channel has no history.", "status": 400}


def test_a_connection_does_not_get_its_own_events_again(house: House) -> None:
    client = house.connect(STORED)
    client.subscribe("rewound-a")
    client.take()
    triggered(house, "rewound-a", "own", exclude=client)
    triggered(house, "rewound-a", "other")
    client.say("pusher:unsubscribe", {"channel": "rewound-a"})
    client.take()
    client.subscribe("rewound-a")
    assert client.heard() == ["subscription_succeeded", "other"]


def test_a_log_has_at_most_the_events_of_its_rule(house: House) -> None:
    app = replace(APP, history=(HistoryRule(channels="room", events=3),))
    client = house.connect(app)
    client.subscribe("room")
    position = client.take()[0]["data"]["position"]
    for name in "abcde":
        house.trigger("room", name, app=app)
    house.loop.settle()
    client.take()
    found = page(client, "room", after=position)
    assert (names(found), found["complete"]) == (["c", "d", "e"], False)
    assert parse_position(found["first"]).serial == 3


def test_a_log_has_at_most_the_bytes_of_its_rule(house: House) -> None:
    app = replace(APP, history=(HistoryRule(channels="room", kib=4),))
    client = house.connect(app)
    client.subscribe("room")
    client.take()
    for name in "abcde":
        house.trigger("room", name, "x" * 1500, app=app)
    house.loop.settle()
    client.take()
    assert names(page(client, "room")) == ["d", "e"]


def test_a_cache_channel_with_history_has_both(house: House) -> None:
    app = replace(APP, history=(HistoryRule(channels="cache-*"),))
    early = house.connect(app)
    early.subscribe("cache-a")
    early.take()
    house.trigger("cache-a", "one", app=app)
    house.trigger("cache-a", "two", app=app)
    assert early.heard() == ["one", "two"]
    client = house.connect(app)
    client.subscribe("cache-a")
    assert client.heard() == ["subscription_succeeded", "two"]
    assert names(page(client, "cache-a")) == ["one", "two"]


def test_client_events_are_stored_if_the_rule_says_so(house: House) -> None:
    app = replace(
        APP,
        history=(
            HistoryRule(channels="presence-all", client_events=True),
            HistoryRule(channels="presence-*"),
        ),
    )
    sender = house.connect(app)
    for channel in ("presence-all", "presence-few"):
        sender.subscribe(channel, "1")
        sender.say("client-moved", {"x": 1}, channel=channel)
    sender.take()
    stored = page(sender, "presence-all")
    assert [(event["name"], event["data"], event["user_id"]) for event in stored["events"]] == [
        ("client-moved", {"x": 1}, "1")
    ]
    assert page(sender, "presence-few")["events"] == []
