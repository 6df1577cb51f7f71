"""``POST /apps/ID/events``: the events that a publisher may trigger, and the refusals before anything is sent."""

import json
from typing import Any

import pytest

from soketpy import App, Key
from tests.conftest import Peers, StartServer
from tests.fakes import APP
from tests.web.wire import signed

pytestmark = pytest.mark.usefixtures("nodes")

DATA = 100 * 1024
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def test_an_event_reaches_a_subscriber_byte_for_byte(peers: Peers) -> None:
    client = await peers.client()
    await client.subscribe("my-channel")
    reply = await peers.trigger("my-channel", "my-event", '{ "spaces": 1.0}')
    assert (reply.status, reply.json) == (200, {})
    assert '"{ \\"spaces\\": 1.0}"' in str(await client.peer.recv())


@pytest.mark.parametrize(
    "literal",
    ['"\\u00fc \\ud83d\\ude00"', '"ü 😀"', '"\\/"', '""', '" "', '"\\u0000"', '"{\\"a\\":\\n1}"'],
)
async def test_the_escapes_of_a_data_string_stay_as_the_publisher_wrote_them(peers: Peers, literal: str) -> None:
    client = await peers.client()
    await client.subscribe("room")
    body = f'{{"name":"said","channels":["room"],"data":  {literal} }}'.encode()
    reply = await peers.request("POST", signed("POST", "/apps/app-id/events", body), data=body)
    assert (reply.status, reply.json) == (200, {})
    assert await client.peer.recv() == f'{{"event":"said","channel":"room","data":{literal}}}'


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ('{ "a" : [1, 2.50, null] }', '{"a":[1,2.50,null]}'),
        ("[ ]", "[]"),
        ("12", "12"),
        ("null", "null"),
        ("true", "true"),
        ('{"name": "ü\\u00fc"}', '{"name":"ü\\u00fc"}'),
    ],
)
async def test_data_that_is_not_a_string_is_sent_as_its_compact_json_text(peers: Peers, data: str, text: str) -> None:
    client = await peers.client()
    await client.subscribe("room")
    body = f'{{"name":"said","channel":"room","data":{data}}}'.encode()
    reply = await peers.request("POST", signed("POST", "/apps/app-id/events", body), data=body)
    assert reply.status == 200
    assert json.loads(await client.peer.recv())["data"] == text


async def test_an_event_goes_once_to_each_of_its_channels(peers: Peers) -> None:
    client = await peers.client()
    await client.subscribe("one")
    await client.subscribe("two")
    reply = await peers.call("POST", "/events", {"name": "said", "channels": ["one", "two", "one"], "data": "x"})
    assert reply.status == 200
    await peers.trigger("one", "last")
    heard = [await client.hear() for _ in range(3)]
    assert [each["event"] for each in heard if each["channel"] == "one"] == ["said", "last"]
    assert [each["event"] for each in heard if each["channel"] == "two"] == ["said"]


async def test_the_connection_of_socket_id_is_left_out(peers: Peers) -> None:
    sender, other = await peers.client(), await peers.client()
    await sender.subscribe("room")
    await other.subscribe("room")
    await peers.trigger("room", "said", socket_id=sender.id)
    await peers.trigger("room", "last")
    assert [(await other.hear())["event"] for _ in range(2)] == ["said", "last"]
    assert (await sender.hear())["event"] == "last"


async def test_a_socket_id_of_nobody_leaves_nobody_out(peers: Peers) -> None:
    client = await peers.client()
    await client.subscribe("room")
    assert (await peers.trigger("room", "said", socket_id="1.1")).status == 200
    assert (await client.hear())["event"] == "said"


async def test_an_event_for_a_user_reaches_every_connection_of_that_user_only(peers: Peers) -> None:
    first, second, other = await peers.client(), await peers.client(), await peers.client()
    for client, user_id in ((first, "ada"), (second, "ada"), (other, "bob")):
        await client.sign_in(user_id)
    assert (await peers.trigger("#server-to-user-ada", "hello")).status == 200
    assert (await peers.trigger("#server-to-user-bob", "hello bob")).status == 200
    assert (await first.hear())["event"] == (await second.hear())["event"] == "hello"
    assert (await other.hear())["event"] == "hello bob"


