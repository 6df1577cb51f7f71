"""The signature of a request, and the reasons for which the server refuses it."""

import hashlib
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soketpy import App, Key
from soketpy.protocol.requests import parse_query
from soketpy.web.authentication import Call, authenticate
from soketpy.web.errors import RequestError
from tests.conftest import Peers, StartServer
from tests.fakes import APP
from tests.web.wire import request, signature, signed, wire

pytestmark = pytest.mark.usefixtures("nodes")

CHANNELS = "/apps/app-id/channels"
EVENTS = "/apps/app-id/events"
BODY = b'{"name":"e","channel":"room","data":"x"}'


@pytest.mark.parametrize(
    "parameters",
    [
        [],
        [("info", "subscription_count")],
        [("Zeta", "1"), ("alpha", "2"), ("filter_by_prefix", "a")],
        [("FILTER_BY_PREFIX", "a"), ("b", "2")],
        [("x", "a b"), ("y", "ü&=%"), ("z", "")],
        [("x", "1"), ("x", "2")],
        [("x[]", "1"), ("x[]", "0")],
        [("plus", "a+b")],
    ],
)
async def test_a_signature_is_over_sorted_lower_cased_names_and_decoded_values(
    peers: Peers, parameters: list[tuple[str, str]]
) -> None:
    reply = await peers.request("GET", signed("GET", CHANNELS, parameters=parameters))
    assert (reply.status, reply.json) == (200, {"channels": {}})


async def test_the_order_of_the_query_does_not_matter(peers: Peers) -> None:
    path, _, query = signed("GET", CHANNELS, parameters=[("b", "1"), ("a", "2")]).partition("?")
    reply = await peers.request("GET", path + "?" + "&".join(reversed(query.split("&"))))
    assert reply.status == 200


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"auth_key": ""}, "auth_key"),
        ({"auth_key": "other-key"}, "auth_key"),
        ({"auth_key": "APP-KEY"}, "auth_key"),
        ({"auth_version": "2.0"}, "auth_version must be 1.0"),
        ({"auth_version": "1"}, "auth_version must be 1.0"),
        ({"auth_timestamp": ""}, "auth_timestamp must be"),
        ({"auth_timestamp": "soon"}, "auth_timestamp must be"),
        ({"auth_timestamp": "-1"}, "auth_timestamp must be"),
        ({"auth_timestamp": "1e9"}, "auth_timestamp must be"),
        ({"auth_timestamp": "1_000"}, "auth_timestamp must be"),
        ({"auth_timestamp": "\u0661\u0662"}, "auth_timestamp must be"),
        ({"auth_timestamp": "9" * 5000}, "auth_timestamp must be"),
        (
            {"auth_timestamp": "1000"},
            "Timestamp expired: Given timestamp (1970-01-01T00:16:40Z) not within 600s of server time (",
        ),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_what_is_wrong_with_the_parameters_is_said(peers: Peers, change: dict[str, str], names: str) -> None:
    reply = await peers.request("GET", signed("GET", CHANNELS, instead=change))
    assert (reply.status, reply.json["code"]) == (401, 401)
    assert names in reply.json["error"]
    assert "app-secret" not in reply.text


@pytest.mark.parametrize("seconds", [6000, -6000])
async def test_a_request_of_another_time_is_refused(peers: Peers, seconds: int) -> None:
    stamp = str(int(time.time()) - seconds)
    reply = await peers.request("GET", signed("GET", CHANNELS, instead={"auth_timestamp": stamp}))
    assert reply.status == 401
    given = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(stamp)))
    text = f"Timestamp expired: Given timestamp ({given}) not within 600s of server time ("
    assert reply.json["error"].startswith(text)


