"""The measures of a real server with real clients."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from soketpy import App
from soketpy.config import ConfigError, Settings
from soketpy.config.settings import Redis as RedisSettings
from soketpy.config.settings import Tls
from soketpy.core.histograms import Histogram
from soketpy.core.history import HistoryRule
from soketpy.process.configuration import Configuration
from soketpy.process.reloads import Reloads
from tests.authority import ISSUED, Authority
from tests.conftest import Peers, StartServer
from tests.fakes import APP
from tests.patience import until
from tests.redis import LONG_LEASE, Redis
from tests.web.wire import request, signed, wire

SLOW = replace(
    APP,
    client_events=True,
    max_backend_events_per_second=1,
    max_client_events_per_second=1,
    max_read_requests_per_second=1,
)


def values(peers: Peers, name: str) -> dict[tuple[str, ...], float]:
    """The values of a counter or a gauge that are not 0, by the values of its labels."""
    found = peers.server.measures()[name].values
    return {labels: value for labels, value in found.items() if isinstance(value, int | float) and value}


def number(peers: Peers, name: str, *labels: str) -> int:
    """The number of durations in a histogram."""
    histogram = peers.server.measures()[name].values[labels]
    assert isinstance(histogram, Histogram)
    return sum(histogram.classes)


async def test_closed_connections_are_counted_by_their_code(peers: Peers) -> None:
    for code in (1000, 4567, 4568):
        client = await peers.client()
        await client.peer.close(code)
    lost = await peers.client()
    lost.peer.transport.abort()
    terminated = await peers.client()
    await until(lambda: peers.server.connections == 1)
    for connection in peers.server.node.every_connection():
        connection.refuse(4009, "terminated")
    await terminated.closed()
    assert values(peers, "closed_connections") == {("1000",): 1, ("1006",): 1, ("4009",): 1, ("other",): 2}


async def test_refused_subscriptions_are_counted_by_reason(start_server: StartServer) -> None:
    peers = await start_server(apps=(replace(APP, max_channel_name_length=10),))
    client = await peers.client()
    for channel in ("private-a", "wrong name", "news-" + "x" * 10, "news"):
        await client.say("pusher:subscribe", {"channel": channel})
    await until(lambda: values(peers, "channels") == {("public",): 1})
    refused = values(peers, "refused_subscriptions")
    assert refused == {("AuthError", "401"): 1, ("InvalidChannel", "4009"): 1, ("LimitReached", "4009"): 1}


async def test_calls_are_counted_by_endpoint_and_status_and_timed(peers: Peers) -> None:
    await peers.trigger("news", "my-event")
    await peers.trigger("not a name", "my-event")
    await peers.call("GET", "/channels")
    await peers.call("GET", "/channels/news")
    await peers.call("POST", "/users/1/terminate_connections")
    await peers.request("GET", "/ready")
    await peers.request("GET", "/nothing/at/this/path")
    await peers.request("POST", f"/apps/{APP.id}/events")
    assert values(peers, "rest_requests") == {
        ("events", "200"): 1,
        ("events", "400"): 1,
        ("events", "401"): 1,
        ("channels", "200"): 1,
        ("channel", "200"): 1,
        ("terminate", "200"): 1,
        ("health", "200"): 1,
        ("other", "404"): 1,
    }
    assert [number(peers, "rest_request_seconds", name) for name in ("events", "users", "other")] == [3, 0, 1]


async def test_the_time_of_a_call_does_not_include_the_wait_for_its_body(
    peers: Peers, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = b'{"name":"my-event","channel":"news","data":"x"}'
    whole = request("POST", signed("POST", f"/apps/{APP.id}/events", body), body)
    async with wire(peers.port) as slow:
        slow.send(whole[: -len(body)])
        await until(lambda: peers.server._rest.under_way == 1)
        monkeypatch.setattr("soketpy.web.http.monotonic", lambda: 5000.0)
        monkeypatch.setattr("soketpy.web.rest.monotonic", lambda: 5000.5)
        slow.send(body)
        await slow.reader.readuntil(b"\r\n\r\n")
    calls = peers.server._rest.calls["events"]
    assert calls.statuses == {200: 1}
    assert calls.seconds == 0.5


async def test_a_fan_out_is_timed(peers: Peers) -> None:
    client = await peers.client()
    await client.subscribe("news")
    await peers.trigger("news", "my-event")
    await client.hear()
    assert number(peers, "fan_out_seconds") == 1


async def test_what_a_rate_limit_refuses_is_counted_by_the_limit(start_server: StartServer) -> None:
    peers = await start_server(apps=(SLOW,))
    first, second = await peers.client(), await peers.client()
    for client in (first, second):
        await client.subscribe("private-room")
    statuses = [(await peers.trigger("news", "my-event")).status for _ in range(10)]
    reads = [(await peers.call("GET", "/channels")).status for _ in range(10)]
    for _ in range(10):
        await first.say("client-event", {}, channel="private-room")
    await until(lambda: ("max_client_events_per_second",) in values(peers, "rate_limited"))
    limited = values(peers, "rate_limited")
    assert limited["max_backend_events_per_second",] == statuses.count(429) > 0
    assert limited["max_read_requests_per_second",] == reads.count(429) > 0


@pytest.mark.parametrize(
    "app",
    [replace(APP, max_subscribes_per_second=1), replace(APP, max_total_subscribes_per_second=1)],
    ids=["of a connection", "of all connections"],
)
async def test_subscriptions_that_wait_for_their_limit_are_counted(start_server: StartServer, app: App) -> None:
    peers = await start_server(apps=(app,))
    client = await peers.client()
    await client.subscribe("a")
    await client.say("pusher:subscribe", {"channel": "b"})
    await until(lambda: values(peers, "subscriptions_waiting") == {(): 1})
    await client.peer.close()
    await until(lambda: values(peers, "subscriptions_waiting") == {})


async def test_stored_and_read_events_and_incomplete_reads_are_counted(start_server: StartServer) -> None:
    peers = await start_server(apps=(replace(APP, history=(HistoryRule(channels="room", events=2),)),))
    for name in "abc":
        await peers.trigger("room", name)
    last = (await peers.call("GET", "/channels/room/events")).json["last"]
    await peers.call("GET", "/channels/room/events", query={"after": f"{last.split(':')[0]}:0"})
    measures = peers.server.measures()
    assert measures.value("history_stored_events") == 3
    assert measures.value("history_read_events") == 4
    assert measures.value("history_incomplete_reads") == 1
    assert measures.value("history_logs") == 1
    assert 800 < float(str(measures.value("history_bytes"))) < 3000
    assert (measures.value("history_dropped_logs"), measures.value("history_gaps")) == (0, 0)


async def test_the_certificate_of_a_server_has_an_end(start_server: StartServer, tmp_path: Path) -> None:
    cert, key = Authority("Authority").issue(tmp_path)
    peers = await start_server(tls=Tls(cert=cert, key=key))
    [expiry] = values(peers, "tls_certificate_expiry_seconds").values()
    assert (expiry - ISSUED.timestamp()) / 86400 == pytest.approx(36_500, abs=1)


async def test_a_server_without_tls_has_no_certificate(peers: Peers) -> None:
    assert values(peers, "tls_certificate_expiry_seconds") == {}


async def test_the_event_loop_of_a_server_is_measured(peers: Peers) -> None:
    await until(lambda: number(peers, "event_loop_delay_seconds") > 1)


async def test_the_memory_and_the_time_of_the_process_are_measured(peers: Peers) -> None:
    [used], [limit] = (values(peers, name).values() for name in ("memory_bytes", "memory_limit_bytes"))
    assert 10_000_000 < used < limit
    assert sum(values(peers, "cpu_seconds").values()) > 0


async def test_a_server_of_its_own_is_a_cluster_of_one_node_without_redis(peers: Peers) -> None:
    assert values(peers, "cluster_nodes") == {(): 1}
    assert values(peers, "redis_links") == {}
    assert number(peers, "redis_round_trip_seconds") == 0


async def test_the_nodes_of_a_cluster_and_the_round_trips_to_redis_are_measured(
    start_server: StartServer, redis: str
) -> None:
    meeting = RedisSettings(unix_socket=redis, prefix=f"test-{uuid4()}", lease=LONG_LEASE)
    first = await start_server(cluster="redis", redis=meeting)
    await until(lambda: values(first, "cluster_nodes") == {(): 1})
    second = await start_server(cluster="redis", redis=meeting)
    await until(lambda: values(second, "cluster_nodes") == {(): 2})
    await until(lambda: number(first, "redis_round_trip_seconds") > 0)
    assert values(first, "redis_links") == values(first, "redis_links_up") == {(): 1}


async def test_without_redis_a_node_knows_of_no_node(start_server: StartServer, tmp_path: Path) -> None:
    with Redis(tmp_path) as own:
        peers = await start_server(cluster="redis", redis=RedisSettings(unix_socket=own.socket, lease=LONG_LEASE))
        await until(lambda: values(peers, "cluster_nodes") == {(): 1})
        own.kill()
        await until(lambda: values(peers, "redis_links_up") == {})
        assert values(peers, "redis_links") == {(): 1}
        assert values(peers, "cluster_nodes") == {}


async def reloaded(configuration: Configuration) -> None:
    configuration.reload()
    await configuration.settle()


async def test_reloads_are_counted_by_their_result() -> None:
    def invalid() -> Settings:
        raise ConfigError("a mistake")

    settings, reloads = Settings(), Reloads()
    reloads.last = 0.0
    apply: Callable[[Settings], int] = lambda settings: 0  # noqa: E731
    await reloaded(Configuration(settings, invalid, apply, reloads))
    assert (reloads.applied, reloads.refused, reloads.last) == (0, 1, 0.0)
    await reloaded(Configuration(settings, lambda: settings, apply, reloads))
    assert (reloads.applied, reloads.refused) == (1, 1)
    assert reloads.last > 0
