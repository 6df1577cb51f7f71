"""``soketpy bench`` against real servers, and the counting of its events."""

import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from soketpy.cli import main
from soketpy.cli.bench import _is_local
from soketpy.cli.call import Target
from soketpy.cli.latencies import Latencies
from soketpy.cli.ledger import Ledger
from soketpy.cli.load_report import Result
from soketpy.cli.pusher_client import Message, PusherConnection, opened
from tests.cli.commands import CREDENTIALS
from tests.conftest import Peers, StartServer
from tests.fakes import APP
from tests.patience import PATIENCE, until

SMALL = ("bench", "--connections", "5", "--publishers", "2", "--rate", "40", "--seconds", "1")


async def test_a_test_without_a_fault_counts_every_event_once(peers: Peers, capsys: pytest.CaptureFixture[str]) -> None:
    words = (*SMALL, "--json", "--port", str(peers.port), *CREDENTIALS)
    assert await asyncio.to_thread(main, words) == 0
    written = capsys.readouterr()
    found = json.loads(written.out)
    assert found["published"] > 0
    assert found["deliveries"] == 5 * found["published"]
    assert [found[name] for name in ("lost", "duplicated", "reordered", "refused", "closed")] == [0, 0, 0, 0, 0]
    for times in (found["connect_ms"], found["answer_ms"], found["latency_ms"]):
        assert 0 < times["p50"] <= times["p99"] <= times["max"]
    assert written.err == ""
    assert (await peers.call("GET", "/channels")).json == {"channels": {}}


async def test_the_result_for_people_has_the_same_numbers(peers: Peers, capsys: pytest.CaptureFixture[str]) -> None:
    assert await asyncio.to_thread(main, (*SMALL, "--port", str(peers.port), *CREDENTIALS)) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert names[:6] == ["connections", "events", "deliveries", "latency", "lost", "generator"]


