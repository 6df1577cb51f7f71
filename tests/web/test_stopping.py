"""Calls and handshakes that wait while the server stops: each is answered, and no call publishes after its answer."""

import asyncio
import json
from dataclasses import replace
from typing import cast

import pytest

from soketpy.config.settings import Timeouts
from soketpy.core.steps import Future
from soketpy.web.opening import Opening
from soketpy.web.websocket import WebSocket
from tests.conftest import Contained, Peers, StartServer
from tests.fakes import APP, channel_auth
from tests.patience import PATIENCE, until
from tests.web.waiting import Waiting
from tests.web.wire import HANDSHAKE, Wire, frame, request, signed, wire

EVENTS = "/apps/app-id/events"
BODY = b'{"name":"e","channel":"room","data":"x"}'
TERMINATE = "/apps/app-id/users/ada/terminate_connections"

sized_or_chunked = pytest.mark.parametrize("chunked", [False, True], ids=["sized", "chunked"])


def post(chunked: bool, path: str = EVENTS, body: bytes = BODY) -> bytes:
    """Return a call whose body has a stated length or comes in chunks."""
    target = signed("POST", path, body)
    if not chunked:
        return request("POST", target, body)
    chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
    return request("POST", target, b"", "Transfer-Encoding: chunked") + chunk + b"0\r\n\r\n"


