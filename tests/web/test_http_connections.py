"""The bound for HTTP connections: the connections that are closed or refused beyond it."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from soketpy import App, Key
from soketpy.config.settings import Bounds, Metrics
from soketpy.web import http_connections
from soketpy.web.first_request import FirstRequest
from soketpy.web.http_connections import SURGE, HttpConnections
from soketpy.web.upgrades import main_port
from tests.conftest import StartServer, until
from tests.fakes import APP
from tests.web.wire import HANDSHAKE, Wire, request, signed, wire

EVENTS = "/apps/app-id/events"
BODY = b'{"name":"e","channel":"room","data":"x"}'
OTHER = App(id="other", keys=(Key("other-key", "other-secret"),))


class Transport:
    """Notes that it was aborted."""

    def __init__(self) -> None:
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True

    def get_extra_info(self, _: str) -> object:
        return ("10.0.0.5", 4711)


class Written(Transport):
    """Also keeps its protocol and what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.protocol: asyncio.Protocol | None = None
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written += data

    def set_protocol(self, protocol: asyncio.Protocol) -> None:
        self.protocol = protocol

    def can_write_eof(self) -> bool:
        return False


class Port:
    """The connections of a port, with a clock of its own."""

    def __init__(self, most: int | None) -> None:
        self.now = 1000.0
        self.due: list[tuple[float, Callable[[], None]]] = []
        self.connections = HttpConnections(
            most, lambda: self.now, lambda seconds, call: self.due.append((self.now + seconds, call))
        )
        self.transports: dict[str, Transport] = {}

    def arrive(self, *names: str) -> None:
        for name in names:
            self.transports[name] = Transport()
            self.connections.arrive(name, cast(Any, self.transports[name]))

    def admit(self, *names: str) -> list[bool]:
        for name in names:
            self.transports.setdefault(name, Transport())
        return [self.connections.admit(name, cast(Any, self.transports[name])) for name in names]

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        while due := [each for each in self.due if each[0] <= end]:
            first = min(due, key=lambda each: each[0])
            self.due.remove(first)
            self.now = first[0]
            first[1]()
        self.now = end

    @property
    def dropped(self) -> set[str]:
        return {name for name, transport in self.transports.items() if transport.aborted}


def test_one_more_takes_the_place_of_the_one_that_is_idle_for_longest() -> None:
    port = Port(3)
    assert port.admit("a", "b", "c") == [True] * 3
    port.connections.use("a")
    assert port.admit("d", "e") == [True] * 2
    assert port.dropped == {"b", "c"}
    assert len(port.connections) == 3


def test_one_that_is_served_stays_and_when_all_are_one_more_is_refused() -> None:
    port = Port(2)
    port.admit("a", "b")
    port.connections.begin("a")
    assert port.admit("c") == [True]
    assert port.dropped == {"b"}
    port.connections.begin("c")
    assert port.admit("d") == [False]
    port.connections.end("a")
    assert port.admit("d") == [True]
    assert port.dropped == {"a", "b"}


def test_one_whose_answers_are_not_written_yet_is_not_closed_for_another() -> None:
    port = Port(2)
    port.admit("a", "b")
    assert not port.connections.admit("c", cast(Any, Transport()), unsent={"a", "b"})
    assert not port.dropped
    assert port.connections.admit("c", cast(Any, Transport()), unsent={"b"})
    assert port.dropped == {"a"}


async def test_of_two_requests_at_the_same_time_one_is_refused_and_neither_loses_its_answer(
    start_server: StartServer,
) -> None:
    peers = await start_server(bounds=Bounds(max_http_connections=1))
    port = main_port(peers.server._rest, peers.server._state, "")
    transports = Written(), Written()
    for transport in transports:
        transport.protocol = connection = FirstRequest(port, 10.0)
        connection.connection_made(cast(Any, transport))
        connection.data_received(request("POST", signed("POST", EVENTS, BODY), BODY))
    await asyncio.sleep(0)  # for the outbox
    assert [transport.written[:12] for transport in transports] == [b"HTTP/1.1 200", b"HTTP/1.1 503"]
    assert not any(transport.aborted for transport in transports)
    for transport in transports:
        assert transport.protocol is not None
        transport.protocol.connection_lost(None)


