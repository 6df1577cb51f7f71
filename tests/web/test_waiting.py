"""Operations that wait for other nodes: only the following ones of the same connection wait too, in order."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any, cast

import pytest

from soketpy.config.settings import Timeouts
from soketpy.core.apps import App
from soketpy.drivers.redis.bus import RedisBus
from soketpy.drivers.redis.cluster import RedisCluster
from soketpy.drivers.redis.wire import Wire as Redis
from soketpy.protocol.errors import Code
from soketpy.web.http import HttpConnection
from soketpy.web.opening import Opening
from tests.conftest import Peers, StartServer, until
from tests.fakes import APP, channel_auth, user_auth
from tests.web.wire import HANDSHAKE, Wire, frame, request, signed, wire

pytestmark = [
    pytest.mark.usefixtures("nodes"),
    pytest.mark.parametrize("nodes", ["two nodes"], indirect=True),
]

EVENTS = "/apps/app-id/events"
BODY = b'{"name":"e","channel":"room","data":"x"}'


@pytest.fixture
def hold(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Keeps back what Redis says, until it is called."""
    held: list[tuple[Redis, bytes]] = []
    take = Redis.data_received
    monkeypatch.setattr(Redis, "data_received", lambda self, data: held.append((self, data)))

    def let_go() -> None:
        monkeypatch.setattr(Redis, "data_received", take)
        for redis, data in held:
            take(redis, data)
        held.clear()

    return let_go


async def test_a_message_behind_a_subscription_is_heard_after_it(peers: Peers) -> None:
    listener, sender = await peers.client(), await peers.client()
    await listener.subscribe("private-a")
    auth = channel_auth(sender.id, "private-a")
    packet = frame("pusher:subscribe", {"channel": "private-a", "auth": auth})
    packet += frame("client-said", {}, channel="private-a") + frame("pusher:ping", {})
    await sender.peer.ping()
    sender.peer.transport.write(packet)
    assert [(await sender.hear())["event"] for _ in range(2)] == [
        "pusher_internal:subscription_succeeded",
        "pusher:pong",
    ]
    assert (await listener.hear())["event"] == "client-said"


async def test_others_go_on_while_one_waits(peers: Peers, request: pytest.FixtureRequest) -> None:
    waiting, other = await peers.client(), await peers.client()
    let_go = request.getfixturevalue("hold")
    await waiting.say("pusher:subscribe", {"channel": "news"})
    await waiting.say("pusher:ping")
    await other.say("pusher:ping")
    assert (await other.hear())["event"] == "pusher:pong"
    let_go()
    assert [(await waiting.hear())["event"] for _ in range(2)] == [
        "pusher_internal:subscription_succeeded",
        "pusher:pong",
    ]


@pytest.mark.parametrize("what", ["subscribing", "signing in"])
async def test_one_who_is_closed_while_waiting_leaves_nothing_behind(
    peers: Peers, request: pytest.FixtureRequest, what: str
) -> None:
    client, other = await peers.client(), await peers.client()
    (connection,) = peers.server.node.every_connection()
    let_go = request.getfixturevalue("hold")
    user_data = json.dumps({"id": "ada", "watchlist": ["bob"]})
    packet = {
        "subscribing": frame("pusher:subscribe", {"channel": "news"}),
        "signing in": frame("pusher:signin", {"auth": user_auth(client.id, user_data), "user_data": user_data}),
    }[what]
    client.peer.transport.write(packet)
    await until(lambda: cast(RedisCluster, peers.server._cluster).sessions[0].busy)
    connection.refuse(4200, "The server is stopping.")
    let_go()
    assert (await client.closed())[0] == 4200
    signed_in = await other.sign_in("eve", watchlist=["ada"])
    assert signed_in["event"] == "pusher:signin_success"
    assert (await other.hear())["data"] == {"events": [{"name": "offline", "user_ids": ["ada"]}]}
    assert (await peers.call("GET", "/channels")).json == {"channels": {}}


def limited(most: int) -> dict[str, Any]:
    return {"apps": (replace(APP, max_connections=most),)}


HELLO = request("GET", "/app/app-key?protocol=7", b"", *HANDSHAKE)


async def greeting(client: Wire) -> str:
    assert (await client.answer()).status == 101
    event: str = json.loads(await client.frame())["event"]
    return event


async def test_an_app_has_as_many_connections_as_it_may_have_on_all_nodes_together(start_server: StartServer) -> None:
    peers = await start_server(**limited(7))
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(wire(peers.port)) for _ in range(20)]
        for client in clients:
            client.send(HELLO)
        greeted = Counter([await greeting(client) for client in clients])
        assert greeted == {"pusher:connection_established": 7, "pusher:error": 13}


