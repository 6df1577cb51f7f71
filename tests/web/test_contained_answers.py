"""Faults while an answer is made: the client gets 500 at worst, and a fault in a log or counter changes no answer."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from soketpy.config.settings import Log
from soketpy.core.access import AccessLog
from soketpy.core.apps import StaticApps
from soketpy.core.containment import attempt
from soketpy.core.refusals import Refusals
from soketpy.core.traffic import Traffic
from soketpy.web import http
from soketpy.web.failures import Failures
from soketpy.web.http_connections import HttpConnections
from soketpy.web.rest import Rest
from tests.conftest import Contained, Peers, StartServer
from tests.fakes import APP
from tests.patience import until
from tests.web.waiting import Waiting
from tests.web.wire import HANDSHAKE, request, signed, wire

EVENTS = "/apps/app-id/events"
BODY = b'{"name":"e","channel":"room","data":"x"}'
FAILED = {"error": "The server failed to serve this request.", "code": 500}

either_http = pytest.mark.parametrize("header", ["Accept: */*", "TE: trailers"], ids=["plain", "with TE"])


def trigger(header: str = "Accept: */*") -> bytes:
    return request("POST", signed("POST", EVENTS, BODY), BODY, header)


def unsigned(header: str) -> bytes:
    return request("POST", EVENTS, BODY, header)


def bug(*_: Any, **__: Any) -> Any:
    raise ValueError("a bug")


@either_http
@pytest.mark.parametrize(
    ("owner", "method", "call", "status"),
    [
        (Failures, "_answer", unsigned, 500),
        (Rest, "reply", trigger, 500),
        (StaticApps, "by_id", trigger, 500),
        (Refusals, "request", unsigned, 401),
        (Traffic, "answered", trigger, 200),
        (HttpConnections, "end", trigger, 200),
        (AccessLog, "call", trigger, 200),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_fault_where_an_answer_is_made(
    start_server: StartServer,
    monkeypatch: pytest.MonkeyPatch,
    contained: Contained,
    header: str,
    owner: object,
    method: str,
    call: Callable[[str], bytes],
    status: int,
) -> None:
    peers = await start_server(log=Log(access=True))
    async with wire(peers.port) as client:
        client.send(request("GET", "/ready", b"", header))
        assert (await client.answer()).status == 200
        with monkeypatch.context() as patched:
            patched.setattr(owner, method, bug)
            client.send(call(header) * 2)
            answers = [await client.answer() for _ in range(2)]
        assert [answer.status for answer in answers] == [status] * 2
        assert status != 500 or answers[0].json == FAILED
        client.send(trigger(header))
        assert (await client.answer()).status == 200
    assert contained.count >= 2
    assert peers.server._rest.under_way == 0


async def test_a_fault_where_an_answer_is_encoded(
    peers: Peers, monkeypatch: pytest.MonkeyPatch, contained: Contained
) -> None:
    async with wire(peers.port) as client:
        with monkeypatch.context() as patched:
            patched.setattr(http, "encode", bug)
            client.send(trigger() + request("HEAD", "/ready"))
            assert (await client.answer()).json == FAILED
            assert (await client.answer(without_body=True)).status == 500
        client.send(trigger())
        assert (await client.answer()).status == 200
    assert contained.count == 2


@pytest.mark.parametrize("chunked", [False, True], ids=["plain", "with TE"])
@pytest.mark.parametrize(("owner", "method"), [(Rest, "reply"), (Failures, "_answer")])
async def test_a_fault_in_the_answer_to_a_call_that_had_to_wait(
    peers: Peers, monkeypatch: pytest.MonkeyPatch, contained: Contained, chunked: bool, owner: type, method: str
) -> None:
    waiting = Waiting(peers.server.node, "sent")
    async with wire(peers.port) as client:
        client.send(trigger("TE: trailers" if chunked else "Accept: */*"))
        await until(lambda: waiting)
        with monkeypatch.context() as patched:
            patched.setattr(owner, method, bug)
            waiting.fail(ValueError("a bug"))
            assert (await client.answer()).json == FAILED
        client.send(request("GET", "/ready"))
        assert (await client.answer()).status == 200
    assert contained.count
    assert peers.server._rest.under_way == 0


@pytest.mark.parametrize("at", ["open", "begin", "wait"])
async def test_a_fault_beside_the_answers_is_told_and_ends_the_connection_alone(
    peers: Peers, monkeypatch: pytest.MonkeyPatch, contained: Contained, at: str
) -> None:
    async with wire(peers.port) as client, wire(peers.port) as other:
        with monkeypatch.context() as patched:
            patched.setattr(Rest, at, bug)
            client.send(request("GET", "/ready") * (at != "open") + (trigger()[:-1] if at == "wait" else trigger()))
            if at != "open":
                assert (await client.answer()).status == 200
            assert (await client.answer()).json == FAILED
            assert await client.rest() == b""
        other.send(trigger())
        assert (await other.answer()).status == 200
    assert contained.count == 1
    assert peers.server._rest.under_way == 0


async def test_a_fault_where_a_fault_is_told_ends_the_connection(
    peers: Peers, monkeypatch: pytest.MonkeyPatch, contained: Contained
) -> None:
    async with wire(peers.port) as client:
        monkeypatch.setattr(Rest, "open", bug)
        monkeypatch.setattr(http, "failure", bug)
        client.send(trigger())
        assert await client.rest() == b""
    assert contained.count == 2


async def test_a_fault_in_a_request_with_te_is_answered_alike(
    peers: Peers, monkeypatch: pytest.MonkeyPatch, contained: Contained
) -> None:
    async with wire(peers.port) as client:
        monkeypatch.setattr(Rest, "open", bug)
        client.send(trigger("TE: trailers"))
        assert (await client.answer()).json == FAILED
        assert await client.rest() == b""
    assert contained.count == 1


# WebSockets


async def test_a_refusal_that_cannot_be_logged_closes_no_websocket(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch, contained: Contained
) -> None:
    for method in ("message", "subscription", "connection"):
        monkeypatch.setattr(Refusals, method, bug)
    peers = await start_server(apps=(replace(APP, client_events=False),))
    client = await peers.client()
    await client.say("pusher:subscribe", {"channel": "private-room", "auth": "app-key:wrong"})
    assert [(await client.hear())["event"] for _ in range(2)] == [
        "pusher:subscription_error",
        "pusher_internal:subscription_error",
    ]
    await client.say("client-said", channel="room")
    assert (await client.hear())["data"]["code"] == 4301
    await client.peer.send("no JSON")
    assert (await client.hear())["event"] == "pusher:error"
    await client.say("pusher:ping")
    assert (await client.hear())["event"] == "pusher:pong"
    async with wire(peers.port) as stranger:
        stranger.send(request("GET", "/app/nobody?protocol=7", b"", *HANDSHAKE))
        assert (await stranger.answer()).status == 101
        assert json.loads(await stranger.frame())["data"]["code"] == 4001
    assert contained.count == 4


async def test_a_fault_behind_the_greeting_of_a_client_leaves_no_connection(
    peers: Peers, monkeypatch: pytest.MonkeyPatch, contained: Contained
) -> None:
    async with wire(peers.port) as client:
        with monkeypatch.context() as patched:
            patched.setattr(StaticApps, "by_id", bug)
            client.send(request("GET", "/app/app-key?protocol=7", b"", *HANDSHAKE))
            assert (await client.answer()).status == 101
            assert json.loads(await client.frame())["data"]["code"] == 1011
        assert peers.server.node.total == 0
    await peers.client()
    assert contained.count == 1


async def test_traffic_that_cannot_be_counted_is_carried(
    peers: Peers, monkeypatch: pytest.MonkeyPatch, contained: Contained
) -> None:
    for method in ("received", "sent", "answered"):
        monkeypatch.setattr(Traffic, method, bug)
    client = await peers.client()
    await client.subscribe("room")
    assert (await peers.trigger("room", "e")).status == 200
    assert (await client.hear())["event"] == "e"
    await client.say("pusher:ping")
    assert (await client.hear())["event"] == "pusher:pong"
    assert contained.count


def test_what_is_attempted_may_fail(contained: Contained) -> None:
    noted: list[str] = []
    attempt(http.log, noted.append, "a")
    attempt(http.log, bug, "b")
    assert noted == ["a"]
    assert contained.count == 1
