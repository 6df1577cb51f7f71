"""Commands against servers that hang, never end their answers, or speak something else."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest
import websockets
from websockets.http11 import Request, Response

from soketpy.cli import main
from soketpy.cli.pusher_client import PusherConnection
from soketpy.config.settings import Tls
from tests.cli.commands import CREDENTIALS
from tests.conftest import Peers, StartServer, listening
from tests.patience import PATIENCE, PAUSE, attempts
from tests.web.rfc6455.test_tls import write_certificate

BRIEF = 0.3
"""Seconds of patience: the servers of these tests never complete an answer, so the commands always wait as long."""

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
TOKEN = "a-token-of-the-admin-api"

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def repeating(first: bytes, then: bytes, pause: float = PAUSE) -> Serve:
    """Return a server that sends some bytes, and then others again and again until the client has gone."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        gone = asyncio.create_task(gone_at_end_of(reader))
        writer.write(first)
        for _ in attempts():
            if gone.done():
                break
            writer.write(then)
            await writer.drain()
            await asyncio.sleep(pause)
        writer.transport.abort()

    async def gone_at_end_of(reader: asyncio.StreamReader) -> None:
        await reader.read()

    return serve


SLOW_ONES = {
    "silent": (b"", b""),
    "status": (b"", b"H"),
    "fields": (HEAD + b"X: ", b"a"),
    "fixed body": (HEAD + b"Content-Length: 100000\r\n\r\n", b"a"),
    "body": (HEAD + b"\r\n", b"a"),
    "chunks": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
    "interim answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
}

COMMANDS: list[tuple[str, ...]] = [
    ("healthcheck", "--port"),
    ("trigger", "c", "e", "d", *CREDENTIALS, "--port"),
    ("apps", "list", "--admin-url"),
]


async def ends(words: tuple[str, ...], port: int) -> int:
    """Run a command against a port, and return its exit code."""
    where = f"http://127.0.0.1:{port}" if words[-1] == "--admin-url" else str(port)
    return await asyncio.to_thread(main, (*words, where))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("soketpy.cli.call.PATIENCE", BRIEF)
    monkeypatch.setattr("soketpy.cli.admin_calls.PATIENCE", BRIEF)
    monkeypatch.setenv("SOKETPY_ADMIN_TOKEN", TOKEN)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("slow", SLOW_ONES)
