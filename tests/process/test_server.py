"""The whole server in the event loop of the test: start, listening, embedding, and stop."""

import asyncio
import logging
import re
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
import websockets

from soketpy import App, Key, Server, Settings
from soketpy.config.settings import Metrics, Timeouts
from soketpy.process import draining as stop
from tests.conftest import At, Socket, StartServer, until
from tests.fakes import APP
from tests.patience import UNHURRIED, attempts
from tests.web.wire import HANDSHAKE, PATIENCE, request, signed, wire

OTHER = App(id="other", keys=(Key("other-key", "other-secret"),))


# Start and stop


async def test_a_server_takes_settings_or_the_settings_that_differ_from_the_defaults() -> None:
    async with Server(Settings(host="127.0.0.1", port=0)) as server:
        assert server.address == f"http://127.0.0.1:{server.port}"
    async with Server(host="127.0.0.1", port=0, apps=(OTHER,)) as server:
        url = f"ws://127.0.0.1:{server.port}/app/other-key"
        async with websockets.connect(url, **UNHURRIED) as client:
            assert "connection_established" in str(await client.recv())


async def test_the_address_of_a_server_on_ipv6_has_its_brackets() -> None:
    server = Server(host="::1", port=0)
    try:
        await server.start()
    except OSError:
        pytest.skip("no IPv6 here")
    assert server.address == f"http://[::1]:{server.port}"
    await server.stop()


async def test_a_server_that_has_not_started_has_no_connections_and_no_apps_to_replace() -> None:
    server = Server(host="127.0.0.1", port=0)
    said = "^the server has not started: use it in `async with`, or await its start\\(\\)$"
    with pytest.raises(RuntimeError, match=said):
        _ = server.connections
    with pytest.raises(RuntimeError, match=said):
        server.reload(server.settings)
    async with server:
        assert server.connections == 0


async def test_the_counters_of_an_app_that_is_gone_are_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("soketpy.process.server.UNUSED_INTERVAL", 0.01)
    async with Server(host="127.0.0.1", port=0, apps=(OTHER,)) as server:
        for app_id in ("other", "gone"):
            server.node.traffic[app_id].connections = 1
        await until(lambda: "gone" not in server.node.traffic)
        assert set(server.node.traffic) == {"other"}


async def test_two_servers_in_one_process_do_not_share_clients(start_server: StartServer) -> None:
    first, second = await start_server(), await start_server()
    here, there = await first.client(), await second.client()
    await here.subscribe("room")
    await there.subscribe("room")
    await first.trigger("room", "first")
    await second.trigger("room", "second")
    assert (await here.hear())["event"] == "first"
    assert (await there.hear())["event"] == "second"


async def test_a_server_that_was_stopped_starts_again() -> None:
    server = Server(host="127.0.0.1", port=0)
    for _ in range(2):
        await server.start()
        async with wire(server.port or 0) as client:
            client.send(request("GET", "/ready"))
            assert (await client.answer()).status == 200
        await server.stop()
    await server.stop()


async def test_a_stopped_server_leaves_no_tasks_and_no_listener() -> None:
    before = asyncio.all_tasks()
    server = Server(host="127.0.0.1", port=0, metrics=Metrics(enabled=True, host="127.0.0.1", port=0))
    await server.start()
    await server.stop()
    assert asyncio.all_tasks() == before
    for port in (server.port, server.metrics_port):
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)


async def test_a_port_that_is_taken_is_said_at_the_start_and_nothing_stays(start_server: StartServer) -> None:
    peers = await start_server()
    before = asyncio.all_tasks()
    with pytest.raises(OSError, match="address already in use"):
        await Server(host="127.0.0.1", port=peers.port).start()
    assert asyncio.all_tasks() == before


