"""Connecting, staying connected and being closed, over real sockets. RFC 6455 has tests of its own."""

import asyncio
import json
import logging
import re
from dataclasses import replace
from typing import Any

import pytest
from websockets.protocol import State

from soketpy import App, Key
from soketpy.config.settings import Bounds, Timeouts
from soketpy.web import websocket
from soketpy.web.websocket import SLICE_FRAMES, WebSocket
from tests.conftest import Contained, Peers, Socket, StartServer
from tests.fakes import APP
from tests.patience import attempts, until
from tests.web.wire import HANDSHAKE, PATIENCE, request, wire

OTHER = App(id="other", keys=(Key("other-key", "other-secret"),))


async def refusal(socket: Socket) -> tuple[dict[str, Any], int | None, str | None]:
    """Return the one message of a connection that is refused, and its close."""
    message = await socket.hear()
    return message, *await socket.closed()


# Connect


@pytest.mark.parametrize("query", ["", "?protocol=5", "?protocol=6", "?protocol=7&client=js&version=8.6", "?protocol="])
async def test_the_first_frame_greets_the_client(peers: Peers, query: str) -> None:
    socket = await peers.socket(f"/app/app-key{query}")
    text = await socket.peer.recv()
    message = json.loads(text)
    assert message["event"] == "pusher:connection_established"
    data = json.loads(message["data"])
    assert re.fullmatch(r"\d+\.\d+", data.pop("socket_id"))
    assert data == {"activity_timeout": 120}


async def test_the_activity_timeout_of_the_settings_is_told(start_server: StartServer) -> None:
    peers = await start_server(timeouts=Timeouts(activity=30))
    assert (await (await peers.socket()).hear())["data"]["activity_timeout"] == 30


async def test_no_two_connections_have_one_id(peers: Peers) -> None:
    assert len({(await peers.client()).id for _ in range(20)}) == 20


async def test_any_key_of_an_app_connects(start_server: StartServer) -> None:
    peers = await start_server(apps=(replace(APP, keys=(*APP.keys, Key("new-key", "new-secret"))),))
    await peers.client(path="/app/app-key")
    await peers.client(path="/app/new-key")
    assert len(peers.server.node.connections("app-id")) == 2


# Close codes