async def test_only_the_app_of_the_path_hears_an_event(start_server: StartServer) -> None:
    other = App(id="other", keys=(Key("other-key", "other-secret"),))
    peers = await start_server(apps=(APP, other))
    here, there = await peers.client(), await peers.client(path="/app/other-key")
    await here.subscribe("room")
    await there.subscribe("room")
    await peers.trigger("room", "connected")
    await peers.call("POST", "/events", {"name": "there", "channel": "room", "data": ""}, app=other)
    assert (await here.hear())["event"] == "connected"
    assert (await there.hear())["event"] == "there"


# Info


async def test_info_tells_what_the_publisher_asked_back(peers: Peers) -> None:
    client = await peers.client()
    await client.subscribe("room")
    await client.subscribe("presence-room", {"user_id": "1"})
    reply = await peers.call(
        "POST",
        "/events",
        {
            "name": "e",
            "channels": ["room", "presence-room", "empty"],
            "data": "",
            "info": "user_count,subscription_count",
        },
    )
    assert reply.json == {
        "channels": {
            "room": {"subscription_count": 1},
            "presence-room": {"user_count": 1, "subscription_count": 1},
            "empty": {"subscription_count": 0},
        }
    }


async def test_user_count_is_that_of_people_and_subscription_count_that_of_connections(peers: Peers) -> None:
    for user_id in ("1", "1", "2"):
        client = await peers.client()
        await client.subscribe("presence-room", {"user_id": user_id})
    reply = await peers.trigger("presence-room", "e", info="user_count,subscription_count")
    assert reply.json == {"channels": {"presence-room": {"user_count": 2, "subscription_count": 3}}}


# Forms and queries


async def test_an_event_may_be_form_encoded(peers: Peers) -> None:
    client = await peers.client()
    await client.subscribe("one")
    await client.subscribe("two")
    body = b"name=said&data=%7B%22a%22%3A%201%7D+%C3%BC&channels[]=one&channels%5B%5D=two"
    reply = await peers.request("POST", signed("POST", "/apps/app-id/events", body), data=body, headers=FORM)
    assert (reply.status, reply.json) == (200, {})
    heard = [json.loads(await client.peer.recv()) for _ in range(2)]
    assert sorted(each["channel"] for each in heard) == ["one", "two"]
    assert {each["data"] for each in heard} == {'{"a": 1} ü'}


async def test_json_that_is_sent_as_a_form_is_json_all_the_same(peers: Peers) -> None:
    body = b'{"name":"said","channel":"room","data":"","info":"subscription_count"}'
    reply = await peers.request("POST", signed("POST", "/apps/app-id/events", body), data=body, headers=FORM)
    assert reply.json == {"channels": {"room": {"subscription_count": 0}}}


async def test_the_parameters_of_an_event_may_stand_in_the_query(peers: Peers) -> None:
    sender, other = await peers.client(), await peers.client()
    for client in (sender, other):
        await client.subscribe("one")
        await client.subscribe("two")
    parameters = [
        ("name", "said"),
        ("data", "a&b=c"),
        ("channels[]", "one"),
        ("channels[]", "two"),
        ("socket_id", sender.id),
        ("info", "subscription_count"),
    ]
    reply = await peers.request("POST", signed("POST", "/apps/app-id/events", parameters=parameters))
    assert reply.json == {"channels": {"one": {"subscription_count": 2}, "two": {"subscription_count": 2}}}
    assert [(await other.hear())["data"] for _ in range(2)] == ["a&b=c", "a&b=c"]
    await peers.trigger("one", "last")
    assert (await sender.hear())["event"] == "last"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"data=x&channel=room", "The event has no name."),
        (b"name=e&channel=room", "The event has no data."),
        (b"name=e&data=x", "The event has no channel."),
        (b"name=\xff&data=x&channel=room", "The body is not UTF-8."),
        (b"&".join([b"a=1"] * 1001), "The query has too many parameters."),
    ],
)
async def test_a_form_is_held_to_the_same_rules(peers: Peers, body: bytes, reason: str) -> None:
    reply = await peers.request("POST", signed("POST", "/apps/app-id/events", body), data=body, headers=FORM)
    assert (reply.status, reply.json) == (400, {"error": reason, "code": 400})


