"""The requests of Pusher's own server libraries, byte for byte, and the answers that their test suites expect."""

import hashlib
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import quote, unquote_plus, urlencode

import pytest

from soketpy import App, Key
from tests.conftest import Peers, StartServer
from tests.fakes import APP, channel_auth
from tests.web.wire import HANDSHAKE, Answer, request, wire

Encode = Callable[[list[tuple[str, str]]], str]


def as_they_are(pairs: list[tuple[str, str]]) -> str:
    return "&".join(f"{name}={value}" for name, value in pairs)


def by_rfc_3986(pairs: list[tuple[str, str]]) -> str:
    return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)


def escaped_and_unescaped(pairs: list[tuple[str, str]]) -> str:
    return unquote_plus(urlencode(pairs))


LIBRARIES: dict[str, tuple[Encode, bool, bool]] = {
    # How a query is written, whether a GET has the checksum of its empty body, and whether POST /users has no app.
    "pusher-http-php": (by_rfc_3986, False, False),
    "pusher-http-php, deprecated requests": (as_they_are, False, False),
    "pusher-http-node": (as_they_are, False, False),
    "pusher-http-python": (as_they_are, True, True),
    "pusher-http-go": (escaped_and_unescaped, False, False),
    "pusher-http-ruby": (urlencode, False, False),
}


def written(
    library: str, app: App, method: str, path: str, value: object = None, query: dict[str, str] | None = None
) -> bytes:
    """Return a request as the library writes it; the path stands behind ``/apps/ID``."""
    encode, empty_has_md5, users_without_app = LIBRARIES[library]
    body = b"" if method == "GET" else json.dumps(value).encode()
    if not (users_without_app and path.startswith("/users/")):
        path = f"/apps/{app.id}{path}"
    given = {
        **(query or {}),
        "auth_key": app.key,
        "auth_timestamp": str(int(time.time())),
        "auth_version": "1.0",
    }
    if body or empty_has_md5:
        given["body_md5"] = hashlib.md5(body).hexdigest()
    pairs = sorted(given.items())
    text = f"{method}\n{path}\n{as_they_are(pairs)}"
    pairs.append(("auth_signature", hmac.new(app.keys[0].secret.encode(), text.encode(), hashlib.sha256).hexdigest()))
    headers = [f"X-Pusher-Library: {library}"]
    if method == "POST" or library == "pusher-http-go":
        headers.append("Content-Type: application/json")
    return request(method, f"{path}?{encode(sorted(pairs))}", body, *headers)


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(params=["app-key", "a+b", "a=b", "a+b==", "+", "a,b;c@d~e!$'()*"])
def app(request: pytest.FixtureRequest) -> App:
    return replace(APP, keys=(Key(request.param, APP.keys[0].secret),), max_event_payload_in_kb=10)


async def answer_to(peers: Peers, data: bytes) -> Answer:
    async with wire(peers.port) as library:
        library.send(data)
        return await library.answer()


BATCH = [{"channel": "integration", "name": "event", "data": "test"}, {"channel": "two", "name": "e", "data": "2"}]
ENCRYPTED = '{"nonce":"4sVYwy4j/8dCcjyxtPCWyk19GaaViaW9","ciphertext":"/GMESnFGlbNn01BuBjp31XYa3i9vZsGK"}'

CASES: list[tuple[str, str, object, dict[str, str] | None, int, object]] = [
    ("POST", "/events", {"name": "my_event", "data": "Test string", "channels": ["test_channel"]}, None, 200, {}),
    ("POST", "/events", {"name": "my_event", "data": '{"test":1}', "channels": ["a", "b"]}, None, 200, {}),
    (
        "POST",
        "/events",
        {"name": "my_event", "data": '{"test":1}', "channels": ["a"], "socket_id": "123.456"},
        None,
        200,
        {},
    ),
    ("POST", "/events", {"name": "e", "data": ENCRYPTED, "channels": ["private-encrypted-ceppaio"]}, None, 200, {}),
    ("POST", "/events", {"name": "e", "data": "x", "channels": ["#server-to-user-123"]}, None, 200, {}),
    (
        "POST",
        "/events",
        {"name": "e", "data": "x", "channels": ["my-channel", "presence-a"], "info": "user_count,subscription_count"},
        None,
        200,
        {
            "channels": {
                "my-channel": {"subscription_count": 1},
                "presence-a": {"user_count": 0, "subscription_count": 0},
            }
        },
    ),
    ("POST", "/events", {"name": "e", "data": "a" * 11 * 1024, "channels": ["test_channel"]}, None, 413, None),
    ("POST", "/batch_events", {"batch": BATCH}, None, 200, {}),
    (
        "POST",
        "/batch_events",
        {"batch": [{**BATCH[0], "channel": "my-channel", "info": "subscription_count"}, BATCH[1]]},
        None,
        200,
        {"batch": [{"subscription_count": 1}, {}]},
    ),
    ("POST", "/batch_events", {"batch": BATCH * 6}, None, 400, None),
    ("POST", "/batch_events", {"batch": [{**BATCH[0], "data": "a" * 11 * 1024}]}, None, 413, None),
    ("GET", "/channels", None, None, 200, None),
    ("GET", "/channels", None, {"filter_by_prefix": "__fish"}, 200, {"channels": {}}),
    ("GET", "/channels", None, {"filter_by_prefix": "a=@,.;b"}, 200, {"channels": {}}),
    ("GET", "/channels", None, {"filter_by_prefix": "presence-", "info": "user_count"}, 200, {"channels": {}}),
    ("GET", "/channels", None, {"filter_by_prefix": "test_", "info": "user_count"}, 400, None),
    ("GET", "/channels/my-channel", None, {"info": "subscription_count"}, 200, None),
    ("GET", "/channels/presence-a", None, {"info": "user_count,subscription_count"}, 200, None),
    ("GET", "/channels/CHANNEL", None, {"info": "user_count"}, 400, None),
    ("GET", "/channels/presence-channel-test/users", None, None, 200, {"users": []}),
    ("GET", "/channels/CHANNEL/users", None, None, 400, None),
    ("POST", "/users/123/terminate_connections", {}, None, 200, {}),
    ("POST", "/users/a=@,.;b/terminate_connections", {}, None, 200, {}),
]


