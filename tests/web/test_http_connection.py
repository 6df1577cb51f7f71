"""One HTTP connection: its requests in their order, its answers, and its end."""

import asyncio
from socket import SO_RCVBUF, SO_SNDBUF, SOL_SOCKET
from typing import Any, cast

import pytest

from soketpy.config.settings import Timeouts
from soketpy.web import http
from soketpy.web.http import HttpConnection
from soketpy.web.http_port import HttpPort
from soketpy.web.upgrades import main_port
from tests.conftest import Peers, StartServer
from tests.patience import attempts, until
from tests.web.wire import HANDSHAKE, request, signed, wire

EVENTS = "/apps/app-id/events"
BODY = b'{"name":"e","channel":"room","data":"x"}'
UNSIGNED = request("POST", EVENTS, BODY)


def trigger(*headers: str) -> bytes:
    return request("POST", signed("POST", EVENTS, BODY), BODY, *headers)


def port_of(peers: Peers) -> HttpPort:
    """Return a port like that of the server, with an outbox of its own."""
    return main_port(peers.server._rest, peers.server._state, "")


def protocol_of(peers: Peers) -> HttpConnection:
    """Return the HttpConnection that serves the only connection of the server."""
    buckets = peers.server._state.deadlines._buckets.values()
    (protocol,) = [timed for bucket in buckets for timed in bucket]
    assert isinstance(protocol, HttpConnection)
    return protocol


async def test_requests_are_served_in_their_order_however_their_bytes_are_cut(peers: Peers) -> None:
    stream = trigger() + UNSIGNED + request("GET", "/ready") + trigger() + request("GET", "/nothing") + trigger()
    for size in (1, 7, 100, len(stream)):
        async with wire(peers.port) as publisher:
            for start in range(0, len(stream), size):
                publisher.send(stream[start : start + size])
                await publisher.writer.drain()
            assert [(await publisher.answer()).status for _ in range(6)] == [200, 401, 200, 200, 404, 200]


