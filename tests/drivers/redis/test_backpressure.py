"""A flood waits for Redis: nothing of it is lost, and other apps and the node's own heartbeat are not delayed."""

import asyncio
import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, cast

import hiredis
import pytest

from soketpy.core import steps, triggers
from soketpy.core.apps import App, Key
from soketpy.drivers.redis import wire as wires
from soketpy.drivers.redis.wire import Wire
from soketpy.drivers.window import COMMAND, SHARES, Window
from tests.conftest import StartServer
from tests.drivers.redis.test_wire import Transport
from tests.fakes import APP, Client, House

OTHER = replace(APP, id="other", keys=(Key("other-key", "other-secret"),))
ROOM = "private-room"
FLOOD = 200

over_redis = pytest.mark.parametrize("nodes", ["two nodes", "two nodes over a Redis Cluster"], indirect=True)


@pytest.fixture
def small_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let some ten small events fill the share of an app."""
    monkeypatch.setattr(Window.__init__, "__defaults__", (SHARES * 10 * COMMAND,))


def member(house: House, app: App = APP) -> Client:
    client = Client(house, app)
    client.subscribe(ROOM)
    client.take()
    return client


class Flood:
    """Events of one client, each sent as soon as the server reads on; it waits for nothing else."""

    def __init__(self, client: Client, size: int = FLOOD) -> None:
        self._client = client
        self._left = list(range(size))
        client.transport.resume = self.resume  # type: ignore[method-assign]

    def resume(self) -> None:
        self._client.transport.waiting = False
        while self._left and not self._client.transport.waiting:
            message = {"event": "client-said", "channel": ROOM, "data": self._left.pop(0)}
            if not self._client.connection.receive(json.dumps(message).encode()):
                self._client.transport.waiting = True

    @property
    def left(self) -> int:
        return len(self._left)


def flooded(house: House) -> tuple[Client, Client, Flood]:
    """Return a client that floods a channel and now waits, another client there, and the flood."""
    sender, listener = member(house), member(house)
    flood = Flood(sender)
    flood.resume()
    return sender, listener, flood


def said(client: Client) -> list[int]:
    return [message["data"] for message in client.take() if message["event"] == "client-said"]


@over_redis
@pytest.mark.usefixtures("nodes", "small_window")
def test_a_client_is_not_read_while_its_app_has_too_much_unanswered() -> None:
    sender, listener, flood = flooded(House())
    assert sender.transport.waiting
    assert FLOOD - flood.left <= 12, "what was sent before Redis could answer"
    assert said(listener) == list(range(FLOOD))
    assert not sender.transport.waiting


@over_redis
@pytest.mark.usefixtures("nodes", "small_window")
def test_the_flood_of_one_app_leaves_the_others_served() -> None:
    house = House()
    flooding, _, sender, listener = member(house), member(house), member(house, OTHER), member(house, OTHER)
    Flood(flooding).resume()
    Flood(sender, 1).resume()
    assert not sender.transport.waiting
    assert flooding.transport.waiting
    assert said(listener) == [0]


@over_redis
@pytest.mark.usefixtures("nodes", "small_window")
def test_a_publisher_waits_as_well() -> None:
    house = House()
    listener = member(house)
    node, served = house.nodes[0], []

    async def publish(number: int, channel: str) -> None:
        await node.room(APP.id)
        body = {"name": "said", "channel": channel, "data": str(number)}
        receipt = node.publish(APP, triggers.check(triggers.parse_event(json.dumps(body).encode()), APP))
        assert receipt is not None
        await receipt
        served.append(number)

    listener.subscribe("private-cache-room")
    listener.take()
    for number, channel in zip(range(FLOOD), itertools.cycle([ROOM, "private-cache-room"])):
        steps.begin(publish(number, channel))
    assert APP.id in node.full
    heard: list[Any] = []
    while len(served) < FLOOD:
        heard += listener.take()
    heard += listener.take()
    assert sorted(message["data"] for message in heard) == list(range(FLOOD))
    for channel in (ROOM, "private-cache-room"):
        of_channel = [message["data"] for message in heard if message["channel"] == channel]
        assert of_channel == sorted(of_channel)
    assert APP.id not in node.full


@over_redis
@pytest.mark.usefixtures("nodes", "small_window")
def test_those_who_wait_continue_when_redis_goes_away() -> None:
    house = House()
    sender, _, neighbour = member(house), member(house), member(house)
    flood = Flood(sender)
    flood.resume()
    for each in house.sessions:
        each._disconnect()
    house.until(lambda: flood.left == 0)
    assert APP.id not in house.nodes[0].full
    assert said(neighbour)[-1] == FLOOD - 1, "the clients of the same node still hear each other"


@over_redis
@pytest.mark.usefixtures("nodes", "small_window")
def test_a_client_that_goes_while_it_waits_sends_nothing_more() -> None:
    sender, listener, flood = flooded(House())
    sent = FLOOD - flood.left - 1  # the last one waits
    sender.leave()
    assert said(listener) == list(range(sent))


@over_redis
@pytest.mark.usefixtures("nodes", "small_window")
async def test_rest_calls_of_a_flood_are_all_served_in_the_end(start_server: StartServer) -> None:
    peers = await start_server()
    events = [{"name": "said", "channels": ["news"], "data": "x" * 3000}] * 40
    calls = [peers.call("POST", "/events", event) for event in events]
    batch = {"batch": [{"name": "said", "channel": "cache-news", "data": "x" * 3000}]}
    calls += [peers.call("POST", "/batch_events", batch) for _ in events]
    calls += [peers.call("POST", f"/users/{number}/terminate_connections", {}) for number in range(40)]
    replies = await asyncio.gather(*calls)
    assert {reply.status for reply in replies} == {200}


@over_redis
@pytest.mark.usefixtures("nodes", "small_window")
async def test_a_flood_of_frames_arrives_whole_and_in_order(start_server: StartServer) -> None:
    app = replace(APP, max_client_events_per_second=None)
    peers = await start_server(apps=(app,))
    sender, listener = await peers.client(), await peers.client()
    for each in (sender, listener):
        await each.subscribe(ROOM)
    for number in range(FLOOD):
        await sender.say("client-said", {"number": number}, channel=ROOM)
    assert [(await listener.hear())["data"]["number"] for _ in range(FLOOD)] == list(range(FLOOD))


# The heartbeat


class StandIn:
    """An event loop whose time the test sets."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.due = 0.0  # when what was asked for last is due
        self._callback: Callable[[], object] = lambda: None
        self.create_future = asyncio.get_running_loop().create_future
        self.call_soon = asyncio.get_running_loop().call_soon

    def time(self) -> float:
        return self.now

    def call_later(self, seconds: float, callback: Callable[..., object], *arguments: Any) -> None:
        self.due, self._callback = self.now + seconds, partial(callback, *arguments)

    def advance(self) -> None:
        """Let the time come at which something is due."""
        self.now = self.due
        self._callback()