async def test_where_the_metrics_port_is_taken_the_main_port_is_given_back(start_server: StartServer) -> None:
    peers = await start_server()
    server = Server(host="127.0.0.1", port=0, metrics=Metrics(enabled=True, host="127.0.0.1", port=peers.port))
    with pytest.raises(OSError, match="address already in use"):
        await server.start()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", server.port)


async def test_the_start_logs_the_limit_of_connections(
    start_server: StartServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await start_server()
    assert re.search(r"At most \d+ connections, by the limit of open files", caplog.text)


async def test_two_apps_with_one_key_do_not_start() -> None:
    with pytest.raises(ValueError, match="given twice"):
        await Server(host="127.0.0.1", port=0, apps=(APP, replace(OTHER, keys=APP.keys))).start()


# Drain


async def test_clients_are_closed_with_4200_slice_by_slice_and_new_ones_with_4100(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("soketpy.process.draining.DRAIN_STEP", 1000)
    peers = await start_server(timeouts=Timeouts(shutdown=3000))
    clients = [await peers.client() for _ in range(3)]
    stopping = asyncio.create_task(peers.server.stop())
    assert (await clients[0].hear())["data"]["code"] == 4200
    assert await clients[0].closed() == (4200, "The server is stopping; please reconnect.")
    for client in clients[1:]:
        await client.say("pusher:ping")
        assert (await client.hear())["event"] == "pusher:pong"
    refused = await peers.socket()
    assert (await refused.hear())["data"]["code"] == 4100
    assert (await refused.closed())[0] == 4100
    for path in ("/ready", "/accept-traffic", "/apps/app-id/channels"):
        reply = await peers.request("GET", path)
        assert (reply.status, reply.json["code"]) == (503, 503)
        assert reply.headers["Access-Control-Allow-Origin"] == "*"
    assert (await peers.trigger("room", "e")).status == 503
    assert (await peers.request("GET", "/")).status == 200
    stopping.cancel()
    await asyncio.wait([stopping])


async def test_all_clients_are_gone_when_the_server_has_stopped(start_server: StartServer) -> None:
    peers = await start_server(timeouts=Timeouts(shutdown=0.2))
    clients = [await peers.client() for _ in range(20)]
    stopping = asyncio.create_task(peers.server.stop())
    assert {(await client.closed())[0] for client in clients} == {4200}
    await stopping
    assert not peers.server.node.every_connection()


async def test_without_a_time_to_stop_in_all_are_closed_at_once(start_server: StartServer) -> None:
    peers = await start_server(timeouts=Timeouts(shutdown=0))
    clients = [await peers.client() for _ in range(20)]
    stopping = asyncio.create_task(peers.server.stop())
    assert {(await client.closed())[0] for client in clients} == {4200}
    await stopping


async def test_one_who_does_not_answer_the_close_does_not_hold_the_server(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("soketpy.process.draining.CLOSING_TIMEOUT", 0.1)
    peers = await start_server(timeouts=Timeouts(shutdown=0))
    async with wire(peers.port) as silent, wire(peers.port) as undecided:
        silent.send(request("GET", "/app/app-key", b"", *HANDSHAKE))
        assert (await silent.answer()).status == 101
        undecided.send(b"GET / HTTP/1.1\r\n")
        await peers.request("GET", "/")
        await asyncio.wait_for(peers.server.stop(), PATIENCE)
        assert b"\x10\x68The server is stopping; please reconnect." in await silent.rest()
        assert await undecided.rest() == b""


async def test_an_idle_http_connection_does_not_hold_the_server(start_server: StartServer) -> None:
    peers = await start_server(timeouts=Timeouts(shutdown=1000))
    async with wire(peers.port) as idle:
        idle.send(request("GET", "/ready"))
        assert (await idle.answer()).status == 200
        await asyncio.wait_for(peers.server.stop(), PATIENCE)
        assert await idle.rest() == b""


@pytest.fixture
def patient_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lengthen the wait of a server that stops, so that no test runs into it."""
    for module in ("soketpy.process.draining", "soketpy.web.websocket"):
        monkeypatch.setattr(f"{module}.CLOSING_TIMEOUT", 10 * PATIENCE)


@pytest.mark.usefixtures("patient_stop")
async def test_a_call_that_is_under_way_may_end_when_the_server_stops(start_server: StartServer) -> None:
    peers = await start_server(timeouts=Timeouts(shutdown=1000))
    body = b'{"name":"e","channel":"room","data":"x"}'
    async with wire(peers.port) as publisher:
        expecting = ("Expect: 100-continue", f"Content-Length: {len(body)}")
        publisher.send(request("POST", signed("POST", "/apps/app-id/events", body), b"", *expecting))
        assert await publisher.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        stopping = asyncio.create_task(peers.server.stop())

        async def ready() -> bool:
            return (await peers.request("GET", "/ready")).status == 200

        for _ in attempts():
            if not await ready():
                break
        publisher.send(body)
        assert (await publisher.answer()).json == {}
        await asyncio.wait_for(stopping, PATIENCE)


@pytest.mark.usefixtures("patient_stop")
async def test_who_comes_to_a_shared_socket_is_taken_by_the_next_server_once_one_stops() -> None:
    async with AsyncExitStack() as stack:
        shared = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        port = shared.getsockname()[1]
        former = Server(listener=shared.dup(), apps=(APP,), timeouts=Timeouts(shutdown=0))
        await former.start()
        at_the_door, silent = [await stack.enter_async_context(wire(port)) for _ in range(2)]
        hello = request("GET", "/app/app-key", b"", *HANDSHAKE)
        at_the_door.send(hello[:20])
        silent.send(hello)
        assert (await silent.answer()).status == 101
        successor = await stack.enter_async_context(Server(listener=shared.dup(), apps=(APP,)))
        stopping = asyncio.create_task(former.stop())  # as long as the silent one does not answer the close
        await silent.find(b"please reconnect.")
        for _ in range(20):
            await At(port, stack).client()
        assert successor.connections == 20
        at_the_door.send(hello[20:])
        await at_the_door.find(b"\x10\x68The server is stopping; please reconnect.")
        for client in (at_the_door, silent):
            client.writer.transport.abort()
        await stopping


@pytest.mark.usefixtures("patient_stop")
@pytest.mark.parametrize("headers", [(), ("Expect: 100-continue",)], ids=["plain", "expecting"])
async def test_a_call_on_a_connection_to_a_server_that_leaves_a_shared_socket_is_served(
    headers: tuple[str, ...],
) -> None:
    async with AsyncExitStack() as stack:
        shared = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        former = Server(listener=shared.dup(), apps=(APP,), timeouts=Timeouts(shutdown=0))
        await former.start()
        port = shared.getsockname()[1]
        silent, publisher = [await stack.enter_async_context(wire(port)) for _ in range(2)]
        silent.send(request("GET", "/app/app-key", b"", *HANDSHAKE))
        assert (await silent.answer()).status == 101
        publisher.send(request("GET", "/ready", b"", *headers))
        assert "connection" not in (await publisher.answer()).headers
        stopping = asyncio.create_task(former.stop())  # as long as the silent one does not answer the close
        await silent.find(b"please reconnect.")
        publisher.send(request("GET", "/ready", b"", *headers) * 2)
        answer = await publisher.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert await publisher.reader.read() == b""
        silent.writer.transport.abort()
        await stopping


async def test_a_server_without_clients_that_leaves_a_shared_socket_waits_for_calls_on_idle_connections(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wait_while, waits = stop._wait_while, list[bool]()

    async def noted(condition: Callable[[], bool], seconds: float) -> None:
        waits.append(condition())
        await wait_while(condition, seconds)

    monkeypatch.setattr(stop, "_wait_while", noted)
    async with AsyncExitStack() as stack:
        shared = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        former = Server(listener=shared.dup(), apps=(APP,), timeouts=Timeouts(shutdown=PATIENCE))
        await former.start()
        publisher = await stack.enter_async_context(wire(shared.getsockname()[1]))
        publisher.send(request("GET", "/ready"))
        assert (await publisher.answer()).status == 200
        stopping = asyncio.create_task(former.stop())
        await until(lambda: waits)
        assert waits == [True]
        publisher.send(request("GET", "/ready"))
        answer = await publisher.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        await stopping


async def accepted_by(server: Server) -> None:
    """Wait until a server has accepted a connection that has sent nothing."""

    async def has_one() -> bool:
        return len(server._state.http) == 1

    await until(has_one)


async def draining(server: Server) -> None:
    """Wait until a server has begun to stop."""

    async def drains() -> bool:
        return server._state.draining

    await until(drains)


@pytest.mark.parametrize("shared", [True, False], ids=["a shared socket", "a socket of its own"])
@pytest.mark.parametrize("connects", [True, False], ids=["WebSocket", "HTTP"])
async def test_a_connection_that_was_accepted_is_answered_though_the_server_stops(
    monkeypatch: pytest.MonkeyPatch, shared: bool, connects: bool
) -> None:
    monkeypatch.setattr("soketpy.process.draining.FIRST_REQUEST_TIMEOUT", 3600)
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        server = Server(listener=listener.dup() if shared else None, host="127.0.0.1", port=0, apps=(APP,))
        await server.start()
        port = listener.getsockname()[1] if shared else server.port
        assert port is not None
        accepted = await stack.enter_async_context(wire(port))
        await accepted_by(server)
        stopping = asyncio.create_task(server.stop())
        await draining(server)
        accepted.send(request("GET", "/app/app-key?protocol=7" if connects else "/ready", b"", *HANDSHAKE * connects))
        answer = await accepted.answer()
        if connects:
            assert answer.status == 101
            assert b"The server is stopping" in await accepted.frame()
            accepted.writer.transport.abort()
        else:
            assert answer.status == (200 if shared else 503)
        await asyncio.wait_for(stopping, PATIENCE)


async def test_a_connection_that_sends_nothing_does_not_hold_a_server_that_stops(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("soketpy.process.draining.FIRST_REQUEST_TIMEOUT", 0.1)
    peers = await start_server()
    async with wire(peers.port) as mute:
        await accepted_by(peers.server)
        await asyncio.wait_for(peers.server.stop(), PATIENCE)
        assert await mute.rest() == b""


# Reload


async def test_a_reload_lets_new_apps_in_and_takes_the_limits_of_old_ones_along(start_server: StartServer) -> None:
    peers = await start_server()
    client = await peers.client()
    await client.subscribe("private-a")
    assert (await (await peers.socket("/app/other-key")).closed())[0] == 4001
    peers.server.reload(Settings(apps=(replace(APP, client_events=False, max_connections=1), OTHER)))
    await peers.client(path="/app/other-key")
    assert (await (await peers.socket()).closed())[0] == 4004
    await client.say("client-typing", channel="private-a")
    answer = await client.hear()
    assert (answer["event"], answer["data"]["code"]) == ("pusher:error", 4301)
    assert (await peers.trigger("private-a", "still here")).status == 200
    assert (await client.hear())["event"] == "still here"


async def test_a_reload_without_an_app_closes_its_clients(start_server: StartServer) -> None:
    peers = await start_server(apps=(APP, OTHER))
    client, other = await peers.client(), await peers.client(path="/app/other-key")
    assert peers.server.reload(Settings(apps=(OTHER,))) == 1
    assert (await client.hear())["data"] == {"code": 4001, "message": "The app was removed."}
    assert (await client.closed())[0] == 4001
    assert (await (await peers.socket()).closed())[0] == 4001
    assert (await peers.trigger("room", "e")).status == 404
    await other.say("pusher:ping")
    assert (await other.hear())["event"] == "pusher:pong"


async def test_a_reload_closes_the_clients_of_a_disabled_app(start_server: StartServer) -> None:
    peers = await start_server()
    client = await peers.client()
    peers.server.reload(Settings(apps=(replace(APP, enabled=False),)))
    assert (await client.closed())[0] == 4003
    assert (await (await peers.socket()).closed())[0] == 4003
    assert (await peers.trigger("room", "e")).status == 403
    assert (await peers.call("POST", "/users/ada/terminate_connections")).status == 200


async def test_a_reload_closes_the_clients_of_a_removed_key(start_server: StartServer) -> None:
    first, second = APP.keys[0], Key("second-key", "second-secret")
    peers = await start_server(apps=(replace(APP, keys=(first, second)),))
    client, other = await peers.client(), await peers.client(path="/app/second-key")
    peers.server.reload(Settings(apps=(replace(APP, keys=(second,)),)))
    assert (await client.closed())[0] == 4009
    await other.say("pusher:ping")
    assert (await other.hear())["event"] == "pusher:pong"


async def test_an_app_may_keep_the_clients_of_a_removed_key_whose_signatures_hold_no_more(
    start_server: StartServer,
) -> None:
    peers = await start_server()
    client = await peers.client()
    kept = replace(APP, keys=(Key("second-key", "second-secret"),), close_connections_of_removed_keys=False)
    peers.server.reload(Settings(apps=(kept,)))
    assert (await client.subscribe("private-a"))["event"] == "pusher:subscription_error"
    assert (await client.hear())["event"] == "pusher_internal:subscription_error"
    assert (await client.subscribe("news"))["event"] == "pusher_internal:subscription_succeeded"


async def test_a_reload_with_a_contradiction_changes_nothing(start_server: StartServer) -> None:
    peers = await start_server()
    with pytest.raises(ValueError, match="given twice"):
        peers.server.reload(Settings(apps=(OTHER, replace(OTHER, id="third"))))
    await peers.client()
    assert (await (await peers.socket("/app/other-key")).closed())[0] == 4001


# Unix socket


async def test_a_second_server_does_not_take_over_a_live_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "soketpy.sock")
    async with Server(unix_socket=path):
        with pytest.raises(OSError, match="another server listens"):
            await Server(unix_socket=path).start()
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(request("GET", "/ready"))
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        writer.transport.abort()


async def test_a_unix_socket_serves_websockets_and_rest_and_is_removed_at_the_end(tmp_path: Path) -> None:
    file = tmp_path / "soketpy.sock"
    path = str(file)
    async with Server(unix_socket=path, apps=(APP,)) as server:
        assert (server.address, server.port) == (path, None)
        async with (
            websockets.unix_connect(path, "ws://localhost/app/app-key") as peer,
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(path)) as session,
        ):
            client = Socket(peer)
            await client.hear()
            assert (await client.subscribe("room"))["event"] == "pusher_internal:subscription_succeeded"
            body = b'{"name":"e","channel":"room","data":"x"}'
            async with session.post(
                "http://localhost" + signed("POST", "/apps/app-id/events", body), data=body
            ) as response:
                assert response.status == 200
            assert (await client.hear())["event"] == "e"
    assert not file.exists()


async def test_the_socket_of_a_server_that_was_killed_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "soketpy.sock"
    with socket.socket(socket.AF_UNIX) as killed:  # asyncio would remove its socket, from Python 3.13 on
        killed.bind(str(path))
    assert path.is_socket()
    async with Server(unix_socket=str(path)):
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(request("GET", "/ready"))
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        writer.transport.abort()


async def test_a_file_in_the_place_of_the_socket_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("data")
    with pytest.raises(OSError, match="it is not a socket"):
        await Server(unix_socket=str(path)).start()
    assert path.read_text() == "data"
    with pytest.raises(OSError, match=f"cannot listen on {tmp_path}: it is a directory"):
        await Server(unix_socket=str(tmp_path)).start()