@pytest.mark.parametrize(("seconds", "holds"), [(600, True), (-600, True), (601, False), (-601, False)])
def test_a_timestamp_may_be_600_seconds_off_and_no_more(seconds: int, holds: bool) -> None:
    timestamp = str(10_000 + seconds)
    parameters = [("auth_key", "app-key"), ("auth_timestamp", timestamp), ("auth_version", "1.0")]
    parameters.append(("auth_signature", signature("app-secret", "GET", CHANNELS, parameters)))
    call = Call(APP, "GET", CHANNELS, CHANNELS, "", parameters, dict(parameters), (), "")
    if holds:
        authenticate(call, 10_000)
    else:
        with pytest.raises(RequestError, match="Timestamp expired"):
            authenticate(call, 10_000)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda target: target[:-1] + ("0" if target[-1] != "0" else "1"),
        lambda target: target[:-1],
        lambda target: target + "0",
        lambda target: target.partition("&auth_signature")[0],
        lambda target: target.partition("auth_signature=")[0] + "auth_signature=",
        lambda target: target.partition("auth_signature=")[0] + "auth_signature=%C3%BC%00%ff",
        lambda target: target + "&added=1",
        lambda target: target.replace("/channels", "/channels/room"),
        lambda target: target.replace("info=", "inf%6F=1&x="),
    ],
    ids=["other", "shorter", "longer", "missing", "empty", "no ASCII", "more parameters", "other path", "renamed"],
)
async def test_a_signature_that_does_not_hold_is_refused(peers: Peers, spoil: Callable[[str], str]) -> None:
    target = signed("GET", CHANNELS, parameters=[("info", "subscription_count")])
    reply = await peers.request("GET", spoil(target))
    assert (reply.status, reply.json["code"]) == (401, 401)
    assert reply.json["error"].startswith("Invalid signature: ")


async def test_a_refusal_shows_the_text_to_sign_and_no_secret_and_no_signature(peers: Peers) -> None:
    target = signed("GET", CHANNELS, parameters=[("B", "ü 1"), ("a", "2")])
    spoiled, stamp = target[:-4] + "beef", target.partition("auth_timestamp=")[2].partition("&")[0]
    reply = await peers.request("GET", spoiled)
    text = f"GET\\n{CHANNELS}\\na=2&auth_key=app-key&auth_timestamp={stamp}&auth_version=1.0&b=ü 1"
    assert reply.json["error"] == (f'Invalid signature: you should have sent HmacSHA256Hex("{text}", your_secret_key).')
    right = target.partition("auth_signature=")[2]
    assert right not in reply.text
    assert "app-secret" not in reply.text


async def test_a_signature_holds_for_its_method_only(peers: Peers) -> None:
    reply = await peers.request("POST", signed("GET", EVENTS, BODY), data=BODY)
    assert reply.status == 401
    assert "POST\\n/apps/app-id/events\\n" in reply.json["error"]


async def test_the_key_of_another_app_opens_nothing(start_server: StartServer) -> None:
    other = App(id="other", keys=(Key("other-key", "other-secret"),))
    peers = await start_server(apps=(APP, other))
    for path in (CHANNELS, "/apps/other/channels"):
        app = other if path == CHANNELS else APP
        reply = await peers.request("GET", signed("GET", path, app=app))
        assert (reply.status, reply.json["error"]) == (
            401,
            "Unknown auth_key. The auth_key is missing, or is not one of the app's keys.",
        )


async def test_an_app_that_rotates_its_keys_is_called_with_either(start_server: StartServer) -> None:
    old, new = Key("old-key", "old-secret"), Key("new-key", "new-secret")
    peers = await start_server(apps=(App(id="app-id", keys=(old, new)),))
    for pair in (old, new):
        target = signed("GET", CHANNELS, app=App(id="app-id", keys=(pair,)))
        assert (await peers.request("GET", target)).status == 200
    mixed = App(id="app-id", keys=(Key("old-key", "new-secret"),))
    assert (await peers.request("GET", signed("GET", CHANNELS, app=mixed))).status == 401


# The checksum of the body


@pytest.mark.parametrize(
    ("checksum", "names"),
    [
        ("", "needs body_md5"),
        ("d41d8cd98f00b204e9800998ecf8427e", "not that of the body"),
        ("ü", "not that of the body"),
        (hashlib.md5(BODY).hexdigest()[:-1], "not that of the body"),
    ],
)
async def test_a_body_is_held_to_its_checksum(peers: Peers, checksum: str, names: str) -> None:
    reply = await peers.request("POST", signed("POST", EVENTS, BODY, instead={"body_md5": checksum}), data=BODY)
    assert (reply.status, reply.json["code"]) == (401, 401)
    assert names in reply.json["error"]


async def test_a_body_that_was_changed_on_its_way_is_refused(peers: Peers) -> None:
    reply = await peers.request("POST", signed("POST", EVENTS, BODY), data=BODY.replace(b"room", b"moor"))
    assert reply.status == 401


async def test_a_checksum_without_its_body_is_refused(peers: Peers) -> None:
    reply = await peers.request("POST", signed("POST", EVENTS, BODY))
    assert reply.status == 401


