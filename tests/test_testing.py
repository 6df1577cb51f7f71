"""The pytest fixture for users' own tests, used as users would use it."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pusher
import pytest
import websockets
from websockets.sync.client import ClientConnection, connect

from soketpy import App, Key, Settings
from soketpy.config.settings import Tls
from soketpy.core.webhooks import Webhook
from soketpy.testing import RunningServer, running_server
from tests.patience import PATIENCE

pytest_plugins = ["pytester"]

APPLICATION_TEST = """
import json

import pusher
import pytest
import websockets
from websockets.sync.client import connect


def publisher(server):
    return pusher.Pusher(
        server.app_id, server.key, server.secret, ssl=False, host=server.host, port=server.port
    )


def test_a_plain_test_hears_what_it_publishes(soketpy_server):
    url = f"ws://{soketpy_server.host}:{soketpy_server.port}/app/{soketpy_server.key}?protocol=7"
    with connect(url) as client:
        client.recv()
        client.send(json.dumps({"event": "pusher:subscribe", "data": {"channel": "orders"}}))
        client.recv()
        orders = publisher(soketpy_server)
        orders.trigger("orders", "paid", {"number": 1})
        assert json.loads(client.recv())["data"] == '{"number": 1}'
        orders._pusher_client.http.session.close()


@pytest.mark.asyncio
async def test_an_async_test_can_connect_too(soketpy_server):
    url = f"ws://{soketpy_server.host}:{soketpy_server.port}/app/{soketpy_server.key}?protocol=7"
    async with websockets.connect(url) as client:
        assert json.loads(await client.recv())["event"] == "pusher:connection_established"
"""


@contextmanager
def open_socket(server: RunningServer) -> Iterator[ClientConnection]:
    with connect(f"ws://{server.host}:{server.port}/app/{server.key}?protocol=7") as client:
        yield client


def hear(client: ClientConnection) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(client.recv(PATIENCE))
    return message


def subscribe(client: ClientConnection, channel: str) -> None:
    assert hear(client)["event"] == "pusher:connection_established"
    client.send(json.dumps({"event": "pusher:subscribe", "data": {"channel": channel}}))
    assert hear(client)["event"] == "pusher_internal:subscription_succeeded"


def publish(server: RunningServer, channel: str, event: str, data: object) -> None:
    where = {"host": server.host, "port": server.port}
    publisher = pusher.Pusher(server.app_id, server.key, server.secret, ssl=False, timeout=PATIENCE, **where)
    publisher.trigger(channel, event, data)
    publisher._pusher_client.http.session.close()


def test_an_application_s_tests_get_a_server_without_more_ado(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nfilterwarnings = error\nasyncio_default_fixture_loop_scope = function\n")
    pytester.makepyfile(test_orders=APPLICATION_TEST)
    pytester.runpytest_subprocess().assert_outcomes(passed=2)


def test_the_fixture_is_listed(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess("--fixtures")
    result.stdout.fnmatch_lines(["soketpy_server*", "*Run a server for one test*"])


def test_what_is_published_arrives(soketpy_server: RunningServer) -> None:
    with open_socket(soketpy_server) as client:
        subscribe(client, "orders")
        publish(soketpy_server, "orders", "paid", {"number": 1})
        assert hear(client) == {"event": "paid", "channel": "orders", "data": '{"number": 1}'}


def test_servers_do_not_hear_of_each_other(soketpy_server: RunningServer) -> None:
    with running_server() as other, open_socket(other) as client:
        subscribe(client, "orders")
        publish(soketpy_server, "orders", "paid", {})
        publish(other, "orders", "sent", {})
        assert hear(client)["event"] == "sent"


def test_clients_that_are_left_are_told_to_reconnect() -> None:
    with ExitStack() as clients:
        with running_server() as server:
            client = clients.enter_context(open_socket(server))
            hear(client)
        assert hear(client)["data"]["code"] == 4200
        with pytest.raises(websockets.ConnectionClosed) as closed:
            client.recv(PATIENCE)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4200


def test_nobody_listens_any_more_once_it_has_ended() -> None:
    with running_server() as server:
        pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((server.host, server.port))


def test_it_takes_settings_of_the_application_s_own() -> None:
    app = App(id="7", keys=(Key("own-key", "own-secret"),), max_connections=0)
    with running_server(Settings(apps=(app,))) as server:
        assert (server.app_id, server.key, server.secret) == ("7", "own-key", "own-secret")
        with open_socket(server) as client:
            assert hear(client)["data"]["code"] == 4004


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.pem")
    with (
        pytest.raises(RuntimeError, match="did not start") as failed,
        running_server(Settings(tls=Tls(cert=missing, key=missing))),
    ):
        pass
    assert "missing.pem" in str(failed.value.__cause__)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"port": 1}, "running_server takes Settings, not dict"),
        (Settings(apps=()), "running_server needs settings with at least one app"),
    ],
)
def test_a_running_server_says_what_it_takes(given: Any, said: str) -> None:
    with pytest.raises((TypeError, ValueError), match=said), running_server(given):
        pass


def test_webhooks_of_tests_wait_in_memory_and_share_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    webhook = Webhook(url="http://127.0.0.1:1/", event_types=("channel_occupied",))
    settings = Settings(apps=(App(id="1", keys=(Key("k", "s"),), webhooks=(webhook,)),))
    with running_server(settings), running_server(settings):
        pass
    assert list(tmp_path.iterdir()) == []
