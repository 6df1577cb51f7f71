"""HTTP itself: connections that stay, requests in a row, and bytes that are no request."""

import asyncio
import logging

import pytest

from soketpy.web.http import http_server
from tests.conftest import Peers, Socket
from tests.web.wire import HANDSHAKE, request, signed, wire


async def test_a_connection_serves_many_requests(peers: Peers) -> None:
    async with wire(peers.port) as client:
        for status, target in ((200, "/"), (401, "/apps/app-id/channels"), (404, "/nothing"), (200, "/ready")):
            client.send(request("GET", target))
            assert (await client.answer()).status == status


async def test_requests_in_a_row_are_answered_in_their_order(peers: Peers) -> None:
    body = b'{"name":"e","channel":"room","data":"x"}'
    async with wire(peers.port) as client:
        client.send(
            request("GET", "/")
            + request("POST", signed("POST", "/apps/app-id/events", body), body)
            + request("GET", "/nothing")
            + request("OPTIONS", "/")
            + request("GET", signed("GET", "/apps/app-id/channels"))
        )
        assert [(await client.answer()).status for _ in range(5)] == [200, 200, 404, 204, 200]


async def test_thousands_of_requests_that_nobody_reads_the_answers_of_wait_outside(peers: Peers) -> None:
    async with wire(peers.port) as client:
        client.send(request("GET", "/") * 5_000)
        assert (await peers.request("GET", "/ready")).status == 200
        for _ in range(5_000):
            assert (await client.answer()).status == 200


async def test_a_client_that_asks_so_is_left_when_it_is_answered(peers: Peers) -> None:
    async with wire(peers.port) as client:
        client.send(request("GET", "/", b"", "Connection: close"))
        assert (await client.answer()).body == b"OK"
        assert await client.rest() == b""


async def test_http_1_0_is_served(peers: Peers) -> None:
    async with wire(peers.port) as client:
        client.send(b"GET /ready HTTP/1.0\r\n\r\n")
        assert (await client.answer()).body == b"OK"
        assert await client.rest() == b""


async def test_a_request_byte_by_byte_is_a_request(peers: Peers) -> None:
    async with wire(peers.port) as client:
        for byte in request("GET", "/ready"):
            client.send(bytes([byte]))
            await client.writer.drain()
        assert (await client.answer()).body == b"OK"