async def test_the_checksum_is_signed_too(peers: Peers) -> None:
    other = BODY.replace(b"room", b"moor")
    target = signed("POST", EVENTS, BODY)
    target = target.replace(hashlib.md5(BODY).hexdigest(), hashlib.md5(other).hexdigest())
    reply = await peers.request("POST", target, data=other)
    assert (reply.status, "Invalid signature" in reply.text) == (401, True)


async def test_an_empty_body_may_have_its_checksum(peers: Peers) -> None:
    parameters = [("name", "e"), ("data", "x"), ("channel", "room"), ("body_md5", hashlib.md5(b"").hexdigest())]
    assert (await peers.request("POST", signed("POST", EVENTS, parameters=parameters))).status == 200


async def test_an_unsigned_body_is_refused_before_it_is_sent(peers: Peers) -> None:
    async with wire(peers.port) as stranger:
        stranger.send(request("POST", EVENTS, b"", f"Content-Length: {90 * 1024 * 1024}"))
        answer = await stranger.answer()
        assert (answer.status, answer.json["code"]) == (401, 401)


# Paths


async def test_the_path_is_signed_as_it_was_sent_or_decoded(peers: Peers) -> None:
    for path in ("/apps/app-id/channels/a%40b", "/apps/app%2Did/channels/a%40b"):
        assert (await peers.request("GET", signed("GET", path))).status == 200
    decoded = signed("GET", "/apps/app-id/channels/a@b")
    assert (await peers.request("GET", decoded.replace("@", "%40", 1))).status == 200


@pytest.mark.parametrize("prefix", ["/realtime", "/a/b", "/realtime/", "/a/b/"])
async def test_behind_a_path_prefix_both_forms_verify(start_server: StartServer, prefix: str) -> None:
    peers = await start_server(path_prefix=prefix)
    front = "/" + prefix.strip("/")
    query = signed("GET", CHANNELS).partition("?")[2]
    assert (await peers.request("GET", f"{front}{CHANNELS}?{query}")).status == 200
    assert (await peers.request("GET", f"{CHANNELS}?{query}")).status == 200
    whole = signed("GET", front + CHANNELS)
    assert (await peers.request("GET", whole)).status == 200
    stripped_by_a_proxy = whole.removeprefix(front)
    assert (await peers.request("GET", stripped_by_a_proxy)).status == 200
    wrong = await peers.request("GET", signed("GET", "/other" + CHANNELS).replace("/other", front))
    assert (wrong.status, "should have sent" in wrong.json["error"]) == (401, True)


async def test_a_client_may_put_the_prefix_with_its_slash_in_front(start_server: StartServer) -> None:
    peers = await start_server(path_prefix="/realtime/")
    await peers.client(path="/realtime//app/app-key")
    whole = signed("GET", "/realtime/" + CHANNELS)
    assert (await peers.request("GET", whole)).status == 200
    assert (await peers.request("GET", whole.removeprefix("/realtime"))).status == 200


async def test_a_path_that_only_begins_like_the_prefix_is_another(start_server: StartServer) -> None:
    peers = await start_server(path_prefix="/realtime")
    assert (await peers.request("GET", "/realtimeX/ready")).status == 404
    assert (await peers.request("GET", "/realtime/ready")).status == 200


async def test_a_client_connects_with_the_prefix_and_without(start_server: StartServer) -> None:
    peers = await start_server(path_prefix="/realtime")
    await peers.client(path="/realtime/app/app-key")
    await peers.client(path="/app/app-key")


# What a stranger learns


@pytest.mark.parametrize("path", ["channels", "channels/room", "channels/presence-a/users", "events", "batch_events"])
async def test_every_call_needs_a_signature(peers: Peers, path: str) -> None:
    method = "POST" if path.endswith("events") else "GET"
    assert (await peers.request(method, f"/apps/app-id/{path}")).status == 401


async def test_terminate_needs_a_signature(peers: Peers) -> None:
    client = await peers.client()
    await client.sign_in("ada")
    assert (await peers.request("POST", "/apps/app-id/users/ada/terminate_connections")).status == 401
    await client.say("pusher:ping")
    assert (await client.hear())["event"] == "pusher:pong"


@given(st.lists(st.tuples(st.text("ab=&;\u00e9", max_size=3), st.text("ab=;", max_size=3)), max_size=5))
def test_a_plain_query_is_read_as_an_encoded_one_is(pairs: list[tuple[str, str]]) -> None:
    query = "&".join(f"{name}={value}" for name, value in pairs)
    assert parse_query(query) == parse_query(query + "&%61=")[:-1]
