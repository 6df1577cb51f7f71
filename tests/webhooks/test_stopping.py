"""The stop of a server with a durable queue: no delivery is lost, and none that was accepted is sent again."""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from soketpy import Server, Webhook
from soketpy.config import settings as config
from soketpy.webhooks import sender
from tests.conftest import Peers, until
from tests.fakes import APP
from tests.raw_receiver import Peer, RawReceiver, accept, raw_receiving

CHANNELS = [f"channel-{number}" for number in range(40)]

Serve = Callable[[RawReceiver], Server]


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """Return a server that has the same file each time."""

    def make(receiver: RawReceiver) -> Server:
        webhook = Webhook(url=receiver.url(), event_types=("subscribed",))
        given = config.Webhooks(path=str(tmp_path / "webhooks.db"))
        return Server(host="127.0.0.1", port=0, apps=(replace(APP, webhooks=(webhook,)),), webhooks=given)

    return make


def deliveries(receiver: RawReceiver) -> Counter[bytes]:
    """Return the number of requests of each delivery."""
    return Counter(request.split(b"X-Soketpy-Delivery: ")[1].split(b"\r\n")[0] for request in receiver.requests)


async def subscribe(server: Server) -> None:
    async with AsyncExitStack() as stack:
        client = await Peers([server], stack).client()
        for channel in CHANNELS:
            await client.subscribe(channel)


async def test_requests_in_flight_end_and_nothing_is_lost_or_repeated(serve: Serve) -> None:
    free, before = asyncio.Event(), asyncio.all_tasks()

    async def wait(peer: Peer, request: bytes) -> None:
        await free.wait()
        await accept(peer, request)

    async with raw_receiving(wait) as receiver:
        server = serve(receiver)
        async with server:
            await subscribe(server)
            await until(lambda: len(receiver.requests) > 10)
            stopping = asyncio.create_task(server.stop())
            await asyncio.sleep(0)
            free.set()
            await stopping
        assert len(receiver.requests) <= len(CHANNELS)
        async with serve(receiver):
            await until(lambda: len(deliveries(receiver)) == len(CHANNELS))
        assert set(deliveries(receiver).values()) == {1}
    assert asyncio.all_tasks() == before


async def test_requests_that_hang_are_cancelled_and_sent_again_with_the_same_id(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "STOP_TIMEOUT", 0.0)
    before = asyncio.all_tasks()

    async def hang(peer: Peer, request: bytes) -> None:
        await peer.hang()

    async with raw_receiving(hang) as receiver:
        async with serve(receiver) as server:
            await subscribe(server)
            await until(lambda: len(receiver.requests) > 10)
        first = deliveries(receiver)
        receiver.script = accept
        async with serve(receiver):
            await until(lambda: len(deliveries(receiver)) == len(CHANNELS))
            await until(lambda: len(receiver.requests) == len(CHANNELS) + first.total())
        again = deliveries(receiver)
        assert {each for each, number in again.items() if number == 2} == set(first)
        assert max(again.values()) == 2
    assert asyncio.all_tasks() == before
