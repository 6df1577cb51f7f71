"""HTTP over real sockets: keep-alive, pipelining, upgrades, limits of the head, and bytes that are no request."""

import logging

import pytest

from soketpy.protocol.requests import HEAD_LIMIT, HEAD_TOO_LONG, MOST_HEADERS
from tests.conftest import Peers, Socket, StartServer
from tests.patience import attempts
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
        assert [(await client.answer()).status for _ in range(5)] == [200, 200, 404, 200, 200]


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


async def test_empty_lines_before_a_request_are_ignored(peers: Peers) -> None:
    async with wire(peers.port) as client:
        for lines in (0, 1, 2, 3, 100):
            client.send(b"\r\n" * lines + request("GET", "/ready"))
            assert (await client.answer()).status == 200
        client.send(b"\r\n\r\n" + request("GET", "/ready", b"", *HANDSHAKE).replace(b"/ready", b"/app/app-key"))
        assert (await client.answer()).status == 101


@pytest.mark.parametrize(
    "garbage",
    [
        b"hello\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"G\xc3\x84T / HTTP/1.1\r\n\r\n",
        b"CONNECT /ready HTTP/1.1\r\nHost: a\r\n\r\n",
        b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /ready RTSP/1.0\r\nHost: a\r\n\r\n",
        b"SOURCE /ready ICE/1.0\r\nHost: a\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nName : x\r\n\r\n",
        b"GET / HTTP/1.1\r\nName: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n12345",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
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


@pytest.mark.parametrize("first", [None, "Accept: */*", "TE: trailers"], ids=["new", "used", "used with TE"])
@pytest.mark.parametrize("upgrade", ["h2c", "h2c, TLS/1.0", "IRC/6.9"])
async def test_a_request_behind_an_upgrade_to_something_else_is_answered_too(
    peers: Peers, first: str | None, upgrade: str
) -> None:
    headers = (f"Upgrade: {upgrade}", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABkAAQAAP__")
    body = b'{"name":"e","channel":"room","data":"x"}'
    target = signed("POST", "/apps/app-id/events", body)
    async with wire(peers.port) as client:
        if first is not None:
            client.send(request("GET", "/ready", b"", first))
            assert (await client.answer()).status == 200
        chunks = b"4\r\n\r\n\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body) - 4, body[4:])
        stream = (
            request("GET", "/ready", b"", *headers)
            + request("POST", target, body, *headers)
            + request("GET", "/nothing", b"", *headers)
            + request("POST", "/nothing", b"", *headers, "Transfer-Encoding: chunked")
            + chunks
            + request("GET", "/ready")
        )
        for size in (len(stream), 100, 7, 1):
            for start in range(0, len(stream), size):
                client.send(stream[start : start + size])
                await client.writer.drain()
            assert [(await client.answer()).status for _ in range(5)] == [200, 200, 404, 404, 200]


async def test_the_end_of_a_client_behind_an_upgrade_to_something_else_loses_no_answer(peers: Peers) -> None:
    async with wire(peers.port) as client:
        client.send(request("GET", "/ready", b"", "Upgrade: h2c", "Connection: Upgrade") + request("GET", "/nothing"))
        client.writer.write_eof()
        answers = await client.rest()
        assert (answers.count(b"HTTP/1.1 200"), answers.count(b"HTTP/1.1 404")) == (1, 1)


# A WebSocket whose upgrade was lost


@pytest.mark.parametrize("first", [None, "Accept: */*", "TE: trailers"], ids=["new", "used", "used with TE"])
@pytest.mark.parametrize("prefix", ["", "/realtime"])
@pytest.mark.parametrize(
    ("method", "version", "headers"),
    [
        ("GET", "1.1", ()),
        ("GET", "1.1", ("Connection: close",)),
        ("GET", "1.1", ("Connection: Upgrade",)),
        ("GET", "1.1", ("Upgrade: h2c", "Connection: Upgrade")),
        ("GET", "1.0", ()),
        ("GET", "1.0", HANDSHAKE),
        ("HEAD", "1.1", ()),
    ],
)
async def test_a_lost_upgrade_is_answered_426_with_what_to_set_in_the_proxy(
    start_server: StartServer, first: str | None, prefix: str, method: str, version: str, headers: tuple[str, ...]
) -> None:
    peers = await start_server(path_prefix=prefix)
    async with wire(peers.port) as client:
        if first is not None:
            client.send(request("GET", "/ready", b"", first))
            assert (await client.answer()).status == 200
        lost = request(method, f"{prefix}/app/app-key?protocol=7&client=js", b"", *headers)
        client.send(lost.replace(b"HTTP/1.1", b"HTTP/" + version.encode()))
        answer = await client.answer(without_body=method == "HEAD")
        assert (answer.status, answer.headers["upgrade"]) == (426, "websocket")
        if method == "GET":
            assert answer.json["code"] == 426
            for part in ("proxy_http_version 1.1", "proxy_set_header Upgrade $http_upgrade", "Connection"):
                assert part in answer.json["error"]


@pytest.mark.parametrize("path", ["/app", "/app/", "/app/a/b", "/apps/app-key", "/other/app/app-key"])
async def test_a_path_that_is_of_no_websocket_is_not_found(peers: Peers, path: str) -> None:
    assert (await peers.request("GET", path)).status == 404


async def test_a_connection_header_that_a_proxy_has_replaced_is_told_the_setting(peers: Peers) -> None:
    async with wire(peers.port) as client:
        client.send(request("GET", "/app/app-key", b"", *HANDSHAKE).replace(b"Connection: Upgrade", b"Connection: x"))
        answer = await client.answer()
        assert answer.status == 400
        assert b'proxy_set_header Connection "upgrade"' in answer.body


# The head of a request


def head(size: int, *, header: str = "", in_line: bool = False) -> bytes:
    """Return a request whose head has so many bytes, the empty line not counted."""
    first, _, rest = request("GET", "/ready?", b"", *([header] if header else [])).partition(b" HTTP/1.1")
    padding = b"x" * (size - len(first) - len(b" HTTP/1.1") - len(rest) + 4)
    if in_line:
        return first + padding + b" HTTP/1.1" + rest
    return first + b" HTTP/1.1" + rest[:-2] + b"X: " + padding[5:] + rest[-4:]


@pytest.mark.parametrize("first", [None, "Accept: */*", "TE: trailers"], ids=["new", "used", "used with TE"])
@pytest.mark.parametrize("header", ["", "TE: trailers"], ids=["without TE", "with TE"])
@pytest.mark.parametrize("in_line", [False, True])
@pytest.mark.parametrize("room", [0, 1, 20_000])
async def test_the_limit_of_a_head_is_one_wherever_the_request_comes(
    peers: Peers, first: str | None, header: str, in_line: bool, room: int
) -> None:
    data = head(HEAD_LIMIT + room, header=header, in_line=in_line)
    assert data.index(b"\r\n\r\n") == HEAD_LIMIT + room
    async with wire(peers.port) as client:
        if first is not None:
            client.send(request("GET", "/ready", b"", first))
            assert (await client.answer()).status == 200
        client.send(data)
        answer = await client.answer()
        assert answer.status == (431 if room else 200)
        if room:
            assert answer.json == {"error": HEAD_TOO_LONG, "code": 431}
            assert await client.rest() == b""


@pytest.mark.parametrize("first", [None, "Accept: */*", "TE: trailers"], ids=["new", "used", "used with TE"])
@pytest.mark.parametrize("number", [MOST_HEADERS, MOST_HEADERS + 1, 500])
async def test_the_limit_of_headers_is_one_wherever_the_request_comes(
    peers: Peers, first: str | None, number: int
) -> None:
    async with wire(peers.port) as client:
        if first is not None:
            client.send(request("GET", "/ready", b"", first))
            assert (await client.answer()).status == 200
        client.send(request("GET", "/ready", b"", *(f"X-{each}: 1" for each in range(number - 1))))
        answer = await client.answer()
        assert answer.status == (200 if number == MOST_HEADERS else 431)
        if number > MOST_HEADERS:
            assert answer.json == {"error": HEAD_TOO_LONG, "code": 431}
            assert await client.rest() == b""


async def test_a_handshake_that_posts_is_an_ordinary_request(peers: Peers) -> None:
    async with wire(peers.port) as client:
        client.send(request("POST", "/app/app-key", b"", *HANDSHAKE))
        assert (await client.answer()).status == 404


async def test_a_client_that_leaves_at_the_hand_over_is_gone(peers: Peers, caplog: pytest.LogCaptureFixture) -> None:
    async with wire(peers.port) as client:
        client.send(request("GET", "/ready"))
        await client.answer()
        client.send(request("GET", "/app/app-key", b"", *HANDSHAKE))
    socket: Socket = await peers.client()
    for _ in attempts():
        if len(peers.server.node.connections("app-id")) == 1:
            break
        await socket.say("pusher:ping")
        await socket.hear()
    assert "Traceback" not in caplog.text
