"""``POST /apps/ID/batch_events``: several events, all or nothing."""

from typing import Any

import pytest

from soketpy import App, Key
from tests.conftest import Peers, StartServer
from tests.fakes import APP
from tests.web.wire import signed

pytestmark = pytest.mark.usefixtures("nodes")


def event(**fields: object) -> dict[str, object]:
    return {"name": "said", "channel": "room", "data": "x", **fields}


async def test_the_events_of_a_batch_arrive_in_their_order(peers: Peers) -> None:
    client = await peers.client()
    await client.subscribe("one")
    await client.subscribe("two")
    batch = [event(channel="one", data="1"), event(channel="two", data="2"), event(channel="one", data={"n": 3})]
    reply = await peers.call("POST", "/batch_events", {"batch": batch})
    assert (reply.status, reply.json) == (200, {})
    heard = sorted([await client.hear() for _ in range(3)], key=lambda message: str(message["channel"]))
    assert [(each["channel"], each["data"]) for each in heard] == [("one", 1), ("one", {"n": 3}), ("two", 2)]


async def test_each_event_leaves_out_its_own_socket_id(peers: Peers) -> None:
    first, second = await peers.client(), await peers.client()
    await first.subscribe("room")
    await second.subscribe("room")
    batch = [event(name="a", socket_id=first.id), event(name="b", socket_id=second.id), event(name="c")]
    assert (await peers.call("POST", "/batch_events", {"batch": batch})).status == 200
    assert [(await first.hear())["event"] for _ in range(2)] == ["b", "c"]
    assert [(await second.hear())["event"] for _ in range(2)] == ["a", "c"]


async def test_info_is_answered_for_each_event_in_its_place(peers: Peers) -> None:
    client = await peers.client()
    await client.subscribe("room")
    await client.subscribe("presence-room", {"user_id": "1"})
    batch = [
        event(),
        event(info="subscription_count"),
        event(channel="presence-room", info="user_count"),
        event(info="user_count"),
    ]
    reply = await peers.call("POST", "/batch_events", {"batch": batch})
    assert reply.json == {"batch": [{}, {"subscription_count": 1}, {"user_count": 1}, {}]}


@pytest.mark.parametrize(
    ("bad", "status", "names"),
    [
        ({"channel": "no such name"}, 400, "letters, digits"),
        ({"name": ""}, 400, "name is empty"),
        ({"name": "n" * 201}, 400, "200 characters"),
        ({"data": "d" * 102_401}, 413, "102401 bytes"),
        ({"socket_id": "x"}, 400, "socket_id"),
        ({"info": "x"}, 400, "'x' is unknown"),
        ({"channels": ["room"]}, 400, "one channel"),
        ({"channel": None}, 400, "no channel"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_one_bad_event_refuses_the_batch_and_names_its_place(
    peers: Peers, bad: dict[str, Any], status: int, names: str
) -> None:
    client = await peers.client()
    await client.subscribe("room")
    reply = await peers.call("POST", "/batch_events", {"batch": [event(), event(**bad)]})
    assert (reply.status, reply.json["code"]) == (status, status)
    assert reply.json["error"].startswith("Event 1 of the batch: ")
    assert names in reply.json["error"]
    await peers.trigger("room", "last")
    assert (await client.hear())["event"] == "last"


async def test_a_refused_batch_leaves_caches_as_they_were(peers: Peers) -> None:
    batch = [event(channel="cache-room"), event(channel="")]
    assert (await peers.call("POST", "/batch_events", {"batch": batch})).status == 400
    assert (await peers.call("GET", "/channels/cache-room", query={"info": "cache"})).json["cache"] is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b'{"batch":null}',
        b'{"batch":{}}',
        b'{"batch":[1]}',
        b'{"batch":[[]]}',
        b'{"batch":[]}',
        b'{"batch":[{}]}',
        b'{"batch":[{"name":"e","channel":"room","data":"x"}',
        b"\xff\xfe",
        b"batch[]=1",
    ],
)
async def test_what_is_no_batch_is_refused_and_stops_nothing(peers: Peers, body: bytes) -> None:
    reply = await peers.request("POST", signed("POST", "/apps/app-id/batch_events", body), data=body)
    assert (reply.status, reply.json["code"]) == (400, 400)
    assert reply.json["error"]
    assert (await peers.call("POST", "/batch_events", {"batch": [event()]})).json == {}


async def test_a_batch_holds_as_many_events_as_the_app_says(start_server: StartServer) -> None:
    peers = await start_server(apps=(APP, App(id="small", keys=(Key("small-key", "s"),), max_event_batch_size=2)))
    assert (await peers.call("POST", "/batch_events", {"batch": [event()] * 10})).status == 200
    reply = await peers.call("POST", "/batch_events", {"batch": [event()] * 11})
    assert reply.status == 400
    assert "Batch too large" in reply.json["error"]  # Pusher's text, which pusher-http-php looks for
    assert "A batch may hold 10 events at most; this one holds 11." in reply.json["error"]


async def test_events_of_a_batch_may_go_to_encrypted_channels_each(peers: Peers) -> None:
    batch = [event(channel="private-encrypted-a"), event(channel="private-encrypted-b")]
    assert (await peers.call("POST", "/batch_events", {"batch": batch})).status == 200