async def test_a_lost_event_is_a_failure(
    peers: Peers, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    receive = PusherConnection.receive

    async def receive_not_all(self: PusherConnection) -> Message:
        message = await receive(self)
        if message.event == "load" and message.decoded["number"] == 2:
            return await receive(self)
        return message

    monkeypatch.setattr(PusherConnection, "receive", receive_not_all)
    monkeypatch.setattr("soketpy.cli.load.SETTLING", 0.1)
    words = ("bench", "--connections", "3", "--seconds", "1", "--port", str(peers.port), *CREDENTIALS)
    assert await asyncio.to_thread(main, words) == 1
    assert capsys.readouterr().err == "soketpy bench: 3 events were lost\n"


async def test_events_over_the_rate_limit_of_the_app_are_refused_and_not_lost(
    start_server: StartServer, capsys: pytest.CaptureFixture[str]
) -> None:
    peers = await start_server(apps=(replace(APP, max_backend_events_per_second=5),))
    words = ("bench", "--connections", "2", "--rate", "100", "--seconds", "1", "--json")
    assert await asyncio.to_thread(main, (*words, "--port", str(peers.port), *CREDENTIALS)) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["refused"] > 0
    assert found["lost"] == 0
    assert f"{found['refused']:,} events were not accepted: HTTP 429" in found["notes"][0]


async def test_a_redirect_does_not_bring_the_load_to_another_server(peers: Peers) -> None:
    async def redirect(request: web.Request) -> web.Response:
        raise web.HTTPTemporaryRedirect(f"http://127.0.0.1:{peers.port}{request.rel_url}")

    app = web.Application()
    app.router.add_post("/{path:.*}", redirect)
    async with TestServer(app) as other, opened(Target("127.0.0.1", other.port or 0), "", APP.key) as server:
        status, _ = await server.post(f"/apps/{APP.id}/events", b"{}")
    assert status == 307


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (("--secret", "wrong"), "the server refuses the events of the test: HTTP 401: Invalid signature"),
        (("--key", "none"), "0 of 5 clients could connect: 4001 App key none does not exist."),
        (
            ("--app-id", "none"),
            "the server refuses the events of the test: HTTP 404: The app could not be found: no app ",
        ),
    ],
)
async def test_a_server_that_refuses_the_test_is_one_line(
    peers: Peers, changed: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await asyncio.to_thread(main, (*SMALL, "--port", str(peers.port), *CREDENTIALS, *changed)) == 1
    err = capsys.readouterr().err
    assert err.startswith(f"soketpy bench: {said}")
    assert err.count("\n") == 1


async def test_a_server_without_tls_is_one_line(peers: Peers) -> None:
    # In a process of its own: aiohttp may leave a refused connection to the garbage collector.
    words = (sys.executable, "-m", "soketpy", *SMALL, "--port", str(peers.port), *CREDENTIALS, "--tls")
    done = await asyncio.to_thread(subprocess.run, words, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 1
    assert done.stderr.startswith("soketpy bench: 0 of 5 clients could connect: cannot reach https://127.0.0.1:")
    assert done.stderr.count("\n") == 1


async def test_clients_over_the_limit_of_the_app_are_a_failure(
    start_server: StartServer, capsys: pytest.CaptureFixture[str]
) -> None:
    peers = await start_server(apps=(replace(APP, max_connections=3),))
    assert await asyncio.to_thread(main, (*SMALL, "--port", str(peers.port), *CREDENTIALS)) == 1
    assert " of 5 clients could connect: 4004 " in capsys.readouterr().err


async def test_ctrl_c_closes_the_clients(peers: Peers) -> None:
    pipe = subprocess.PIPE
    words = (sys.executable, "-m", "soketpy", "bench", "--seconds", "600", "--connections", "5", "--port")
    process = await asyncio.to_thread(
        subprocess.Popen, [*words, str(peers.port), *CREDENTIALS], stdout=pipe, stderr=pipe, text=True
    )

    async def channels() -> dict[str, object]:
        found: dict[str, object] = (await peers.call("GET", "/channels")).json["channels"]
        return found

    await until(channels)
    os.kill(process.pid, signal.SIGINT)
    out, err = await asyncio.to_thread(process.communicate, timeout=PATIENCE)
    assert (process.returncode, out, err) == (130, "", "")
    assert await channels() == {}


async def test_a_test_over_the_network_has_a_note(
    peers: Peers, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("soketpy.cli.bench._is_local", lambda target: False)
    assert await asyncio.to_thread(main, (*SMALL, "--port", str(peers.port), *CREDENTIALS)) == 0
    said = f"soketpy bench: note: this loads http://127.0.0.1:{peers.port}: a load test of a server that is not yours "
    assert capsys.readouterr().err == said + "needs the permission of its operator\n"


@pytest.mark.parametrize(
    ("target", "local"),
    [
        (Target("127.0.0.1", 1), True),
        (Target("::1", 1), True),
        (Target("localhost", 1), True),
        (Target("10.0.0.1", 1), False),
        (Target("localhost.example.com", 1), False),
        (Target("example.com", 1, unix_socket="/run/s"), True),
    ],
)
def test_only_this_machine_is_local(target: Target, local: bool) -> None:
    assert _is_local(target) is local


@pytest.mark.parametrize(
    ("option", "most"), [("connections", 5000), ("publishers", 100), ("rate", 5000), ("seconds", 600), ("size", 8192)]
)
@pytest.mark.parametrize("given", ["0", "-1", "x", "99999", "1e3"])
def test_the_load_is_bounded(option: str, most: int, given: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", f"--{option}={given}"]) == 2
    said = f"soketpy bench: error: argument --{option}: must be a whole number from 1 to {most}, not '{given}'"
    assert capsys.readouterr().err.startswith(said)


def test_a_load_beyond_the_open_files_of_the_process_is_a_mistake(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(resource, "getrlimit", lambda limit: (64, 128))
    assert main(["bench"]) == 2
    said = "this process may open only 128 files: raise the limit (ulimit -n), or lower --connections"
    assert capsys.readouterr().err == f"soketpy bench: error: {said}\n"


# Counting


@pytest.mark.parametrize(
    ("received", "counts"),  # received numbers; then delivered, lost, duplicated and reordered events of 1 to 5
    [
        ([1, 2, 3, 4, 5], (5, 0, 0, 0)),
        ([], (0, 4, 0, 0)),
        ([1, 2], (2, 2, 0, 0)),
        ([1, 3, 4, 5], (4, 1, 0, 0)),
        ([1, 4, 5], (3, 1, 0, 0)),
        ([1, 2, 2, 4, 5, 5], (4, 0, 2, 0)),
        ([1, 4, 2, 5], (4, 0, 0, 1)),
        ([5, 5, 1, 1], (2, 2, 2, 1)),
    ],
)
def test_the_ledger_counts_lost_duplicated_and_reordered_events(
    received: list[int], counts: tuple[int, int, int, int]
) -> None:
    ledger = Ledger(subscribers=1, publishers=2)
    for number in received:
        ledger.receive(0, 1, number)
    lost = ledger.lost([0, 5], [set(), {3}])  # the server did not accept event 3
    assert (ledger.delivered, lost, ledger.duplicated, ledger.reordered) == counts


def test_quantiles_are_exact_to_two_percent() -> None:
    times = Latencies()
    assert times.milliseconds() == {"p50": 0, "p99": 0, "max": 0}
    for number in range(1, 1001):
        times.add(number / 1000)
    assert times.milliseconds() == pytest.approx({"p50": 500, "p99": 990, "max": 1000}, rel=0.02)
    times.add(-1.0)
    assert times.quantile(0) <= 1e-6


def result(**changed: object) -> Result:
    times = Latencies()
    times.add(0.001)
    given: dict[str, object] = {
        "connections": 1,
        "connect_seconds": 1.0,
        "planned": 500,
        "seconds": 10.0,
        "published": 500,
    }
    given |= {"refusals": [], "failures": [], "delivered": 500, "lost": 0, "duplicated": 0, "reordered": 0}
    given |= {"closes": [], "cpu": 0.5, "connect_times": times, "answer_times": times, "latencies": times}
    return Result(**given | changed)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changed", "faults", "notes"),
    [
        ({}, [], []),
        ({"lost": 2}, ["2 events were lost"], []),
        ({"duplicated": 2}, ["2 events arrived twice"], []),
        ({"closes": ["4100 busy", "1006"]}, ["2 connections were closed: 4100 busy"], []),
        ({"refusals": ["HTTP 429: x"] * 3}, [], ["3 events were not accepted: HTTP 429: x"]),
        ({"failures": ["HTTP 502: x"] * 3}, ["3 requests failed: HTTP 502: x"], []),
        ({"published": 100}, [], ["the publishers sent 100 of 500 events: each waits"]),
        ({"cpu": 0.95}, [], ["this generator used 95% of a core, so it is the limit, not the server"]),
    ],
)
def test_a_result_names_faults_and_its_own_limits(
    changed: dict[str, object], faults: list[str], notes: list[str]
) -> None:
    found = result(**changed)
    assert found.faults == faults
    assert len(found.notes) == len(notes)
    assert all(given.startswith(start) for given, start in zip(found.notes, notes, strict=True))
