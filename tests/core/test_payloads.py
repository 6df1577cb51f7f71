"""Payloads are opaque: valid JSON is forwarded unchanged, and a limit measures the decoded value."""

import json
import time
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest

from soketpy.core import triggers
from soketpy.core.apps import App
from soketpy.protocol import signatures
from tests.conftest import Peers, Reply
from tests.fakes import APP, Client, House
from tests.protocol.test_grammar import INVALID, VALID

pytestmark = pytest.mark.usefixtures("nodes")

PRIVATE, ROOM = "private-a", "presence-a"
SMALL = replace(APP, max_event_payload_in_kb=1, max_presence_member_size_in_kb=1)

HALF = r'{"preview":"\ud83d"}'
PAYLOADS = [HALF, r'"\ud83d"', r'{"\ud83d":"\udc00"}', "1e999", "9" * 200, '{"a":1,"a":2}', "[" * 1_000 + "]" * 1_000]

# A value of 991 bytes, and how four languages spell it.
PROFILE = {"name": "あ" * 320, "url": "https://a/b"}
SPELLINGS = {
    "JavaScript": json.dumps(PROFILE, ensure_ascii=False, separators=(",", ":")),
    "Python": json.dumps(PROFILE),
    "PHP": json.dumps(PROFILE, separators=(",", ":")).replace("/", r"\/"),
    "Ruby, pretty": json.dumps(PROFILE, indent=4, ensure_ascii=False),
}


@pytest.fixture
def house() -> House:
    return House()


def on(house: House, channel: str, user_id: object = None, app: App = APP) -> Client:
    """A client that has joined the channel."""
    client = house.connect(app)
    client.subscribe(channel, user_id)
    client.take()
    return client


def last(client: Client) -> bytes:
    """The text of the message that was heard last."""
    client.house.loop.settle()
    frame = client.transport.frames[-1]
    client.transport.frames.clear()
    return frame[frame.index(b'{"event"') :]


def said(client: Client) -> dict[str, Any]:
    """The message that was heard last, whose data is still a text."""
    found: dict[str, Any] = json.loads(last(client))
    return found


async def send(peers: Peers, path: str, body: bytes, kind: str = "application/json") -> Reply:
    """A signed call with this body."""
    full = f"/apps/app-id{path}"
    query = signatures.signed_query("app-key", "app-secret", "POST", full, body, int(time.time()))
    return await peers.request("POST", f"{full}?{query}", data=body, headers={"Content-Type": kind})


def client_event(data: str, name: str = "client-said", channel: str = PRIVATE) -> bytes:
    """The text of a client event whose parts are JSON already."""
    return f'{{"event":"{name}","channel":"{channel}","data":{data}}}'.encode()


@pytest.mark.parametrize("data", PAYLOADS, ids=lambda data: data[:20])
def test_a_client_event_goes_out_as_it_came(house: House, data: str) -> None:
    sender, listener = on(house, PRIVATE), on(house, PRIVATE)
    sender.hear(client_event(data))
    assert last(listener).endswith(f'"data":{data}}}'.encode())
    assert sender.take() == []


def test_a_sender_of_halves_of_pairs_is_never_closed(house: House) -> None:
    sender, listener = on(house, PRIVATE), on(house, PRIVATE)
    for _ in range(30):
        sender.hear(client_event(HALF))
    assert sender.closed is None
    assert len(listener.take()) == 30


@pytest.mark.parametrize("data", INVALID, ids=lambda data: data[:20])
def test_what_is_no_json_is_a_bad_message_and_reaches_nobody(house: House, data: str) -> None:
    sender, listener = on(house, PRIVATE), on(house, PRIVATE)
    sender.hear(client_event(data))
    [answer] = sender.take()
    assert answer["data"]["code"] == 4300
    assert "surrogate" not in answer["data"]["message"]
    assert listener.take() == []


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (r'{"\u0065vent":"client-\u0061","channel":"private\u002da","data":1}', "client-a"),
        (r'{"event":"client-\ud83d","channel":"private-a","data":1}', "client-\ud83d"),
        (r'{"event":"client-a","channel":"private-a","data":1,"\ud83d":[]}', "client-a"),
        ('{"event":"client-a","channel":"private-a","data":1,"more":' + "[" * 5_000 + "]" * 5_000 + "}", "client-a"),
        ('{"event":"client-b","event":"client-a","channel":"private-a","data":2,"data":1}', "client-a"),
        (' \n{ "event" :\t"client-a" , "channel":"private-a","data": 1 }\r', "client-a"),
    ],
)
def test_the_names_of_an_event_may_be_spelled_in_any_way(house: House, text: str, name: str) -> None:
    sender, listener = on(house, PRIVATE), on(house, PRIVATE)
    sender.hear(text.encode())
    assert listener.take() == [{"event": name, "channel": PRIVATE, "data": 1}]