async def test_what_comes_behind_a_handshake_that_waits_is_heard_after_it(
    start_server: StartServer, request: pytest.FixtureRequest
) -> None:
    peers = await start_server(**limited(1))
    let_go = request.getfixturevalue("hold")
    async with wire(peers.port) as client:
        client.send(HELLO + frame("pusher:subscribe", {"channel": "news"}))
        await until(lambda: cast(RedisCluster, peers.server._cluster).sessions[0].busy)
        client.send(frame("pusher:ping", {}))
        let_go()
        assert await greeting(client) == "pusher:connection_established"
        events = [json.loads(await client.frame())["event"] for _ in range(2)]
        assert events == ["pusher_internal:subscription_succeeded", "pusher:pong"]


@pytest.mark.parametrize("by", ["client", "server"])
async def test_who_goes_while_it_waits_for_room_takes_none(
    start_server: StartServer, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    peers = await start_server(**limited(1))
    opened: list[Opening] = []
    admit = Opening._admit

    async def admitted(self: Opening, when_draining: Code) -> App:
        opened.append(self)
        return await admit(self, when_draining)

    monkeypatch.setattr(Opening, "_admit", admitted)
    let_go = request.getfixturevalue("hold")
    async with wire(peers.port) as client:
        client.send(HELLO)
        await until(lambda: opened)
        if by == "server":
            opened[0]._transport.abort()
            assert await client.rest() == b""
    let_go()

    async def room() -> bool:
        async with wire(peers.port) as other:
            other.send(HELLO)
            return await greeting(other) == "pusher:connection_established"

    await until(room)


def trigger(number: int) -> bytes:
    body = BODY.replace(b"x", str(number).encode())
    return request("POST", signed("POST", EVENTS, body), body)


async def test_calls_on_one_connection_are_answered_in_their_order(peers: Peers) -> None:
    listener = await peers.client()
    await listener.subscribe("room")
    async with wire(peers.port) as publisher:
        publisher.send(b"".join(trigger(number) for number in range(20)) + request("GET", "/nothing") + trigger(20))
        assert [(await publisher.answer()).status for _ in range(22)] == [200] * 20 + [404, 200]
    assert [(await listener.hear())["data"] for _ in range(21)] == list(range(21))


async def test_who_ends_its_side_behind_a_call_still_gets_the_answer(peers: Peers) -> None:
    async with wire(peers.port) as publisher:
        publisher.send(trigger(1))
        publisher.writer.write_eof()
        assert (await publisher.answer()).status == 200
        assert await publisher.rest() == b""


async def test_who_goes_before_the_answer_harms_nobody(peers: Peers, request: pytest.FixtureRequest) -> None:
    let_go = request.getfixturevalue("hold")
    port = peers.port
    async with wire(port) as publisher:
        publisher.send(trigger(1))

        def waiting() -> bool:
            buckets: Any = peers.server._state.deadlines._buckets.values()
            return any(isinstance(each, HttpConnection) and each._waits for bucket in buckets for each in bucket)

        await until(waiting)
    let_go()
    assert (await peers.call("GET", "/channels")).status == 200
    assert (await peers.call("GET", "/channels")).status == 200


async def test_a_call_that_comes_in_chunks_waits_too(peers: Peers) -> None:
    listener = await peers.client()
    await listener.subscribe("room")
    head = request("POST", signed("POST", EVENTS, BODY), b"", "Transfer-Encoding: chunked")
    async with wire(peers.port) as publisher:
        publisher.send(head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY))
        assert (await publisher.answer()).status == 200
    assert (await listener.hear())["event"] == "e"


async def test_a_call_that_waited_for_room_at_the_stop_is_published_once_when_it_is_sent_again(
    start_server: StartServer, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("soketpy.process.draining.CLOSING_TIMEOUT", 0.0)
    peers = await start_server(timeouts=Timeouts(shutdown=0))
    stopping_port, other_port = peers.port, peers.port
    assert stopping_port == peers.server.port
    assert peers.port == stopping_port  # so that the next client is on the other node
    listener = await peers.client()
    await listener.subscribe("room")
    monkeypatch.setattr(cast(RedisBus, cast(RedisCluster, peers.server._cluster).bus)._window, "_size", 1)
    let_go = request.getfixturevalue("hold")
    async with AsyncExitStack() as stack:
        publishers = [await stack.enter_async_context(wire(stopping_port)) for _ in range(3)]
        for number, publisher in enumerate(publishers, 1):
            publisher.send(trigger(number))
            await until(lambda number=number: peers.server._rest.under_way == number)  # type: ignore[misc]
        stopping = asyncio.create_task(peers.server.stop())
        answers = [await publisher.answer() for publisher in publishers]
        assert [answer.status for answer in answers] == [504, 503, 503]
        assert ["may have been published" in answer.json["error"] for answer in answers] == [True, False, False]
        let_go()
        await stopping
    async with wire(other_port) as publisher:
        publisher.send(trigger(2) + trigger(3))
        assert [(await publisher.answer()).status for _ in range(2)] == [200, 200]
    assert [(await listener.hear())["data"] for _ in range(3)] == [1, 2, 3]
    await listener.say("pusher:ping")
    assert (await listener.hear())["event"] == "pusher:pong"