@pytest.fixture
def one_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let one time slice be long enough for everything that a client sends."""
    monkeypatch.setattr(http, "SLICE_SECONDS", 60.0)


class Recorder:
    """Takes the place of a transport, and notes who is written to."""

    def __init__(self, name: str, log: list[str]) -> None:
        self._name = name
        self._log = log

    def write(self, data: bytes) -> None:
        answers = data.count(b" 200 OK\r\n")
        self._log.append(f"{self._name}: {answers} answers" if answers else f"{self._name}: event")


@pytest.mark.usefixtures("one_slice")
async def test_the_answers_of_one_iteration_go_out_together_and_ahead_of_the_fan_out(peers: Peers) -> None:
    listener = await peers.client()
    await listener.subscribe("room")
    log: list[str] = []
    (connection,) = peers.server.node.every_connection()
    port = port_of(peers)
    publishers = []
    for name in ("first", "second"):
        transport = cast(Any, Recorder(name, log))
        publisher = HttpConnection(transport, port)
        publishers.append(publisher)
    connection.write = Recorder("listener", log).write
    for publisher in publishers:
        publisher.data_received(trigger() * 2)
    assert not log
    await asyncio.sleep(0)
    assert log == ["first: 2 answers", "second: 2 answers", "listener: event"]
    for publisher in publishers:
        publisher.connection_lost(None)


@pytest.mark.usefixtures("one_slice")
async def test_a_client_that_goes_before_its_answer_is_written_to_no_more(peers: Peers) -> None:
    log: list[str] = []
    publisher = HttpConnection(cast(Any, Recorder("gone", log)), port_of(peers))
    publisher.data_received(trigger())
    publisher.connection_lost(None)
    await asyncio.sleep(0)
    assert not log


async def test_a_request_that_is_refused_by_its_head_is_answered_before_its_body_has_come(peers: Peers) -> None:
    async with wire(peers.port) as stranger:
        stranger.send(UNSIGNED[:-1])
        assert (await stranger.answer()).status == 401
        stranger.send(UNSIGNED[-1:] + trigger())
        assert (await stranger.answer()).status == 200


async def test_an_answer_says_when_it_was_made_and_by_what(peers: Peers) -> None:
    async with wire(peers.port) as publisher:
        publisher.send(trigger())
        answer = await publisher.answer()
        assert answer.headers["server"] == "soketpy"
        assert answer.headers["date"].endswith(" GMT")


@pytest.mark.parametrize("header", ["Connection: close", "Transfer-Encoding: chunked", "X: \x01"])
async def test_a_connection_may_stop_being_plain_between_two_requests(peers: Peers, header: str) -> None:
    async with wire(peers.port) as publisher:
        publisher.send(trigger() + request("GET", "/ready", b"", header))
        assert (await publisher.answer()).status == 200
        if header.startswith("Transfer"):
            publisher.send(b"0\r\n\r\n")
        assert (await publisher.answer()).status == (400 if "\x01" in header else 200)


async def test_a_head_without_end_is_refused(peers: Peers) -> None:
    async with wire(peers.port) as stranger:
        stranger.send(request("GET", "/ready") + b"GET / HTTP/1.1\r\nHost: a\r\nX: ")
        assert (await stranger.answer()).status == 200
        stranger.send(b"x" * 20_000 + b"\r\n\r\n")
        assert (await stranger.answer()).status == 431
        assert await stranger.rest() == b""


@pytest.mark.usefixtures("one_slice")
async def test_a_client_that_does_not_read_its_answers_is_not_heard_until_it_does(peers: Peers) -> None:
    async with wire(peers.port) as publisher:
        publisher.send(request("GET", "/ready"))
        assert (await publisher.answer()).status == 200
        protocol, sent = protocol_of(peers), 0
        for _ in attempts():
            if protocol._unread:
                break
            publisher.send(request("GET", "/accept-traffic") * 100)
            sent += 100
            await asyncio.sleep(0)
        for _ in range(sent):
            assert (await publisher.answer()).status == 200
        assert protocol._transport.is_reading()


async def test_many_requests_in_one_packet_are_served_in_turns_and_in_order(
    peers: Peers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "SLICE_SECONDS", -1.0)
    async with wire(peers.port) as publisher:
        publisher.send(request("GET", "/ready"))
        assert (await publisher.answer()).status == 200
        protocol = protocol_of(peers)
        protocol.data_received(request("GET", "/ready") + request("GET", "/nothing") + trigger() + UNSIGNED)
        assert protocol._buffer.startswith(b"GET /nothing")
        assert protocol._transport.get_protocol() is protocol
        assert [(await publisher.answer()).status for _ in range(4)] == [200, 404, 200, 401]
        assert protocol._transport.is_reading()


async def test_a_client_that_goes_between_two_turns_is_served_no_more(
    peers: Peers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "SLICE_SECONDS", -1.0)
    async with wire(peers.port) as publisher:
        publisher.send(request("GET", "/ready"))
        assert (await publisher.answer()).status == 200
        protocol = protocol_of(peers)
        protocol.data_received(request("GET", "/ready") * 1000)
        protocol._transport.abort()
        await publisher.rest()
        assert protocol._buffer.count(b"GET") > 900


async def test_requests_that_have_come_wait_for_the_client_to_read_its_answers(peers: Peers) -> None:
    async with wire(peers.port) as publisher:
        publisher.send(request("GET", "/ready"))
        assert (await publisher.answer()).status == 200
        protocol = protocol_of(peers)
        protocol.pause_writing()
        protocol.data_received(request("GET", "/ready") * 3)
        assert protocol._buffer.count(b"GET") == 3
        protocol.resume_writing()
        assert [(await publisher.answer()).status for _ in range(3)] == [200] * 3


async def test_a_client_that_reads_nothing_is_found_out_in_the_midst_of_its_requests(
    peers: Peers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "SLICE_SECONDS", 60.0)
    async with wire(peers.port) as stranger:
        stranger.send(request("GET", "/ready"))
        assert (await stranger.answer()).status == 200
        protocol = protocol_of(peers)
        protocol._transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_SNDBUF, 4096)
        protocol.data_received(request("GET", "/ready") * 20_000)
        assert protocol._buffer.count(b"GET") > 1000
        assert protocol._transport.get_write_buffer_size() < 3 * http.ANSWERS_SIZE


@pytest.mark.parametrize(("requests", "header"), [(1, "Accept: */*"), (3, "Accept: */*"), (1, "TE: trailers")])
async def test_a_client_that_ends_its_side_behind_its_requests_has_its_answers(
    peers: Peers, requests: int, header: str
) -> None:
    async with wire(peers.port) as publisher:
        publisher.send(request("GET", "/ready", b"", header) * requests)
        publisher.writer.write_eof()
        assert (await publisher.rest()).count(b" 200 OK") == requests


@pytest.mark.usefixtures("one_slice")
async def test_answers_that_wait_go_out_when_the_client_ends_its_side(peers: Peers) -> None:
    log: list[str] = []
    publisher = HttpConnection(cast(Any, Recorder("publisher", log)), port_of(peers))
    publisher.data_received(trigger())
    publisher.eof_received()
    assert log == ["publisher: 1 answers"]
    publisher.connection_lost(None)


async def test_a_handshake_waits_for_the_answers_before_it_to_be_read(
    peers: Peers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "SLICE_SECONDS", 60.0)
    async with wire(peers.port) as publisher:
        publisher.send(request("GET", "/ready"))
        assert (await publisher.answer()).status == 200
        protocol = protocol_of(peers)
        protocol._transport.set_write_buffer_limits(0)
        protocol._transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_SNDBUF, 4096)
        publisher.writer.transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_RCVBUF, 4096)
        protocol.data_received(request("GET", "/ready") * 250 + request("GET", "/app/app-key", b"", *HANDSHAKE))
        assert protocol._unread
        assert protocol._buffer.startswith(b"GET /app")
        assert protocol._transport.get_protocol() is protocol
        assert [(await publisher.answer()).status for _ in range(251)] == [200] * 250 + [101]


@pytest.mark.parametrize("idle", [0, 70])
async def test_the_time_for_a_request_begins_with_it(
    peers: Peers, monkeypatch: pytest.MonkeyPatch, idle: float
) -> None:
    async with wire(peers.port) as publisher:
        publisher.send(request("GET", "/ready"))
        assert (await publisher.answer()).status == 200
        protocol, now = protocol_of(peers), peers.server.node.clock() + idle
        monkeypatch.setattr(protocol._port, "clock", lambda: now)
        protocol.data_received(trigger()[:-1])
        protocol.expire(now + 59)
        assert not protocol._transport.is_closing()
        protocol.expire(now + 61)
        assert (await publisher.answer()).status == 408


async def test_an_idle_connection_is_closed_in_the_end(peers: Peers, monkeypatch: pytest.MonkeyPatch) -> None:
    async with wire(peers.port) as publisher:
        publisher.send(trigger())
        assert (await publisher.answer()).status == 200
        peers.server._state.deadlines.expire_all()
        assert not protocol_of(peers)._transport.is_closing()
        monkeypatch.setattr(http, "IDLE_TIMEOUT", 0.0)
        peers.server._state.deadlines.expire_all()
        assert await publisher.rest() == b""


@pytest.mark.parametrize("draining", [False, True])
@pytest.mark.usefixtures("one_slice")
async def test_a_client_that_never_reads_its_answers_is_dropped(
    peers: Peers, monkeypatch: pytest.MonkeyPatch, draining: bool
) -> None:
    async with wire(peers.port) as stranger:
        stranger.send(request("GET", "/ready"))
        assert (await stranger.answer()).status == 200
        protocol = protocol_of(peers)
        for _ in attempts():
            if protocol._unread:
                break
            stranger.send(request("GET", "/accept-traffic") * 100)
            await asyncio.sleep(0)
        monkeypatch.setattr(peers.server._state, "draining", draining)
        if not draining:
            monkeypatch.setattr(http, "IDLE_TIMEOUT", 0.0)
            monkeypatch.setattr(http, "REQUEST_TIMEOUT", 0.0)
        assert protocol._transport.get_write_buffer_size()
        peers.server._state.deadlines.expire_all()
        assert protocol._transport.is_closing()
        assert not protocol._transport.get_write_buffer_size()
        monkeypatch.setattr(peers.server._state, "draining", False)


async def test_a_call_that_the_stop_cuts_off_is_told_so(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("soketpy.process.draining.CLOSING_TIMEOUT", 0.0)
    peers = await start_server(timeouts=Timeouts(shutdown=0))
    async with wire(peers.port) as publisher:
        publisher.send(trigger()[:-1])
        await until(lambda: peers.server._rest.under_way)
        await peers.server.stop()
        assert (await publisher.answer()).status == 503


async def test_idle_connections_do_not_hold_up_the_stop(start_server: StartServer) -> None:
    peers = await start_server()
    async with wire(peers.port) as publisher, wire(peers.port) as silent:
        publisher.send(trigger())
        assert (await publisher.answer()).status == 200
        await peers.server.stop()
        assert await publisher.rest() == b""
        assert await silent.rest() == b""


async def test_a_publisher_that_leaves_in_the_midst_of_a_body_is_forgotten(peers: Peers) -> None:
    async with wire(peers.port) as publisher:
        publisher.send(trigger()[:-1])
        await until(lambda: peers.server._rest.under_way)
    await until(lambda: not peers.server._rest.under_way)
