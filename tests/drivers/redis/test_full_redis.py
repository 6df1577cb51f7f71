"""A Redis that has reached its maxmemory: the cluster goes on, and the queue of webhooks is sent."""

import asyncio
from dataclasses import replace

import pytest
from aiohttp import web

from soketpy.config import settings as config
from soketpy.core.webhooks import Webhook
from tests.conftest import StartServer, until
from tests.fakes import APP
from tests.receiver import Request, accept, receiving
from tests.redis import LONG_LEASE, Redis

EVENTS = 20


async def test_a_full_redis_ends_no_connection_and_delivers_what_is_queued(
    own_redis: Redis, start_server: StartServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with receiving() as receiver:
        released = asyncio.Event()

        async def hang(request: Request) -> web.StreamResponse:
            await released.wait()
            return web.Response()

        receiver.answer = hang
        app = replace(APP, webhooks=(Webhook(url=receiver.url(), event_types=["client_event", "channel_occupied"]),))
        peers = await start_server(
            cluster="redis",
            redis=config.Redis(unix_socket=own_redis.socket, lease=LONG_LEASE),
            webhooks=config.Webhooks(queue="redis", timeout=LONG_LEASE),
            apps=(app,),
        )
        ada, bob = await peers.client(), await peers.client()
        for client in (ada, bob):
            await client.subscribe("private-room")
        for number in range(EVENTS):
            await ada.say("client-said", {"number": number}, channel="private-room")
            assert (await bob.hear())["event"] == "client-said"
        await receiver.wait_for(1)
        own_redis.ask("CONFIG", "SET", "maxmemory", "1")

        assert (await peers.trigger("cache-room", "news")).status == 200
        await ada.say("client-lost", {}, channel="private-room")
        assert (await bob.hear())["event"] == "client-lost"
        assert (await bob.subscribe("private-late"))["event"] == "pusher_internal:subscription_succeeded"
        await until(lambda: "Dropped 1 webhook events" in caplog.text)

        receiver.answer = accept
        released.set()
        await until(lambda: receiver.names.count("client_event") >= EVENTS)
        own_redis.ask("CONFIG", "SET", "maxmemory", "0")
        await ada.say("client-found", {}, channel="private-room")
        await until(lambda: receiver.names.count("client_event") == EVENTS + 1)
        said = [event["event"] for event in receiver.events if event["name"] == "client_event"]
        assert said == ["client-said"] * EVENTS + ["client-found"]
        assert {event["channel"] for event in receiver.events if event["name"] == "channel_occupied"} == {
            "private-room",
            "private-late",
        }
        assert "is unavailable" not in caplog.text
