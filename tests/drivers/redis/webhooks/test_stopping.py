"""The stop of a server whose webhooks are queued in Redis ends, whatever Redis does."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

import pytest
from aiohttp import web

from soketpy.config import settings as config
from soketpy.core.webhooks import Webhook
from soketpy.drivers.redis import session, wire
from soketpy.webhooks import sender
from tests.conftest import Peers, StartServer, until
from tests.fakes import APP
from tests.patience import PATIENCE
from tests.receiver import Receiver, Request, receiving
from tests.redis import LONG_LEASE, Redis


@pytest.fixture
def impatient_stop(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return a function that sets all time limits of the stop to 0 s."""

    def hurry() -> None:
        monkeypatch.setattr(sender, "STOP_TIMEOUT", 0.0)
        monkeypatch.setattr(sender, "STORE_TIMEOUT", 0.0)
        monkeypatch.setattr(session, "STOP_TIMEOUT", 0.0)
        monkeypatch.setattr(wire, "PATIENCE", 0.0)

    return hurry


async def serve(start_server: StartServer, receiver: Receiver, redis: Redis) -> Peers:
    app = replace(APP, webhooks=(Webhook(url=receiver.url(), event_types=["channel_occupied"]),))
    return await start_server(
        cluster="redis",
        redis=config.Redis(unix_socket=redis.socket, lease=LONG_LEASE, partitions=2),
        webhooks=config.Webhooks(queue="redis", timeout=LONG_LEASE),
        timeouts=config.Timeouts(shutdown=0),
        apps=(app,),
    )


def down(redis: Redis) -> AbstractContextManager[None]:
    redis.kill()
    return nullcontext()


def silent(redis: Redis) -> AbstractContextManager[None]:
    return redis.standing_still()


def full(redis: Redis) -> AbstractContextManager[None]:
    redis.ask("CONFIG", "SET", "maxmemory", "1")
    return nullcontext()


def read_only(redis: Redis) -> AbstractContextManager[None]:
    redis.ask("REPLICAOF", "127.0.0.1", "1")
    return nullcontext()


@pytest.mark.parametrize("fault", [down, silent, full, read_only])
async def test_a_result_that_waits_for_redis_does_not_keep_the_server_from_stopping(
    start_server: StartServer,
    own_redis: Redis,
    impatient_stop: Callable[[], None],
    fault: Callable[[Redis], AbstractContextManager[None]],
) -> None:
    released = asyncio.Event()

    async def hang(request: Request) -> web.StreamResponse:
        await released.wait()
        return web.Response()

    async with receiving() as receiver:
        receiver.answer = hang
        peers = await serve(start_server, receiver, own_redis)
        await (await peers.client()).subscribe("room")
        await receiver.wait_for(1)
        with fault(own_redis):
            released.set()
            await until(lambda: sum(each.sent for each in peers.server.webhook_traffic().values()) == 1)
            impatient_stop()
            await peers.server.stop()


async def test_all_partitions_stop_at_the_same_time(
    start_server: StartServer, own_redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, both, stop = 0, asyncio.Event(), sender.Sender.stop

    async def stop_together(one: sender.Sender) -> None:
        nonlocal began
        began += 1
        if began == 2:
            both.set()
        await both.wait()
        await stop(one)

    monkeypatch.setattr(sender.Sender, "stop", stop_together)
    async with receiving() as receiver:
        peers = await serve(start_server, receiver, own_redis)
        await asyncio.wait_for(peers.server.stop(), PATIENCE)
    assert began == 2