async def test_the_requests_of_the_libraries_are_served(start_server: StartServer, library: str, app: App) -> None:
    peers = await start_server()
    peers.reload(App(id="other", keys=(Key("a b", "s"), Key("a", "s"))), app)
    async with wire(peers.port) as subscriber:
        subscriber.send(request("GET", f"/app/{quote(app.key, safe='')}?protocol=7", b"", *HANDSHAKE))
        assert (await subscriber.answer()).status == 101
        assert b"connection_established" in await subscriber.frame()
        said = b'{"event":"pusher:subscribe","data":{"channel":"my-channel"}}'
        subscriber.send(b"\x81" + bytes([0x80 | len(said)]) + b"\0\0\0\0" + said)
        assert b"subscription_succeeded" in await subscriber.frame()
        for method, path, value, query, status, expected in CASES:
            answer = await answer_to(peers, written(library, app, method, path, value, query))
            assert (path, query, answer.status) == (path, query, status), answer.body
            assert expected is None or answer.json == expected
            assert status < 400 or answer.json["code"] == status


async def test_a_wrong_secret_is_refused_in_every_reading(start_server: StartServer, library: str, app: App) -> None:
    peers = await start_server(apps=(app,))
    forger = replace(app, keys=(Key(app.key, "wrong"),))
    for method, path, value, query, _, _ in CASES:
        answer = await answer_to(peers, written(library, forger, method, path, value, query))
        assert (answer.status, answer.json["code"]) == (401, 401)


@pytest.mark.parametrize("prefix", ["/realtime", "/realtime/"])
async def test_a_user_is_closed_by_a_call_without_an_app_in_its_path(start_server: StartServer, prefix: str) -> None:
    other = App(id="other", keys=(Key("other-key", "s"),))
    peers = await start_server(apps=(other, APP), path_prefix=prefix)
    call = written("pusher-http-python", APP, "POST", "/users/ada/terminate_connections", {})
    of_other = written("pusher-http-python", other, "POST", "/users/ada/terminate_connections", {})
    for front in (b"", b"/realtime"):
        client = await peers.client()
        await client.sign_in("ada")
        assert (await answer_to(peers, of_other)).status == 200
        await client.say("pusher:ping")
        assert (await client.hear())["event"] == "pusher:pong"
        assert (await answer_to(peers, call.replace(b"POST ", b"POST " + front))).json == {}
        assert (await client.closed())[0] == 4009


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("POST", "/users/ada/terminate_connections", 401),
        ("POST", "/users/ada/terminate_connections?auth_key=nobody", 401),
        ("POST", "/users/ada/terminate_connections?auth_key=app-key", 401),
        ("POST", "/users/ada/terminate_connections?auth_key=off", 401),
        ("GET", "/users/ada/terminate_connections?auth_key=app-key", 405),
        ("POST", "/users/ada?auth_key=app-key", 404),
        ("POST", "/users/ada/other?auth_key=app-key", 404),
        ("POST", "/users//terminate_connections?auth_key=app-key", 404),
        ("OPTIONS", "/users/ada/terminate_connections", 204),
    ],
)
async def test_a_call_without_an_app_needs_a_key_and_its_signature(
    start_server: StartServer, method: str, target: str, status: int
) -> None:
    off = App(id="off", keys=(Key("off", "s"),), enabled=False)
    peers = await start_server(apps=(APP, off))
    assert (await peers.request(method, target)).status == status


async def test_a_plus_that_was_signed_as_a_space_is_not_read_as_a_plus(start_server: StartServer) -> None:
    spaced, plus = (App(id=app_id, keys=(Key(key, "same"),)) for app_id, key in (("spaced", "a b"), ("plus", "a+b")))
    peers = await start_server()
    peers.reload(spaced, plus)  # past the check of a server's arguments: a file could not have the key with a space
    for app in (spaced, plus):
        call = written("pusher-http-ruby", app, "POST", "/users/ada/terminate_connections", {})
        assert (await answer_to(peers, call)).status == 200
    call = written("pusher-http-ruby", spaced, "GET", "/channels").replace(b"/apps/spaced", b"/apps/plus")
    assert (await answer_to(peers, call)).status == 401


async def test_a_key_with_a_plus_authorizes_channels_too(start_server: StartServer) -> None:
    peers = await start_server(apps=(replace(APP, keys=(Key("a+b=", "app-secret"),)),))
    for path in ("/app/a+b=?protocol=7", "/app/a%2Bb%3D?protocol=7"):
        client = await peers.client(path=path)
        auth = channel_auth(client.id, "private-a", None).replace("app-key", "a+b=")
        await client.say("pusher:subscribe", {"channel": "private-a", "auth": auth})
        assert (await client.hear())["event"] == "pusher_internal:subscription_succeeded"