def test_one_that_leaves_makes_room() -> None:
    port = Port(2)
    port.admit("a", "b")
    port.connections.begin("a")
    port.connections.begin("b")
    port.connections.leave("a")
    port.connections.leave("b")
    assert port.admit("c", "d") == [True] * 2
    assert not port.dropped


def test_another_protocol_takes_over_the_place() -> None:
    port = Port(1)
    port.admit("plain")
    port.connections.replace("plain", "full")
    assert "full" in port.connections
    assert port.admit("next") == [True]
    assert port.dropped == {"plain"}


def test_new_ones_beyond_the_bound_have_their_grace_and_then_the_oldest_go() -> None:
    port = Port(3)
    port.admit("http")
    port.arrive("a", "b")
    port.wait(http_connections.GRACE / 2)
    port.arrive("c", "d")
    assert not port.dropped
    port.wait(http_connections.GRACE / 2)
    assert port.dropped == {"a", "b"}
    port.wait(http_connections.GRACE)
    assert port.dropped == {"a", "b"}
    assert len(port.connections) == 3


def test_new_ones_that_become_something_else_in_their_grace_are_not_dropped() -> None:
    port = Port(1)
    names = [f"client-{number}" for number in range(100)]
    port.arrive(*names)
    for name in names:
        port.connections.leave(name)
    port.wait(10 * http_connections.GRACE)
    assert not port.dropped
    assert not port.due


def test_new_ones_are_dropped_at_once_where_there_are_far_too_many() -> None:
    port = Port(1)
    port.arrive(*(f"client-{number}" for number in range(SURGE + 3)))
    assert port.dropped == {"client-0", "client-1"}


def test_a_new_one_takes_no_place_of_http() -> None:
    port = Port(2)
    port.admit("a", "b")
    port.arrive("new")
    port.wait(http_connections.GRACE)
    assert port.dropped == {"new"}


def test_what_is_not_counted_changes_nothing() -> None:
    port = Port(1)
    port.admit("a")
    for change in (port.connections.use, port.connections.begin, port.connections.end, port.connections.leave):
        change("stranger")
    port.connections.replace("stranger", "other")
    assert len(port.connections) == 1


def test_without_a_bound_nobody_is_counted() -> None:
    port = Port(None)
    port.arrive("a")
    assert port.admit("a", "b") == [True] * 2
    assert (len(port.connections), port.due, port.dropped) == (0, [], set())


@pytest.mark.parametrize(
    ("bounds", "files", "most"),
    [
        (Bounds(), 1000, 250),
        (Bounds(), 1, 1),
        (Bounds(max_connections=5), 1000, 5),
        (Bounds(max_connections=500), 1000, 250),
        (Bounds(max_connections=5, max_http_connections=70), 1000, 70),
        (Bounds(max_http_connections=900), 1000, 900),
    ],
)
def test_the_default_follows_the_other_bounds(bounds: Bounds, files: int, most: int) -> None:
    assert bounds.http_connections(files) == most


# A running server


async def open_ones(wires: list[Wire]) -> list[Wire]:
    """Return the connections that the server has not closed."""
    return [each for each in wires if not each.reader.at_eof()]


