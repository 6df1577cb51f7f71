"""The short version of ``tests.clients.chaos``, each step after a condition; and the faults that its ledger finds."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.clients.chaos import Chaos
from tests.clients.javascript import Report, Runtime
from tests.clients.ledger import NUMBERED, RECOVERED, SUBSCRIBED, Ledger
from tests.patience import until

CLIENTS = ("pusher", "pusher", "pusher", "pusher-7")


async def test_clients_lose_nothing_while_nodes_and_redis_fail(node: Runtime, tmp_path: Path) -> None:
    async with Chaos(tmp_path, channels=4, rate=40) as chaos:
        for build in CLIENTS:
            await chaos.open(node, build)
        await chaos.subscribed()
        publishing = chaos.publish()
        await more_recoveries(chaos, chaos.proxy.cut)
        first, second, _ = chaos.nodes
        for _ in CLIENTS:
            asyncio.get_running_loop().call_soon(chaos.proxy.cut)
        await first.end(kill=False)
        await first.come()
        await second.end(kill=True)
        await second.come()
        await more_recoveries(chaos, chaos.proxy.cut)
        await chaos.redis.end(kill=False)
        await chaos.redis.start("eady to accept connections")
        await more_recoveries(chaos, chaos.proxy.cut)
        chaos.stop_publishing()
        await asyncio.gather(*publishing)
        ledger = await chaos.ledger()
    assert ledger.faults.total() == 0, (ledger.rows(), ledger.details)
    assert ledger.recoveries > 0
    assert ledger.replayed > 0


async def more_recoveries(chaos: Chaos, cut: Any) -> None:
    """Cut connections until a client has got what it missed."""
    before = chaos.recoveries()
    await until(lambda: chaos.proxy.count == len(CLIENTS))
    cut()
    await until(lambda: chaos.recoveries() > before)


def reports(*events: int | bool | None) -> list[Report]:
    """Return what a client heard: numbers are events, None is a subscription, others say whether it has recovered."""
    found, newest = list[Report](), 0
    for event in events:
        if event is None:
            found.append(Report("log-0", SUBSCRIBED, {"position": "e:0"}))
        elif isinstance(event, bool):
            found.append(Report("log-0", RECOVERED, {"to": f"e:{newest}", "complete": event}))
        else:
            newest = max(newest, event)
            found.append(Report("log-0", NUMBERED, event))
    return found


@pytest.mark.parametrize(
    ("heard", "faults"),
    [
        (reports(None, 1, 2, 3), []),
        (reports(None, 1, None, 2, True, 3), []),
        (reports(None, 1, 2, None, 1, 2, True, 3), []),
        (reports(None, 1, 3), ["lost"]),
        (reports(None, 1, 2), ["lost"]),
        (reports(None, 1, 2, 2, 3), ["repeated outside of a recovered range"]),
        (reports(None, 1, None, True, 1, 2, 3), ["repeated outside of a recovered range"]),
        (reports(None, 1, 2, None, 2, 1, True, 3), ["out of order"]),
        (reports(None, 2, 1, 3), ["lost", "repeated outside of a recovered range"]),
        (reports(None, 1, None, False, 2, 3), ["reported as incomplete"]),
        (
            [*reports(None, 1, None), Report("log-0", RECOVERED, {"to": "e:2", "complete": True}), *reports(3)],
            ["complete with a hole", "lost"],
        ),
    ],
)
def test_the_ledger_finds_each_fault_of_a_client(heard: list[Report], faults: list[str]) -> None:
    ledger = Ledger()
    ledger.check_client("client", "log-0", [1, 2, 3], heard)
    assert sorted(name for name, count in ledger.faults.items() if count) == faults


def test_the_ledger_finds_faults_of_a_log() -> None:
    ledger = Ledger()
    ledger.check_log("log-0", [1, 2, 2], [1, 2, 3])
    assert ledger.faults["accepted and not in the log"] == 1
    assert ledger.faults["in the log twice"] == 1
