"""The metrics port: soketi's names, and the values of the gauges."""

import asyncio
import re
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from soketpy import App, Key
from soketpy.config.settings import Bounds, Metrics
from soketpy.config.settings import Redis as RedisSettings
from soketpy.protocol import messages
from soketpy.protocol.requests import HEAD_LIMIT
from tests.conftest import Contained, Peers, Reply, StartServer
from tests.fakes import APP
from tests.patience import attempts
from tests.redis import LONG_LEASE
from tests.web.wire import HANDSHAKE, request, wire

OPEN = Metrics(enabled=True, host="127.0.0.1", port=0)

# What soketi 1.6.1 names, without what it counts of other nodes.
NAMES = {
    "connected",
    "new_connections_total",
    "new_disconnections_total",
    "socket_received_bytes",
    "socket_transmitted_bytes",
    "ws_messages_received_total",
    "ws_messages_sent_total",
    "http_received_bytes",
    "http_transmitted_bytes",
    "http_calls_received_total",
}


async def ask(peers: Peers, target: str, method: str = "GET") -> Reply:
    url = f"http://127.0.0.1:{peers.server.metrics_port}{target}"
    async with aiohttp.ClientSession() as session, session.request(method, url) as response:
        return Reply(response.status, response.headers, await response.text())


async def metrics(peers: Peers, app_id: str = "app-id") -> dict[str, float]:
    """Return the metrics of one app, by name without the prefix."""
    found = {}
    for family in text_string_to_metric_families((await ask(peers, "/metrics")).text):
        for sample in family.samples:
            if sample.labels.get("app_id") == app_id:
                assert sample.labels == {"app_id": app_id, "port": str(peers.port)}
                found[sample.name.removeprefix("soketi_")] = sample.value
    return found


async def process_metrics(peers: Peers) -> dict[str, float]:
    """Return the metrics of the whole process, by name without the prefix; a label of code is appended."""
    found = {}
    for family in text_string_to_metric_families((await ask(peers, "/metrics")).text):
        for sample in family.samples:
            if sample.name.startswith("soketpy_"):
                name = sample.name.removeprefix("soketpy_")
                found[" ".join([name, *([sample.labels["code"]] if "code" in sample.labels else [])])] = sample.value
    return found


async def test_the_process_counts_faults_refused_connections_and_slow_readers(
    start_server: StartServer, contained: Contained, monkeypatch: pytest.MonkeyPatch
) -> None:
    peers = await start_server(metrics=OPEN, bounds=Bounds(unread_in_kb=64))

    def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    await (await peers.socket("/app/nobody")).closed()
    monkeypatch.setattr(peers.server.node, "unsubscribe", fail)
    client = await peers.client()
    await client.say("pusher:unsubscribe", {"channel": "news"})
    assert (await client.closed())[0] == 1011
    async with wire(peers.port) as slow:
        slow.send(request("GET", "/app/app-key", b"", *HANDSHAKE))
        await slow.reader.readuntil(b"connection_established")
        [connection] = peers.server.node.every_connection()
        for _ in attempts():
            if not connection.open:
                break
            connection.send(messages.error(1, "x" * 100_000))
            await asyncio.sleep(0)
    found = await process_metrics(peers)
    expected = {
        **dict.fromkeys(
            ("app_registries", "app_registries_up", "apps_cached", "app_queries_total", "app_waits_total"), 0
        ),
        "failures_total": contained.count,
        "refused_connections_total 4001": 1,
        "slow_readers_closed_total": 1,
        "redis_links": 0,
        "redis_links_up": 0,
    }
    assert {name: found[name] for name in expected} == expected
    assert contained.count == 1


async def test_the_links_to_redis_are_told(start_server: StartServer, redis: str) -> None:
    meeting = RedisSettings(unix_socket=redis, prefix=f"test-{uuid4()}", lease=LONG_LEASE)
    peers = await start_server(metrics=OPEN, cluster="redis", redis=meeting)
    found = await process_metrics(peers)
    assert (found["redis_links"], found["redis_links_up"]) == (1, 1)


async def test_metrics_have_soketis_names_and_labels(start_server: StartServer) -> None:
    peers = await start_server(metrics=OPEN)
    await peers.client()
    assert set(await metrics(peers)) == NAMES
    reply = await ask(peers, "/metrics")
    assert reply.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "# TYPE soketi_connected gauge\n" in reply.text
    assert "# TYPE soketi_new_connections_total counter\n" in reply.text
    assert re.search(r"^soketi_process_resident_memory_bytes \d", reply.text, re.MULTILINE)


