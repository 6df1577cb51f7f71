"""A node that cannot use Redis at its start says where and why in one line, and ends with 1 when its time is up."""

import asyncio
from typing import Any

import pytest

from tests.clients.programs import free_port
from tests.conftest import listening
from tests.drivers.redis.conftest import StartNode
from tests.patience import PATIENCE
from tests.redis import LEASE, Redis

START_TIMEOUT = 2
"""Seconds: the first attempt has them all to learn why Redis cannot be used."""


async def fails(start_node: StartNode, **redis: Any) -> str:
    """Return the output of a node that does not start."""
    with pytest.raises(AssertionError) as failed:
        await asyncio.to_thread(start_node, start_timeout=START_TIMEOUT, **redis)
    assert "Traceback" not in str(failed.value)
    return str(failed.value)


async def test_nobody_is_there(start_node: StartNode) -> None:
    port = free_port()
    said = await fails(start_node, host="127.0.0.1", port=port)
    assert f'"Cannot use Redis at 127.0.0.1:{port}: Connection refused; trying again for {START_TIMEOUT} s"' in said
    assert f'"cannot use Redis at 127.0.0.1:{port}: Connection refused"' in said
    assert "/nowhere.sock: No such file or directory" in await fails(start_node, unix_socket="/nowhere.sock")


async def test_the_password_is_wrong(start_node: StartNode, own_redis: Redis) -> None:
    own_redis.ask("CONFIG", "SET", "requirepass", "right")
    where = f"cannot use Redis at {own_redis.socket}: "
    said = await fails(start_node, unix_socket=own_redis.socket, password="wrong-secret")
    assert f"{where}WRONGPASS" in said
    assert ": correct redis.password" in said
    said = await fails(start_node, unix_socket=own_redis.socket)
    assert f"{where}NOAUTH" in said
    assert ": set redis.password" in said
    assert "wrong-secret" not in said


async def test_redis_cannot_be_written_to(start_node: StartNode, own_redis: Redis) -> None:
    own_redis.ask("REPLICAOF", "127.0.0.1", str(free_port()))
    said = await fails(start_node, unix_socket=own_redis.socket)
    assert f"cannot use Redis at {own_redis.socket}: READONLY" in said
    assert "user_script" not in said
    own_redis.ask("REPLICAOF", "NO", "ONE")
    own_redis.ask("CONFIG", "SET", "maxmemory", "1")
    assert f"cannot use Redis at {own_redis.socket}: OOM" in await fails(start_node, unix_socket=own_redis.socket)


OLD = b"-ERR unknown command `HELLO`, with args beginning with: `3`, `AUTH`, `default`, `wrong-secret`\r\n"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "the connection has ended"),
        (b"", "no answer"),
        (b"+OK\r\n", "it does not answer HELLO as Redis does"),
        (OLD, "it does not know HELLO: Redis must have version 6 or later"),
        (b"-ERR you said wrong-secret\r\n", "ERR you said ***"),
    ],
    ids=["not Redis", "silent", "always OK", "too old", "an echo"],
)
async def test_something_else_is_there(start_node: StartNode, answer: bytes, reason: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(answer)
        await reader.read()

    async with listening(serve) as port:
        said = await fails(start_node, host="127.0.0.1", port=port, password="wrong-secret")
    assert f"cannot use Redis at 127.0.0.1:{port}: {reason}" in said
    assert "wrong-secret" not in said


async def test_a_redis_without_tls_is_asked_for_it(start_node: StartNode, own_redis: Redis) -> None:
    said = await fails(start_node, host="127.0.0.1", port=own_redis.port, tls=True)
    assert f"cannot use Redis at 127.0.0.1:{own_redis.port}: " in said


async def test_the_others_have_another_number_of_partitions(start_node: StartNode, own_redis: Redis) -> None:
    given = {"unix_socket": own_redis.socket, "lease": LEASE}
    first = start_node(**given)
    assert "redis.partitions is 3 here, but 1 for the nodes of {soketpy:0}" in await fails(
        start_node, **given, partitions=3
    )
    first.end(kill=True)
    start_node(**given, partitions=3, start_timeout=PATIENCE)  # as soon as the other one's lease has ended
