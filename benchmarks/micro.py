"""``make bench-micro``: the cost of the functions that run for every event, message and client.

    python -m pytest -p no:xdist --benchmark-only benchmarks/micro.py

Run it before and after a change, with ``--benchmark-save`` and ``--benchmark-compare``, on an idle machine. It uses no
network: the transports drop all bytes.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from soketpy.core import steps, triggers
from soketpy.core.apps import App, Key, StaticApps
from soketpy.core.connection import Connection
from soketpy.core.hub import Hub
from soketpy.core.node import Node
from soketpy.drivers.local.cluster import LocalCluster
from soketpy.drivers.local.limits import LocalRateLimiter
from soketpy.protocol import events, frames, messages, signatures
from soketpy.protocol.frames import FrameReader, Opcode
from soketpy.web.cors import CorsHeaders
from soketpy.web.deadlines import Deadlines
from soketpy.web.first_request import FirstRequest
from soketpy.web.http_connections import HttpConnections
from soketpy.web.rest import Rest
from soketpy.web.server_state import ServerState
from soketpy.web.upgrades import main_port

APP = App(id="app-id", keys=(Key("app-key", "app-secret"),), client_events=True, max_subscribes_per_second=10**9)
DATA = '{"i":"~0000002a~","pad":"%s"}' % ("x" * 38)
BODY = b'{"name":"bench","channels":["bench"],"data":"%s"}' % DATA.replace('"', '\\"').encode()
SUBSCRIBE = b'{"event":"pusher:subscribe","data":{"channel":"bench"}}'
CLIENT_EVENT = b'{"event":"client-bench","channel":"private-bench","data":%s}' % DATA.encode()
HANDSHAKE = (
    b"GET /app/app-key?protocol=7&client=js&version=8.4.0&flash=false HTTP/1.1\r\nHost: localhost\r\n"
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nOrigin: https://example.com\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
NOW = 1_700_000_000.0
LIMITS: dict[str, Any] = {"max_client_events_per_second": 10**9, "max_total_client_events_per_second": 10**9}


class Nowhere:
    """A transport that drops all frames."""

    peer = "nowhere"

    def write(self, frame: bytes) -> None:
        """Drop the frame."""

    def close(self, code: int, reason: str) -> None:
        """Do nothing."""

    def abort(self) -> None:
        """Do nothing."""

    def resume(self) -> None:
        """Do nothing: no data waits."""

    def drained(self) -> None:
        """Return None: nothing is unread."""


class TcpConnection:
    """The parts of an asyncio transport that a handshake needs. The bytes are dropped."""

    def __init__(self) -> None:
        self.protocol: Any = None

    def set_protocol(self, protocol: object) -> None:
        """Store the protocol that reads from now on."""
        self.protocol = protocol

    def write(self, frame: bytes) -> None:
        """Drop the bytes."""

    def get_extra_info(self, name: str) -> None:
        """Return no information."""


class Bench:
    """A node with an event loop that runs only in ``settle``."""

    def __init__(self, subscribers: int = 0, channel: str = "bench") -> None:
        self._soon: list[Callable[[], None]] = []
        hub = Hub(self._soon.append)
        self.node = Node(hub, LocalCluster(lambda: 0.0), lambda: 0.0, lambda seconds, callback: None)
        for _ in range(subscribers):
            steps.begin(self.node.subscribe(self.connect(), events.Subscribe(channel)))

    def connect(self, app: App = APP) -> Connection:
        """Return a connected client."""
        connected: list[Connection] = []

        async def connect() -> None:
            connected.append(await self.node.connect(app, Nowhere()))

        steps.begin(connect())
        return connected[0]

    def settle(self) -> None:
        """Run the event loop until no callback waits."""
        while self._soon:
            due = self._soon[:]
            self._soon.clear()
            for callback in due:
                callback()


def masked(payload: bytes) -> bytes:
    """Return one masked text frame, as a client sends it."""
    mask = b"\x37\xfa\x21\x3d"
    whole = frames.encode(Opcode.TEXT, payload)
    head = whole[: len(whole) - len(payload)]
    return head[:1] + bytes((head[1] | 0x80,)) + head[2:] + mask + frames.unmask(payload, mask)


@pytest.mark.parametrize("size", [100, 10_000])
def test_encode_a_frame(benchmark: BenchmarkFixture, size: int) -> None:
    """Encode the header of a frame and append the payload."""
    benchmark(frames.encode, Opcode.TEXT, b"x" * size)


@pytest.mark.parametrize("size", [100, 10_000])
def test_read_a_frame(benchmark: BenchmarkFixture, size: int) -> None:
    """Read one whole masked frame."""
    reader, data = FrameReader(1 << 20), masked(b"x" * size)
    assert benchmark(lambda: list(reader.feed(data))) == [(Opcode.TEXT, b"x" * size)]


@pytest.mark.parametrize("text", [SUBSCRIBE, CLIENT_EVENT], ids=["subscribe", "client event"])
def test_parse_a_message(benchmark: BenchmarkFixture, text: bytes) -> None:
    """Parse the text of a client into its request."""
    benchmark(events.parse, text)


def test_encode_an_event(benchmark: BenchmarkFixture) -> None:
    """Encode a new event into the frame that all its receivers get."""
    data = messages.literal(DATA)
    benchmark(lambda: messages.event("bench", "bench", data).frame)


def test_connect_and_disconnect(benchmark: BenchmarkFixture) -> None:
    """Read a handshake, send ``pusher:connection_established``, and close the connection."""
    http = HttpConnections(1000, lambda: 0.0)
    state = ServerState(Bench().node, StaticApps([APP]), Deadlines(lambda: 0.0), http=http)
    port = main_port(cast(Any, None), state, "")

    def step() -> None:
        tcp = cast(Any, TcpConnection())
        accepted = FirstRequest(port, 30)
        accepted.connection_made(tcp)
        accepted.data_received(HANDSHAKE)
        tcp.protocol.connection_lost(None)

    benchmark(step)
    assert state.node.traffic[APP.id].messages_sent == state.node.traffic[APP.id].disconnections > 0


@pytest.mark.parametrize("channel", ["bench", "private-bench", "presence-bench"])
def test_subscribe_and_unsubscribe(benchmark: BenchmarkFixture, channel: str) -> None:
    """Subscribe one client to a channel with another subscriber, and unsubscribe it."""
    bench = Bench()
    for user in ("1", "2"):
        connection = bench.connect()
        request = _request(connection, channel, user)
        steps.begin(bench.node.subscribe(connection, request))

    def step() -> None:
        bench.node.unsubscribe(connection, channel)
        steps.begin(bench.node.subscribe(connection, request))
        bench.settle()

    benchmark(step)


@pytest.mark.parametrize("subscribers", [1, 1000])
def test_publish(benchmark: BenchmarkFixture, subscribers: int) -> None:
    """Publish one event to all subscribers of a channel, up to their transports."""
    bench = Bench(subscribers)
    trigger = triggers.check(triggers.parse_event(BODY), APP)

    def step() -> None:
        bench.node.publish(APP, trigger)
        bench.settle()

    benchmark(step)


def test_publish_16_at_once_to_1000(benchmark: BenchmarkFixture) -> None:
    """Publish sixteen events in one event loop iteration, which are written together."""
    bench = Bench(1000)
    trigger = triggers.check(triggers.parse_event(BODY), APP)

    def step() -> None:
        for _ in range(16):
            bench.node.publish(APP, trigger)
        bench.settle()

    benchmark(step)


@pytest.mark.parametrize("limits", [{}, LIMITS], ids=["without limits", "with limits"])
def test_receive_a_client_event(benchmark: BenchmarkFixture, limits: dict[str, Any]) -> None:
    """Send a client event from the text of one client to the transports of nine others."""
    bench, channel = Bench(), "private-bench"
    for _ in range(10):
        connection = bench.connect(replace(APP, **limits))
        steps.begin(bench.node.subscribe(connection, _request(connection, channel, "")))

    def step() -> None:
        connection.receive(CLIENT_EVENT)
        bench.settle()

    benchmark(step)


def test_read_and_check_a_trigger(benchmark: BenchmarkFixture) -> None:
    """Parse the body of a REST call and check it against the app's limits."""
    benchmark(lambda: triggers.check(triggers.parse_event(BODY), APP))


