"""Logs of channels with history while Redis is down, and after it has come back."""

from collections.abc import Callable
from typing import Any

import pytest

from soketpy.core.history import parse_position
from tests.conftest import At
from tests.drivers.redis.conftest import Node, StartNode
from tests.drivers.redis.test_faults import ready
from tests.redis import Redis

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