@pytest.fixture(autouse=True)
def impatient_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a server that stops give nobody time beside that of the settings."""
    monkeypatch.setattr("soketpy.process.draining.CLOSING_TIMEOUT", 0.0)


@pytest.fixture
async def peers(start_server: StartServer) -> Peers:
    """Return a server that stops as soon as it can."""
    return await start_server(timeouts=Timeouts(shutdown=0))


@sized_or_chunked
@pytest.mark.parametrize(
    ("path", "body"),
    [(EVENTS, BODY), ("/apps/app-id/batch_events", b'{"batch":[%b]}' % BODY), (TERMINATE, b"{}")],
    ids=["trigger", "batch", "terminate"],
)
async def test_a_call_that_waits_for_room_is_told_503_at_the_stop_and_publishes_nothing(
    peers: Peers, chunked: bool, path: str, body: bytes
) -> None:
    waiting = Waiting(peers.server.node, "room")
    async with wire(peers.port) as publisher:
        publisher.send(post(chunked, path, body))
        await until(lambda: waiting)
        await asyncio.wait_for(peers.server.stop(), PATIENCE)
        answer = await publisher.answer()
        assert (answer.status, answer.json) == (503, {"error": "The server is stopping; choose another.", "code": 503})
        assert await publisher.rest() == b""
    waiting.let_go()
    assert not waiting.published
    assert peers.server._rest.under_way == 0


@sized_or_chunked
async def test_a_call_that_is_not_confirmed_at_the_stop_is_told_that_it_may_have_published(
    peers: Peers, chunked: bool
) -> None:
    waiting = Waiting(peers.server.node, "sent")
    async with wire(peers.port) as publisher:
        publisher.send(post(chunked))
        await until(lambda: waiting)
        await asyncio.wait_for(peers.server.stop(), PATIENCE)
        answer = await publisher.answer()
        assert answer.status == 504
        assert "may have been published" in answer.json["error"]
    assert waiting.published == ["publish"]
    waiting.let_go()


@sized_or_chunked
async def test_a_call_whose_body_is_not_whole_at_the_stop_is_told_503(peers: Peers, chunked: bool) -> None:
    async with wire(peers.port) as publisher:
        publisher.send(post(chunked)[:-8])
        await until(lambda: peers.server._rest.under_way)
        await asyncio.wait_for(peers.server.stop(), PATIENCE)
        answer = await publisher.answer()
        assert (answer.status, answer.json["error"]) == (503, "The server is stopping; choose another.")
    assert peers.server._rest.under_way == 0


@sized_or_chunked
async def test_a_call_that_ends_within_the_time_of_the_stop_is_served(start_server: StartServer, chunked: bool) -> None:
    peers = await start_server(timeouts=Timeouts(shutdown=PATIENCE))
    waiting = Waiting(peers.server.node, "room")
    async with wire(peers.port) as publisher:
        publisher.send(post(chunked))
        await until(lambda: waiting)
        stopping = asyncio.create_task(peers.server.stop())
        await until(lambda: peers.server._state.draining)
        waiting.let_go()
        assert (await publisher.answer()).json == {}
        await stopping
    assert waiting.published == ["publish"]


async def test_a_call_that_fails_at_the_stop_holds_up_no_other(
    peers: Peers, monkeypatch: pytest.MonkeyPatch, contained: Contained
) -> None:
    waiting = Waiting(peers.server.node, "room")
    rest = peers.server._rest
    async with wire(peers.port) as first, wire(peers.port) as second:
        first.send(post(chunked=False))
        await until(lambda: len(waiting) == 1)
        (exchange,) = rest._in_progress

        def fail(_: object) -> None:
            raise ValueError("a bug")

        rest.wait(exchange, fail)
        second.send(post(chunked=False))
        await until(lambda: len(waiting) == 2)
        await asyncio.wait_for(peers.server.stop(), PATIENCE)
        assert (await second.answer()).status == 503
        assert await first.rest() == b""


async def test_a_call_that_waits_for_long_is_not_taken_for_an_idle_connection(peers: Peers) -> None:
    waiting = Waiting(peers.server.node, "room")
    async with wire(peers.port) as publisher:
        publisher.send(post(chunked=False))
        await until(lambda: waiting)
        (timed,) = [each for bucket in peers.server._state.deadlines._buckets.values() for each in bucket]
        timed.expire(peers.server.node.clock() + 1000)
        waiting.let_go()
        assert (await publisher.answer()).status == 200


# Handshakes


@pytest.fixture
def held_up(peers: Peers) -> Future[bool]:
    """Lets each handshake of a server wait until this future has its result; one of them can."""
    roster, allowed = peers.server.node.roster, Future[bool]()

    async def connect(*_: object) -> bool:
        return await allowed

    roster.connect = connect  # type: ignore[assignment, method-assign]
    return allowed


async def connecting(peers: Peers, client: Wire, rest: bytes = b"") -> None:
    """Send a handshake that waits."""
    client.send(request("GET", "/app/app-key?protocol=7", b"", *HANDSHAKE) + rest)
    await until(lambda: peers.server._state.entering)


CLOSED = b"\x88\x2b\x10\x68The server is stopping; please reconnect."


@pytest.mark.parametrize("outcome", [True, False], ids=["has room", "has none"])
async def test_a_handshake_that_waits_at_the_stop_is_ended_with_4200(
    peers: Peers, held_up: Future[bool], outcome: bool
) -> None:
    async with wire(peers.port) as client:
        await connecting(peers, client, frame("pusher:ping", {}))
        stopping = asyncio.create_task(peers.server.stop())
        assert (await client.answer()).status == 101
        assert json.loads(await client.frame())["data"]["code"] == 4200
        client.send(b"\x88\x82\0\0\0\0\x10\x68")
        assert await client.rest() == CLOSED
        await asyncio.wait_for(stopping, PATIENCE)
    held_up.set_result(outcome)
    assert not peers.server._state.entering
    assert peers.server.connections == 0
    assert peers.server._state.closing == 0


async def test_a_handshake_that_is_let_in_while_the_server_stops_is_ended_with_4200(
    peers: Peers, held_up: Future[bool]
) -> None:
    async with wire(peers.port) as client:
        await connecting(peers, client)
        peers.server._state.draining = True
        held_up.set_result(True)
        assert (await client.answer()).status == 101
        assert json.loads(await client.frame())["data"]["code"] == 4200
        assert await client.reader.readexactly(len(CLOSED)) == CLOSED
    assert peers.server.connections == 0


@pytest.mark.parametrize("fails", [False, True])
async def test_a_client_that_goes_while_its_handshake_waits_is_forgotten(
    peers: Peers, held_up: Future[bool], fails: bool, contained: Contained
) -> None:
    async with wire(peers.port) as client:
        await connecting(peers, client)
        (websocket,) = peers.server._state.entering
        cast(WebSocket, websocket)._transport.abort()
        await until(lambda: not peers.server._state.entering)
        if fails:
            held_up.set_exception(ValueError("a bug"))
        else:
            held_up.set_result(False)
    assert len(peers.server._state.http) == 0
    assert contained.count == fails


async def test_a_handshake_that_cannot_be_ended_at_the_stop_holds_up_nobody(
    peers: Peers, held_up: Future[bool], monkeypatch: pytest.MonkeyPatch, contained: Contained
) -> None:
    def bug(*_: object) -> None:
        raise ValueError("a bug")

    async with wire(peers.port) as client:
        await connecting(peers, client)
        monkeypatch.setattr(Opening, "_send_refusal", bug)
        await asyncio.wait_for(peers.server.stop(), PATIENCE)
        assert await client.rest() == b""
    assert contained.count == 1
    assert not peers.server._state.entering


# Clients that are not read


async def test_a_client_that_the_server_does_not_read_is_not_silent(peers: Peers) -> None:
    client = await peers.client()
    await client.subscribe("private-room")
    waiting, deadlines = Waiting(peers.server.node, "room"), peers.server._state.deadlines
    await client.say("client-said", channel="private-room")
    await until(lambda: waiting)
    (connection,) = peers.server.node.every_connection()
    websocket = cast(WebSocket, connection._transport)
    now = peers.server.node.clock()
    for later in (1000, 2000, 3000):
        websocket.expire(now + later)
    waiting.let_go()
    websocket.expire(now)
    await client.say("pusher:ping")
    assert (await client.hear())["event"] == "pusher:pong"
    assert len(deadlines) >= 1


def slow_to_join(peers: Peers) -> Future[None]:
    """Let the first subscription of a server wait until this future has its result."""
    roster, allowed = peers.server.node.roster, Future[None]()
    at_once = roster.join

    async def join(app_id: str, channel: str) -> int:
        await allowed
        return await at_once(app_id, channel)

    roster.join = join  # type: ignore[method-assign]
    return allowed


async def test_a_client_whose_authorization_waits_for_other_nodes_has_the_time_for_it_twice(
    start_server: StartServer,
) -> None:
    peers = await start_server(apps=(replace(APP, authorized_connections=True),))
    joined = slow_to_join(peers)
    patient, late = await peers.client(), await peers.client()
    await patient.say("pusher:subscribe", {"channel": "private-a", "auth": channel_auth(patient.id, "private-a")})
    websockets = [cast(WebSocket, each._transport) for each in peers.server.node.every_connection()]
    await until(lambda: any(each._unserved is not None for each in websockets))
    now = peers.server.node.clock()
    for websocket in websockets:
        websocket.expire(now)
    assert (await late.closed())[0] == 4009
    joined.set_result(None)
    assert (await patient.hear())["event"] == "pusher_internal:subscription_succeeded"
    websockets[0].expire(now)
    await patient.say("pusher:ping")
    assert (await patient.hear())["event"] == "pusher:pong"


async def test_a_client_whose_authorization_waits_for_ever_is_closed(start_server: StartServer) -> None:
    peers = await start_server(apps=(replace(APP, authorized_connections=True),))
    joined = slow_to_join(peers)
    client = await peers.client()
    await client.say("pusher:subscribe", {"channel": "news"})
    (connection,) = peers.server.node.every_connection()
    websocket = cast(WebSocket, connection._transport)
    await until(lambda: websocket._unserved is not None)
    for _ in range(2):
        websocket.expire(peers.server.node.clock())
    assert (await client.closed())[0] == 4009
    joined.set_result(None)


async def test_a_client_that_the_server_does_not_read_is_closed_properly_at_the_stop(
    peers: Peers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("soketpy.process.draining.CLOSING_TIMEOUT", 10 * PATIENCE)
    monkeypatch.setattr("soketpy.web.websocket.CLOSING_TIMEOUT", 10 * PATIENCE)
    client = await peers.client()
    await client.subscribe("private-room")
    waiting = Waiting(peers.server.node, "room")
    await client.say("client-said", channel="private-room")
    await until(lambda: waiting)
    stopping = asyncio.create_task(peers.server.stop())
    assert (await client.closed())[0] == 4200
    await asyncio.wait_for(stopping, PATIENCE)
    waiting.let_go()
    assert not waiting.published
