"""The hostile clients of the benchmarks against a real server: their results, not their speed."""

import asyncio
import threading
from dataclasses import replace

import pytest

from benchmarks import attacks, report
from benchmarks.crowd import Crowd, handshake
from benchmarks.scenarios import Target
from benchmarks.servers import Running
from soketpy.config.settings import Bounds, Timeouts
from soketpy.protocol.errors import Code
from tests.conftest import StartServer
from tests.fakes import APP
from tests.patience import PATIENCE, attempts, until
from tests.web.test_websocket import StoppedClock


@pytest.fixture(autouse=True)
def patient_attacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attacks, "PATIENCE", PATIENCE)


async def test_a_crowd_counts_who_is_let_in_and_who_is_refused(start_server: StartServer) -> None:
    peers = await start_server(apps=(replace(APP, max_connections=8),))

    def play() -> dict[str, int]:
        with Crowd(peers.port) as crowd:
            return attacks.rush(crowd, handshake(), 20, 3, Code.OVER_QUOTA)

    counted = {"let_in": 8, "refused": 12, "let_in_again": 3, "refused_again": 3, "stayed": 8}
    assert await asyncio.to_thread(play) == counted


async def test_slow_clients_are_found_closed_whether_they_read_again_or_not(start_server: StartServer) -> None:
    peers = await start_server(bounds=Bounds(unread_in_kb=64))
    closed = threading.Event()

    def play() -> tuple[int, int]:
        with Crowd(peers.port) as crowd:
            slow = attacks.Slow(crowd, Running(peers.port, 0), 2, 1)
            for _ in attempts():
                if closed.is_set():
                    break
                slow.look()
            slow.look()
            slow.end()
            return slow.closed, slow.wrong

    async def occupied() -> set[str]:
        return set((await peers.call("GET", "/channels")).json["channels"])

    playing = asyncio.create_task(asyncio.to_thread(play))
    try:
        for _ in attempts():
            if {"slow-1", "slow-2", "bench-0"} <= await occupied():
                break
        for _ in attempts():
            if not {"slow-1", "slow-2"} & await occupied():
                break
            assert (await peers.trigger("bench-0", "e", "d" * 100_000)).status == 200
    finally:
        closed.set()
    found, wrong = await playing
    assert found >= 2
    assert wrong == 0


async def test_strangers_and_the_silent_are_found_dropped(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    peers = await start_server(timeouts=Timeouts(handshake=5, activity=20, pong=5))
    clock = StoppedClock(peers, monkeypatch)

    def play() -> attacks.Silent:
        with Crowd(peers.port) as crowd:
            silent = attacks.Silent(crowd, 5)
            silent.complete(0)
            silent.wait()
            return silent

    playing = asyncio.create_task(asyncio.to_thread(play))
    await until(lambda: len(peers.server._state.deadlines) == 15)
    for _ in range(6):  # the handshake, a ping, its pong, and the time to answer the close
        clock.advance(6)
    silent = await playing
    assert {client.code for client in silent.members} == {Code.NO_PONG}
    assert {client.code for client in silent.strangers} == {0}
    assert len(silent.ends()) == 15


def test_a_target_that_may_not_be_missed_by_one_says_so() -> None:
    assert report.wanted(Target("let in", least=1000, most=1000)) == "= 1,000"
