"""Logs of channels with history while Redis is down, and after it has come back."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from soketpy.config import settings as config
from soketpy.core.history import parse_position
from soketpy.core.history_rules import HistoryRule
from tests.conftest import At, StartServer, until
from tests.drivers.redis.conftest import Node, StartNode
from tests.drivers.redis.test_faults import ready
from tests.fakes import APP
from tests.redis import LONG_LEASE, Redis

LOG = "/channels/log-room/events"
Place = Callable[[Node], At]


async def page(peers: At, **query: str) -> Any:
    reply = await peers.call("GET", LOG, query=query)
    assert reply.status == 200, reply.text
    return reply.json


@pytest.mark.parametrize("with_data", [True, False], ids=["with its data", "without its data"])
async def test_a_log_after_a_restart_of_redis(
    start_node: StartNode, at: Place, own_redis: Redis, with_data: bool
) -> None:
    nodes = [at(start_node()), at(start_node())]
    assert (await nodes[0].trigger("log-room", "a")).status == 200
    before = (await page(nodes[1]))["last"]
    if with_data:
        own_redis.save()
    own_redis.kill()
    for peers in nodes:
        await ready(peers, 503)
        assert (await peers.trigger("log-room", "lost")).status == 503
        reply = await peers.call("GET", LOG)
        assert (reply.status, reply.headers["Retry-After"]) == (503, "1")
    own_redis.start()
    for peers in nodes:
        await ready(peers)
    assert (await nodes[0].trigger("log-room", "b")).status == 200
    found = await page(nodes[1], after=before)
    assert [each["name"] for each in found["events"]] == ["b"]
    assert found["complete"] is with_data
    last, position = parse_position(found["last"]), parse_position(before)
    assert (last.epoch == position.epoch, last.serial) == ((True, 2) if with_data else (False, 1))


async def test_a_full_redis_refuses_an_event_and_sends_it_to_nobody(
    own_redis: Redis, start_server: StartServer, caplog: pytest.LogCaptureFixture
) -> None:
    app = replace(APP, history=(HistoryRule(channels="log-*"),))
    meeting = config.Redis(unix_socket=own_redis.socket, lease=LONG_LEASE)
    peers = await start_server(cluster="redis", redis=meeting, apps=(app,))
    client = await peers.client()
    await client.subscribe("log-room")
    own_redis.ask("CONFIG", "SET", "maxmemory", "1")
    for _ in range(2):
        reply = await peers.trigger("log-room", "refused")
        assert (reply.status, "Redis is full" in reply.json["error"]) == (503, True)
    assert (await peers.trigger("other", "sent")).status == 200
    for channels in (["other", "log-room"], ["log-room", "other"]):
        body = {"name": "partly", "channels": channels, "data": "{}"}
        assert (await peers.call("POST", "/events", body)).status == 504
    own_redis.ask("CONFIG", "SET", "maxmemory", "0")
    assert (await peers.trigger("log-room", "stored")).status == 200
    assert (await client.hear())["event"] == "stored"
    assert caplog.text.count("is full, and publishers") == 1
    assert [each.getMessage() for each in caplog.records if each.exc_info] == []


async def test_a_tab_is_told_that_redis_has_lost_its_data(own_redis: Redis, start_server: StartServer) -> None:
    app = replace(APP, history=(HistoryRule(channels="log-*"),))
    meeting = config.Redis(unix_socket=own_redis.socket, lease=LONG_LEASE)
    peers = await start_server(cluster="redis", redis=meeting, apps=(app,))
    client = await peers.client(path="/c/a-tab/app/app-key?protocol=7")
    await client.subscribe("log-room")
    own_redis.kill()
    await ready(peers, 503)
    own_redis.start()
    await ready(peers)
    await client.peer.close()
    await until(lambda: peers.server.connections == 0)
    assert (await peers.trigger("log-room", "missed")).status == 200
    client = await peers.client(path="/c/a-tab/app/app-key?protocol=7")
    await client.subscribe("log-room")
    told = await client.hear()
    assert (told["event"], told["data"]["complete"]) == ("soketpy:recovered", False)


async def test_the_log_of_an_idle_channel_is_kept_while_it_has_subscribers(
    own_redis: Redis, start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("soketpy.core.sequences.TICK", 0.02)
    app = replace(APP, history=(HistoryRule(channels="log-*"),))
    meeting = config.Redis(unix_socket=own_redis.socket, lease=LONG_LEASE)
    peers = await start_server(cluster="redis", redis=meeting, apps=(app,))
    client = await peers.client()
    await client.subscribe("log-room")
    [key] = own_redis.ask("KEYS", "*log:*log-room").decode().split()
    own_redis.ask("PEXPIRE", key, "60000")
    await until(lambda: int(own_redis.ask("PTTL", key)) > 60_000)


async def test_the_state_of_a_tab_that_has_left_is_kept_for_an_hour(
    own_redis: Redis, start_server: StartServer
) -> None:
    app = replace(APP, history=(HistoryRule(channels="log-*"),))
    meeting = config.Redis(unix_socket=own_redis.socket, lease=LONG_LEASE)
    peers = await start_server(cluster="redis", redis=meeting, apps=(app,))
    client = await peers.client(path="/c/a-tab/app/app-key?protocol=7")
    await client.subscribe("log-room")
    [key] = own_redis.ask("KEYS", "*tab:*a-tab").decode().split()
    assert int(own_redis.ask("TTL", key)) > 80_000
    await client.peer.close()
    await until(lambda: 3_000 < int(own_redis.ask("TTL", key)) <= 3_600)
