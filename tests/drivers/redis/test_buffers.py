"""A node says at its start if Redis would soon close the connection of a node that stands still."""

import logging
from pathlib import Path
from typing import Any

import pytest

from soketpy.drivers.redis.buffers import too_low
from soketpy.drivers.redis.cluster import RedisCluster
from soketpy.drivers.redis.connect import Address, connector
from soketpy.process.private_redis import BUFFERS
from tests.conftest import until
from tests.drivers.redis.test_transitions import Silent
from tests.redis import LONG_LEASE, Redis

OTHERS = "normal 0 0 0 slave 268435456 67108864 60 pubsub "


def reply(limit: str) -> dict[bytes, bytes]:
    return {b"client-output-buffer-limit": (OTHERS + limit).encode()}


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (reply("33554432 8388608 60"), "pubsub 33554432 8388608 60"),
        (reply("268435455 67108864 60"), "pubsub 268435455 67108864 60"),
        (reply("268435456 67108863 60"), "pubsub 268435456 67108863 60"),
        (reply("0 1 60"), "pubsub 0 1 60"),
        (reply("1 0 0"), "pubsub 1 0 0"),
        (reply("268435456 67108864 60"), None),
        (reply("0 0 0"), None),
        (reply("1"), None),
        (reply("32mb 8mb 60"), None),
        ({b"client-output-buffer-limit": b"normal 0 0 0"}, None),
        ({b"client-output-buffer-limit": b"\xff"}, None),
        ({b"client-output-buffer-limit": None}, None),
        ({}, None),
        ([], None),
        (None, None),
        (b"OK", None),
    ],
)
def test_a_limit_is_too_low_below_what_a_standstill_needs(given: Any, found: str | None) -> None:
    assert too_low(given) == found


async def start(redis: Redis, partitions: int = 3, *, advises: bool = True) -> None:
    """Start a node, and stop it once Redis has answered all that it asked."""
    connect = Address(unix_socket=redis.socket)
    cluster = RedisCluster(
        lambda base: connector(connect, base), partitions=partitions, lease=LONG_LEASE, advises=advises
    )
    for port in (cluster.bus, cluster.roster):
        port.attach(Silent(lambda *_: None))  # type: ignore[arg-type]
    await cluster.start()
    for each in cluster.sessions:
        await each.ask("ECHO", "settled")
    await cluster.stop()


async def test_the_default_is_warned_of_once_with_what_to_set(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Redis(tmp_path) as redis:
        await start(redis)
    [warning] = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
    assert "client-output-buffer-limit pubsub 33554432 8388608 60" in warning
    assert "client-output-buffer-limit pubsub 256mb 64mb 60" in warning


async def test_a_node_that_is_not_to_advise_does_not_ask(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Redis(tmp_path) as redis:
        await start(redis, advises=False)
    assert [each for each in caplog.records if each.levelno >= logging.WARNING] == []


async def test_what_the_private_redis_has_is_enough(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Redis(tmp_path, *BUFFERS) as redis:
        await start(redis)
    assert [each for each in caplog.records if each.levelno >= logging.WARNING] == []


async def test_a_redis_that_does_not_tell_is_no_reason_to_warn(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "soketpy.redis")
    with Redis(tmp_path, "--rename-command", "CONFIG", "") as redis:
        await start(redis)
    assert [each for each in caplog.records if each.levelno >= logging.WARNING] == []
    assert "does not say what client-output-buffer-limit is" in caplog.text


async def test_a_connection_that_redis_closes_is_logged_with_its_likely_cause(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Redis(tmp_path, *BUFFERS) as redis:
        cluster = RedisCluster(lambda base: connector(Address(unix_socket=redis.socket), base), lease=LONG_LEASE)
        for port in (cluster.bus, cluster.roster):
            port.attach(Silent(lambda *_: None))  # type: ignore[arg-type]
        await cluster.start()
        redis.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

        async def logged() -> bool:
            return f"Redis at {redis.socket} is unavailable" in caplog.text

        await until(logged)
        await cluster.stop()
    assert "Redis closed the connection; reconnecting." in caplog.text
    assert "raise client-output-buffer-limit pubsub" in caplog.text
