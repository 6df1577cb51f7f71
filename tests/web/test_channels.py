"""Queries: the channels of an app, the state of one channel, and the members of a presence channel."""

from typing import Any
from urllib.parse import quote

import pytest

from soketpy import App, Key
from tests.conftest import Peers, StartServer
from tests.fakes import APP

pytestmark = pytest.mark.usefixtures("nodes")


async def joined(peers: Peers, *channels: str, **member: object) -> Any:
    """Return a client that is on these channels."""
    client = await peers.client()
    for channel in channels:
        answer = await client.subscribe(channel, member if channel.startswith("presence-") else None)
        assert answer["event"] == "pusher_internal:subscription_succeeded", answer
    return client


# GET /channels


async def test_nobody_anywhere_is_an_empty_list(peers: Peers) -> None:
    reply = await peers.call("GET", "/channels")
    assert (reply.status, reply.json) == (200, {"channels": {}})
    assert reply.headers["Content-Type"] == "application/json"


async def test_occupied_channels_are_listed_with_soketis_attributes(peers: Peers) -> None:
    await joined(peers, "room", "private-a", "presence-a", user_id="1")
    await joined(peers, "room")
    listed = {
        "room": {"occupied": True, "subscription_count": 2},
        "private-a": {"occupied": True, "subscription_count": 1},
        "presence-a": {"occupied": True, "subscription_count": 1},
    }
    assert (await peers.call("GET", "/channels")).json == {"channels": listed}


async def test_a_channel_that_was_left_is_listed_no_more(peers: Peers) -> None:
    client = await joined(peers, "one", "two")
    await client.say("pusher:unsubscribe", {"channel": "one"})
    await client.say("pusher:ping")
    assert (await client.hear())["event"] == "pusher:pong"
    assert list((await peers.call("GET", "/channels")).json["channels"]) == ["two"]


@pytest.mark.parametrize("more", [-1, 0, 1])
async def test_a_list_of_several_slices_has_every_channel(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch, more: int
) -> None:
    monkeypatch.setattr("soketpy.web.endpoints.SLICE_SIZE", 3)
    peers = await start_server()
    client = await peers.client()
    names = [f"presence-{number}" for number in range(6 + more)]
    for name in names:
        await client.subscribe(name, {"user_id": "1"})
    reply = await peers.call("GET", "/channels", query={"filter_by_prefix": "presence-", "info": "user_count"})
    expected = {"occupied": True, "subscription_count": 1, "user_count": 1}
    assert reply.json == {"channels": dict.fromkeys(names, expected)}


@pytest.mark.parametrize(
    ("prefix", "found"),
    [
        ("presence-", ["presence-a", "presence-b"]),
        ("presence-a", ["presence-a"]),
        ("room", ["room"]),
        ("nothing", []),
        ("", ["presence-a", "presence-b", "room"]),
        ("%", []),
        ("*", []),
    ],
)
async def test_filter_by_prefix_lists_only_names_that_start_so(peers: Peers, prefix: str, found: list[str]) -> None:
    await joined(peers, "room", "presence-a", "presence-b", user_id="1")
    reply = await peers.call("GET", "/channels", query={"filter_by_prefix": prefix})
    assert (reply.status, sorted(reply.json["channels"])) == (200, found)


async def test_user_count_is_listed_for_presence_channels(peers: Peers) -> None:
    for user_id in ("1", "1", "2"):
        await joined(peers, "presence-a", "room", user_id=user_id)
    reply = await peers.call("GET", "/channels", query={"filter_by_prefix": "presence-", "info": "user_count"})
    assert reply.json == {"channels": {"presence-a": {"occupied": True, "subscription_count": 3, "user_count": 2}}}


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"info": "user_count"}, "filter_by_prefix=presence-"),
        ({"info": "user_count", "filter_by_prefix": "private-"}, "filter_by_prefix=presence-"),
        ({"info": "user_count", "filter_by_prefix": "pres"}, "filter_by_prefix=presence-"),
        ({"info": "subscription_count,user_count"}, "filter_by_prefix=presence-"),
        ({"info": "everything"}, "'everything' is unknown"),
        ({"info": "cache"}, "'cache' is unknown"),
    ],
)
async def test_a_list_with_attributes_that_its_channels_lack_is_refused(
    peers: Peers, query: dict[str, str], names: str
) -> None:
    reply = await peers.call("GET", "/channels", query=query)
    assert (reply.status, reply.json["code"]) == (400, 400)
    assert names in reply.json["error"]


