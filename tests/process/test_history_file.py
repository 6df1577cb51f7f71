"""The logs of a server in an SQLite file: over kill -9, a full disk, and files that cannot be used."""

import asyncio
import json
import os
import resource
import signal
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from soketpy.config.settings import History
from soketpy.core.history import HistoryRule
from tests.conftest import At, StartServer
from tests.fakes import APP
from tests.patience import attempts
from tests.process.test_signals import Process, StartProcess
from tests.process.test_signals import start_process as start_process

STORED = replace(APP, history=(HistoryRule(channels="room-*", events=100_000, kib=16_384),))
CHANNELS = ("room-0", "room-1")


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


def configured(path: Path) -> str:
    rules = [{"channels": "room-*", "events": 100_000, "kib": 16_384}]
    app = {"id": APP.id, "key": APP.key, "secret": APP.keys[0].secret, "history": rules}
    return json.dumps({"host": "127.0.0.1", "port": 0, "apps": [app], "history": {"path": str(path)}})


async def events_of(at: At, channel: str) -> list[dict[str, Any]]:
    """Return all events of a log, page by page. Each page must be complete."""
    found = list[dict[str, Any]]()
    for _ in attempts():
        query = {"limit": "1000", **({"after": found[-1]["id"]} if found else {})}
        answer = await at.call("GET", f"/channels/{channel}/events", query=query)
        assert (answer.status, answer.json["complete"]) == (200, True), answer.text
        if not answer.json["events"]:
            break
        found += answer.json["events"]
    return found


async def publish_until_killed(process: Process, stack: AsyncExitStack, most: int) -> dict[str, list[str]]:
    """Publish with eight publishers, and kill the server after some answers. Return the stored events by channel."""
    stored: dict[str, list[str]] = {channel: [] for channel in CHANNELS}
    at = At(process.port, stack)
    await at.request("GET", "/")  # opens the session that the publishers share

    async def publish(publisher: int) -> None:
        channel = CHANNELS[publisher % 2]
        for number in range(10 * most):
            try:
                answer = await at.trigger(channel, f"{publisher}:{number}")
            except (aiohttp.ClientError, ConnectionError):
                return
            assert answer.status == 200, answer.text
            stored[channel].append(f"{publisher}:{number}")
            if sum(map(len, stored.values())) == most:
                process.signal(signal.SIGKILL)

    await asyncio.gather(*map(publish, range(8)))
    assert await process.exit_code() == -signal.SIGKILL
    return stored


@pytest.mark.parametrize("most", [1, 50, 401])
async def test_a_killed_server_loses_no_event_that_it_answered_with_200(
    start_process: StartProcess, stack: AsyncExitStack, tmp_path: Path, most: int
) -> None:
    configuration = configured(tmp_path / "history.db")
    stored = await publish_until_killed(await start_process(configuration), stack, most)
    assert sum(map(len, stored.values())) >= most
    at = At((await start_process(configuration)).port, stack)
    for channel in CHANNELS:
        events = await events_of(at, channel)
        names = [event["name"] for event in events]
        assert len(set(names)) == len(names)
        assert set(stored[channel]) <= set(names)
        for publisher in range(8):
            numbers = [int(name.split(":")[1]) for name in names if name.startswith(f"{publisher}:")]
            assert numbers == list(range(len(numbers)))
        assert [int(event["id"].split(":")[1]) for event in events] == list(range(1, len(events) + 1))


async def test_after_a_restart_a_log_continues(
    start_process: StartProcess, stack: AsyncExitStack, tmp_path: Path
) -> None:
    configuration = configured(tmp_path / "history.db")
    ids = list[str]()
    for number in range(2):
        process = await start_process(configuration)
        assert await process.trigger(STORED, "room-0", f"event-{number}") == 200
        ids = [event["id"] for event in await events_of(At(process.port, stack), "room-0")]
        process.signal(signal.SIGTERM)
        assert await process.exit_code() == 0
    assert [id.split(":")[1] for id in ids] == ["1", "2"]
    assert len({id.split(":")[0] for id in ids}) == 1


