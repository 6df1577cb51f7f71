"""Log lines about clients that are refused or closed, over real sockets."""

import asyncio
import logging
from dataclasses import replace
from typing import Any

import pytest

from soketpy import App, Key
from soketpy.config.settings import Bounds, Timeouts
from soketpy.web import http_connections
from tests.conftest import Contained, Peers, StartServer
from tests.fakes import APP
from tests.patience import until
from tests.web.wire import HANDSHAKE, request, signed, wire

APPS = (
    APP,
    App(id="disabled", keys=(Key("disabled-key", "top-secret"),), enabled=False),
    App(id="full", keys=(Key("full-key", "top-secret"),), max_connections=0),
    App(id="guarded", keys=(Key("guarded-key", "top-secret"),), allowed_origins=("https://shop.example.com",)),
    App(id="secure", keys=(Key("secure-key", "top-secret"),), tls_only=True),
)


@pytest.fixture(autouse=True)
def info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "soketpy")


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the lines about refused and closed clients."""
    names = ("soketpy.refusals", "soketpy.http")
    return [each.getMessage() for each in caplog.records if each.name in names and each.levelno == logging.INFO]


@pytest.mark.parametrize(
    ("path", "origin", "line"),
    [
        ("/app/nobody", None, "No app: refused a connection from 127.0.0.1: 4001 App key nobody does not exist."),
        ("/app/disabled-key", None, "App disabled: refused a connection from 127.0.0.1: 4003 The app is disabled."),
        (
            "/app/full-key",
            None,
            "App full: refused a connection from 127.0.0.1: 4004 The app has reached its connection limit (0).",
        ),
        (
            "/ws/app/app-key",
            None,
            "No app: refused a connection from 127.0.0.1 (path /ws/app/app-key): "
            "4005 There is nothing at this path; connect to /app/KEY.",
        ),
        (
            "/app/app-key?protocol=seven",
            None,
            "App app-id: refused a connection from 127.0.0.1 (protocol seven): "
            "4006 The protocol version is not a number.",
        ),
        (
            "/app/guarded-key",
            "https://evil.example",
            "App guarded: refused a connection from 127.0.0.1 (origin https://evil.example): "
            "4009 The app does not accept connections from this origin.",
        ),
        (
            "/app/guarded-key",
            None,
            "App guarded: refused a connection from 127.0.0.1 (no origin): "
            "4009 The app does not accept connections from this origin.",
        ),
        (
            "/app/secure-key",
            None,
            "App secure: refused a connection from 127.0.0.1: "
            "4000 The app accepts only TLS connections; reconnect with wss://.",
        ),
    ],
)
async def test_a_refused_connection_names_app_code_reason_and_what_it_asked_for(
    start_server: StartServer, caplog: pytest.LogCaptureFixture, path: str, origin: Any, line: str
) -> None:
    peers = await start_server(apps=APPS)
    await (await peers.socket(path, origin=origin)).closed()
    assert lines(caplog) == [line]


async def test_an_origin_is_escaped_and_bounded(start_server: StartServer, caplog: pytest.LogCaptureFixture) -> None:
    peers = await start_server(apps=APPS)
    async with wire(peers.port) as client:
        origin = "Origin: https://\x1b[2J\x85" + "x" * 5_000
        client.send(request("GET", "/app/guarded-key", b"", *HANDSHAKE, origin))
        assert (await client.answer()).status == 101
    [line] = lines(caplog)
    assert "4009" in line
    assert line.isprintable()
    assert len(line) < 600


@pytest.mark.parametrize("what", ["soketpy.core.refusals.log.log", "soketpy.core.refusals.Refusals.connection"])
async def test_a_log_that_fails_changes_no_refusal_of_a_connection(
    start_server: StartServer, contained: Contained, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    peers = await start_server(apps=APPS)

    def fail(*_: object) -> None:
        raise RuntimeError("the log fails")

    monkeypatch.setattr(what, fail)
    socket = await peers.socket("/app/guarded-key")
    assert (await socket.hear())["data"]["code"] == 4009
    assert (await socket.closed())[0] == 4009
    assert contained.count == 1


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_lost_upgrade_has_a_line_that_names_the_settings_of_the_proxy(
    peers: Peers, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    assert (await peers.request(method, "/app/app-key?protocol=7")).status == 426
    assert (await peers.request(method, "/app/nobody")).status == 426
    ours, nobodys = lines(caplog)
    assert ours.startswith(f"App app-id: refused {method} /app/app-key from 127.0.0.1: 426 ")
    assert "proxy_set_header Upgrade $http_upgrade" in ours
    assert nobodys.startswith(f"No app: refused {method} /app/nobody from 127.0.0.1: 426 ")


async def test_a_lost_upgrade_is_answered_though_the_log_fails(
    peers: Peers, contained: Contained, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("the log fails")

    monkeypatch.setattr(peers.server.node.refusals, "request", fail)
    assert (await peers.request("GET", "/app/app-key")).status == 426
    assert contained.count == 1


@pytest.mark.parametrize(
    ("sent", "status", "line"),
    [
        (
            request("GET", "/app/app-key", b"", *HANDSHAKE[:2], HANDSHAKE[3]),
            426,
            "App app-id: refused a request from 127.0.0.1 (path /app/app-key): 426 The WebSocket version must be 13.",
        ),
        (
            request("GET", "/app/app-key", b"", HANDSHAKE[0], *HANDSHAKE[2:]),
            400,
            "App app-id: refused a request from 127.0.0.1 (path /app/app-key): 400 The Connection header must name Up",
        ),
        (
            request("GET", "/app/nobody?auth=s", b"", *HANDSHAKE[:3]),
            400,
            "No app: refused a request from 127.0.0.1 (path /app/nobody): 400 The Sec-WebSocket-Key must be 16 bytes",
        ),
        (
            request("GET", "/app/a%0Ab", b"", *HANDSHAKE[:3]),
            400,
            "No app: refused a request from 127.0.0.1 (path /app/a\\nb): 400 The Sec-WebSocket-Key must be 16 bytes",
        ),
        (
            b"\x16\x03\x01\x02\x00\x01",
            400,
            "No app: refused a request from 127.0.0.1: 400 The request is not valid HTTP. If it is TLS: ",
        ),
        (b"GET / HTTP/1.1\r\nA: " + b"a" * 100_000, 431, "No app: refused a request from 127.0.0.1: 431 "),
    ],
    ids=["version", "connection", "no such app", "line end", "tls", "long head"],
)
async def test_a_first_request_that_is_refused_has_a_line(
    peers: Peers,
    contained: Contained,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    sent: bytes,
    status: int,
    line: str,
) -> None:
    async with wire(peers.port) as client:
        client.send(sent)
        assert (await client.answer()).status == status
    [found] = lines(caplog)
    assert found.startswith(line)

    def fail(*_: object) -> None:
        raise RuntimeError("the log fails")

    monkeypatch.setattr(peers.server.node.refusals, "handshake", fail)
    async with wire(peers.port) as client:
        client.send(sent)
        assert (await client.answer()).status == status
    assert contained.count == 1


@pytest.mark.parametrize("headers", [(), ("Transfer-Encoding: chunked",)], ids=["sized", "chunked"])
@pytest.mark.parametrize(
    ("target", "line"),
    [
        ("/apps/app-id/events", "App app-id: refused POST /apps/app-id/events from 127.0.0.1: 401 "),
        ("/apps/nobody/events", "No app: refused POST /apps/nobody/events from 127.0.0.1: 404 "),
        ("/ws/apps/nobody/events", "No app: refused POST /ws/apps/nobody/events from 127.0.0.1: 404 "),
        ("/users/a/terminate_connections", "No app: refused POST /users/a/terminate_connections from 127.0.0.1: 401 "),
    ],
)
async def test_a_refused_call_names_the_address_of_its_caller(
    start_server: StartServer, caplog: pytest.LogCaptureFixture, headers: tuple[str, ...], target: str, line: str
) -> None:
    peers = await start_server(path_prefix="/ws")
    async with wire(peers.port) as client:
        client.send(request("POST", target, b"", *headers) + (b"0\r\n\r\n" if headers else b""))
        assert f" {(await client.answer()).status} " in line
    [found] = lines(caplog)
    assert found.startswith(line)


NO_HTTP = "No app: refused a request from 127.0.0.1: 400 The request is not valid HTTP"
TOO_LONG = "No app: refused a request from 127.0.0.1: 431 The head of a request may have "


@pytest.mark.parametrize("before", [b"", request("GET", "/ready")], ids=["first", "later"])
@pytest.mark.parametrize(
    ("sent", "line"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", NO_HTTP),
        (b"hello\r\n\r\n", NO_HTTP),
        (b"BAD@ / HTTP/1.1\r\nHost: a\r\n\r\n", NO_HTTP),
        (b"GET / HTTP/9.9\r\nHost: a\r\n\r\n", NO_HTTP),
        (b"GET / HTTP/1.1\r\nHost: a\r\nno header\r\n\r\n", NO_HTTP),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", NO_HTTP),
        (b"GET / HTTP/1.1\r\nA: " + b"a" * 100_000, TOO_LONG),
        (b"GET / HTTP/1.1\r\n" + b"A: a\r\n" * 200 + b"\r\n", TOO_LONG),
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n", TOO_LONG),
    ],
    ids=["ssh", "hello", "method", "version", "header", "length", "long header", "many headers", "long line"],
)
async def test_what_is_not_http_has_a_line(
    peers: Peers,
    contained: Contained,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    before: bytes,
    sent: bytes,
    line: str,
) -> None:
    async def answers() -> list[int]:
        async with wire(peers.port) as client:
            client.send(before + sent)
            return [(await client.answer()).status for _ in range(2 if before else 1)]

    status = int(line.rpartition("127.0.0.1: ")[2][:3])
    assert await answers() == ([200, status] if before else [status])
    [found] = lines(caplog)
    assert found.startswith(line)

    def fail(*_: object) -> None:
        raise RuntimeError("the log fails")

    monkeypatch.setattr(peers.server.node.refusals, "handshake", fail)
    assert await answers() == ([200, status] if before else [status])
    assert contained.count == 1


async def test_the_head_of_a_chunked_call_that_is_too_long_has_a_line(
    peers: Peers, caplog: pytest.LogCaptureFixture
) -> None:
    chunked = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
    async with wire(peers.port) as client:
        client.send(chunked + b"\r\n0\r\n\r\n" + chunked + b"A: " + b"a" * 16_380 + b"\r\n\r\n")
        assert (await client.answer()).status == 200
        assert (await client.answer()).status == 431
    [found] = lines(caplog)
    assert found.startswith(TOO_LONG)


async def test_a_first_request_that_does_not_come_whole_has_a_line_and_a_silent_client_has_none(
    peers: Peers, caplog: pytest.LogCaptureFixture
) -> None:
    deadlines = peers.server._state.deadlines
    async with wire(peers.port) as silent, wire(peers.port) as slow:
        slow.send(b"GET / HT")
        await until(lambda: any(getattr(each, "_head", b"") for each in peers.server._state.http._new))
        deadlines.expire_all()
        assert await silent.rest() == b""
        assert await slow.rest() == b""
    [line] = lines(caplog)
    assert line.startswith("No app: refused a request from 127.0.0.1: 408 The first request did not come within ")


async def test_one_who_is_not_authorized_in_time_has_a_line(
    start_server: StartServer, caplog: pytest.LogCaptureFixture
) -> None:
    peers = await start_server(apps=(replace(APP, authorized_connections=True),), timeouts=Timeouts(authorization=20))
    client = await peers.client()
    peers.server._state.deadlines.expire_all()
    assert (await client.closed())[0] == 4009
    start = f"App app-id: closed the connection {client.id} from 127.0.0.1: 4009 "
    assert lines(caplog) == [start + "The connection was not authorized in time."]


async def test_a_slow_reader_has_a_line(start_server: StartServer, caplog: pytest.LogCaptureFixture) -> None:
    peers = await start_server(bounds=Bounds(unread_in_kb=64))
    client = await peers.client()
    websocket: Any = next(iter(peers.server.node.connections("app-id").values()))._transport
    websocket._state.unread_size = -1
    websocket._write_to_slow(b"\x89\x00")
    assert (await client.closed())[0] == 4100
    start = f"App app-id: closed the connection {client.id} from 127.0.0.1: 4100 "
    assert lines(caplog) == [start + "The client reads too slowly."]


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"\x82\x80\0\0\0\0", 1003),
        (b"\x81\x00", 1002),
        (b"\x81\x81\0\0\0\0\xff", 1007),
        (b"\x81\xff" + b"\x00\x00\x00\x00\x7f\x00\x00\x00" + b"\0\0\0\0", 1009),
    ],
    ids=["binary", "unmasked", "no UTF-8", "too long"],
)
async def test_a_client_that_breaks_the_rules_of_websocket_has_a_line(
    peers: Peers, caplog: pytest.LogCaptureFixture, frame: bytes, code: int
) -> None:
    async with wire(peers.port) as client:
        client.send(request("GET", "/app/app-key", b"", *HANDSHAKE))
        assert (await client.answer()).status == 101
        assert b"connection_established" in await client.frame()
        client.send(frame + frame)
        assert int.from_bytes((await client.frame())[:2], "big") == code
        [line] = lines(caplog)
        assert line.startswith("App app-id: closed the connection ")
        assert f" from 127.0.0.1: {code} " in line


@pytest.mark.parametrize("what", ["closed", "connection"])
async def test_a_log_that_fails_changes_no_close(
    start_server: StartServer, contained: Contained, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    peers = await start_server(apps=(replace(APP, authorized_connections=True),))

    def fail(*_: object) -> None:
        raise RuntimeError("the log fails")

    monkeypatch.setattr(peers.server.node.refusals, what, fail)
    binary, idle = await peers.client(), await peers.client()
    await binary.peer.send(b"bytes")
    assert (await binary.closed())[0] == 1003
    peers.server._state.deadlines.expire_all()
    assert (await idle.closed())[0] == 4009
    assert (await (await peers.socket("/app/nobody")).closed())[0] == 4001
    assert contained.count == (2 if what == "closed" else 1)


async def test_a_503_for_want_of_http_connections_has_a_line(
    start_server: StartServer, contained: Contained, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    peers = await start_server(bounds=Bounds(max_http_connections=1))
    body = b'{"name":"e","channel":"room","data":"x"}'
    async with wire(peers.port) as busy:
        busy.send(request("POST", signed("POST", "/apps/app-id/events", body), body)[:-1])
        await until(lambda: peers.server._rest.under_way == 1)

        def fail(*_: object) -> None:
            raise RuntimeError("the log fails")

        for _ in range(2):
            async with wire(peers.port) as refused:
                refused.send(request("GET", "/ready"))
                assert (await refused.answer()).status == 503
            monkeypatch.setattr("soketpy.core.refusals.Lines.level", fail)
    assert lines(caplog) == [
        "Refused an HTTP connection of 127.0.0.1 with 503: all 1 are being served (bounds.max_http_connections)"
    ]
    assert contained.count == 1


async def test_an_idle_http_connection_that_makes_room_has_a_line(
    start_server: StartServer, caplog: pytest.LogCaptureFixture
) -> None:
    peers = await start_server(bounds=Bounds(max_http_connections=1))
    async with wire(peers.port) as idle, wire(peers.port) as next_one:
        for each in (idle, next_one):
            each.send(request("GET", "/ready"))
            assert (await each.answer()).status == 200
    assert lines(caplog) == [
        "Closed an idle HTTP connection of 127.0.0.1 for another one: there may be 1 (bounds.max_http_connections)"
    ]


async def test_a_connection_without_a_request_that_makes_room_has_a_line(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(http_connections, "GRACE", 0.01)
    peers = await start_server(bounds=Bounds(max_http_connections=1))
    async with wire(peers.port) as first, wire(peers.port):
        assert await first.rest() == b""
    assert lines(caplog)[0] == (
        "Closed a connection of 127.0.0.1 without a request: there may be 1 (bounds.max_http_connections)"
    )


async def test_a_flood_of_refused_clients_leaves_a_few_lines_and_their_number(
    peers: Peers, caplog: pytest.LogCaptureFixture
) -> None:
    clock = peers.server.node.refusals._lines._clock()
    peers.server.node.refusals._lines._clock = lambda: clock
    await asyncio.gather(*[(await peers.socket("/app/nobody")).closed() for _ in range(30)])
    await until(lambda: len(lines(caplog)) == 11)
    assert lines(caplog)[-1] == "Left out 20 lines like these (No app 20); log.level: debug shows all"