async def test_an_app_sees_only_its_own_channels(start_server: StartServer) -> None:
    other = App(id="other", keys=(Key("other-key", "other-secret"),))
    peers = await start_server(apps=(APP, other))
    await joined(peers, "room")
    assert (await peers.call("GET", "/channels", app=other)).json == {"channels": {}}
    assert (await peers.call("GET", "/channels/room", app=other)).json == {"occupied": False, "subscription_count": 0}


# GET /channels/CHANNEL


@pytest.mark.parametrize(
    ("channel", "info", "state"),
    [
        ("room", None, {"occupied": True, "subscription_count": 1}),
        ("room", "subscription_count", {"occupied": True, "subscription_count": 1}),
        ("room", "", {"occupied": True, "subscription_count": 1}),
        ("empty", None, {"occupied": False, "subscription_count": 0}),
        ("presence-a", None, {"occupied": True, "subscription_count": 1, "user_count": 1}),
        ("presence-a", " user_count , ", {"occupied": True, "subscription_count": 1, "user_count": 1}),
        ("presence-empty", "user_count", {"occupied": False, "subscription_count": 0, "user_count": 0}),
        ("cache-a", "cache", {"occupied": False, "subscription_count": 0, "cache": None}),
        ("a_-=@,.;Z9", None, {"occupied": True, "subscription_count": 1}),
    ],
)
async def test_the_state_of_a_channel(peers: Peers, channel: str, info: str | None, state: dict[str, object]) -> None:
    await joined(peers, "room", "presence-a", "a_-=@,.;Z9", user_id="1")
    query = None if info is None else {"info": info}
    reply = await peers.call("GET", f"/channels/{channel}", query=query)
    assert (reply.status, reply.json) == (200, state)


@pytest.mark.parametrize(
    ("channel", "info", "names"),
    [
        ("room", "user_count", "unless the channel is a presence channel"),
        ("private-a", "subscription_count,user_count", "unless the channel is a presence channel"),
        ("room", "cache", "only for cache"),
        ("presence-a", "cache", "only for cache"),
        ("room", "members", "'members' is unknown"),
        ("a%20b", None, "letters, digits"),
        ("%C3%BC", None, "letters, digits"),
        ("%ff", None, "letters, digits"),
        ("a%2Fb", None, "letters, digits"),
        ("c" * 201, None, "200 characters"),
    ],
)
async def test_what_a_channel_cannot_have_is_refused(peers: Peers, channel: str, info: str | None, names: str) -> None:
    reply = await peers.call("GET", f"/channels/{channel}", query=None if info is None else {"info": info})
    assert (reply.status, reply.json["code"]) == (400, 400)
    assert names in reply.json["error"]


async def test_a_name_may_be_percent_encoded_in_the_path(peers: Peers) -> None:
    await joined(peers, "a@b;c")
    assert (await peers.call("GET", "/channels/a%40b%3Bc")).json["subscription_count"] == 1


@pytest.mark.parametrize("kind", ["cache-", "private-cache-", "private-encrypted-cache-", "presence-cache-"])
async def test_the_cache_is_the_last_event_and_how_long_it_stays(start_server: StartServer, kind: str) -> None:
    peers = await start_server(cache_ttl=1000)
    await peers.trigger(f"{kind}a", "e", "first")
    await peers.trigger(f"{kind}a", "e", '{"n": 1}')
    cache = (await peers.call("GET", f"/channels/{kind}a", query={"info": "cache,subscription_count"})).json["cache"]
    assert cache["data"] == '{"n": 1}'
    assert 0 < cache["ttl"] <= 1000
    assert set(cache) == {"data", "ttl"}


# GET /channels/CHANNEL/users


async def test_the_members_of_a_presence_channel_are_listed_once_each(peers: Peers) -> None:
    await joined(peers, "presence-a", user_id="ada", user_info={"name": "Ada"})
    await joined(peers, "presence-a", user_id="ada", user_info={"name": "Ada"})
    await joined(peers, "presence-a", user_id=7)
    reply = await peers.call("GET", "/channels/presence-a/users")
    assert (reply.status, reply.json) == (200, {"users": [{"id": "ada"}, {"id": "7"}]})