@pytest.mark.parametrize("channel", [r"\ud83d", r"#server-to-user-\ud83d", r"private-\ud83d"])
def test_a_channel_that_no_name_can_be_is_refused_and_the_connection_stays(house: House, channel: str) -> None:
    client = house.connect()
    client.hear(f'{{"event":"pusher:subscribe","data":{{"channel":"{channel}"}}}}'.encode())
    assert client.heard() == ["subscription_error"]
    client.hear(f'{{"event":"pusher:unsubscribe","data":{{"channel":"{channel}"}}}}'.encode())
    client.hear(client_event("1", channel=channel))
    [answer] = client.take()
    assert (answer["data"]["code"], json.dumps(answer["channel"])) == (4301, f'"{channel}"')
    assert client.closed is None


@pytest.mark.parametrize("data", PAYLOADS, ids=lambda data: data[:20])
def test_user_info_goes_out_as_it_came(house: House, data: str) -> None:
    watcher = on(house, ROOM, "watcher")
    client = house.connect()
    client.subscribe(ROOM, channel_data=f'{{"user_id":"1","user_info":{data}}}')
    assert said(watcher)["data"] == f'{{"user_id":"1","user_info":{data}}}'
    assert f'"1":{data}' in said(client)["data"]


def test_user_data_with_half_of_a_pair_signs_in(house: House) -> None:
    client = house.connect()
    user_data = r'{"id":"1","user_info":{"preview":"\ud83d"},"watchlist":["2"]}'
    client.sign_in_with(user_data)
    assert client.take()[0]["data"] == {"user_data": user_data}
    client.subscribe(ROOM)
    assert client.take()[0]["data"]["presence"]["hash"]["1"] == {"preview": "\ud83d"}


# Over REST


@pytest.mark.parametrize("data", [data for data in VALID if len(data) < 50_000], ids=lambda data: data[:20])
@pytest.mark.parametrize("path", ["/events", "/batch_events"])
async def test_data_over_rest_is_any_json(peers: Peers, data: str, path: str) -> None:
    listener = await peers.client()
    await listener.subscribe("room")
    event = f'{{"name":"said","channel":"room","data":{data}}}'
    body = event if path == "/events" else f'{{"batch":[{{"name":"first","channel":"room","data":"x"}},{event}]}}'
    assert (await send(peers, path, body.encode())).status == 200
    if path != "/events":
        assert (await listener.hear())["event"] == "first"
    heard = json.loads(await listener.peer.recv())
    if data.startswith('"'):
        assert heard["data"] == json.loads(data)
    else:
        assert heard["data"] == data.replace(" ", "").strip("\t\n\r")


@pytest.mark.parametrize("data", INVALID, ids=lambda data: data[:20])
@pytest.mark.parametrize("path", ["/events", "/batch_events"])
async def test_what_is_no_json_is_400_with_the_true_reason(peers: Peers, data: str, path: str) -> None:
    event = f'{{"name":"said","channel":"room","data":{data}}}'
    body = event if path == "/events" else f'{{"batch":[{event}]}}'
    reply = await send(peers, path, body.encode())
    assert reply.status == 400
    assert "surrogate" not in reply.json["error"]


async def test_the_name_of_an_event_may_have_half_of_a_pair_and_is_remembered(peers: Peers) -> None:
    body = rb'{"name":"\ud83d","channel":"cache-a","data":"\ud83d"}'
    assert (await send(peers, "/events", body)).status == 200
    for _ in range(2):
        listener = await peers.client()
        await listener.subscribe("cache-a")
        heard = json.loads(await listener.peer.recv())
        assert (heard["event"], heard["data"]) == ("\ud83d", "\ud83d")


async def test_a_channel_over_rest_may_not_have_half_of_a_pair(peers: Peers) -> None:
    for channel in (rb"\ud83d", rb"#server-to-user-\ud83d"):
        reply = await send(peers, "/events", b'{"name":"said","channel":"%s","data":"x"}' % channel)
        assert reply.status == 400


async def test_a_form_may_have_any_text_as_data(peers: Peers) -> None:
    listener = await peers.client()
    await listener.subscribe("room")
    body = urlencode({"name": "said", "channel": "room", "data": HALF}).encode()
    assert (await send(peers, "/events", body, "application/x-www-form-urlencoded")).status == 200
    assert json.loads(await listener.peer.recv())["data"] == HALF


