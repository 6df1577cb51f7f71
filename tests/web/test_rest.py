"""The form of every REST answer, and the answers for an unknown path or a wrong method."""

import logging
import re
from http import HTTPStatus
from urllib.parse import unquote

import pytest

from soketpy import App, Key
from soketpy.config.settings import Log
from soketpy.process.log import JsonFormatter
from soketpy.web.endpoints import Endpoints
from soketpy.web.errors import RequestError, crowded, no_registry, stopping, unavailable
from soketpy.web.first_request import FULL
from tests.conftest import Contained, Peers, StartServer
from tests.fakes import APP
from tests.web.wire import request, signed, wire

pytestmark = pytest.mark.usefixtures("nodes")

DISABLED = App(id="disabled", keys=(Key("disabled-key", "disabled-secret"),), enabled=False)


@pytest.mark.parametrize(
    "path",
    [
        "/apps/nobody/channels",
        "/apps/nobody/events",
        "/apps/APP-ID/channels",
        "/apps/app-id%00/channels",
        "/apps/%ff/channels",
        "/apps//channels",
    ],
)
async def test_an_app_that_is_not_there_is_not_found(peers: Peers, path: str) -> None:
    reply = await peers.request("POST" if path.endswith("events") else "GET", path)
    named = unquote(path.split("/")[2])
    error = f"The app could not be found: no app has the id {named!r}."
    assert (reply.status, reply.json) == (404, {"error": error, "code": 404})


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/apps",
        "/apps/",
        "/apps/app-id",
        "/apps/app-id/",
        "/apps/app-id/nothing",
        "/apps/app-id/channels/",
        "/apps/app-id/channels/room/",
        "/apps/app-id/channels/room/members",
        "/apps/app-id/channels/a/b/users",
        "/apps/app-id/users/1",
        "//apps/app-id/channels",
        "/apps/app-id//channels",
        "/apps/app-id/../app-id/channels",
        "/APPS/app-id/channels",
        "/%61pps/app-id/channels",
    ],
)
async def test_a_path_at_which_nothing_is_is_not_found(peers: Peers, path: str) -> None:
    reply = await peers.request("GET", signed("GET", path))
    assert (reply.status, reply.json) == (404, {"error": "There is nothing at this path.", "code": 404})
    assert reply.headers["Content-Type"] == "application/json"


def test_a_request_error_has_headers_where_it_was_given_some() -> None:
    assert RequestError(HTTPStatus.TOO_MANY_REQUESTS, "wait", {"Retry-After": "1"}).headers == {"Retry-After": "1"}
    assert RequestError(HTTPStatus.BAD_REQUEST, "no").headers == {}


def test_every_503_says_when_to_repeat_the_request() -> None:
    errors = [RequestError(HTTPStatus.SERVICE_UNAVAILABLE, "x"), unavailable(), stopping(), crowded(), no_registry()]
    assert {each.headers["Retry-After"] for each in errors} == {"1"}
    own = RequestError(HTTPStatus.SERVICE_UNAVAILABLE, "x", {"Retry-After": "5"})
    assert own.headers == {"Retry-After": "5"}
    assert b"\r\nRetry-After: 1\r\n" in FULL


async def test_a_disabled_app_is_forbidden(start_server: StartServer) -> None:
    peers = await start_server(apps=(APP, DISABLED))
    reply = await peers.call("GET", "/channels", app=DISABLED)
    assert (reply.status, reply.json) == (403, {"error": "The app is disabled.", "code": 403})


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "events", "POST, OPTIONS"),
        ("HEAD", "batch_events", "POST, OPTIONS"),
        ("PUT", "events", "POST, OPTIONS"),
        ("GET", "users/1/terminate_connections", "POST, OPTIONS"),
        ("POST", "channels", "GET, HEAD, OPTIONS"),
        ("DELETE", "channels/room", "GET, HEAD, OPTIONS"),
        ("PATCH", "channels/presence-a/users", "GET, HEAD, OPTIONS"),
        ("TRACE", "channels", "GET, HEAD, OPTIONS"),
        ("PROPFIND", "channels", "GET, HEAD, OPTIONS"),
    ],
)
async def test_a_method_that_is_not_served_is_told_which_are(
    peers: Peers, method: str, path: str, allowed: str
) -> None:
    reply = await peers.request(method, f"/apps/app-id/{path}")
    assert (reply.status, reply.headers["Allow"]) == (405, allowed)
    if method != "HEAD":
        only = allowed.partition(",")[0]
        assert reply.json == {"error": f"Only {only} is served at this path.", "code": 405}


