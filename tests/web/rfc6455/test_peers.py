"""WebSockets of other houses as peers: python-websockets, and ws for Node.js."""

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import websockets

from tests.conftest import Peers, Socket
from tests.fakes import APP
from tests.patience import PATIENCE
from tests.web.rfc6455.wire import CHANNEL, event, slices

CLIENTS = Path(__file__).parents[2] / "clients"
LIMIT = 256 * 1024


# python-websockets


async def pair(peers: Peers) -> tuple[Socket, Socket]:
    """Two clients on one channel."""
    sender, receiver = await peers.client(), await peers.client()
    await sender.subscribe(CHANNEL)
    await receiver.subscribe(CHANNEL)
    return sender, receiver


@pytest.mark.parametrize("size", [0, 1, 1000, 100_000])
@pytest.mark.parametrize("part", [None, 1000])
async def test_a_message_of_websockets_arrives(peers: Peers, size: int, part: int | None) -> None:
    sender, receiver = await pair(peers)
    text = event(b"x" * size)
    await sender.peer.send(text.decode() if part is None else [piece.decode() for piece in slices(text, part)])
    assert await receiver.peer.recv(decode=False) == text


async def test_websockets_sees_no_extension_and_no_subprotocol(peers: Peers) -> None:
    socket = await peers.client(compression="deflate")
    assert socket.peer.protocol.extensions == []
    assert socket.peer.subprotocol is None


async def test_websockets_gets_the_subprotocol_that_it_offers(peers: Peers) -> None:
    socket = await peers.client(subprotocols=["pusher", "other"])
    assert socket.peer.subprotocol == "pusher"


async def test_websockets_gets_its_pongs(peers: Peers) -> None:
    socket = await peers.client()
    pongs = [await socket.peer.ping(payload) for payload in (b"", b"one", b"x" * 125)]
    async with asyncio.timeout(PATIENCE):
        for pong in pongs:
            await pong


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1001, "Going away"), (4999, "é" * 61)])
async def test_websockets_closes_in_good_order(peers: Peers, code: int, reason: str) -> None:
    socket = await peers.client()
    await socket.peer.close(code, reason)
    protocol = socket.peer.protocol
    assert protocol.close_rcvd is not None
    assert (protocol.close_rcvd.code, protocol.close_rcvd_then_sent) == (code, False)


async def send_binary(socket: Socket) -> None:
    await socket.peer.send(b"\0\1\2")


async def send_too_much(socket: Socket) -> None:
    await socket.peer.send("x" * (LIMIT + 1))


async def send_too_much_in_fragments(socket: Socket) -> None:
    await socket.peer.send(["x" * 1000] * 300)


async def send_many_mistakes(socket: Socket) -> None:
    for _ in range(1000):
        await socket.peer.send("{")


@pytest.mark.parametrize(
    ("act", "code"),
    [(send_binary, 1003), (send_too_much, 1009), (send_too_much_in_fragments, 1009), (send_many_mistakes, 4009)],
)
async def test_websockets_learns_why_the_server_closes(
    peers: Peers, act: Callable[[Socket], Awaitable[None]], code: int
) -> None:
    socket = await peers.client()
    try:
        await act(socket)
    except websockets.ConnectionClosed as closed:
        assert closed.rcvd is not None, closed  # noqa: PT017 - the server may have closed before all was sent, or not
    assert (await socket.closed())[0] == code


# ws


@pytest.mark.skipif(
    shutil.which("node") is None or not (CLIENTS / "node_modules" / "ws").is_dir(), reason="needs make tools"
)
async def test_ws_for_node_is_served_and_learns_why_the_server_closes(peers: Peers) -> None:
    url = f"ws://127.0.0.1:{peers.port}"
    node = await asyncio.create_subprocess_exec(
        *("node", str(CLIENTS / "ws-peer.mjs"), url, APP.key, APP.keys[0].secret), stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(PATIENCE):
            output, _ = await node.communicate()
    finally:
        if node.returncode is None:
            node.kill()
            await node.wait()
    assert node.returncode == 0
    seen = json.loads(output)
    codes = {name: value["code"] for name, value in seen.items() if name != "messages"}
    assert codes == {
        "binary": 1003,
        "tooBig": 1009,
        "tooBigInFragments": 1009,
        "noSuchApp": 4001,
        "tooManyMistakes": 4009,
    }
    assert seen["messages"] == {
        "arrived": {"0": True, "100": True, "1000": True, "40000": True},
        "fragmented": True,
        "pong": "between",
        "extensions": "",
        "closed": [{"code": 4321, "reason": ""}, {"code": 1000, "reason": ""}],
    }