# Refusals


@pytest.mark.parametrize(
    ("body", "names"),
    [
        (b"", "no name"),
        (b"{", "truncated"),
        (b"[]", "object"),
        (b"null", "object"),
        (b'"text"', "object"),
        (b"{}", "name"),
        (b'{"name":"e","channel":"room"}', "data"),
        (b'{"name":"e","data":"x"}', "no channel"),
        (b'{"name":"e","data":"x","channels":[]}', "no channel"),
        (b'{"name":"","data":"x","channel":"room"}', "name is empty"),
        (b'{"name":1,"data":"x","channel":"room"}', "$.name"),
        (b'{"name":null,"data":"x","channel":"room"}', "$.name"),
        (b'{"name":"e","data":"x","channels":"room"}', "$.channels"),
        (b'{"name":"e","data":"x","channels":[1]}', "$.channels["),
        (b'{"name":"e","data":"x","channels":{"a":1}}', "$.channels"),
        (b'{"name":"e","data":"x","channel":["room"]}', "$.channel"),
        (b'{"name":"e","data":"x","channel":""}', "name is empty"),
        (b'{"name":"e","data":"x","channel":"a b"}', "letters, digits"),
        ('{"name":"e","data":"x","channel":"ü"}'.encode(), "letters, digits"),
        (b'{"name":"e","data":"x","channel":"#other"}', "#server-to-user-"),
        (b'{"name":"e","data":"x","channel":"#server-to-user-"}', "#server-to-user-"),
        (b'{"name":"e","data":"x","channel":"room","socket_id":"1"}', "socket_id"),
        (b'{"name":"e","data":"x","channel":"room","socket_id":"1.1\\n"}', "socket_id"),
        (b'{"name":"e","data":"x","channel":"room","socket_id":""}', "socket_id"),
        (b'{"name":"e","data":"x","channel":"room","socket_id":1.1}', "$.socket_id"),
        (b'{"name":"e","data":"x","channel":"room","info":"everything"}', "'everything' is unknown"),
        (b'{"name":"e","data":"x","channel":"room","info":["user_count"]}', "$.info"),
        (b'{"name":"e","data":"\xff","channel":"room"}', "not UTF-8"),
        (b'{"name":"e","data":"\\ud800,"channel":"room"}', "invalid character"),
        (b'{"name":"e","data":"x","channel":"room"}}', "trailing"),
        (b'{"name":"e","data":NaN,"channel":"room"}', "invalid"),
        (b'\xef\xbb\xbf{"name":"e","data":"x","channel":"room"}', "not valid"),
    ],
)
async def test_what_is_no_event_is_refused_with_a_reason(
    peers: Peers, body: bytes, names: str, caplog: pytest.LogCaptureFixture
) -> None:
    reply = await peers.request("POST", signed("POST", "/apps/app-id/events", body), data=body)
    assert reply.status == 400
    assert reply.json["code"] == 400
    assert names in reply.json["error"]
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("depth", [*range(100, 1200, 50), 100_000, 400_000])
@pytest.mark.parametrize("where", ["data", "name"])
async def test_deeply_nested_json_is_refused_or_passed_on_and_never_fails(peers: Peers, depth: int, where: str) -> None:
    nested = "[" * depth + "]" * depth
    fields = {"name": '"e"', "data": '"x"', "channel": '"room"', where: nested}
    body = ("{" + ",".join(f'"{name}":{value}' for name, value in fields.items()) + "}").encode()
    reply = await peers.request("POST", signed("POST", "/apps/app-id/events", body), data=body)
    assert reply.status in ((400,) if where == "name" else (413,) if depth > 10_000 else (200,))