def test_serve_a_rest_call(benchmark: BenchmarkFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Serve a signed trigger, from its head and body to the response, with one subscriber."""
    bench = Bench(1)
    rest = Rest(bench.node, StaticApps([APP]), LocalRateLimiter(lambda: 0.0), CorsHeaders())
    monkeypatch.setattr("time.time", lambda: NOW)
    path = f"/apps/{APP.id}/events"
    query = signatures.signed_query(APP.key, APP.keys[0].secret, "POST", path, BODY, int(NOW))
    headers = {"host": "localhost", "content-type": "application/json", "content-length": str(len(BODY))}

    def step() -> Any:
        exchange = rest.open("POST", f"{path}?{query}", headers)
        steps.begin(rest.serve(exchange, BODY))
        bench.settle()
        return rest.reply(exchange)

    assert cast(Any, benchmark(step)).status == 200


def _request(connection: Connection, channel: str, user: str) -> events.Subscribe:
    """Return a subscription, with the signature that the channel needs."""
    if channel == "bench":
        return events.Subscribe(channel)
    member = json.dumps({"user_id": user}) if channel.startswith("presence-") else None
    text = f"{connection.id}:{channel}" + (f":{member}" if member else "")
    return events.Subscribe(channel, f"{APP.key}:{signatures.sign(APP.keys[0].secret, text)}", member)
