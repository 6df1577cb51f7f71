"""Webhooks of several workers over their private Redis."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cli.test_workers import Together
from tests.conftest import At, Socket, until
from tests.drivers.redis.conftest import at as at
from tests.fakes import APP
from tests.receiver import Receiver, receiving
from tests.redis import LEASE

Start = Callable[[Receiver], Together]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start two workers that send the webhooks of an app."""
    with ExitStack() as stack:

        def start(receiver: Receiver) -> Together:
            hook = {"url": receiver.url(), "event_types": ["client_event", "channel_occupied", "channel_vacated"]}
            app = {"id": APP.id, "key": APP.key, "secret": APP.keys[0].secret, "client_events": True}
            server = Together(
                tmp_path,
                apps=[{**app, "webhooks": [hook]}],
                webhooks={"queue": "redis", "grace": 0.5},
                redis={"lease": LEASE},
            )
            return stack.enter_context(server)

        yield start


async def test_workers_send_each_event_once_and_the_death_of_one_loses_none(
    start: Start, at: Callable[[Together], At]
) -> None:
    async with receiving() as receiver:
        server = start(receiver)
        clients = [await at(server).client() for _ in range(8)]  # the system spreads them over the workers
        for client in clients:
            await client.subscribe("private-room")
        said = [await _say(client, number) for number, client in enumerate(clients)]
        await until(lambda: sorted(_numbers(receiver)) == said)
        assert receiver.names.count("channel_occupied") == 1
        first, second = server.children("soketpy.process.worker")
        os.kill(first, signal.SIGKILL)
        await server.written("serves")
        os.kill(second, signal.SIGKILL)
        await server.written("serves")
        client = await at(server).client()
        await client.subscribe("private-room")
        said.append(await _say(client, len(said)))
        await until(lambda: sorted(_numbers(receiver)) == said)
        await client.peer.close()
        await until(lambda: _states(receiver)[-1:] == ["channel_vacated"])
        states = _states(receiver)
        assert states == ["channel_occupied", "channel_vacated"] * (len(states) // 2)


async def _say(client: Socket, number: int) -> int:
    await client.say("client-said", {"number": number}, channel="private-room")
    return number


def _states(receiver: Receiver) -> list[str]:
    return [name for name in receiver.names if name != "client_event"]


def _numbers(receiver: Receiver) -> list[int]:
    return [json.loads(event["data"])["number"] for event in receiver.events if event["name"] == "client_event"]