# Limits


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_user_info_within_the_limit_joins_however_it_is_spelled(house: House, spelling: str) -> None:
    client = house.connect(SMALL)
    client.subscribe(ROOM, channel_data=f'{{"user_id":"1","user_info":{SPELLINGS[spelling]}}}')
    [greeting] = client.take()
    assert greeting["data"]["presence"]["hash"]["1"] == PROFILE


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_user_info_over_the_limit_is_refused_however_it_is_spelled(house: House, spelling: str) -> None:
    client = house.connect(replace(APP, max_presence_member_size_in_kb=990 / 1024))
    client.subscribe(ROOM, channel_data=f'{{"user_id":"1","user_info":{SPELLINGS[spelling]}}}')
    [refused] = client.take()
    data = refused["data"]
    assert (data["type"], data["status"]) == ("LimitReached", 4301)
    assert data["error"] == "The user_info has 991 bytes; the app allows 990."


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_client_event_within_the_limit_goes_out_however_it_is_spelled(house: House, spelling: str) -> None:
    sender, listener = on(house, PRIVATE, app=SMALL), on(house, PRIVATE, app=SMALL)
    sender.hear(client_event(SPELLINGS[spelling].replace("\n", " ")))
    assert [message["data"] for message in listener.take()] == [PROFILE]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_client_event_over_the_limit_is_rejected_however_it_is_spelled(house: House, spelling: str) -> None:
    tiny = replace(APP, max_event_payload_in_kb=990 / 1024)
    sender, listener = on(house, PRIVATE, app=tiny), on(house, PRIVATE, app=tiny)
    sender.hear(client_event(SPELLINGS[spelling]))
    assert sender.take()[0]["data"]["message"] == "The event data has 991 bytes; the app allows 990."
    assert listener.take() == []


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_object_data_over_rest_is_measured_however_it_is_spelled(house: House, spelling: str) -> None:
    body = f'{{"name":"said","channel":"news","data":{SPELLINGS[spelling]}}}'.encode()
    assert triggers.check(triggers.parse_event(body), SMALL)
    with pytest.raises(triggers.DataTooLarge, match="The event data has 991 bytes; the app allows 990"):
        triggers.check(triggers.parse_event(body), replace(APP, max_event_payload_in_kb=990 / 1024))


SPACES = " " * 5_000


def test_white_space_beyond_the_limit_is_not_forwarded_to_members(house: House) -> None:
    listener, client = on(house, ROOM, "2", SMALL), house.connect(SMALL)
    channel_data = f'{{"user_id":"1","user_info":{{"a b":{SPACES}1}}}}'
    client.subscribe(ROOM, channel_data=channel_data)
    assert b" " * 2 not in last(listener)
    assert client.take()[0]["data"]["presence"]["hash"]["1"] == {"a b": 1}


def test_white_space_beyond_the_limit_is_not_forwarded_with_a_client_event(house: House) -> None:
    sender, listener = on(house, PRIVATE, app=SMALL), on(house, PRIVATE, app=SMALL)
    sender.hear(client_event(f'["a  b",{SPACES}1]'))
    assert b'"data":["a  b",1]' in last(listener)


def test_a_string_has_one_limit_in_a_client_event_and_over_rest(house: House) -> None:
    sender, listener = on(house, PRIVATE, app=SMALL), on(house, PRIVATE, app=SMALL)
    for size, sent in ((1024, True), (1025, False)):
        sender.hear(client_event(json.dumps("x" * size)))
        assert bool(listener.take()) == sent
        body = json.dumps({"name": "said", "channel": "news", "data": "x" * size}).encode()
        if sent:
            assert triggers.check(triggers.parse_event(body), SMALL)
        else:
            with pytest.raises(triggers.DataTooLarge, match="The event data has 1025 bytes"):
                triggers.check(triggers.parse_event(body), SMALL)


@pytest.mark.parametrize("length", [200, 201])
def test_a_name_is_measured_in_characters_however_it_is_spelled(house: House, length: int) -> None:
    sender, listener = on(house, PRIVATE), on(house, PRIVATE)
    sender.hear(client_event("1", "client-" + r"\u3042" * (length - 7)))
    assert len(listener.take()) == (1 if length == 200 else 0)
    assert len(sender.take()) == (0 if length == 200 else 1)


# The reason of a refused client event


def test_a_client_event_that_is_rejected_names_its_channel(house: House) -> None:
    off = replace(APP, client_events=False)
    rate = replace(APP, max_client_events_per_second=1)
    cases = [
        (off, PRIVATE, PRIVATE, "client-said", "1"),
        (APP, PRIVATE, "private-b", "client-said", "1"),
        (APP, "news", "news", "client-said", "1"),
        (APP, "private-encrypted-a", "private-encrypted-a", "client-said", "1"),
        (APP, PRIVATE, PRIVATE, "client-" + "x" * 200, "1"),
        (SMALL, PRIVATE, PRIVATE, "client-said", json.dumps("x" * 2_000)),
    ]
    for app, joined, channel, name, data in cases:
        client = on(house, joined, app=app)
        client.hear(client_event(data, name, channel))
        [answer] = client.take()
        assert (answer["event"], answer["channel"], answer["data"]["code"]) == ("pusher:error", channel, 4301)
    fast = on(house, PRIVATE, app=rate)
    for _ in range(2):
        fast.hear(client_event("1"))
    assert fast.take()[0]["channel"] == PRIVATE
