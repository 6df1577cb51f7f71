"""Pusher's libraries at a rate limit of the server."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from pusher import errors

from tests.clients.conftest import options_of
from tests.clients.javascript import Client, Fault, Runtime
from tests.clients.publishers import Npm, PyPI
from tests.conftest import Peers, StartServer
from tests.drivers.limited import stop_clocks
from tests.fakes import APP

APP_ID = "1"
"""The id with which the auth server and the publishers sign."""


@pytest.fixture(autouse=True)
def nothing_flows_in(monkeypatch: pytest.MonkeyPatch) -> None:
    stop_clocks(monkeypatch)


async def start(start_server: StartServer, **limits: Any) -> Peers:
    return await start_server(apps=(replace(APP, id=APP_ID, **limits),))


def open_client(node: Runtime, peers: Peers, auth_server: str = "") -> Client:
    return node.open(key=APP.key, options=options_of("ada", peers.port, auth_server), origin="", build="pusher")


async def test_pusher_js_comes_back_after_it_was_refused_for_the_rate_of_connects(
    start_server: StartServer, node: Runtime
) -> None:
    peers = await start(start_server, max_connects_per_second=0)

    def meet_the_limit() -> Client:
        client = open_client(node, peers)
        assert client.hear("error")["code"] == 4100
        return client

    client = await asyncio.to_thread(meet_the_limit)
    peers.reload(replace(APP, id=APP_ID))
    assert await asyncio.to_thread(client.connected)
    await asyncio.to_thread(client.close)


async def test_pusher_js_is_told_4301_on_the_channel_and_stays_connected(
    start_server: StartServer, node: Runtime, auth_server: str
) -> None:
    peers = await start(start_server, max_total_client_events_per_second=1)

    def talk() -> None:
        client = open_client(node, peers, auth_server)
        client.subscribe("private-for-ada")
        for _ in range(2):
            client.trigger("private-for-ada", "client-said", {})
        assert client.hear("pusher:error", "private-for-ada")["code"] == 4301
        client.subscribe("news")
        client.close()

    await asyncio.to_thread(talk)


async def test_pypis_pusher_is_told_429(start_server: StartServer) -> None:
    peers = await start(start_server, max_read_requests_per_second=1)

    def read() -> None:
        publisher = PyPI(peers.port)
        publisher.channels("room-", "subscription_count")
        with pytest.raises(errors.PusherBadStatus, match=r"^429: .*Too many requests"):
            publisher.channels("room-", "subscription_count")
        publisher.end()

    await asyncio.to_thread(read)


async def test_npms_pusher_is_told_429(start_server: StartServer) -> None:
    peers = await start(start_server, max_backend_events_per_second=2)

    def publish() -> None:
        publisher = Npm(peers.port)
        publisher.trigger(["one", "two"], "said", {})
        with pytest.raises(Fault) as caught:
            publisher.trigger("one", "said", {})
        assert caught.value.status == 429
        publisher.end()

    await asyncio.to_thread(publish)