@pytest.fixture(params=["main", "metrics"])
def which(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.mark.parametrize("header", ["Accept: */*", "TE: trailers"], ids=["plain", "with TE"])
async def test_idle_connections_beyond_the_bound_are_closed_oldest_first(
    start_server: StartServer, which: str, header: str
) -> None:
    peers = await start_server(
        bounds=Bounds(max_connections=5), metrics=Metrics(enabled=True, host="127.0.0.1", port=0)
    )
    port = peers.port if which == "main" else peers.server.metrics_port
    assert port is not None
    clients, wires = [wire(port) for _ in range(60)], []
    for client in clients:
        wires.append(await client.__aenter__())
        wires[-1].send(request("GET", "/ready", b"", header))
        assert (await wires[-1].answer()).status == 200
    for each in wires[:-5]:
        assert await each.rest() == b""
    for each in wires[-5:]:
        each.send(request("GET", "/ready", b"", header))
        assert (await each.answer()).status == 200
    for client in clients:
        await client.__aexit__(None, None, None)


async def test_connections_that_send_nothing_are_bounded_too(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_connections, "GRACE", 0.01)
    peers = await start_server(bounds=Bounds(max_http_connections=5))
    clients = [wire(peers.port) for _ in range(60)]
    wires = [await client.__aenter__() for client in clients]

    async def five_are_left() -> bool:
        return len(await open_ones(wires)) == 5

    await until(five_are_left)
    (await open_ones(wires))[0].send(request("GET", "/ready"))
    for client in clients:
        await client.__aexit__(None, None, None)


async def test_when_all_are_busy_one_more_is_refused_and_a_websocket_is_not(start_server: StartServer) -> None:
    peers = await start_server(bounds=Bounds(max_http_connections=2), apps=(APP, OTHER))
    call = request("POST", signed("POST", EVENTS, BODY), BODY)
    of_other = signed("POST", EVENTS.replace("app-id", "other"), BODY, app=OTHER)
    async with wire(peers.port) as plain, wire(peers.port) as chunked, wire(peers.port) as third:
        plain.send(call[:-1])
        chunked.send(request("POST", of_other, b"", "Transfer-Encoding: chunked") + b"%x\r\n" % len(BODY))

        async def both_are_busy() -> bool:
            return peers.server._rest.under_way == 2

        await until(both_are_busy)
        third.send(request("GET", "/ready"))
        refused = await third.answer()
        assert (refused.status, refused.json["code"], refused.headers["retry-after"]) == (503, 503, "1")
        assert "bounds.max_http_connections" in refused.json["error"]
        assert await third.rest() == b""
        client = await peers.client()
        await client.say("pusher:ping")
        assert (await client.hear())["event"] == "pusher:pong"
        plain.send(call[-1:])
        chunked.send(BODY + b"\r\n0\r\n\r\n")
        assert [(await each.answer()).status for each in (plain, chunked)] == [200, 200]
    assert (await peers.request("GET", "/ready")).status == 200


async def test_a_websocket_over_its_bound_has_its_code_however_many_http_connections_there_are(
    start_server: StartServer,
) -> None:
    peers = await start_server(bounds=Bounds(max_connections=1))
    async with wire(peers.port) as idle:
        idle.send(request("GET", "/ready"))
        assert (await idle.answer()).status == 200
        await peers.client()
        socket = await peers.socket()
        assert (await socket.hear())["data"]["code"] == 4100
        assert (await socket.closed())[0] == 4100


async def test_websockets_that_do_not_take_their_refusal_are_bounded_too(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    peers = await start_server(bounds=Bounds(max_http_connections=2))
    clients = [wire(peers.port) for _ in range(20)]
    for client in clients:
        each = await client.__aenter__()
        each.send(request("GET", "/app/nobody", b"", *HANDSHAKE))
        assert (await each.answer()).status == 101
    monkeypatch.setattr(http_connections, "GRACE", 0)
    peers.server._state.http._trim()

    async def two_are_left() -> bool:
        return peers.server._state.closing == 2

    await until(two_are_left)
    for client in clients:
        await client.__aexit__(None, None, None)


async def test_a_thousand_clients_at_once_become_websockets_whatever_the_bound(start_server: StartServer) -> None:
    peers = await start_server(bounds=Bounds(max_http_connections=1))
    clients = [wire(peers.port) for _ in range(200)]

    async def connect(client: Any) -> None:
        each = await client.__aenter__()
        each.send(request("GET", "/app/app-key", b"", *HANDSHAKE))
        assert (await each.answer()).status == 101
        assert b"connection_established" in await each.frame()

    await asyncio.gather(*(connect(client) for client in clients))
    assert peers.server.connections == 200
    for client in clients:
        await client.__aexit__(None, None, None)


async def test_a_connection_that_becomes_a_websocket_leaves_its_place(start_server: StartServer) -> None:
    peers = await start_server(bounds=Bounds(max_http_connections=1))
    async with wire(peers.port) as first, wire(peers.port) as second:
        for header in ("Accept: */*", "TE: trailers"):
            first.send(request("GET", "/ready", b"", header))
            assert (await first.answer()).status == 200
        first.send(request("GET", "/app/app-key", b"", *HANDSHAKE))
        assert (await first.answer()).status == 101
        second.send(request("GET", "/ready"))
        assert (await second.answer()).status == 200
        assert len(peers.server._state.http) == 1
        assert peers.server.connections == 1