async def test_an_event_for_an_encrypted_channel_goes_there_alone(peers: Peers) -> None:
    client = await peers.client()
    await client.subscribe("private-encrypted-a")
    for channels in (["private-encrypted-a", "room"], ["private-encrypted-a", "private-encrypted-cache-b"]):
        reply = await peers.call("POST", "/events", {"name": "together", "channels": channels, "data": "x"})
        assert (reply.status, "encrypted" in reply.json["error"]) == (400, True)
    for channels in (["private-encrypted-a"], ["private-encrypted-a", "private-encrypted-a"]):
        reply = await peers.call("POST", "/events", {"name": "alone", "channels": channels, "data": "x"})
        assert reply.status == 200
        assert (await client.hear())["event"] == "alone"


@pytest.mark.parametrize(
    ("fields", "status", "names"),
    [
        ({"channels": [f"room-{number}" for number in range(100)]}, 200, ""),
        ({"channels": [f"room-{number}" for number in range(101)]}, 400, "100 channels at most; this one names 101"),
        ({"name": "n" * 200}, 200, ""),
        ({"name": "n" * 201}, 400, "200 characters"),
        ({"channels": ["c" * 200]}, 200, ""),
        ({"channels": ["c" * 201]}, 400, "200 characters"),
        ({"data": "d" * DATA}, 200, ""),
        ({"data": "d" * (DATA + 1)}, 413, f"{DATA + 1} bytes; the app allows {DATA}"),
        ({"data": "ü" * (DATA // 2)}, 200, ""),
        ({"data": "ü" * (DATA // 2) + "x"}, 413, f"{DATA + 1} bytes; the app allows {DATA}"),
        ({"data": "\n" * DATA}, 200, ""),
        ({"data": {"k": "d" * (DATA - 8)}}, 200, ""),
        ({"data": {"k": "d" * (DATA - 7)}}, 413, f"{DATA + 1} bytes; the app allows {DATA}"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_the_limits_of_an_event_are_exact(peers: Peers, fields: dict[str, Any], status: int, names: str) -> None:
    reply = await peers.call("POST", "/events", {"name": "e", "channels": ["room"], "data": "x", **fields})
    assert reply.status == status
    if status != 200:
        assert reply.json["code"] == status
        assert names in reply.json["error"]


async def test_an_app_may_have_limits_of_its_own(start_server: StartServer) -> None:
    small = App(
        id="app-id",
        keys=APP.keys,
        max_event_name_length=3,
        max_event_payload_in_kb=0.5,
        max_event_channels_at_once=2,
        max_channel_name_length=4,
    )
    peers = await start_server(apps=(small,))
    fits = {"name": "abc", "channels": ["abcd", "b"], "data": "d" * 512}
    assert (await peers.call("POST", "/events", fits)).status == 200
    for fields, status in (
        ({"name": "abcd"}, 400),
        ({"channels": ["abcde"]}, 400),
        ({"channels": ["a", "b", "c"]}, 400),
        ({"data": "d" * 513}, 413),
    ):
        assert (await peers.call("POST", "/events", {**fits, **fields})).status == status


async def test_an_event_that_is_refused_for_one_channel_reaches_none(peers: Peers) -> None:
    client = await peers.client()
    await client.subscribe("room")
    refused = {"name": "refused", "channels": ["room", "no such name"], "data": "x"}
    assert (await peers.call("POST", "/events", refused)).status == 400
    await peers.trigger("room", "last")
    assert (await client.hear())["event"] == "last"


async def test_a_cache_channel_remembers_the_last_event_that_was_triggered(peers: Peers) -> None:
    await peers.trigger("cache-room", "first", "1")
    await peers.trigger("cache-room", "second", '{ "n": 2 }')
    client = await peers.client()
    await client.subscribe("cache-room")
    assert await client.peer.recv() == '{"event":"second","channel":"cache-room","data":"{ \\"n\\": 2 }"}'
