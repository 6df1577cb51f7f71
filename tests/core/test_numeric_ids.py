"""User ids that are numbers: strings by default, numbers for an app with numeric_ids, as in soketi."""

import json
from dataclasses import replace
from typing import Any

import pytest

from soketpy.core.apps import App
from tests.conftest import StartServer
from tests.fakes import APP, Client, House

pytestmark = pytest.mark.usefixtures("nodes")

ROOM = "presence-a"
KEPT = replace(APP, numeric_ids=True)

# channel_data as it is sent, and the id in the app that keeps numbers.
KEPT_IDS = [
    ("7", 7),
    ('"7"', "7"),
    ("5.0", 5),
    ("1e3", 1000),
    ("-1.5", -1.5),
    ("0", 0),
    ('"ada"', "ada"),
    ("1e21", 1e21),
]


@pytest.fixture
def house() -> House:
    return House()


def on(house: House, user_id: str, app: App = KEPT) -> Client:
    """A client that has joined the room with this JSON text as its user id."""
    client = house.connect(app)
    client.subscribe(ROOM, channel_data=f'{{"user_id":{user_id}}}')
    return client


def presence(client: Client) -> dict[str, Any]:
    """The members with which the room has greeted a client."""
    greeting = client.take()[0]
    assert greeting["event"] == "pusher_internal:subscription_succeeded"
    found: dict[str, Any] = greeting["data"]["presence"]
    return found


def exactly(value: object) -> str:
    """JSON that tells 1 from "1" and 5 from 5.0."""
    return json.dumps(value)


@pytest.mark.parametrize(("sent", "user_id"), KEPT_IDS)
def test_an_app_that_keeps_numbers_has_them_everywhere(house: House, sent: str, user_id: object) -> None:
    watcher = on(house, '"watcher"')
    watcher.take()
    client = on(house, sent)
    late = on(house, '"late"')
    for greeted in (client, late):
        assert exactly(user_id) in [exactly(each) for each in presence(greeted)["ids"]]
    [added, _] = watcher.take()
    assert exactly(added["data"]) == exactly({"user_id": user_id})
    client.say("client-said", {}, channel=ROOM)
    [event] = watcher.take()
    assert exactly(event["user_id"]) == exactly(user_id)
    client.leave()
    [removed] = watcher.take()
    assert exactly(removed["data"]) == exactly({"user_id": user_id})


@pytest.mark.parametrize(("sent", "text"), [("7", "7"), ("5.0", "5"), ("1e3", "1000"), ('"7"', "7"), ("-0.0", "0")])
def test_by_default_a_number_is_a_string(house: House, sent: str, text: str) -> None:
    watcher = on(house, '"watcher"', APP)
    watcher.take()
    client = on(house, sent, APP)
    assert presence(client)["ids"] == ["watcher", text] or presence(client)["hash"].keys() == {"watcher", text}
    assert watcher.take()[0]["data"] == {"user_id": text}
    client.say("client-said", {}, channel=ROOM)
    assert watcher.take()[0]["user_id"] == text


def test_the_names_in_the_hash_are_strings(house: House) -> None:
    assert presence(on(house, "7")) == {"ids": [7], "hash": {"7": None}, "count": 1}


@pytest.mark.parametrize("app", [APP, KEPT])
@pytest.mark.parametrize(("one", "other"), [("1", '"1"'), ('"1"', "1"), ("1", "1.0"), ("1e0", "1")])
def test_a_number_and_its_text_are_one_member(house: House, app: App, one: str, other: str) -> None:
    first = on(house, one, app)
    first.take()
    second = on(house, other, app)
    assert presence(second)["count"] == 1
    second.leave()
    assert first.take() == []
    assert house.members(ROOM) == ["1"]


def test_the_member_of_a_signed_in_connection_keeps_its_number(house: House) -> None:
    client = house.connect(KEPT)
    client.sign_in_with('{"id":7,"user_info":{"name":"Ada"}}')
    assert client.take()[0]["data"] == {"user_data": '{"id":7,"user_info":{"name":"Ada"}}'}
    client.subscribe(ROOM)
    assert presence(client) == {"ids": [7], "hash": {"7": {"name": "Ada"}}, "count": 1}


def test_by_default_the_answer_to_a_sign_in_has_the_id_as_a_string(house: House) -> None:
    client = house.connect()
    client.sign_in_with('{"id":7, "user_info":{"name":"Ada"}}')
    [answer] = client.take()
    assert answer["event"] == "pusher:signin_success"
    assert json.loads(answer["data"]["user_data"]) == {"id": "7", "user_info": {"name": "Ada"}}


@pytest.mark.parametrize("app", [APP, KEPT])
def test_a_user_whose_id_is_a_number_is_reached(house: House, app: App) -> None:
    client = house.connect(app)
    client.sign_in_with('{"id":7}')
    client.subscribe("#server-to-user-7")
    assert client.heard() == ["signin_success", "subscription_succeeded"]
    house.trigger("#server-to-user-7", "said", app=app)
    assert client.heard() == ["said"]
    house.terminate("7", app)
    assert client.heard() == ["error"]


@pytest.mark.parametrize("watchlist", ['["7","8"]', "[7,8.0]", '{"0":"7","2":8}', '{"a":7,"b":"8"}'])
def test_a_watchlist_may_have_numbers_and_be_an_object(house: House, watchlist: str) -> None:
    watched = house.connect()
    watched.sign_in_with('{"id":7}')
    client = house.connect()
    client.sign_in_with(f'{{"id":"1","watchlist":{watchlist}}}')
    assert client.take()[-1]["data"] == {
        "events": [{"name": "online", "user_ids": ["7"]}, {"name": "offline", "user_ids": ["8"]}]
    }


@pytest.mark.parametrize("user_id", ["null", "true", "[1]", "{}", "1e999", '"\\ud83d"', '""'])
def test_what_is_neither_a_string_nor_a_number_is_no_id(house: House, user_id: str) -> None:
    client = on(house, user_id)
    [refused] = client.take()
    assert (refused["event"], refused["data"]["type"]) == ("pusher:subscription_error", "AuthError")
    assert "not valid" in refused["data"]["error"] or "empty" in refused["data"]["error"]
    assert client.closed is None


@pytest.mark.parametrize(("app", "user_id"), [(KEPT, 7), (APP, "7")])
async def test_the_users_over_rest_are_as_the_app_has_them(
    start_server: StartServer, app: App, user_id: object
) -> None:
    peers = await start_server(apps=(app,))
    client = await peers.client()
    await client.subscribe(ROOM, {"user_id": 7, "user_info": {"name": "Ada"}})
    assert (await peers.call("GET", f"/channels/{ROOM}/users")).json == {"users": [{"id": user_id}]}
    reply = await peers.call("GET", f"/channels/{ROOM}/users", query={"with_user_info": "1"})
    assert reply.json == {"users": [{"id": user_id, "user_info": {"name": "Ada"}}]}
