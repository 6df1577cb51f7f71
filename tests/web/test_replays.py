"""Clients that get many stored events at once: they are not closed as slow readers if they read at all."""

import asyncio
import json
import socket
from dataclasses import replace
from typing import Any

import pytest

from soketpy.config.settings import Bounds, Timeouts
from soketpy.core.history import KIB, HistoryRule
from tests.conftest import Peers, Socket, StartServer
from tests.fakes import APP
from tests.patience import attempts
from tests.web.wire import HANDSHAKE, Wire, request

STORED = replace(APP, history=(HistoryRule(channels="room*", kib=1024),))
CHANNELS = [f"room-{number}" for number in range(20)]
EVENTS = 10
SIZE = 24_000
PATH = "/c/a-tab/app/app-key?protocol=7"


@pytest.fixture
async def peers(start_server: StartServer) -> Peers:
    """Return a server that gives a client at most 256 KiB for a channel, and closes it above 512 KiB."""
    return await start_server(apps=(STORED,), bounds=Bounds(unread_in_kb=512))


async def fill(peers: Peers, *channels: str, size: int = SIZE, character: str = "d") -> None:
    """Store some events of each channel."""
    for channel in channels:
        batch = [{"channel": channel, "name": str(number), "data": character * size} for number in range(EVENTS)]
        assert (await peers.call("POST", "/batch_events", {"batch": batch})).status == 200


async def missed(peers: Peers) -> None:
    """Let a tab subscribe to all channels, disconnect, and miss events on each."""
    tab = await peers.client(path=PATH)
    for channel in CHANNELS:
        await tab.subscribe(channel)
    await tab.peer.close()
    await fill(peers, *CHANNELS)


async def recover(client: Socket) -> None:
    """Subscribe to all channels at once, and check that all events come."""
    for channel in CHANNELS:
        await client.say("pusher:subscribe", {"channel": channel})
    for channel in CHANNELS:
        assert (await client.hear())["event"] == "pusher_internal:subscription_succeeded"
        assert [(await client.hear())["event"] for _ in range(EVENTS)] == [str(number) for number in range(EVENTS)]
        recovered = await client.hear()
        assert recovered["event"] == "soketpy:recovered"
        assert recovered["data"]["complete"], channel


def small_socket(port: int) -> socket.socket:
    """Return a connection of a client for which the system keeps only a few bytes that the client has not read."""
    small = socket.socket()
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    small.connect(("127.0.0.1", port))
    return small


async def test_a_fast_client_recovers_many_channels(peers: Peers) -> None:
    await missed(peers)
    await recover(await peers.client(path=PATH))


async def test_a_slow_client_recovers_many_channels(peers: Peers) -> None:
    await missed(peers)
    await recover(await peers.client(path=PATH, sock=small_socket(peers.port), max_queue=1))


async def test_a_slow_client_gets_the_answers_to_many_requests(peers: Peers) -> None:
    await fill(peers, "room-0")
    client = await peers.client(sock=small_socket(peers.port), max_queue=1, max_size=None)
    await client.subscribe("room-0")
    for _ in range(20):
        await client.say("soketpy:history", {"channel": "room-0"})
    assert [len((await client.hear())["data"]["events"]) for _ in range(20)] == [EVENTS] * 20


async def test_an_answer_that_is_longer_than_its_events_closes_no_client(peers: Peers) -> None:
    await fill(peers, "room-0", character='"')  # takes four times the bytes in an answer
    client = await peers.client(max_size=None)
    await client.subscribe("room-0")
    for direction in ({}, {"after": (await client_page(client, "room-0"))["first"]}):
        await client.say("soketpy:history", {"channel": "room-0", **direction})
        text = await client.peer.recv()
        assert 100 * KIB < len(text) <= 384 * KIB
        assert json.loads(text)["event"] == "soketpy:history"


async def client_page(client: Socket, channel: str) -> Any:
    await client.say("soketpy:history", {"channel": channel, "limit": 1})
    return (await client.hear())["data"]


async def test_a_client_that_waits_for_events_and_reads_nothing_is_closed(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("soketpy.web.deadlines.RESOLUTION", 0.01)
    peers = await start_server(
        apps=(STORED,), bounds=Bounds(unread_in_kb=512), timeouts=Timeouts(activity=0.3, pong=0.3)
    )
    await fill(peers, "room-0")
    client = Wire(*await asyncio.open_connection(sock=small_socket(peers.port)))
    try:
        client.send(request("GET", "/app/app-key?protocol=7", b"", *HANDSHAKE))
        assert (await client.answer()).status == 101
        client.send(said("pusher:subscribe", channel="room-0"))
        for _ in range(100):  # more than the system buffers
            client.send(said("soketpy:history", channel="room-0"))
        for _ in attempts():
            if not peers.server.node.connections("app-id"):
                break
            await peers.request("GET", "/")
    finally:
        client.writer.transport.abort()
    assert peers.server.node.closes == {4201: 1}


def said(event: str, **data: object) -> bytes:
    """Return a message of a client as a frame."""
    text = json.dumps({"event": event, "data": data}).encode()
    assert len(text) < 126
    return bytes((0x81, 0x80 | len(text))) + bytes(4) + text
