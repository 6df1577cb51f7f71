"""The access log: the fields of calls and of connections."""

import logging
from typing import Any

import pytest

from soketpy.config.settings import Log
from tests.conftest import Peers, StartServer
from tests.patience import until


def fields(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """The fields of each line of the access log."""
    return [dict(record.args) for record in caplog.records if record.name == "soketpy.access"]  # type: ignore[arg-type]


@pytest.fixture
async def logged(start_server: StartServer, caplog: pytest.LogCaptureFixture) -> Peers:
    """Return a server with an access log."""
    caplog.set_level(logging.DEBUG)
    return await start_server(log=Log(access=True))


async def test_a_call_has_its_app_status_size_duration_and_client(
    logged: Peers, caplog: pytest.LogCaptureFixture
) -> None:
    await logged.call("GET", "/channels")
    [line] = fields(caplog)
    assert 0 < line.pop("duration_ms") < 60_000
    assert line == {
        "event": "call",
        "app": "app-id",
        "ip": "127.0.0.1",
        "who": "127.0.0.1",
        "method": "GET",
        "path": "/apps/app-id/channels",
        "status": 200,
        "bytes": 15,
    }


async def test_no_line_has_a_signature_or_is_longer_than_a_few_hundred_characters(
    logged: Peers, caplog: pytest.LogCaptureFixture
) -> None:
    await logged.call("GET", "/channels")
    await logged.request("GET", "/" + "x" * 9_000 + "%0Aforged?auth_signature=0123")
    assert "auth_signature" not in caplog.text
    assert max(len(record.getMessage()) for record in caplog.records if record.name == "soketpy.access") < 500


async def test_a_preflight_has_a_line_too(logged: Peers, caplog: pytest.LogCaptureFixture) -> None:
    await logged.request("OPTIONS", "/apps/app-id/events")
    assert [(line["method"], line["status"], line["bytes"]) for line in fields(caplog)] == [("OPTIONS", 204, 0)]


async def test_a_connection_has_a_line_at_its_begin_and_one_at_its_end(
    logged: Peers, caplog: pytest.LogCaptureFixture
) -> None:
    socket = await logged.client()
    [opened] = fields(caplog)
    await socket.peer.close()
    await until(lambda: len(fields(caplog)) == 2)
    ended = fields(caplog)[1]
    same = {"app": "app-id", "socket_id": socket.id, "ip": "127.0.0.1", "who": "127.0.0.1"}
    assert opened == {"event": "connection_opened", **same}
    assert ended.pop("duration_ms") > 0
    assert ended.pop("seconds") > 0
    assert ended == {"event": "connection_ended", "code": 1000, **same}


async def test_a_refused_client_has_no_line_in_the_access_log(
    start_server: StartServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    peers = await start_server(log=Log(access=True))
    assert (await (await peers.socket("/app/wrong-key?protocol=7")).closed())[0] == 4001
    assert fields(caplog) == []


async def test_without_the_setting_there_is_no_line(peers: Peers, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await peers.call("GET", "/channels")
    await (await peers.client()).peer.close()
    assert fields(caplog) == []
