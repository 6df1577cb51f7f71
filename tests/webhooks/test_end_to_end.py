"""Webhooks of a server, or of two nodes, received by a real HTTP server."""

import json
from dataclasses import replace

import pusher
import pytest

from soketpy.config import settings as config
from soketpy.core.webhooks import Webhook
from soketpy.protocol.event_types import EVENT_TYPES
from tests.conftest import StartServer
from tests.fakes import APP
from tests.receiver import answer_with, receiving

pytestmark = pytest.mark.usefixtures("nodes")


async def test_every_event_of_a_client_arrives_signed(start_server: StartServer) -> None:
    async with receiving() as receiver:
        app = replace(APP, webhooks=(Webhook(url=receiver.url(), event_types=EVENT_TYPES, headers={"X-Own": "yes"}),))
        peers = await start_server(apps=(app,), webhooks=config.Webhooks(grace=0))
        ada, bob = await peers.client(), await peers.client()
        for client in (ada, bob):
            await client.subscribe("private-room")
        await ada.say("client-hello", {"a": "é"}, channel="private-room")
        await ada.sign_in("ada")
        await bob.subscribe("cache-empty")
        await bob.subscribe("presence-room", {"user_id": "bob"})
        await ada.peer.close()
        await bob.peer.close()
        events = await receiver.wait_for_events(*EVENT_TYPES)
        client_event = next(event for event in events if event["name"] == "client_event")
        assert client_event == {
            "name": "client_event",
            "channel": "private-room",
            "event": "client-hello",
            "data": client_event["data"],
            "socket_id": ada.id,
        }
        assert json.loads(client_event["data"]) == {"a": "é"}
        library = pusher.Pusher(app_id="1", key="app-key", secret="app-secret")
        for request in receiver.requests:
            signature = request.headers["X-Pusher-Signature"]
            assert library.validate_webhook("app-key", signature, request.body.decode())
            assert request.headers["X-Own"] == "yes"


async def test_a_failed_delivery_is_repeated_with_the_same_body_and_id(start_server: StartServer) -> None:
    async with receiving() as receiver:
        receiver.answer = answer_with(500, 302, 200)
        app = replace(APP, webhooks=(Webhook(url=receiver.url(), event_types=("channel_occupied",)),))
        peers = await start_server(apps=(app,))
        await (await peers.client()).subscribe("news")
        requests = await receiver.wait_for(3)
        assert len({(request.body, request.delivery) for request in requests}) == 1