@pytest.mark.parametrize(
    ("path", "code", "reason"),
    [
        ("/app/nobody?protocol=7", 4001, "App key nobody does not exist."),
        ("/app/disabled-key?protocol=7", 4003, "The app is disabled."),
        ("/app/full-key?protocol=7", 4004, "The app has reached its connection limit (0)."),
        ("/", 4005, "There is nothing at this path; connect to /app/KEY."),
        ("/app/", 4005, "There is nothing at this path; connect to /app/KEY."),
        ("/app/app-key/more", 4005, "There is nothing at this path; connect to /app/KEY."),
        ("/apps/app-id/events", 4005, "There is nothing at this path; connect to /app/KEY."),
        ("/app/app-key?protocol=seven", 4006, "The protocol version is not a number."),
        ("/app/app-key?protocol=7.0", 4006, "The protocol version is not a number."),
        ("/app/app-key?protocol=-7", 4006, "The protocol version is not a number."),
        ("/app/app-key?protocol=4", 4007, "Unsupported protocol version; 5, 6, 7 are served."),
        ("/app/app-key?protocol=8", 4007, "Unsupported protocol version; 5, 6, 7 are served."),
        ("/app/app-key?protocol=" + "9" * 5_000, 4007, "Unsupported protocol version; 5, 6, 7 are served."),
        ("/app/guarded-key", 4009, "The app does not accept connections from this origin."),
        ("/app/secure-key", 4000, "The app accepts only TLS connections; reconnect with wss://."),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_a_refused_client_hears_why_and_is_closed_with_the_same_code(
    start_server: StartServer, path: str, code: int, reason: str
) -> None:
    apps = (
        APP,
        App(id="disabled", keys=(Key("disabled-key", "s"),), enabled=False),
        App(id="full", keys=(Key("full-key", "s"),), max_connections=0),
        App(id="guarded", keys=(Key("guarded-key", "s"),), allowed_origins=("https://shop.example.com",)),
        App(id="secure", keys=(Key("secure-key", "s"),), tls_only=True),
    )
    peers = await start_server(apps=apps)
    error = {"event": "pusher:error", "data": {"code": code, "message": reason}}
    assert await refusal(await peers.socket(path)) == (error, code, reason)


async def test_a_client_without_a_protocol_is_closed_where_the_settings_are_strict(start_server: StartServer) -> None:
    peers = await start_server(strict_protocol=True)
    _, code, _ = await refusal(await peers.socket("/app/app-key"))
    assert code == 4008
    await peers.client(path="/app/app-key?protocol=7")


async def test_an_origin_that_the_app_names_connects(start_server: StartServer) -> None:
    peers = await start_server(apps=(replace(APP, allowed_origins=("*.example.com",)),))
    await peers.client(origin="https://shop.example.com")
    _, code, _ = await refusal(await peers.socket(origin="https://example.org"))
    assert code == 4009


async def test_a_full_app_has_room_again_when_somebody_left(start_server: StartServer) -> None:
    peers = await start_server(apps=(replace(APP, max_connections=1), OTHER))
    first = await peers.client()
    assert (await refusal(await peers.socket()))[1] == 4004
    await peers.client(path="/app/other-key")
    await first.peer.close()
    await peers.client()


async def test_a_full_server_tells_clients_to_back_off(start_server: StartServer) -> None:
    peers = await start_server(bounds=Bounds(max_connections=1), apps=(APP, OTHER))
    await peers.client()
    message, code, _ = await refusal(await peers.socket("/app/other-key"))
    assert (message["data"]["code"], code) == (4100, 4100)


@pytest.mark.parametrize("header", ["https", "wss", "HTTPS", "https, http"])
async def test_a_client_behind_a_proxy_that_speaks_tls_is_secure(start_server: StartServer, header: str) -> None:
    peers = await start_server(apps=(replace(APP, tls_only=True),))
    await peers.client(additional_headers={"X-Forwarded-Proto": header})


@pytest.mark.parametrize("header", ["http", "http, https", "", "httpsx"])
async def test_a_client_behind_a_proxy_without_tls_is_not(start_server: StartServer, header: str) -> None:
    peers = await start_server(apps=(replace(APP, tls_only=True),))
    assert (await refusal(await peers.socket(additional_headers={"X-Forwarded-Proto": header})))[1] == 4000


async def test_a_binary_frame_closes_with_1003(peers: Peers) -> None:
    client = await peers.client()
    await client.peer.send(b"bytes")
    assert (await client.closed())[0] == 1003


async def test_a_frame_over_the_limit_closes_with_1009(start_server: StartServer) -> None:
    peers = await start_server(bounds=Bounds(message_size_in_kb=1))
    client, other = await peers.client(), await peers.client()
    await client.peer.send('{"event":"pusher:ping"' + " " * 1001 + "}")
    assert (await client.hear())["event"] == "pusher:pong"
    await client.peer.send('{"event":"pusher:ping"' + " " * 1002 + "}")
    assert (await client.closed())[0] == 1009
    await other.say("pusher:ping")
    assert (await other.hear())["event"] == "pusher:pong"


async def test_malformed_messages_are_answered_until_their_budget_is_spent(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    peers = await start_server(bounds=Bounds(bad_messages=3))
    StoppedClock(peers, monkeypatch)
    client = await peers.client()
    for _ in range(4):
        await client.peer.send("no JSON")
    answers = [await client.hear() for _ in range(4)]
    assert [answer["event"] for answer in answers] == ["pusher:error"] * 4
    assert answers[3]["data"]["code"] == 4009
    assert (await client.closed())[0] == 4009


async def test_refused_clients_get_a_line_in_the_log_but_not_so_many_that_they_do_harm(
    peers: Peers, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, "soketpy.refusals")
    StoppedClock(peers, monkeypatch)
    for _ in range(30):
        assert (await refusal(await peers.socket("/app/nobody")))[1] == 4001
    lines = [record.getMessage() for record in caplog.records if record.name == "soketpy.refusals"]
    assert lines == ["No app: refused a connection from 127.0.0.1: 4001 App key nobody does not exist."] * 10


async def test_a_fault_while_a_client_connects_closes_it_and_nobody_else(
    peers: Peers, contained: Contained, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = await peers.client()

    def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(peers.server.node, "connect", fail)
    assert (await refusal(await peers.socket()))[1] == 1011
    assert contained.count == 1
    await other.say("pusher:ping")
    assert (await other.hear())["event"] == "pusher:pong"


async def test_refused_connections_and_slow_readers_are_counted(peers: Peers) -> None:
    await refusal(await peers.socket("/app/nobody"))
    assert peers.server.node.refusals.connections == {4001: 1}


async def test_a_client_cannot_write_lines_into_the_log(peers: Peers, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    await refusal(await peers.socket("/app/x%0AERROR%20all%20is%20lost%1b[2J"))
    lines = [record.getMessage() for record in caplog.records if record.name == "soketpy.refusals"]
    assert len(lines) == 1
    assert lines[0].isprintable()


# Staying


async def test_pings_of_either_kind_are_answered(peers: Peers) -> None:
    client = await peers.client()
    await client.say("pusher:ping")
    assert await client.peer.recv() == '{"event":"pusher:pong","data":{}}'
    await asyncio.wait_for(await client.peer.ping(b"payload"), PATIENCE)


@pytest.mark.parametrize(("activity", "pong"), [(120, 30), (30, 30), (10, 60)])
async def test_a_silent_client_is_pinged_and_stays_for_as_long_as_it_answers(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch, activity: int, pong: int
) -> None:
    peers = await start_server(timeouts=Timeouts(activity=activity, pong=pong))
    clock, deadlines = StoppedClock(peers, monkeypatch), peers.server._state.deadlines

    def pass_time(seconds: float) -> None:
        clock.now += seconds
        deadlines.expire_all()

    async with wire(peers.port) as client:
        client.send(request("GET", "/app/app-key", b"", *HANDSHAKE))
        assert (await client.answer()).status == 101
        assert b"connection_established" in await client.frame()
        pass_time(activity)
        for _ in range(3):
            assert await client.reader.readexactly(2) == b"\x89\x00"
            client.send(b"\x8a\x80\0\0\0\0" + b"\x89\x80\0\0\0\0")
            assert await client.reader.readexactly(2) == b"\x8a\x00"
            pass_time(pong)
            if pong < activity:
                pass_time(activity - pong)
        pass_time(pong)
        await client.find(b"\x88\x23\x10\x69The client did not answer a ping.")
    assert not peers.server.node.connections("app-id")


async def test_a_client_that_does_not_answer_a_ping_is_closed_with_4201(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurry(monkeypatch)
    peers = await start_server(timeouts=Timeouts(activity=0.02, pong=0.02))
    async with wire(peers.port) as client:
        client.send(request("GET", "/app/app-key", b"", *HANDSHAKE))
        assert (await client.answer()).status == 101
        heard = await client.rest()
    assert b"\x89\x00" in heard
    message = '{"event":"pusher:error","data":{"code":4201,"message":"The client did not answer a ping."}}'
    assert message.encode() in heard
    assert heard.endswith(b"\x88\x23\x10\x69The client did not answer a ping.")
    assert not peers.server.node.connections("app-id")


async def test_one_who_has_not_authorized_in_time_is_closed_with_4009(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    authorized = replace(APP, authorized_connections=True)
    peers = await start_server(apps=(authorized,), timeouts=Timeouts(authorization=20))
    clock = StoppedClock(peers, monkeypatch)
    idle, public = await peers.client(), await peers.client()
    await public.subscribe("room")
    clock.advance(20)
    for client in (idle, public):
        await client.say("pusher:ping")
        assert (await client.hear())["event"] == "pusher:pong"
    clock.advance(2)
    for client in (idle, public):
        assert (await client.closed())[0] == 4009


@pytest.mark.parametrize("how", ["signing in", "private-a", "presence-a"])
async def test_one_who_has_authorized_stays(start_server: StartServer, how: str) -> None:
    peers = await start_server(apps=(replace(APP, authorized_connections=True),))
    client, other = await peers.client(), await peers.client()
    if how == "signing in":
        await client.sign_in("ada")
    else:
        await client.subscribe(how, {"user_id": "ada"} if how == "presence-a" else None)
    peers.server._state.deadlines.expire_all()
    assert (await other.closed())[0] == 4009
    await client.say("pusher:ping")
    assert (await client.hear())["event"] == "pusher:pong"


async def test_a_tcp_connection_that_never_asks_for_anything_is_dropped(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurry(monkeypatch)
    peers = await start_server(timeouts=Timeouts(handshake=0.02))
    for started in (b"", b"GET / HTTP/1.1\r\nHost:"):
        async with wire(peers.port) as stranger:
            stranger.send(started)
            assert await stranger.rest() == b""


async def test_one_who_vanishes_leaves_its_channels(peers: Peers) -> None:
    client, other = await peers.client(), await peers.client()
    await other.subscribe("presence-a", {"user_id": "2"})
    await client.subscribe("presence-a", {"user_id": "1"})
    assert (await other.hear())["event"] == "pusher_internal:member_added"
    client.peer.transport.abort()
    assert (await other.hear())["event"] == "pusher_internal:member_removed"
    assert (await peers.call("GET", "/channels/presence-a")).json["subscription_count"] == 1


async def test_a_close_is_answered_with_its_own_code(peers: Peers) -> None:
    client = await peers.client()
    await client.peer.close(4321, "bye")
    assert (client.peer.protocol.close_rcvd_then_sent, client.peer.close_code) == (False, 4321)


# Slow readers


async def test_one_who_stops_reading_is_closed_at_the_bound_and_others_miss_nothing(
    start_server: StartServer, caplog: pytest.LogCaptureFixture
) -> None:
    peers = await start_server(bounds=Bounds(unread_in_kb=64))
    fast = await peers.client()
    await fast.subscribe("room")
    received: list[str] = []

    async def read() -> None:
        async for text in fast.peer:
            received.append(str(json.loads(text)["event"]))
            if received[-1] == "last":
                return

    reading = asyncio.create_task(read())
    async with wire(peers.port) as slow:
        slow.send(request("GET", "/app/app-key", b"", *HANDSHAKE))
        assert (await slow.answer()).status == 101
        text = b'{"event":"pusher:subscribe","data":{"channel":"room"}}'
        slow.send(bytes((0x81, 0x80 | len(text))) + b"\0\0\0\0" + text)

        async def subscribed() -> int:
            count: int = (await peers.call("GET", "/channels/room")).json["subscription_count"]
            return count

        for _ in attempts():
            if await subscribed() == 2:
                break
        for sent in attempts():
            if await subscribed() == 1:
                break
            assert (await peers.trigger("room", f"e{sent}", "d" * 100_000)).status == 200
            assert sent < 1000
        assert (await peers.trigger("room", "last")).status == 200
        await slow.find(b"\x88\x1e\x10\x04The client reads too slowly.")
    await asyncio.wait_for(reading, PATIENCE)
    assert received == [*(f"e{number}" for number in range(sent)), "last"]
    assert "Traceback" not in caplog.text


async def test_one_who_pings_and_never_reads_is_closed_too(start_server: StartServer) -> None:
    peers = await start_server(bounds=Bounds(unread_in_kb=64))
    async with wire(peers.port) as slow:
        slow.send(request("GET", "/app/app-key", b"", *HANDSHAKE))
        assert (await slow.answer()).status == 101
        pings = (b"\x89\xfd\0\0\0\0" + b"p" * 125) * 1_000
        for _ in attempts():
            if not peers.server.node.connections("app-id"):
                break
            slow.send(pings)
            await slow.writer.drain()
            await peers.request("GET", "/")
        await slow.find(b"\x88\x1e\x10\x04The client reads too slowly.")


async def test_a_slow_reader_that_catches_up_stays(start_server: StartServer) -> None:
    peers = await start_server(bounds=Bounds(unread_in_kb=100_000))
    client = await peers.client(max_size=None, max_queue=1)
    await client.subscribe("room")
    for number in range(100):
        assert (await peers.trigger("room", f"e{number}", "d" * 100_000)).status == 200
    assert [(await client.hear())["event"] for _ in range(100)] == [f"e{number}" for number in range(100)]
    await client.say("pusher:ping")
    assert (await client.hear())["event"] == "pusher:pong"
    assert client.peer.state is State.OPEN


class StoppedClock:
    """The clock of a server, which a test moves."""

    def __init__(self, peers: Peers, monkeypatch: pytest.MonkeyPatch) -> None:
        node, self._deadlines = peers.server.node, peers.server._state.deadlines
        self.now = float(round(node.clock()))  # so that sums are exact
        monkeypatch.setattr(node, "clock", lambda: self.now)
        monkeypatch.setattr(node.refusals._lines, "_clock", lambda: self.now)
        monkeypatch.setattr(self._deadlines, "_clock", lambda: self.now)

    def advance(self, seconds: float) -> None:
        """Let time pass, and serve the deadlines that are due."""
        self.now += seconds
        while self._deadlines.tick():
            pass


def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let deadlines be looked at often enough for timeouts that are shorter than a second."""
    monkeypatch.setattr("soketpy.web.deadlines.RESOLUTION", 0.01)
    monkeypatch.setattr(websocket, "CLOSING_TIMEOUT", 0.05)


async def test_many_messages_in_one_packet_are_taken_in_turns_and_in_order(
    peers: Peers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "SLICE_SECONDS", float("inf"))
    client = await peers.client()
    loop = asyncio.get_running_loop()
    turns = 0
    (connection,) = peers.server.node.every_connection()

    def count() -> None:
        nonlocal turns
        turns += 1
        if peers.server.node.traffic["app-id"].messages_received < 1000:
            loop.call_soon(count)

    def frame(number: int) -> bytes:
        text = json.dumps({"event": "pusher:subscribe", "data": {"channel": f"c{number}"}}).encode()
        return bytes((0x81, 0x80 | len(text))) + bytes(4) + text

    transport = connection._transport
    assert isinstance(transport, WebSocket)
    loop.call_soon(count)
    transport.data_received(b"".join(map(frame, range(1000))))
    assert peers.server.node.traffic["app-id"].messages_received == SLICE_FRAMES
    assert [(await client.hear())["channel"] for _ in range(1000)] == [f"c{number}" for number in range(1000)]
    assert turns >= 1000 / SLICE_FRAMES - 1


async def test_messages_of_a_connection_that_is_broken_between_two_turns_are_not_taken(peers: Peers) -> None:
    client = await peers.client()
    (connection,) = peers.server.node.every_connection()
    transport = connection._transport
    assert isinstance(transport, WebSocket)
    transport.data_received((bytes((0x81, 0x80 | 23)) + bytes(4) + b'{"event":"pusher:ping"}') * SLICE_FRAMES * 2)
    transport._transport.abort()
    await client.closed()
    await until(lambda: not connection.open)
    assert peers.server.node.traffic["app-id"].messages_received <= SLICE_FRAMES


async def test_messages_that_take_long_are_taken_in_shorter_turns(
    peers: Peers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "SLICE_SECONDS", -1.0)
    client = await peers.client()
    (connection,) = peers.server.node.every_connection()
    transport = connection._transport
    assert isinstance(transport, WebSocket)
    transport.data_received((bytes((0x81, 0x80 | 23)) + bytes(4) + b'{"event":"pusher:ping"}') * 3)
    assert peers.server.node.traffic["app-id"].messages_received == 1
    assert [(await client.hear())["event"] for _ in range(3)] == ["pusher:pong"] * 3


async def test_frames_that_finish_no_message_are_taken_in_turns_too(
    peers: Peers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "SLICE_SECONDS", float("inf"))
    client = await peers.client()
    (connection,) = peers.server.node.every_connection()
    transport = connection._transport
    assert isinstance(transport, WebSocket)
    start, empty, end = bytes((0x01, 0x80 | 23)), bytes((0x00, 0x80)) + bytes(4), bytes((0x80, 0x80)) + bytes(4)
    transport.data_received(start + bytes(4) + b'{"event":"pusher:ping"}' + empty * SLICE_FRAMES + end)
    assert peers.server.node.traffic["app-id"].messages_received == 0
    assert (await client.hear())["event"] == "pusher:pong"


async def test_a_client_that_goes_between_two_turns_is_heard_no_more(peers: Peers) -> None:
    client = await peers.client()
    (connection,) = peers.server.node.every_connection()
    transport = connection._transport
    assert isinstance(transport, WebSocket)
    ping = bytes((0x81, 0x80 | 23)) + bytes(4) + b'{"event":"pusher:ping"}'
    transport.data_received(ping * 1000)
    transport._transport.abort()
    await client.closed()
    await until(lambda: not connection.open)
    assert peers.server.node.traffic["app-id"].messages_received <= 3 * SLICE_FRAMES