@pytest.mark.parametrize(
    "garbage",
    [
        b"hello\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"G\xc3\x84T / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nName : x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n12345",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n" + b"".join(b"X-%d: 1\r\n" % number for number in range(500)) + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 9_000 + b"\r\n\r\n",
        b"GET /" + b"x" * 9_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
    ids=lambda garbage: repr(garbage[:60]),
)
async def test_what_is_not_http_is_refused_as_json_and_the_connection_ends(
    peers: Peers, garbage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with wire(peers.port) as stranger:
        stranger.send(garbage)
        answer = await stranger.answer()
        assert (answer.status, answer.json["code"]) == (400, 400)
        assert answer.json["error"].startswith("The request is not valid HTTP")
        assert answer.headers["content-type"] == "application/json"
        assert await stranger.rest() == b""
    assert "Traceback" not in caplog.text
    assert (await peers.request("GET", "/")).status == 200


async def test_what_is_not_http_behind_a_request_ends_the_connection(peers: Peers) -> None:
    async with wire(peers.port) as client:
        client.send(request("GET", "/ready"))
        assert (await client.answer()).status == 200
        client.send(b"garbage\r\n\r\n")
        assert (await client.answer()).status == 400
        assert await client.rest() == b""


@pytest.mark.parametrize(
    "target",
    [
        b"/apps/app-id/channels/\xff",
        b"/apps/\xff\xfe/channels",
        b"/\xc3\xbc",
        b"/apps/app-id/channels?auth_key=app-key&\xff=\xff",
        b"/apps/app-id/channels?%ff=%00&auth_key=app-key",
        b"*",
        b"?",
        b"//",
        b"/%00",
        b"http://",
        b"://",
    ],
)
async def test_a_target_of_any_bytes_is_answered_as_a_client_error(
    peers: Peers, target: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with wire(peers.port) as stranger:
        stranger.send(b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = await stranger.answer()
    assert answer.status in (200, 400, 401, 404)
    assert answer.status == 200 or answer.json["code"] == answer.status
    assert "Traceback" not in caplog.text


# A WebSocket on a connection that has served HTTP


async def test_a_connection_that_served_http_may_become_a_websocket(peers: Peers) -> None:
    async with wire(peers.port) as client:
        client.send(request("GET", "/ready"))
        assert (await client.answer()).status == 200
        client.send(request("GET", "/app/app-key?protocol=7", b"", *HANDSHAKE))
        answer = await client.answer()
        assert (answer.status, answer.headers["sec-websocket-accept"]) == (101, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        assert b"pusher:connection_established" in await client.frame()
        assert len(peers.server.node.connections("app-id")) == 1
        client.send(b"\x89\x84\0\0\0\0ping")
        assert await client.reader.readexactly(6) == b"\x8a\x04ping"
        client.send(b"\x88\x80\0\0\0\0")
        assert await client.rest() == b"\x88\x02\x03\xe8"
    assert not peers.server.node.connections("app-id")


async def test_a_handshake_behind_a_request_in_the_same_bytes_is_answered_after_it(peers: Peers) -> None:
    async with wire(peers.port) as client:
        client.send(request("GET", "/ready") + request("GET", "/app/app-key", b"", *HANDSHAKE))
        assert [(await client.answer()).status for _ in range(2)] == [200, 101]
        assert b"pusher:connection_established" in await client.frame()


async def test_what_follows_a_refused_handshake_is_not_taken_for_a_request(peers: Peers) -> None:
    body = b'{"name":"smuggled","channel":"room","data":"x"}'
    smuggled = request("POST", signed("POST", "/apps/app-id/events", body), body)
    client = await peers.client()
    await client.subscribe("room")
    for first in (b"", request("GET", "/ready")):
        async with wire(peers.port) as stranger:
            wrong = (*HANDSHAKE[:2], "Sec-WebSocket-Version: 12", HANDSHAKE[3])
            stranger.send(first + request("GET", "/app/app-key", b"", *wrong) + smuggled)
            if first:
                assert (await stranger.answer()).status == 200
            assert (await stranger.answer()).status == 426
            assert await stranger.rest() == b""
    await peers.trigger("room", "last")
    assert (await client.hear())["event"] == "last"


async def test_an_upgrade_to_something_else_is_an_ordinary_request(peers: Peers) -> None:
    async with wire(peers.port) as client:
        client.send(request("GET", "/ready", b"", "Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings"))
        assert (await client.answer()).body == b"OK"


async def test_a_handshake_that_posts_is_an_ordinary_request(peers: Peers) -> None:
    async with wire(peers.port) as client:
        client.send(request("POST", "/app/app-key", b"", *HANDSHAKE))
        assert (await client.answer()).status == 404


async def test_a_client_that_leaves_before_its_request_is_begun_raises_nothing(peers: Peers) -> None:
    shared = peers.server._shared
    protocol = http_server(peers.server._rest, shared, "")()
    protocol.connection_made(asyncio.Transport())
    serving = protocol._task_handler
    assert serving is not None
    protocol.data_received(request("GET", "/ready"))
    protocol.transport = None  # the stand-in cannot be closed
    protocol.connection_lost(None)
    await serving


async def test_a_client_that_leaves_at_the_hand_over_is_gone(peers: Peers, caplog: pytest.LogCaptureFixture) -> None:
    async with wire(peers.port) as client:
        client.send(request("GET", "/ready"))
        await client.answer()
        client.send(request("GET", "/app/app-key", b"", *HANDSHAKE))
    socket: Socket = await peers.client()
    while len(peers.server.node.connections("app-id")) > 1:
        await socket.say("pusher:ping")
        await socket.hear()
    assert "Traceback" not in caplog.text
