"""Webhooks survive the end of nodes and of Redis: real processes, and a receiver that sees each request."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from aiohttp import web

from tests.conftest import At, Socket, until
from tests.drivers.redis.conftest import Node
from tests.receiver import Receiver, Request, receiving
from tests.redis import LEASE, LONG_LEASE, Redis

PREFIX = "{soketpy:0}:"
CHANNELS = tuple(f"private-{number}" for number in range(6))
TYPES = ("channel_occupied", "channel_vacated", "client_event", "member_added", "member_removed")

Place = Callable[[Node], At]
StartHookNode = Callable[..., Node]


@pytest.fixture
def durable_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    """A Redis that writes each change to its disk."""
    folder = tmp_path_factory.mktemp("redis")
    with Redis(folder, "--appendonly", "yes", "--appendfsync", "always") as server:
        yield server


@pytest.fixture
def start_hook_node(durable_redis: Redis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartHookNode]:
    """Starts a node whose app has a webhook."""
    with ExitStack() as stack:

        def start(url: str, lease: float = LONG_LEASE) -> Node:
            redis = {"unix_socket": durable_redis.socket, "lease": lease}
            hook = {"url": url, "event_types": TYPES}
            return stack.enter_context(Node(tmp_path_factory.mktemp("node"), redis, hook))

        yield start


class Talker:
    """A client that sends numbered events on some channels."""

    def __init__(self, client: Socket) -> None:
        self._client = client
        self.sent = dict.fromkeys(CHANNELS, 0)

    async def say(self, rounds: int) -> None:
        for _ in range(rounds):
            for channel in CHANNELS:
                self.sent[channel] += 1
                await self._client.say("client-said", {"number": self.sent[channel]}, channel=channel)
        await self._client.say("pusher:ping")
        assert (await self._client.hear())["event"] == "pusher:pong"


async def talker(peers: At) -> Talker:
    client = await peers.client()
    for channel in CHANNELS:
        await client.subscribe(channel)
    return Talker(client)


def numbers(receiver: Receiver) -> dict[str, list[int]]:
    """Return the numbers that arrived on each channel, those of repeated deliveries once."""
    bodies: dict[str, bytes] = {}
    found: dict[str, list[int]] = {channel: [] for channel in CHANNELS}
    for request in receiver.requests:
        if request.delivery in bodies:
            assert bodies[request.delivery] == request.body
            continue
        bodies[request.delivery] = request.body
        for event in request.events:
            if event["name"] == "client_event":
                found[event["channel"]].append(json.loads(event["data"])["number"])
    return found


def whole(talker: Talker) -> dict[str, list[int]]:
    """Return the numbers that must arrive: all, in their order."""
    return {channel: list(range(1, number + 1)) for channel, number in talker.sent.items()}


async def accept(request: Request) -> web.StreamResponse:
    return web.Response()


async def is_held_by_another(redis: Redis, holder: bytes) -> bool:
    return redis.ask("GET", f"{PREFIX}holder").strip() not in (b"", holder)


async def test_the_death_of_the_holder_loses_nothing_and_keeps_the_order(
    start_hook_node: StartHookNode, at: Place, durable_redis: Redis
) -> None:
    async with receiving() as receiver:
        released = asyncio.Event()

        async def hang(request: Request) -> web.StreamResponse:
            await released.wait()
            return web.Response()

        receiver.answer = hang
        holder = start_hook_node(receiver.url(), LEASE)
        await until(lambda: durable_redis.ask("EXISTS", f"{PREFIX}holder").strip() == b"1")
        other = start_hook_node(receiver.url(), LEASE)
        talking = await talker(at(other))
        await (await at(holder).client()).subscribe("news")
        await talking.say(10)
        await receiver.wait_for(4)  # one request in each lane hangs
        hung = {request.delivery for request in receiver.requests}
        holder.end(kill=True)
        receiver.answer = accept
        released.set()
        await talking.say(10)
        await until(lambda: numbers(receiver) == whole(talking))
        await receiver.wait_for_events("channel_vacated")
        repeated = [request.delivery for request in receiver.requests]
        assert all(repeated.count(each) == 2 for each in hung)
        assert receiver.names.count("channel_vacated") == 1


async def test_a_holder_that_stops_gives_up_its_position_at_once(
    start_hook_node: StartHookNode, at: Place, durable_redis: Redis
) -> None:
    async with receiving() as receiver:
        holder = start_hook_node(receiver.url())
        await until(lambda: durable_redis.ask("EXISTS", f"{PREFIX}holder").strip() == b"1")
        other = start_hook_node(receiver.url())
        talking = await talker(at(other))
        session = durable_redis.ask("GET", f"{PREFIX}holder").strip()
        await talking.say(1)
        await asyncio.get_running_loop().run_in_executor(None, holder.end)
        await until(lambda: is_held_by_another(durable_redis, session))
        await talking.say(1)
        await until(lambda: numbers(receiver) == whole(talking))


async def test_redis_may_die_and_return_with_its_data(
    start_hook_node: StartHookNode, at: Place, durable_redis: Redis
) -> None:
    async with receiving() as receiver:
        nodes = [start_hook_node(receiver.url()) for _ in range(2)]
        places = [at(node) for node in nodes]
        talking = [await talker(places[0])]
        staying, leaving = await places[1].client(), await places[1].client()
        await staying.subscribe("presence-room", {"user_id": "ada"})
        await leaving.subscribe("presence-room", {"user_id": "bob"})
        await talking[0].say(3)
        durable_redis.kill()
        for place in places:
            await until(lambda place=place: _is_ready(place, 503))  # type: ignore[misc]
        await talking[0].say(3)
        await leaving.peer.close()
        durable_redis.start()
        for place in places:
            await until(lambda place=place: _is_ready(place, 200))  # type: ignore[misc]
        await talking[0].say(3)
        await until(lambda: numbers(receiver) == whole(talking[0]))
        await receiver.wait_for_events("member_removed")
        known: dict[Any, int] = {}
        for event in receiver.events:
            if event["name"] != "client_event":
                key = event["name"], event["channel"], event.get("user_id")
                known[key] = known.get(key, 0) + 1
        assert set(known.values()) == {1}, known
        assert ("member_removed", "presence-room", "bob") in known
        assert ("member_removed", "presence-room", "ada") not in known


async def _is_ready(place: At, status: int) -> bool:
    return (await place.request("GET", "/ready")).status == status
