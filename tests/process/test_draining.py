"""The delay between a signal to stop and the stop, ``timeouts.drain``, of one process and of workers."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from soketpy.process.worker import Departure
from tests.cli.test_workers import Start
from tests.cli.test_workers import start as start
from tests.clients.programs import free_port
from tests.conftest import At, Socket, StartServer, until
from tests.fakes import APP
from tests.process.test_signals import Process, StartProcess
from tests.process.test_signals import start_process as start_process

ENDLESS = 3600.0
"""Seconds of a drain that only a second signal ends."""


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


def configured(drain: float, **settings: object) -> str:
    app = {"id": APP.id, "key": APP.key, "secret": APP.keys[0].secret}
    timeouts = {"drain": drain, "shutdown": 0}
    return json.dumps({"host": "127.0.0.1", "port": 0, "timeouts": timeouts, "apps": [app], **settings})


async def statuses(*ports: At) -> set[int]:
    return {(await each.request("GET", "/ready")).status for each in ports}


async def test_while_a_server_drains_only_the_readiness_changes(
    start_process: StartProcess, stack: AsyncExitStack
) -> None:
    metrics_port = free_port()
    metrics = {"enabled": True, "host": "127.0.0.1", "port": metrics_port}
    process: Process = await start_process(configured(ENDLESS, metrics=metrics))
    at, metrics_at = At(process.port, stack), At(metrics_port, stack)
    client = await process.socket(APP.key)
    await client.hear()
    await client.subscribe("room")
    assert await statuses(at, metrics_at) == {200}
    process.signal(signal.SIGTERM)
    await process.logged(r"Draining: /ready answers 503, and all else is served for 3600 s")
    assert await statuses(at, metrics_at) == {503}
    assert (await at.request("GET", "/serving")).status == 503
    assert (await at.request("GET", "/accept-traffic")).status == 503
    assert (await at.request("GET", "/")).status == 200
    newcomer = await process.socket(APP.key)
    assert (await newcomer.hear())["event"] == "pusher:connection_established"
    assert await process.trigger(APP, "room", "still-served") == 200
    assert (await client.hear())["event"] == "still-served"
    process.signal(signal.SIGTERM)
    assert (await client.hear())["data"]["code"] == 4200
    await client.peer.close()
    await newcomer.peer.close()
    assert await process.exit_code() == 0


async def test_a_drain_ends_by_itself(start_process: StartProcess) -> None:
    process = await start_process(configured(0.1))
    process.signal(signal.SIGINT)
    assert await process.exit_code() == 0
    assert "all else is served for 0.1 s" in process.log


async def test_a_drain_does_not_end_early_without_clients(start_process: StartProcess, stack: AsyncExitStack) -> None:
    process = await start_process(configured(ENDLESS))
    process.signal(signal.SIGINT)
    await process.logged("Draining")
    assert await statuses(At(process.port, stack)) == {503}
    process.signal(signal.SIGINT)
    assert await process.exit_code() == 0


async def test_a_server_that_drains_ignores_signals_to_reload_and_to_renew(start_process: StartProcess) -> None:
    process = await start_process(configured(ENDLESS))
    process.signal(signal.SIGINT)
    await process.logged("Draining")
    for number in (signal.SIGUSR2, signal.SIGHUP):
        process.signal(number)
        await process.logged(f"Ignored {number.name}, because the server is stopping$")
    process.signal(signal.SIGINT)
    assert await process.exit_code() == 0


async def test_a_server_without_drain_stops_at_once(start_process: StartProcess) -> None:
    process = await start_process(configured(0))
    process.signal(signal.SIGTERM)
    assert await process.exit_code() == 0
    assert "Draining" not in process.log


@pytest.mark.usefixtures("redis")
@pytest.mark.parametrize("to_all", [False, True], ids=["to the parent", "to all processes"])
async def test_workers_drain_together_and_a_second_signal_ends_that(
    start: Start, stack: AsyncExitStack, to_all: bool
) -> None:
    metrics_port = free_port()
    metrics = {"enabled": True, "host": "127.0.0.1", "port": metrics_port}
    server = start(timeouts={"drain": ENDLESS, "shutdown": 0}, metrics=metrics)
    at = At(server.port, stack)
    # The kernel chooses the worker of each connection, so both workers are asked by many connections.
    before = [await at.client() for _ in range(8)]
    if to_all:  # as systemd does with KillMode=control-group
        for pid in server.children("soketpy.process.worker"):
            os.kill(pid, signal.SIGTERM)
    server.signal(signal.SIGTERM)
    await server.written("Draining: ")

    async def all_say_so() -> bool:
        async with AsyncExitStack() as fresh:
            return await statuses(*(At(server.port, fresh) for _ in range(8)), At(metrics_port, fresh)) == {503}

    await until(all_say_so)
    assert (await (await at.client()).subscribe("room"))["event"] == "pusher_internal:subscription_succeeded"
    assert len(server.children("soketpy.process.worker")) == 2
    server.signal(signal.SIGTERM)
    for client in before:
        assert await closing_code(client) == 4200
    await server.written("Stopped")


@pytest.mark.usefixtures("redis")
async def test_a_worker_that_is_replaced_does_not_drain(start: Start, stack: AsyncExitStack) -> None:
    server = start(timeouts={"drain": ENDLESS, "shutdown": 0})
    client = await At(server.port, stack).client()
    server.signal(signal.SIGUSR2)
    assert await closing_code(client) == 4200
    await server.written("Replaced all workers")
    for said in ("Draining: ", "Stopped"):
        server.signal(signal.SIGTERM)
        await server.written(said)


async def closing_code(client: Socket) -> int:
    message = await client.hear()
    await client.peer.close()
    code: int = message["data"]["code"]
    return code


async def test_a_worker_that_the_parent_has_told_waits_for_its_order_whatever_signals_come() -> None:
    departure = Departure(ENDLESS)
    departure.announce()
    departure.at_signal()
    departure.at_signal()
    assert departure.begun.is_set()
    assert not departure.due.is_set()
    departure.leave()
    assert departure.due.is_set()


async def test_a_worker_that_gets_only_a_signal_leaves_after_the_drain() -> None:
    departure = Departure(0.01)
    departure.at_signal()
    assert departure.begun.is_set()
    assert not departure.due.is_set()
    await until(departure.due.is_set)


@pytest.mark.parametrize("drain", [0.0, ENDLESS])
async def test_a_worker_leaves_at_a_second_signal_and_without_drain_at_the_first(drain: float) -> None:
    departure = Departure(drain)
    departure.at_signal()
    assert departure.due.is_set() == (drain == 0)
    departure.at_signal()
    assert departure.due.is_set()


async def test_an_announcement_ends_the_timer_of_an_earlier_signal() -> None:
    departure = Departure(0.01)
    departure.at_signal()
    departure.announce()
    loop, later = asyncio.get_running_loop(), asyncio.Event()
    loop.call_later(0.03, later.set)
    await later.wait()
    assert not departure.due.is_set()


async def test_a_program_announces_the_stop_of_its_server(start_server: StartServer, stack: AsyncExitStack) -> None:
    peers = await start_server()
    at = At(peers.port, stack)
    assert await statuses(at) == {200}
    peers.server.announce_stop()
    assert await statuses(at) == {503}
