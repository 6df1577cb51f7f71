"""The PROXY protocol on the main port: the header names the client, and a connection without it is closed."""

import asyncio
import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from soketpy.cli import main
from soketpy.config import ConfigError
from soketpy.config.settings import Log, Timeouts, Tls
from soketpy.process.server import Server
from tests.conftest import StartServer
from tests.fakes import APP
from tests.patience import until
from tests.protocol.test_proxy_header import BY_TLS, extension, v2
from tests.web.test_proxies import fields
from tests.web.wire import HANDSHAKE, Wire, request, wire

V1 = b"PROXY TCP4 203.0.113.9 10.0.0.1 51234 6001\r\n"
UNSIGNED = request("GET", "/apps/app-id/channels", b"")
WEBSOCKET = request("GET", "/app/app-key?protocol=7", b"", *HANDSHAKE)


@pytest.fixture(autouse=True)
def info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


@pytest.mark.parametrize("header", [V1, v2(), v2(more=b"\x04\0\x01x")], ids=["v1", "v2", "v2 with an extension"])
@pytest.mark.parametrize("in_pieces", [False, True])
async def test_the_client_of_the_header_is_in_all_lines(
    start_server: StartServer, caplog: pytest.LogCaptureFixture, header: bytes, in_pieces: bool
) -> None:
    peers = await start_server(log=Log(access=True), proxy_protocol=True)
    async with wire(peers.port) as client:
        if in_pieces:
            for at in range(len(header)):
                client.send(header[at : at + 1])
                await asyncio.sleep(0)
        else:
            client.send(header)
        client.send(UNSIGNED + UNSIGNED)
        assert [(await client.answer()).status for _ in range(2)] == [401, 401]
    assert [line["ip"] for line in fields(caplog, "call_refused")] == ["203.0.113.9"] * 2
    async with wire(peers.port) as client:
        client.send(header + WEBSOCKET)
        assert (await client.answer()).status == 101
        assert b"connection_established" in await client.frame()
        client.send(b"\x82\x80\0\0\0\0")  # a binary message
        await client.frame()
    await until(lambda: fields(caplog, "connection_ended"))
    for event in ("connection_opened", "connection_closed", "connection_ended"):
        assert [line["ip"] for line in fields(caplog, event)] == ["203.0.113.9"]


@pytest.mark.parametrize("header", [b"PROXY UNKNOWN\r\n", v2(command=0x20)])
async def test_a_proxy_that_speaks_for_itself_keeps_its_address(
    start_server: StartServer, caplog: pytest.LogCaptureFixture, header: bytes
) -> None:
    peers = await start_server(proxy_protocol=True)
    async with wire(peers.port) as client:
        client.send(header + UNSIGNED)
        assert (await client.answer()).status == 401
    assert fields(caplog, "call_refused")[0]["ip"] == "127.0.0.1"


@pytest.mark.parametrize("header", [b"PROXY UNKNOWN\r\n", v2(command=0x20), v2(family=0)])
async def test_headers_of_a_client_that_a_trusted_proxy_does_not_name_do_not_count(
    start_server: StartServer, caplog: pytest.LogCaptureFixture, header: bytes
) -> None:
    peers = await start_server(apps=(replace(APP, tls_only=True),), proxy_protocol=True, proxies=("127.0.0.1",))
    forged = ("X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: https")
    async with wire(peers.port) as client:
        client.send(header + request("GET", "/apps/app-id/channels", b"", *forged))
        assert (await client.answer()).status == 401
    assert fields(caplog, "call_refused")[0]["ip"] == "127.0.0.1"
    async with wire(peers.port) as client:
        client.send(header + request("GET", "/app/app-key?protocol=7", b"", *HANDSHAKE, *forged))
        assert (await client.answer()).status == 101
        assert b'"code":4000' in await client.frame()
    assert fields(caplog, "connection_refused")[0]["ip"] == "127.0.0.1"


@pytest.mark.parametrize("proxies", [(), ("127.0.0.1",)])
async def test_an_app_for_tls_only_serves_a_client_whose_header_says_that_it_uses_tls(
    start_server: StartServer, proxies: tuple[str, ...]
) -> None:
    peers = await start_server(apps=(replace(APP, tls_only=True),), proxy_protocol=True, proxies=proxies)
    for header, said in ((v2(), b'"code":4000'), (v2(more=extension(0x20, BY_TLS)), b"connection_established")):
        async with wire(peers.port) as client:
            client.send(header + WEBSOCKET)
            assert (await client.answer()).status == 101
            assert said in await client.frame()


@pytest.mark.parametrize(
    "received",
    [UNSIGNED, b"\x16\x03\x01\x02\0\x01\0", V1.replace(b"203", b"999") + UNSIGNED, b"PROXY " + b"x" * 10_000],
    ids=["plain HTTP", "TLS", "an invalid address", "10 KB"],
)
async def test_a_connection_without_a_valid_header_is_closed_with_one_line(
    start_server: StartServer, caplog: pytest.LogCaptureFixture, received: bytes
) -> None:
    peers = await start_server(proxy_protocol=True)
    async with wire(peers.port) as client:
        client.send(received)
        assert await client.rest() == b""
    [line] = fields(caplog, "request_refused")
    assert (line["status"], line["ip"]) == (400, "127.0.0.1")
    assert "PROXY header" in line["reason"]