@contextmanager
def full_disk() -> Iterator[None]:
    """Let every write to a file of this process fail."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_call_of_which_a_part_was_sent_is_not_answered_with_503(
    start_server: StartServer, tmp_path: Path
) -> None:
    peers = await start_server(apps=(STORED,), history=History(path=str(tmp_path / "history.db")))
    client = await peers.client()
    await client.subscribe("other")
    batch = [{"name": "batch", "channel": name, "data": "{}"} for name in ("other", "room-0")]
    assert (await peers.trigger("room-0", "before")).status == 200
    with full_disk():
        for channels in (["room-0", "other"], ["other", "room-0"]):
            answer = await peers.call("POST", "/events", {"name": "mixed", "channels": channels, "data": "{}"})
            assert (answer.status, "its other events were published" in answer.json["error"]) == (504, True)
            assert (await client.hear())["event"] == "mixed"
        assert (await peers.call("POST", "/batch_events", {"batch": batch})).status == 504
        assert (await client.hear())["event"] == "batch"
        stored_only = {"name": "lost", "channels": ["room-0", "room-1"], "data": "{}"}
        assert (await peers.call("POST", "/events", stored_only)).status == 503
    assert [event["name"] for event in (await peers.call("GET", "/channels/room-0/events")).json["events"]] == [
        "before"
    ]


async def test_while_the_disk_is_full_events_are_refused_and_sent_to_nobody(
    start_server: StartServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    peers = await start_server(apps=(STORED,), history=History(path=str(tmp_path / "history.db")))
    client = await peers.client()
    await client.subscribe("room-0")
    assert (await peers.trigger("room-0", "before")).status == 200
    with full_disk():
        for _ in range(3):
            answer = await peers.trigger("room-0", "lost")
            assert (answer.status, answer.json["error"]) == (
                503,
                "The event cannot be stored in the history now, and it was sent to nobody; try again.",
            )
        assert [event["name"] for event in (await peers.call("GET", "/channels/room-0/events")).json["events"]] == [
            "before"
        ]
        assert (await peers.trigger("other", "not-stored")).status == 200
    assert (await peers.trigger("room-0", "after")).status == 200
    assert [(await client.hear())["event"] for _ in range(2)] == ["before", "after"]
    lines = [each.getMessage() for each in caplog.records if each.name == "soketpy.history"]
    assert len(lines) == len(set(lines))
    assert lines[0].startswith("The history cannot be stored or read, and publishers get 503: ")
    page = (await peers.call("GET", "/channels/room-0/events")).json
    assert [event["name"] for event in page["events"]] == ["before", "after"]
    assert [event["id"][-2:] for event in page["events"]] == [":1", ":2"]


async def test_without_an_app_with_history_there_is_no_file(start_server: StartServer, tmp_path: Path) -> None:
    peers = await start_server(history=History(path=str(tmp_path / "history.db")))
    assert (await peers.trigger("room-0", "event")).status == 200
    assert os.listdir(tmp_path) == []
    peers.reload(STORED)
    assert (await peers.trigger("room-0", "event")).status == 200
    assert "history.db" in os.listdir(tmp_path)


def damage(path: Path) -> None:
    path.write_bytes(b"this is no database" * 1000)


def renew(path: Path) -> None:
    with sqlite3.connect(path) as newer:
        newer.execute("PRAGMA application_id = 0x736F6B68")
        newer.execute("PRAGMA user_version = 99")
    newer.close()


def exchange(path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE deliveries (id INTEGER)")
    other.close()


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (damage, "cannot be used: file is not a database"),
        (renew, "a newer version of soketpy has written"),
        (exchange, "is the database of another program"),
        (Path.mkdir, "cannot be opened: Is a directory"),
    ],
)
async def test_a_file_that_cannot_be_used_is_one_line(
    start_process: StartProcess, tmp_path: Path, prepare: Any, reason: str
) -> None:
    path = tmp_path / "history.db"
    prepare(path)
    process = await start_process(configured(path), listens=False)
    assert await process.exit_code() == 2
    [line] = [line for line in process.log.splitlines() if "history" in line]
    assert reason in line
    assert "soketpy.json:1: history.path: " in line
    assert "Traceback" not in process.log


async def test_two_servers_do_not_use_one_file(start_process: StartProcess, tmp_path: Path) -> None:
    configuration = configured(tmp_path / "history.db")
    first = await start_process(configuration)
    second = await start_process(configuration, listens=False, name="second.json")
    assert await second.exit_code() == 2
    assert "another server (process " in second.log
    assert await first.trigger(STORED, "room-0", "event") == 200


def test_clients_of_the_file_are_its_owner_only(tmp_path: Path) -> None:
    """The file has the events of all tenants."""
    from soketpy.drivers.sqlite.file import connect
    from soketpy.drivers.sqlite.logs_format import LOGS

    path = tmp_path / "history.db"
    connect(str(path), LOGS, create=True).close()
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("store", ["memory", "sqlite"])
async def test_a_rule_that_is_removed_and_added_again_leaves_no_hidden_hole(
    start_server: StartServer, tmp_path: Path, store: str
) -> None:
    peers = await start_server(apps=(STORED,), history=History(store=store, path=str(tmp_path / "history.db")))
    assert (await peers.trigger("room-0", "before")).status == 200
    last = (await peers.call("GET", "/channels/room-0/events")).json["last"]
    peers.reload(replace(STORED, history=()))
    assert (await peers.trigger("room-0", "not-stored")).status == 200
    peers.reload(STORED)
    assert (await peers.trigger("room-0", "after")).status == 200
    page = (await peers.call("GET", "/channels/room-0/events", query={"after": last})).json
    assert ([event["name"] for event in page["events"]], page["complete"]) == (["after"], False)