async def test_the_gauge_is_the_number_of_live_connections_and_never_negative(start_server: StartServer) -> None:
    peers = await start_server(metrics=OPEN)
    clients = [await peers.client() for _ in range(4)]
    assert (await metrics(peers))["connected"] == 4
    clients[0].peer.transport.abort()
    await clients[1].peer.close()
    clients[2].peer.transport.abort()
    await clients[2].peer.wait_closed()
    for _ in attempts():
        now = await metrics(peers)
        assert now["connected"] >= 1
        if now["connected"] == 1:
            break
    assert (now["new_connections_total"], now["new_disconnections_total"]) == (4, 3)
    await clients[3].peer.close()
    for _ in attempts():
        now = await metrics(peers)
        if not now["connected"]:
            break
    assert (now["connected"], now["new_disconnections_total"]) == (0, 4)


async def test_a_refused_connection_is_not_counted(start_server: StartServer) -> None:
    one = App(id="app-id", keys=APP.keys, max_connections=1)
    peers = await start_server(metrics=OPEN, apps=(one,))
    await peers.client()
    refused = await peers.socket()
    assert (await refused.closed())[0] == 4004
    now = await metrics(peers)
    assert (now["connected"], now["new_connections_total"], now["new_disconnections_total"]) == (1, 1, 0)


async def test_messages_and_bytes_are_counted_as_clients_see_them(start_server: StartServer) -> None:
    peers = await start_server(metrics=OPEN)
    first, second = await peers.client(), await peers.client()
    before = await metrics(peers)
    await first.peer.send('{"event":"pusher:subscribe","data":{"channel":"room"}}')
    await second.peer.send('{"event":"pusher:subscribe","data":{"channel":"room"}}')
    answers = [str(await client.peer.recv()) for client in (first, second)]
    await peers.trigger("room", "e", "ü")
    events = [str(await client.peer.recv()) for client in (first, second)]
    after = await metrics(peers)
    sent = sum(len(text.encode()) for text in answers + events)
    assert after["ws_messages_sent_total"] - before["ws_messages_sent_total"] == 4
    assert after["socket_transmitted_bytes"] - before["socket_transmitted_bytes"] == sent
    assert after["ws_messages_received_total"] - before["ws_messages_received_total"] == 2
    assert after["socket_received_bytes"] - before["socket_received_bytes"] == 2 * 54


async def test_calls_are_counted_once_their_signature_holds(start_server: StartServer) -> None:
    peers = await start_server(metrics=OPEN)
    await peers.request("GET", "/apps/app-id/channels")
    await peers.request("PUT", "/apps/app-id/channels")
    await peers.request("GET", "/apps/app-id/nothing")
    assert await metrics(peers) == {}
    await peers.call("GET", "/channels")
    good, bad = {"name": "e", "channel": "room", "data": "x"}, {"name": "e"}
    await peers.call("POST", "/events", good)
    refused = await peers.call("POST", "/events", bad)
    now = await metrics(peers)
    assert now["http_calls_received_total"] == 3
    assert now["http_received_bytes"] == len('{"name": "e", "channel": "room", "data": "x"}{"name": "e"}')
    assert now["http_transmitted_bytes"] == len('{"channels":{}}' + "{}") + len(refused.text)


async def test_every_app_has_samples_of_its_own(start_server: StartServer) -> None:
    other = App(id='o"ther\n', keys=(Key("other-key", "other-secret"),))
    peers = await start_server(metrics=OPEN)
    peers.reload(APP, other)  # past the check of a server's arguments: a file could not have the id
    await peers.client()
    await peers.client(path="/app/other-key")
    await peers.client(path="/app/other-key")
    assert (await metrics(peers))["connected"] == 1
    assert (await metrics(peers, 'o"ther\n'))["connected"] == 2


@pytest.mark.parametrize(
    ("prefix", "name"), [("soketi_", "soketi_connected"), ("my_", "my_connected"), ("", "connected")]
)
async def test_the_prefix_is_a_setting(start_server: StartServer, prefix: str, name: str) -> None:
    peers = await start_server(metrics=Metrics(enabled=True, host="127.0.0.1", port=0, prefix=prefix))
    await peers.client()
    text = (await ask(peers, "/metrics")).text
    assert f'\n{name}{{app_id="app-id",port="{peers.port}"}} 1.0\n' in text
    assert all(line.startswith(("#", prefix, "soketpy_")) for line in text.splitlines())


