"""Rules of history in the configuration of a process, and their change by SIGHUP."""

import json
import signal

import pytest

from tests.fakes import APP
from tests.process.test_signals import StartProcess, configuration
from tests.process.test_signals import start_process as start_process


async def test_a_rule_applies_to_the_next_event_after_sighup(start_process: StartProcess) -> None:
    process = await start_process(configuration(APP, history=[{"channels": "news"}]))
    assert await process.trigger(APP, "room", "before") == 200
    process.config.write_text(configuration(APP, history=[{"channels": "room", "rewind": 10}]))
    process.signal(signal.SIGHUP)
    await process.logged(rf"apps changed: {APP.id} \(history\)")
    for name in ("one", "two"):
        assert await process.trigger(APP, "room", name) == 200
    client = await process.socket(APP.key)
    await client.hear()
    answer = await client.subscribe("room")
    assert json.dumps(answer).count("position") == 1
    assert [(await client.hear())["event"] for _ in range(2)] == ["one", "two"]


async def test_a_mistake_in_a_rule_keeps_the_rules(start_process: StartProcess) -> None:
    process = await start_process(configuration(APP, history=[{"channels": "room", "rewind": 10}]))
    process.config.write_text(configuration(APP, history=[{"channels": "room", "events": 0}]))
    process.signal(signal.SIGHUP)
    where = r"soketpy\.json:1: apps\[0\]\.history\[0\]\.events: must be a whole number from 1 to 100000, not 0"
    await process.logged(f"ERROR.*Kept the old configuration, because the new one is invalid: .*{where}")
    assert await process.trigger(APP, "room", "one") == 200
    client = await process.socket(APP.key)
    await client.hear()
    await client.subscribe("room")
    assert (await client.hear())["event"] == "one"


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"store": "redis"}, "redis needs cluster: redis, or workers: 2 or more"),
        ({"store": "files"}, "must be auto, memory, sqlite or redis, not 'files'"),
    ],
)
async def test_a_store_that_the_server_does_not_have_ends_the_start(
    start_process: StartProcess, settings: dict[str, object], why: str
) -> None:
    content = json.loads(configuration(APP, history=[{"channels": "room"}])) | {"history": settings}
    process = await start_process(json.dumps(content), listens=False)
    assert await process.exit_code() == 2
    assert process.log.endswith(f"history.store: {why}\n")


async def test_workers_share_no_store_of_one_process(start_process: StartProcess) -> None:
    content = json.loads(configuration(APP)) | {"history": {"store": "memory"}}
    process = await start_process(json.dumps(content), "--workers", "2", listens=False)
    assert await process.exit_code() == 2
    assert process.log.endswith("history.store: several nodes or workers cannot share the logs of memory: use auto\n")