async def test_head_is_answered_as_get_without_the_body(peers: Peers) -> None:
    client = await peers.client()
    await client.subscribe("room")
    got = await peers.request("GET", signed("GET", "/apps/app-id/channels"))
    async with wire(peers.port) as reader:
        reader.send(request("HEAD", signed("HEAD", "/apps/app-id/channels"), b"", "Connection: close"))
        answer = await reader.answer(without_body=True)
        assert (answer.status, answer.headers["content-length"]) == (200, str(len(got.text)))
        assert await reader.rest() == b""


async def test_the_whole_url_may_be_the_target(peers: Peers) -> None:
    path = signed("GET", "/apps/app-id/channels")
    async with wire(peers.port) as proxy:
        for target, status in (
            (f"http://localhost:{peers.port}{path}", 200),
            ("HTTPS://any.example.com/ready", 200),
            ("http://localhost", 200),
            ("http://localhost?x=/nothing", 200),
            ("http://localhost/nothing?x=/ready", 404),
        ):
            proxy.send(request("GET", target))
            assert (await proxy.answer()).status == status, target


async def test_the_answer_does_not_tell_what_the_server_is_made_of(peers: Peers) -> None:
    for method, path in (("GET", "/"), ("GET", "/nothing"), ("OPTIONS", "/"), ("GET", "/apps/app-id/channels")):
        assert (await peers.request(method, path)).headers["Server"] == "soketpy"


async def test_what_fails_inside_is_logged_counted_and_answered_without_details(
    peers: Peers, contained: Contained, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("the inside of the server")

    monkeypatch.setattr(Endpoints, "_spend", fail)
    reply = await peers.call("GET", "/channels")
    assert (reply.status, reply.json["code"]) == (500, 500)
    assert "inside" not in reply.text
    assert "GET /apps/app-id/channels" in caplog.text
    assert "the inside of the server" in caplog.text
    assert contained.count == 1
    monkeypatch.undo()
    assert (await peers.call("GET", "/channels")).status == 200


async def test_the_access_log_has_a_line_a_request_and_no_query(
    start_server: StartServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    peers = await start_server(log=Log(access=True))
    await peers.call("GET", "/channels")
    await peers.request("GET", "/nothing?password=1")
    lines = [record.getMessage() for record in caplog.records if record.name == "soketpy.access"]
    durations = [re.sub(r"\d+\.\d ms", "N ms", line) for line in lines]
    where = "in N ms from 127.0.0.1"
    assert durations == [f"GET /apps/app-id/channels 200 15 {where}", f"GET /nothing 404 53 {where}"]


@pytest.mark.parametrize("path", ["/", "/ready", "/accept-traffic", "/ws", "/ws/ready"])
async def test_the_access_log_has_no_line_for_a_health_check(
    start_server: StartServer, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    caplog.set_level(logging.DEBUG)
    peers = await start_server(log=Log(access=True), path_prefix="/ws")
    assert (await peers.request("GET", path)).status == 200
    assert "soketpy.access" not in {record.name for record in caplog.records}


async def test_no_secret_and_no_signature_is_ever_logged(
    start_server: StartServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    peers = await start_server(log=Log(access=True))
    client = await peers.client()
    await client.sign_in("ada")
    await client.subscribe("private-a")
    await client.say("pusher:subscribe", {"channel": "private-b", "auth": "app-key:0"})
    member = {"channel": "presence-a", "auth": "app-key:0", "channel_data": '{"user_id":"hidden"}'}
    await client.say("pusher:subscribe", member)
    await peers.trigger("private-a", "e", '"hidden"')
    target = signed("GET", "/apps/app-id/channels", instead={"auth_version": "2"})
    await peers.request("GET", target)
    ours = [record for record in caplog.records if record.name.startswith("soketpy")]  # not those of the client
    written = "".join(JsonFormatter().format(record) for record in ours)
    assert "soketpy" in written
    assert "app-secret" not in written
    assert "hidden" not in written
    assert not re.search("[0-9a-f]{64}", caplog.text + written)