async def test_with_user_info_says_more_of_each_member(peers: Peers) -> None:
    await joined(peers, "presence-a", user_id="ada", user_info={"name": "Ada ü"})
    await joined(peers, "presence-a", user_id="bob")
    reply = await peers.call("GET", "/channels/presence-a/users", query={"with_user_info": "1"})
    assert reply.json == {"users": [{"id": "ada", "user_info": {"name": "Ada ü"}}, {"id": "bob", "user_info": None}]}


async def test_an_empty_presence_channel_has_no_members(peers: Peers) -> None:
    assert (await peers.call("GET", "/channels/presence-a/users")).json == {"users": []}


@pytest.mark.parametrize("channel", ["room", "private-a", "private-encrypted-a", "cache-a", "%23server-to-user-1"])
async def test_only_presence_channels_have_users(peers: Peers, channel: str) -> None:
    reply = await peers.call("GET", f"/channels/{channel}/users")
    assert (reply.status, reply.json) == (
        400,
        {"error": "Users can only be retrieved for presence channels.", "code": 400},
    )


# POST /users/USER/terminate_connections


@pytest.mark.parametrize(
    "user_id", ["ada", "a/b", "a b", "müller", "100%", "%2F", "a+b", "a?b#c", "../x", "😀", '"q"', "a&b=c"]
)
async def test_terminate_closes_every_connection_of_a_user_whatever_the_id(peers: Peers, user_id: str) -> None:
    first, second, other = await peers.client(), await peers.client(), await peers.client()
    for client, name in ((first, user_id), (second, user_id), (other, "other")):
        assert (await client.sign_in(name))["event"] == "pusher:signin_success"
    reply = await peers.call("POST", f"/users/{quote(user_id, safe='')}/terminate_connections", {})
    assert (reply.status, reply.json) == (200, {})
    for client in (first, second):
        assert (await client.hear())["event"] == "pusher:error"
        assert (await client.closed())[0] == 4009
    await other.say("pusher:ping")
    assert (await other.hear())["event"] == "pusher:pong"


async def test_terminate_needs_no_body_and_nobody_to_be_there(peers: Peers) -> None:
    reply = await peers.call("POST", "/users/nobody/terminate_connections")
    assert (reply.status, reply.json) == (200, {})


async def test_terminate_leaves_the_same_user_of_another_app_alone(start_server: StartServer) -> None:
    other = App(id="other", keys=(Key("other-key", "other-secret"),))
    peers = await start_server(apps=(APP, other))
    client = await peers.client()
    await client.sign_in("ada")
    assert (await peers.call("POST", "/users/ada/terminate_connections", {}, app=other)).status == 200
    await client.say("pusher:ping")
    assert (await client.hear())["event"] == "pusher:pong"


# The time that readings may take


EVENT = {"name": "said", "data": "{}", "info": "user_count,subscription_count"}
BATCH = [{**EVENT, "channel": "presence-a"}, {**EVENT, "channel": "presence-b"}]


@pytest.mark.parametrize("nodes", ["one node"], indirect=True)
@pytest.mark.parametrize(
    ("method", "path", "value", "query", "readings"),
    [
        ("GET", "/channels", None, {"filter_by_prefix": "presence-", "info": "user_count"}, 2),
        ("GET", "/channels/presence-a", None, {"info": "user_count,subscription_count"}, 2),
        ("POST", "/events", {**EVENT, "channels": ["presence-a", "presence-b"]}, None, 2),
        ("POST", "/batch_events", {"batch": BATCH}, None, 4),
    ],
)
async def test_all_readings_of_a_call_share_one_bound(
    start_server: StartServer,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    path: str,
    value: object,
    query: dict[str, str] | None,
    readings: int,
) -> None:
    peers = await start_server()
    roster, begun = peers.server.node.roster, list[float]()

    def noting(whole: Any) -> Any:
        def read(app_id: str, what: Any, since: float) -> Any:
            begun.append(since)
            return whole(app_id, what, since)

        return read

    for name in ("channels", "counts", "member_counts"):
        monkeypatch.setattr(roster, name, noting(getattr(roster, name)))
    assert (await peers.call(method, path, value, query)).status == 200
    assert len(begun) == readings
    assert len(set(begun)) == 1