async def test_a_second_header_is_no_request(start_server: StartServer) -> None:
    peers = await start_server(proxy_protocol=True)
    async with wire(peers.port) as client:
        client.send(V1 + V1 + UNSIGNED)
        assert (await client.answer()).status == 400


async def test_a_header_that_does_not_come_in_time_ends_the_connection(
    start_server: StartServer, caplog: pytest.LogCaptureFixture
) -> None:
    peers = await start_server(proxy_protocol=True, timeouts=Timeouts(handshake=0.1))
    async with wire(peers.port) as client:
        client.send(V1[:20])
        assert await client.rest() == b""
    [line] = fields(caplog, "request_refused")
    assert (line["status"], line["reason"]) == (408, "The PROXY header did not come within 0.1 s.")


async def test_with_proxies_only_their_connections_have_the_header(
    start_server: StartServer, caplog: pytest.LogCaptureFixture
) -> None:
    untrusted = await start_server(proxy_protocol=True, proxies=("10.0.0.0/8",))
    async with wire(untrusted.port) as client:
        client.send(UNSIGNED)
        assert (await client.answer()).status == 401
    for header in (V1, v2()):  # an address that the client claims
        async with wire(untrusted.port) as client:
            client.send(header + UNSIGNED)
            assert (await client.answer()).status == 400
    assert {line["ip"] for line in fields(caplog, "call_refused")} == {"127.0.0.1"}
    trusted = await start_server(proxy_protocol=True, proxies=("127.0.0.1",))
    async with wire(trusted.port) as client:
        client.send(V1 + UNSIGNED)
        assert (await client.answer()).status == 401
    assert fields(caplog, "call_refused")[-1]["ip"] == "203.0.113.9"


async def test_the_client_of_the_header_is_no_proxy_whose_headers_count(
    start_server: StartServer, caplog: pytest.LogCaptureFixture
) -> None:
    peers = await start_server(proxy_protocol=True, proxies=("127.0.0.1",))
    forged = request("GET", "/apps/app-id/channels", b"", "X-Forwarded-For: 6.6.6.6")
    behind = V1.replace(b"203.0.113.9", b"127.0.0.1")
    for header, client_ip in ((V1, "203.0.113.9"), (behind, "6.6.6.6")):
        async with wire(peers.port) as client:
            client.send(header + forged)
            assert (await client.answer()).status == 401
        assert fields(caplog, "call_refused")[-1]["ip"] == client_ip


async def test_the_header_works_on_a_unix_socket(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = str(tmp_path / "socket")
    for proxies in ((), ("unix",)):
        async with Server(unix_socket=path, proxy_protocol=True, proxies=proxies, apps=(APP,)):
            client = Wire(*await asyncio.open_unix_connection(path))
            client.send(V1 + UNSIGNED)
            assert (await client.answer()).status == 401
            client.writer.close()
        assert fields(caplog, "call_refused")[-1]["ip"] == "203.0.113.9"


def test_the_header_and_tls_exclude_each_other() -> None:
    with pytest.raises(ConfigError, match=r"proxy_protocol: not possible with tls\.cert"):
        Server(proxy_protocol=True, tls=Tls(cert="chain.pem", key="key.pem"))


@pytest.mark.parametrize("proxies", [[], ["127.0.0.1"], ["10.0.0.0/8"]], ids=str)
async def test_the_commands_send_the_header_where_the_server_expects_it(
    start_server: StartServer, tmp_path: Path, proxies: list[str]
) -> None:
    peers = await start_server(proxy_protocol=True, proxies=tuple(proxies))
    file = tmp_path / "soketpy.json"
    app = {"id": "app-id", "key": "app-key", "secret": "app-secret"}
    file.write_text(json.dumps({"port": peers.port, "proxy_protocol": True, "proxies": proxies, "apps": [app]}))
    assert await asyncio.to_thread(main, ["healthcheck", "--config", str(file)]) == 0
    assert await asyncio.to_thread(main, ["trigger", "--config", str(file), "room", "event", "{}"]) == 0


async def test_a_command_with_the_address_of_a_proxy_sends_no_header(
    start_server: StartServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    peers = await start_server()  # stands for the proxy
    file = tmp_path / "soketpy.json"
    app = {"id": "app-id", "key": "app-key", "secret": "app-secret"}
    file.write_text(json.dumps({"port": peers.port, "proxy_protocol": True, "apps": [app]}))
    call = ["trigger", "--config", str(file), "--host", "127.0.0.1", "room", "event", "{}"]
    assert await asyncio.to_thread(main, call) == 0
    assert await asyncio.to_thread(main, ["listen", "--config", str(file), "room"]) == 1
    assert "give the address of the proxy with --host" in capsys.readouterr().err
