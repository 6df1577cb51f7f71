"""A client that ends its side after its requests: each request is answered before the connection is closed."""

from collections.abc import Callable
from socket import SO_SNDBUF, SOL_SOCKET

import pytest

from soketpy.web import http
from tests.conftest import Peers
from tests.patience import until
from tests.web.waiting import Waiting
from tests.web.wire import request, signed, wire

EVENTS = "/apps/app-id/events"
BODY = b'{"name":"e","channel":"room","data":"x"}'


def in_chunks() -> bytes:
    head = request("POST", signed("POST", EVENTS, BODY), b"", "Transfer-Encoding: chunked")
    return head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)


def whole() -> bytes:
    return request("POST", signed("POST", EVENTS, BODY), BODY)


def ready() -> bytes:
    return request("GET", "/ready")


def upgrading() -> bytes:
    return request("GET", "/ready", b"", "Upgrade: h2c", "Connection: Upgrade")


CALLS = [
    [in_chunks],
    [in_chunks, whole],
    [in_chunks, ready, whole, in_chunks, ready],
    [whole, in_chunks, whole, ready],
    [ready, upgrading, in_chunks, upgrading, ready],
    [in_chunks] + [ready] * 100,
    [ready] * 100,
]


@pytest.mark.parametrize("calls", CALLS, ids=lambda calls: f"{len(calls)} from {calls[0].__name__}")
async def test_every_request_in_front_of_the_end_is_answered(peers: Peers, calls: list[Callable[[], bytes]]) -> None:
    async with wire(peers.port) as publisher:
        publisher.send(b"".join(call() for call in calls))
        publisher.writer.write_eof()
        assert (await publisher.rest()).count(b"HTTP/1.1 200 OK") == len(calls)


@pytest.mark.parametrize("calls", CALLS, ids=lambda calls: f"{len(calls)} from {calls[0].__name__}")
async def test_every_request_is_answered_though_the_end_comes_while_one_waits(
    peers: Peers, calls: list[Callable[[], bytes]]
) -> None:
    waiting = Waiting(peers.server.node, "room")
    async with wire(peers.port) as publisher:
        publisher.send(whole() + b"".join(call() for call in calls))
        publisher.writer.write_eof()
        await until(lambda: waiting)
        waiting.end()
        assert (await publisher.rest()).count(b"HTTP/1.1 200 OK") == len(calls) + 1


@pytest.mark.parametrize("begun", [whole, in_chunks])
@pytest.mark.parametrize("size", [10, 150, -1])
async def test_a_request_that_is_not_whole_at_the_end_does_not_hold_the_connection(
    peers: Peers, begun: Callable[[], bytes], size: int
) -> None:
    async with wire(peers.port) as publisher:
        publisher.send(in_chunks() + ready() + begun()[:size])
        publisher.writer.write_eof()
        assert (await publisher.rest()).count(b"HTTP/1.1 200 OK") == 2
    await until(lambda: not peers.server._rest.under_way)


@pytest.mark.parametrize("size", [10, 150, -1])
async def test_a_request_that_is_not_whole_behind_one_that_waits_does_not_hold_the_connection(
    peers: Peers, size: int
) -> None:
    waiting = Waiting(peers.server.node, "room")
    async with wire(peers.port) as publisher:
        publisher.send(whole() + in_chunks()[:size])
        publisher.writer.write_eof()
        await until(lambda: waiting)
        waiting.end()
        assert (await publisher.rest()).count(b"HTTP/1.1 200 OK") == 1
    await until(lambda: not peers.server._rest.under_way)


async def test_requests_of_many_time_slices_are_answered_before_the_end(
    peers: Peers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "SLICE_SECONDS", -1.0)
    async with wire(peers.port) as publisher:
        publisher.send(ready() * 50)
        publisher.writer.write_eof()
        assert (await publisher.rest()).count(b"HTTP/1.1 200 OK") == 50


async def test_requests_whose_answers_are_read_late_are_answered_before_the_end(peers: Peers) -> None:
    async with wire(peers.port) as publisher:
        publisher.send(ready())
        assert (await publisher.answer()).status == 200
        (protocol,) = [each for bucket in peers.server._state.deadlines._buckets.values() for each in bucket]
        assert isinstance(protocol, http.HttpConnection)
        protocol._transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_SNDBUF, 4096)
        protocol.data_received(ready() * 5_000)
        publisher.writer.write_eof()
        assert (await publisher.rest()).count(b"HTTP/1.1 200 OK") == 5_000
