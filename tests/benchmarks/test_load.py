"""The load generator of the benchmarks against a real server: its ledger, not its speed."""

import asyncio
import json
import os
from collections.abc import Callable
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from benchmarks import generator, machine, plot, report, tls
from benchmarks.catalogue import ONE_NODE, SCENARIOS
from benchmarks.results import Results
from soketpy.config.settings import Tls
from tests.conftest import StartServer, listening
from tests.fakes import APP

pytestmark = pytest.mark.skipif(generator.compiler() is None, reason="There is no C compiler here.")


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build both programs and return their folder."""
    folder: Path = tmp_path_factory.mktemp("benchmarks")
    for name in ("loadgen", "limit"):
        generator.build(name, folder)
    return folder


needs_tls = pytest.mark.skipif(not generator.speaks_tls(), reason="There are no headers of OpenSSL here.")


async def play(programs: Path, port: int | str, **options: str | int) -> Any:
    """Run the load generator and return its result."""
    words = generator.words({"port": port, "seconds": 60, **options})
    process = await asyncio.create_subprocess_exec(programs / "loadgen", *words, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert process.returncode == 0
    return json.loads(out)


EVENTS_10_EACH = [
    ({"subscribers": 10, "publishers": 2, "events": 20}, 200),
    ({"subscribers": 10, "channels": 5, "publishers": 2, "events": 20}, 40),
    ({"subscribers": 10, "channels": 2, "kind": "private-", "window": 1, "events": 20}, 80),
]


@pytest.mark.parametrize(("options", "deliveries"), EVENTS_10_EACH, ids=["one channel", "channels", "client events"])
async def test_every_event_reaches_every_subscriber_once_and_in_order(
    programs: Path, start_server: StartServer, options: dict[str, str | int], deliveries: int
) -> None:
    peers = await start_server()
    result = await play(programs, peers.port, duration=60_000, **options)
    assert generator.faults(result) == {}
    assert result["run"]["events"] == 20
    assert result["run"]["deliveries"] == result["run"]["expected"] == deliveries


@needs_tls
@pytest.mark.parametrize(("options", "deliveries"), EVENTS_10_EACH, ids=["one channel", "channels", "client events"])
async def test_every_event_reaches_every_subscriber_over_tls(
    programs: Path, start_server: StartServer, options: dict[str, str | int], deliveries: int
) -> None:
    cert, key = tls.certificate(programs)
    peers = await start_server(tls=Tls(cert=str(cert), key=str(key)))
    result = await play(programs, peers.port, duration=60_000, tls=1, **options)
    assert generator.faults(result) == {}
    assert result["run"]["deliveries"] == result["run"]["expected"] == deliveries


@needs_tls
async def test_tls_clients_of_a_server_without_tls_are_a_fault(programs: Path, start_server: StartServer) -> None:
    peers = await start_server()
    assert generator.faults(await play(programs, peers.port, subscribers=3, tls=1)) == {
        "never subscribed": 3,
        "refused": 3,
    }


@pytest.mark.parametrize(("channels", "known"), [(1, 400), (3, 7 * 7 + 7 * 7 + 6 * 6)])
async def test_every_member_of_a_presence_channel_knows_every_other_once(
    programs: Path, start_server: StartServer, channels: int, known: int
) -> None:
    peers = await start_server()
    result = await play(programs, peers.port, subscribers=20, channels=channels, kind="presence-")
    assert generator.faults(result) == {}
    assert result["presence"]["known"] == known


@pytest.mark.parametrize(
    ("options", "lost"),
    [
        ({"publish_at": 2}, 100),
        ({"publish_at": 2, "subscribe_at": 2}, 0),
        ({"publish_at": 1, "subscribe_at": 2}, 200),
        ({"channels": 5}, 20),
    ],
)
async def test_clients_and_publishers_are_on_all_nodes_in_turn_or_on_the_one_that_was_named(
    programs: Path, start_server: StartServer, options: dict[str, str | int], lost: int
) -> None:
    """The nodes do not know each other, so the number of lost events shows the node of each client."""
    ports = ",".join([str((await start_server()).port) for _ in range(2)])
    result = await play(programs, ports, subscribers=10, publishers=1, events=20, duration=60_000, **options)
    assert generator.faults(result) == ({"lost": lost} if lost else {})


@pytest.mark.usefixtures("nodes")
@pytest.mark.parametrize(
    ("options", "deliveries"),
    [
        ({"publishers": 2, "events": 20}, 200),
        ({"publishers": 1, "publish_at": 1, "subscribe_at": 2, "events": 20}, 200),
        ({"channels": 5, "publishers": 2, "events": 20}, 40),
        ({"channels": 5, "kind": "presence-"}, 0),
    ],
    ids=["one channel", "from one to the other", "channels", "presence"],
)
async def test_nodes_that_share_a_redis_are_one_server_for_the_ledger(
    programs: Path, start_server: StartServer, options: dict[str, str | int], deliveries: int
) -> None:
    peers = await start_server()
    result = await play(programs, f"{peers.port},{peers.port}", subscribers=10, duration=60_000, **options)
    assert generator.faults(result) == {}
    assert result["run"]["deliveries"] == deliveries


async def test_the_cpu_of_each_process_is_told_and_what_it_is_at_rest(
    programs: Path, start_server: StartServer
) -> None:
    peers = await start_server()
    pids = f"{os.getpid()},0"
    result = await play(programs, peers.port, pid=pids, publishers=1, events=20, idle=100, duration=60_000)
    (connecting,) = result["connects"]
    assert connecting["cpu_us"][0] > 0
    assert result["run"]["cpu_us"][0] > 0
    assert [*map(len, (connecting["cpu_us"], result["run"]["cpu_us"], result["run"]["idle_cpu_us"]))] == [2, 2, 2]
    assert result["run"]["cpu_us"][1] == result["run"]["idle_cpu_us"][1] == 0


async def test_clients_that_leave_are_gone_and_come_back_in_the_next_round(
    programs: Path, start_server: StartServer
) -> None:
    peers = await start_server()
    result = await play(programs, peers.port, subscribers=10, rounds=2)
    assert [each["subscribed"] for each in result["connects"]] == [10, 10]


async def test_clients_that_are_refused_are_a_fault(programs: Path, start_server: StartServer) -> None:
    peers = await start_server(apps=(replace(APP, max_connections=8),))
    assert generator.faults(await play(programs, peers.port, subscribers=10)) == {"never subscribed": 2, "refused": 2}


async def test_figures_of_a_crowd_that_never_subscribed_whole_count_nowhere(
    programs: Path, start_server: StartServer
) -> None:
    peers = await start_server(apps=(replace(APP, max_connections=8),))
    results = Results()
    results.add(SCENARIOS[0], "soketi", await play(programs, peers.port, subscribers=10))
    assert not results.runs
    assert results.broken == [f"soketi, {SCENARIOS[0].title}: 2 never subscribed, 2 refused"]


ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def nothing(number: int, event: bytes) -> list[bytes]:
    return []


def odd_ones_twice(number: int, event: bytes) -> list[bytes]:
    return [event, event] if number % 2 else []


def each_once(number: int, event: bytes) -> list[bytes]:
    return [event]


def in_a_wrong_channel(number: int, event: bytes) -> list[bytes]:
    return [event.replace(b"bench-0", b"bench-1")]


def cut_off(number: int, event: bytes) -> list[bytes]:
    return [event.replace(b"xxxx", b"xxx")]


@pytest.mark.parametrize(
    ("deliver", "answers", "faults"),
    [
        (each_once, [ANSWER], {}),
        (odd_ones_twice, [ANSWER], {"lost": 4, "duplicated": 4}),
        (nothing, [ANSWER], {"lost": 8}),
        (in_a_wrong_channel, [ANSWER], {"lost": 8, "stray": 8}),
        (cut_off, [ANSWER], {"lost": 8, "stray": 8}),
        (each_once, [ANSWER * 2], {"stray": 4}),
        (each_once, [ANSWER, ANSWER, b""], {"unanswered": 1}),
        (each_once, [ANSWER.replace(b"200 OK", b"500 No")], {"failed": 4}),
    ],
)
async def test_what_a_server_does_wrong_is_a_fault(
    programs: Path, deliver: Callable[[int, bytes], list[bytes]], answers: list[bytes], faults: dict[str, int]
) -> None:
    """Run the load generator against a fake server with the given responses and deliveries."""
    clients: list[asyncio.StreamWriter] = []
    answering = cycle(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(4096):
            if data.startswith(b"GET"):
                writer.write(
                    b"HTTP/1.1 101 x\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
                    b"\x81\x16connection_established"
                )
            elif data.startswith(b"POST"):
                body = data.partition(b"\r\n\r\n")[2]
                number = int(body.partition(b"~")[2][:8], 16)
                for event in deliver(number, body):
                    for client in clients:
                        client.write(b"\x81\x7e" + len(event).to_bytes(2, "big") + event)
                writer.write(next(answering))
            else:
                clients.append(writer)
                writer.write(b"\x81\x16subscription_succeeded")

    async with listening(serve) as port:
        result = await play(programs, port, subscribers=2, publishers=1, events=4, size=64, duration=60_000)
    assert generator.faults(result) == faults


async def test_the_page_has_a_row_for_every_target(programs: Path, start_server: StartServer) -> None:
    peers = await start_server()
    results = Results()
    result = await play(programs, peers.port, subscribers=10, publishers=2, events=20, duration=60_000)
    results.add(SCENARIOS[0], "soketpy", result)
    results.add(SCENARIOS[0], "limit", result)
    page = report.write(ONE_NODE, results, machine.facts(), [], ONE_NODE.scenarios)
    rows = [line for line in page.splitlines() if line.endswith(("| yes |", "| **no** |", "| not measured |"))]
    assert len(rows) == sum(len(scenario.targets) for scenario in ONE_NODE.scenarios)
    assert rows[0].endswith("| ≥ 0.85 × limit | 1 × | yes |")
    assert "each subscriber got every event once and in order" in page
    assert SCENARIOS[0].title in plot.plot(results)
