"""Trusted proxies: their headers name the client and its scheme, and the headers of no other peer do."""

import logging
from dataclasses import replace
from typing import Any

import pytest

from soketpy.config.settings import Log
from tests.conftest import Peers, StartServer
from tests.fakes import APP
from tests.patience import until

HERE = ("127.0.0.1",)
NAMED = {"X-Forwarded-For": "6.6.6.6, 203.0.113.9", "Forwarded": 'for=6.6.6.6, for="203.0.113.10:80"'}


def fields(caplog: pytest.LogCaptureFixture, event: str) -> list[dict[str, Any]]:
    """The fields of all lines with this event."""
    found = [record.args for record in caplog.records]
    return [dict(each) for each in found if isinstance(each, dict) and each.get("event") == event]


@pytest.mark.parametrize(
    ("settings", "client"),
    [
        ({}, "127.0.0.1"),
        ({"proxies": ("10.0.0.0/8", "unix")}, "127.0.0.1"),
        ({"proxies": HERE}, "203.0.113.9"),
        ({"proxies": (*HERE, "203.0.113.0/24")}, "6.6.6.6"),
        ({"proxies": HERE, "proxy_headers": "forwarded"}, "203.0.113.10"),
    ],
)
async def test_the_client_of_a_trusted_proxy_is_in_all_lines(
    start_server: StartServer, caplog: pytest.LogCaptureFixture, settings: dict[str, Any], client: str
) -> None:
    caplog.set_level(logging.INFO)
    peers = await start_server(log=Log(access=True), **settings)
    await peers.request("GET", "/apps/app-id/channels", headers=NAMED)
    [refused] = fields(caplog, "call_refused")
    [call] = fields(caplog, "call")
    assert (refused["ip"], call["ip"]) == (client, client)
    socket = await peers.client(additional_headers=NAMED)
    await socket.peer.send(b"binary")
    await socket.closed()
    await until(lambda: fields(caplog, "connection_ended"))
    for event in ("connection_opened", "connection_closed", "connection_ended"):
        assert [line["ip"] for line in fields(caplog, event)] == [client]
    await (await peers.socket("/app/wrong?protocol=7", additional_headers=NAMED)).closed()
    assert fields(caplog, "connection_refused")[0]["ip"] == client
    assert f"from {client}: 4001" in caplog.text


async def test_a_request_that_is_no_handshake_names_the_client(
    start_server: StartServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    peers = await start_server(proxies=HERE)
    headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "12", **NAMED}
    assert (await peers.request("GET", "/app/app-key", headers=headers)).status == 426
    assert fields(caplog, "request_refused")[0]["ip"] == "203.0.113.9"


@pytest.mark.parametrize(
    ("settings", "headers", "admitted"),
    [
        ({}, {"X-Forwarded-Proto": "https"}, True),
        ({}, {}, False),
        ({"proxies": HERE}, {"X-Forwarded-Proto": "https"}, True),
        ({"proxies": HERE}, {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9"}, True),
        ({"proxies": HERE}, {"X-Forwarded-Proto": "https, http", "X-Forwarded-For": "203.0.113.9"}, False),
        ({"proxies": HERE}, {"X-Forwarded-Proto": "http"}, False),
        ({"proxies": HERE}, {"Forwarded": "proto=https"}, False),
        ({"proxies": ("10.0.0.0/8",)}, {"X-Forwarded-Proto": "https"}, False),
        ({"proxies": HERE, "proxy_headers": "forwarded"}, {"Forwarded": "for=_x;proto=https"}, True),
        ({"proxies": HERE, "proxy_headers": "forwarded"}, {"X-Forwarded-Proto": "https"}, False),
    ],
)
async def test_only_the_scheme_of_a_trusted_proxy_opens_an_app_with_tls_only(
    start_server: StartServer, settings: dict[str, Any], headers: dict[str, str], admitted: bool
) -> None:
    peers = await start_server(apps=(replace(APP, tls_only=True),), **settings)
    socket = await peers.socket(additional_headers=headers)
    assert (await socket.hear())["data"].get("code") == (None if admitted else 4000)


async def test_a_client_cannot_forge_a_log_line_by_a_header(
    start_server: StartServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    peers: Peers = await start_server(proxies=HERE)
    for value in (
        "1.2.3.4%2026-03-01T09:00:00.000Z ERROR forged",
        "x" * 9_000,
        "\xe9",
        "203.0.113.9, " * 700 + "no address",
    ):
        await peers.request("GET", "/apps/app-id/channels", headers={"X-Forwarded-For": value})
    assert [line["ip"] for line in fields(caplog, "call_refused")] == ["127.0.0.1"] * 4