async def test_metrics_may_be_asked_as_json_in_the_form_of_prom_client(start_server: StartServer) -> None:
    peers = await start_server(metrics=OPEN)
    await peers.client()
    reply = await ask(peers, "/metrics?json=1")
    assert reply.headers["Content-Type"] == "application/json"
    by_name: dict[str, Any] = {metric["name"]: metric for metric in reply.json}
    assert {f"soketi_{name}" for name in NAMES} <= set(by_name)
    labels = {"app_id": "app-id", "port": str(peers.port)}
    assert by_name["soketi_connected"]["type"] == "gauge"
    assert by_name["soketi_connected"]["values"] == [{"value": 1, "labels": labels}]
    assert by_name["soketi_new_connections_total"]["type"] == "counter"


async def test_usage_is_of_soketis_form(start_server: StartServer) -> None:
    peers = await start_server(metrics=OPEN)
    reply = await ask(peers, "/usage")
    used = reply.json["memory"]
    assert set(reply.json) == {"memory"}
    assert set(used) == {"free", "used", "total", "percent"}
    assert used["free"] + used["used"] == used["total"]
    assert 0 < used["percent"] < 100


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/", 200),
        ("GET", "/ready", 200),
        ("HEAD", "/metrics", 200),
        ("GET", "/nothing", 404),
        ("GET", "/apps/app-id/channels", 404),
        ("POST", "/metrics", 405),
        *((method, path, 200) for method in ("HEAD", "OPTIONS", "POST", "PUT") for path in ("/", "/ready")),
    ],
)
async def test_the_metrics_port_serves_nothing_else(
    start_server: StartServer, method: str, target: str, status: int
) -> None:
    peers = await start_server(metrics=OPEN)
    reply = await ask(peers, target, method)
    assert reply.status == status
    assert reply.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("available", [True, False])
@pytest.mark.parametrize("draining", [True, False])
async def test_whether_the_server_is_ready_is_the_same_on_both_ports(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch, draining: bool, available: bool
) -> None:
    peers = await start_server(metrics=OPEN)
    monkeypatch.setattr(peers.server._rest, "draining", draining)
    monkeypatch.setattr(peers.server._cluster, "connected", available, raising=False)
    for method in ("GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH"):
        main, metrics = await peers.request(method, "/ready"), await ask(peers, "/ready", method)
        assert (metrics.status, metrics.text) == (main.status, main.text)
        assert metrics.headers["Content-Type"] == main.headers["Content-Type"]
        assert (metrics.status == 200) is (available and not draining)
        assert (await ask(peers, "/", method)).status == 200


async def test_the_metrics_port_says_that_the_server_stops(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("soketpy.process.draining.DRAIN_STEP", 1000)
    peers = await start_server(metrics=OPEN)
    client = await peers.client()
    stopping = asyncio.create_task(peers.server.stop())
    assert (await client.hear())["data"]["code"] == 4200
    assert (await ask(peers, "/ready")).status == 503
    assert (await ask(peers, "/metrics")).status == 200
    stopping.cancel()
    await asyncio.wait([stopping])


async def test_what_is_not_http_leaves_the_metrics_port_and_the_log_in_peace(
    start_server: StartServer, caplog: pytest.LogCaptureFixture
) -> None:
    peers = await start_server(metrics=OPEN)
    assert peers.server.metrics_port is not None
    async with wire(peers.server.metrics_port) as stranger:
        stranger.send(b"\x16\x03\x01 no HTTP\r\n\r\n")
        assert (await stranger.answer()).status == 400
    async with wire(peers.server.metrics_port) as stranger:
        stranger.send(request("GET", "/usage", b"", "Connection: close"))
        assert (await stranger.answer()).status == 200
    assert "Traceback" not in caplog.text


async def test_there_is_no_metrics_port_unless_it_is_asked_for(peers: Peers) -> None:
    assert peers.server.metrics_port is None


@pytest.mark.parametrize("room", [0, 1, 20_000])
async def test_the_head_of_a_request_has_the_same_limit_as_on_the_main_port(
    start_server: StartServer, room: int
) -> None:
    peers = await start_server(metrics=OPEN)
    start = request("GET", "/ready").removesuffix(b"\r\n\r\n") + b"\r\nX: "
    assert peers.server.metrics_port is not None
    async with wire(peers.server.metrics_port) as client:
        client.send(start + b"x" * (HEAD_LIMIT + room - len(start)) + b"\r\n\r\n")
        assert (await client.answer()).status == (431 if room else 200)