@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
async def test_an_answer_that_never_ends_ends_the_command(
    words: tuple[str, ...], slow: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with listening(repeating(*SLOW_ONES[slow])) as port:
        assert await ends(words, port) == 1
    said = f"soketpy {words[0]}: no complete answer from http://127.0.0.1:{port} within {BRIEF:g} s\n"
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("head", [b"Content-Length: 999999999999\r\n", b"Transfer-Encoding: chunked\r\n", b""])
@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
async def test_an_answer_without_end_is_not_kept_in_memory(
    words: tuple[str, ...], head: bytes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SOKETPY_ADMIN_TOKEN", TOKEN)
    monkeypatch.setattr("soketpy.cli.bounded_answer.LARGEST", 1024 * 1024)
    async with listening(repeating(HEAD + head + b"\r\n", b"8000\r\n" + b"a" * 0x8000 + b"\r\n", 0)) as port:
        assert await ends(words, port) == 1
    said = f"soketpy {words[0]}: no usable answer from http://127.0.0.1:{port}: the answer is larger than 1 MiB\n"
    assert capsys.readouterr().err == said


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {"apps": 1, "next": None},
        {"apps": [], "next": 1},
        {"apps": [1], "next": None},
        {"apps": [{"id": 1, "keys": []}], "next": None},
        {"apps": [{"id": "1", "keys": None}], "next": None},
        {"apps": [{"id": "1", "keys": [{"key": "k", "ends_at": "soon"}]}], "next": None},
        {"apps": [{"id": "1", "keys": [], "webhooks": 1}], "next": None},
    ],
)
async def test_a_document_of_another_form_is_a_failure(
    document: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SOKETPY_ADMIN_TOKEN", TOKEN)
    async with listening(answering("200 OK", json.dumps(document))) as port:
        assert await ends(("apps", "list", "--admin-url"), port) == 1
    said = f"soketpy apps: http://127.0.0.1:{port} did not answer as the admin API of soketpy does: 200\n"
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("apps", [[], [{"id": "1", "keys": []}]])
async def test_a_list_without_end_is_a_failure(
    apps: list[object], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SOKETPY_ADMIN_TOKEN", TOKEN)
    async with listening(answering("200 OK", json.dumps({"apps": apps, "next": "1"}))) as port:
        assert await ends(("apps", "list", "--admin-url"), port) == 1
    assert capsys.readouterr().err == "soketpy apps: the list of the server has no end\n"


def answering(status: str, body: str, header: str = "") -> Serve:
    """Return a server with one answer. ``header`` is a further line of its head."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.readexactly(1) == b"\x16":
            return  # a handshake: the command finds out whether this port speaks TLS
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body.encode())}\r\nConnection: close\r\n{header}\r\n"
        writer.write(head.encode() + body.encode())
        await writer.drain()

    return serve


PAGE = "<html>\r\n<head><title>no</title></head>\r\n<body>secret of the proxy</body></html>"


async def test_a_redirect_of_a_websocket_suggests_tls(capsys: pytest.CaptureFixture[str]) -> None:
    location = "Location: https://127.0.0.1:1/\r\n"
    async with listening(answering("308 Permanent Redirect", PAGE, location)) as port:
        assert await ends(("listen", "c", *CREDENTIALS, "--port"), port) == 1
        said = "opens no WebSocket: HTTP 308, a redirect, perhaps to https: give --tls"
        assert capsys.readouterr() == ("", f"soketpy listen: http://127.0.0.1:{port} {said}\n")


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("200 OK", "{url} is no REST API of a Pusher server: it answered with a page, HTTP 200"),
        ("301 Moved Permanently", "HTTP 301: Moved Permanently, a redirect, perhaps to https: give --tls"),
        ("400 Bad Request", "HTTP 400: Bad Request"),
        ("502 Bad Gateway", "HTTP 502: Bad Gateway"),
        ("999 Own", "HTTP 999: an unknown status"),
    ],
)
async def test_a_page_of_a_proxy_is_not_printed(status: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    async with listening(answering(status, PAGE)) as port:
        assert await ends(("trigger", "c", "e", "d", *CREDENTIALS, "--port"), port) == 1
        url = f"http://127.0.0.1:{port}"
        assert capsys.readouterr() == ("", f"soketpy trigger: {said.format(url=url)}\n")
        if not status.startswith("200"):
            assert await ends(("healthcheck", "--port"), port) == 1
            assert "<" not in capsys.readouterr().err


# bench and listen


class Stalling:
    """A server of the Pusher protocol that stalls: from the call ``calls_until_silence`` on, it answers no call.

    ``subscribes`` says whether it answers subscriptions. It calls ``hush`` before it becomes silent.
    """

    def __init__(self, hush: Callable[[], None], calls_until_silence: int = 0, *, subscribes: bool = True) -> None:
        self._hush = hush
        self._left = calls_until_silence
        self._subscribes = subscribes

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"GET"):
            await self._serve_socket(head, reader, writer)
            return
        for _ in attempts():
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r")[0])
            await reader.readexactly(length)
            if self._left <= 0:
                await reader.read()
                return
            self._left -= 1
            if self._left == 0:
                self._hush()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            await writer.drain()
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                return

    async def _serve_socket(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        protocol = websockets.ServerProtocol()
        protocol.receive_data(head)
        [request] = protocol.events_received()
        assert isinstance(request, Request)
        response: Response = protocol.accept(request)
        protocol.send_response(response)
        if not self._subscribes:
            self._hush()
        data = json.dumps({"socket_id": "1.2", "activity_timeout": 120})
        protocol.send_text(json.dumps({"event": "pusher:connection_established", "data": data}).encode())
        writer.write(b"".join(protocol.data_to_send()))
        while received := await reader.read(65_536):
            protocol.receive_data(received)
            for frame in protocol.events_received():
                if getattr(frame, "opcode", None) is not websockets.Opcode.TEXT:
                    continue
                message = json.loads(bytes(cast(websockets.Frame, frame).data))
                if message["event"] == "pusher:subscribe" and self._subscribes:
                    if self._left == 0:
                        self._hush()
                    answer = {"event": "pusher_internal:subscription_succeeded", "channel": message["data"]["channel"]}
                    protocol.send_text(json.dumps(answer).encode())
            writer.write(b"".join(protocol.data_to_send()))
            if protocol.close_expected():
                return


BENCH = ("bench", "--connections", "1", "--rate", "20", "--seconds", "1", *CREDENTIALS, "--port")


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"subscribes": False}, "0 of 1 clients could connect: {url} did not answer the subscription within 0.3 s"),
        ({}, "the server refuses the events of the test: no complete answer from {url} within 0.3 s"),
        ({"calls_until_silence": 2}, "2 events were lost; "),
        ({"calls_until_silence": 1_000}, " events were lost"),
    ],
    ids=["no subscriptions", "no answers", "a few answers", "no events"],
)
async def test_a_load_test_of_a_server_that_hangs_is_a_failure(
    how: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("soketpy.cli.call.PATIENCE", PATIENCE)
    monkeypatch.setattr("soketpy.cli.load.SETTLING", 0.1)
    server = Stalling(lambda: monkeypatch.setattr("soketpy.cli.call.PATIENCE", BRIEF), **how)
    async with listening(server.serve) as port:
        assert await ends(BENCH, port) == 1
    err = capsys.readouterr().err
    url = f"http://127.0.0.1:{port}"
    assert err.startswith("soketpy bench: ")
    assert said.format(url=url) in err
    assert err.count("\n") == 1
    if how == {"calls_until_silence": 2}:
        assert f" requests failed: no complete answer from {url} within 0.3 s\n" in err


@pytest.mark.parametrize(
    ("named", "used"),
    [(1e-9, 1), (30, 30), (120, 120), (10**12, 120), (10**400, 120), (float("inf"), 120)]
    + [(other, 120) for other in (0, -1, float("nan"), "x", None, [1])],
)
async def test_the_activity_timeout_of_a_server_has_bounds(named: object, used: float) -> None:
    class Greeting:
        async def receive(self) -> aiohttp.WSMessage:
            data = {"socket_id": "1.2", "activity_timeout": named}
            text = json.dumps({"event": "pusher:connection_established", "data": data})
            return aiohttp.WSMessage(aiohttp.WSMsgType.TEXT, text, None)

    connection = PusherConnection(cast(aiohttp.ClientWebSocketResponse, Greeting()))
    await connection.greet(PATIENCE)
    assert connection.activity_timeout == used


# The PROXY protocol


@pytest.mark.parametrize(
    "proxies", [(), ("127.0.0.0/8",), ("10.0.0.0/8",)], ids=["all", "this machine", "another machine"]
)
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_check_of_the_health_announces_itself_where_the_server_expects_it(
    start_server: StartServer,
    proxies: tuple[str, ...],
    host: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    peers = await start_server(proxy_protocol=True, proxies=proxies)
    monkeypatch.setenv("SOKETPY_PROXY_PROTOCOL", "true")
    monkeypatch.setenv("SOKETPY_PROXIES", ",".join(proxies))
    assert await asyncio.to_thread(main, ("healthcheck", "--host", host, "--port", str(peers.port))) == 0
    assert capsys.readouterr().out.endswith("is ready\n")


async def test_a_server_that_expects_a_proxy_header_is_named(
    start_server: StartServer, capsys: pytest.CaptureFixture[str]
) -> None:
    peers: Peers = await start_server(proxy_protocol=True)
    assert await asyncio.to_thread(main, ("healthcheck", "--port", str(peers.port))) == 1
    assert "proxy_protocol" in capsys.readouterr().err


async def test_a_port_with_tls_of_nginx_is_named(
    start_server: StartServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    write_certificate(cert, key)
    peers = await start_server(tls=Tls(cert=str(cert), key=str(key)))
    assert await ends(("healthcheck", "--port"), peers.port) == 1
    assert "the port speaks TLS" in capsys.readouterr().err
