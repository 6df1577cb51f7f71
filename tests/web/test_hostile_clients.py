"""Clients that all connect at once, never read, or send nothing, over real sockets."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from soketpy.config.settings import Bounds, Timeouts
from soketpy.web.deadlines import SLICE_SIZE
from soketpy.web.websocket import WebSocket
from tests.conftest import Peers, Socket, StartServer
from tests.fakes import APP
from tests.patience import attempts, until
from tests.web.test_websocket import hurry
from tests.web.wire import HANDSHAKE, PATIENCE, request, wire

# Limits


LIMITS = [
    ({"apps": (replace(APP, max_connections=30),)}, 4004),
    ({"bounds": Bounds(max_connections=30)}, 4100),
]


@pytest.mark.parametrize(("settings", "code"), LIMITS, ids=["of an app", "of the process"])
async def test_a_limit_holds_exactly_where_twice_as_many_come_at_once(
    start_server: StartServer, settings: dict[str, Any], code: int
) -> None:
    peers = await start_server(**settings)
    let_in = await rush(peers, 60, code)
    assert len(let_in) == 30
    await asyncio.gather(*(client.peer.close() for client in let_in[:10]))
    assert len(await rush(peers, 20, code)) == 10
    assert peers.server.node.total == 30


async def rush(peers: Peers, count: int, code: int) -> list[Socket]:
    """So many connect at once: those who are let in. All others are closed with the code."""
    clients = await asyncio.gather(*(peers.socket() for _ in range(count)))
    said = await asyncio.gather(*(client.hear() for client in clients))
    refused = [client for client, message in zip(clients, said, strict=True) if message["event"] == "pusher:error"]
    assert {await client.closed() for client in refused} <= {(code, refused[0].peer.close_reason)}
    return [client for client in clients if client not in refused]


# Never reading


async def test_what_waits_for_one_who_never_reads_again_is_little_more_than_the_bound_and_gone_in_the_end(
    start_server: StartServer,
) -> None:
    peers = await start_server(bounds=Bounds(unread_in_kb=64))
    shared = peers.server._state
    async with wire(peers.port) as slow:
        slow.send(request("GET", "/app/app-key", b"", *HANDSHAKE))
        text = b'{"event":"pusher:subscribe","data":{"channel":"room"}}'
        slow.send(bytes((0x81, 0x80 | len(text))) + bytes(4) + text)
        await until(lambda: [each for each in peers.server.node.every_connection() if each.channels])
        (connection,) = peers.server.node.every_connection()
        transport = connection._transport
        assert isinstance(transport, WebSocket)
        waiting = 0
        for _ in attempts():
            if not connection.open:
                break
            assert (await peers.trigger("room", "e", "d" * 10_000)).status == 200
            waiting = transport._transport.get_write_buffer_size()
        # The bound, the event behind which asyncio says that nobody reads, and the one that is too many.
        assert 64 * 1024 < waiting < (64 + 2 * 11) * 1024
        assert shared.closing == 1
        shared.deadlines.expire_all()
        await until(lambda: not shared.closing)
        assert transport._transport.get_write_buffer_size() == 0


# Timeouts


async def test_all_are_dropped_where_very_many_run_into_their_timeout_together(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurry(monkeypatch)
    peers = await start_server(timeouts=Timeouts(handshake=0.05))
    strangers = [await asyncio.open_connection("127.0.0.1", peers.port) for _ in range(3 * SLICE_SIZE)]
    for reader, writer in strangers:
        assert await asyncio.wait_for(reader.read(), PATIENCE) == b""
        writer.close()
    assert len(peers.server._state.deadlines) == 0