@pytest.fixture
async def loop() -> StandIn:
    return StandIn()


@pytest.fixture
async def wire(loop: StandIn, monkeypatch: pytest.MonkeyPatch) -> Wire:
    """Return a wire without Redis that uses the clock of ``loop``."""
    wire = Wire(lambda topic, message: None, lambda: None)
    monkeypatch.setattr(wire, "_loop", loop)
    wire.connection_made(cast(asyncio.Transport, Transport()))
    return wire


MESSAGE = b">3\r\n$7\r\nmessage\r\n$1\r\nt\r\n$1\r\nm\r\n"


async def test_an_answer_that_is_late_behind_messages_is_waited_for(loop: StandIn, wire: Wire) -> None:
    asked = asyncio.ensure_future(wire.ask("PING"))
    await asyncio.sleep(0)
    for _ in range(10):
        loop.now = loop.due - 1
        wire.data_received(MESSAGE)
        loop.advance()
        await asyncio.sleep(0)
        assert not asked.done()
    wire.data_received(MESSAGE + b"+late\r\n")
    assert await asked == b"late"


async def test_redis_that_sends_nothing_is_not_waited_for(loop: StandIn, wire: Wire) -> None:
    asked = asyncio.ensure_future(wire.ask("PING"))
    await asyncio.sleep(0)
    assert loop.due == loop.now + wires.PATIENCE
    loop.advance()
    with pytest.raises(hiredis.ReplyError, match="no answer"):
        await asked
    wire.data_received(b"+too late\r\n")


async def test_an_older_command_does_not_shorten_the_time_to_answer(loop: StandIn, wire: Wire) -> None:
    wire.subscribe(b"t")
    loop.now += 10 * wires.PATIENCE  # the node was suspended
    asked = asyncio.ensure_future(wire.ask("PING"))
    await asyncio.sleep(0)
    assert loop.due == loop.now + wires.PATIENCE
    wire.data_received(b">3\r\n$9\r\nsubscribe\r\n$1\r\nt\r\n:1\r\n+PONG\r\n")
    assert await asked == b"PONG"


async def test_silence_begins_anew_with_whatever_is_read(loop: StandIn, wire: Wire) -> None:
    assert wire.silence() == 0
    wire.subscribe(b"t")
    loop.now += 5
    assert wire.silence() == 5
    wire.data_received(MESSAGE)
    assert wire.silence() == 0
    loop.now += 1
    assert wire.silence() == 1
