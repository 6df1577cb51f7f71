"""``kill -9`` of a server with a full queue, and a restart that delivers it; reloads that add and remove webhooks."""

import asyncio
import json
import signal
import sqlite3
from contextlib import AsyncExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from soketpy.config import ConfigError
from soketpy.config import settings as config
from soketpy.core.webhooks import Webhook
from soketpy.drivers.sqlite.queue import SqliteQueue
from soketpy.webhooks.sender import REMOVED
from tests.conftest import At, StartServer, until
from tests.fakes import APP
from tests.process.test_signals import Process, StartProcess
from tests.process.test_signals import start_process as start_process
from tests.receiver import Answer, Receiver, Request, accept, receiving

RETURN_TIMEOUT = "soketpy.process.webhooks.RETURN_TIMEOUT"
EVENTS = ["channel_occupied", "channel_vacated", "client_event"]


def configuration(receiver: Receiver, path: Path) -> str:
    """Return the configuration of a server with one webhook."""
    app = {"id": APP.id, "key": APP.key, "secret": APP.keys[0].secret, "client_events": True}
    app["webhooks"] = [{"url": receiver.url(), "event_types": EVENTS}]
    webhooks = {"path": str(path), "grace": 0.1, "timeout": 600}
    return json.dumps({"host": "127.0.0.1", "port": 0, "apps": [app], "webhooks": webhooks})


def limits(return_timeout: float) -> dict[str, str]:
    """Return the variable that sets the seconds in which clients may return after a restart."""
    from tests.slices.sitecustomize import environment

    return environment({RETURN_TIMEOUT: return_timeout})


def stored(path: Path) -> dict[str, bytes]:
    """Return the body of each delivery in the file by its id, in their order."""
    with closing(sqlite3.connect(path)) as file:
        return dict(file.execute("SELECT id, body FROM deliveries ORDER BY number"))


def lanes_in(path: Path) -> int:
    with closing(sqlite3.connect(path)) as file:
        number: int = file.execute("SELECT count(DISTINCT lane) FROM deliveries").fetchone()[0]
        return number


async def kill(process: Process) -> None:
    process.signal(signal.SIGKILL)
    assert await process.exit_code() == -signal.SIGKILL


def hang_until(release: asyncio.Event) -> Answer:
    """Return an answer that does not come before ``release``."""

    async def hang(request: Request) -> web.StreamResponse:
        await release.wait()
        return web.Response()

    return hang


def of_channel(events: list[dict[str, Any]], channel: str) -> list[str]:
    """Return what happened on a channel: the names of events, and the data of client events."""
    return [each.get("data", each["name"]) for each in events if each["channel"] == channel]


async def test_every_event_of_a_killed_server_arrives_after_the_restart(
    start_process: StartProcess, tmp_path: Path
) -> None:
    path, channels = tmp_path / "queue.db", [f"private-{number}" for number in range(6)]
    async with receiving() as receiver, AsyncExitStack() as stack:
        release = asyncio.Event()
        stack.callback(release.set)
        receiver.answer = hang_until(release)
        content = configuration(receiver, path)
        process = await start_process(content, **limits(600))
        client = await At(process.port, stack).client()
        for channel in channels:
            await client.subscribe(channel)
        await until(lambda: len(stored(path)) == len(channels))
        for number in range(100):
            for channel in channels:
                await client.say("client-count", str(number), channel=channel)
        await receiver.wait_for(lanes_in(path))
        await until(lambda: len(stored(path)) > 200)  # and more events are on their way
        await kill(process)
        accepted, asked = stored(path), list(receiver.requests)
        assert {each.delivery for each in asked} <= set(accepted)
        assert len(asked) == lanes_in(path), "a lane has one request in flight"

        receiver.requests.clear()
        receiver.answer = accept
        await start_process(content, **limits(600))
        await receiver.wait_for(len(accepted))
        assert sorted(each.delivery for each in receiver.requests) == sorted(accepted)
        assert all(each.body == accepted[each.delivery] for each in receiver.requests)
        for channel in channels:
            occupied, *counted = of_channel(receiver.events, channel)
            assert occupied == "channel_occupied"
            assert counted == [str(number) for number in range(len(counted))]
        await until(lambda: not stored(path))


async def test_after_a_restart_only_channels_whose_clients_do_not_return_are_vacated(
    start_process: StartProcess, tmp_path: Path
) -> None:
    path = tmp_path / "queue.db"
    async with receiving() as receiver, AsyncExitStack() as stack:
        content = configuration(receiver, path)
        process = await start_process(content, **limits(600))
        client = await At(process.port, stack).client()
        for channel in ("returns", "lost"):
            await client.subscribe(channel)
        await receiver.wait_for(2)
        await until(lambda: not stored(path))
        await kill(process)

        process = await start_process(content, **limits(600))
        client = await At(process.port, stack).client()
        await client.subscribe("returns")
        await client.subscribe("new")
        await receiver.wait_for(3)
        await client.say("pusher:unsubscribe", {"channel": "returns"})
        await receiver.wait_for(4)
        await until(lambda: not stored(path))
        await kill(process)

        await start_process(content, **limits(0.1))
        await receiver.wait_for(6)
        assert of_channel(receiver.events, "returns") == ["channel_occupied", "channel_vacated"]
        assert of_channel(receiver.events, "lost") == ["channel_occupied", "channel_vacated"]
        assert of_channel(receiver.events, "new") == ["channel_occupied", "channel_vacated"]
        assert [each["name"] for each in receiver.events[-2:]] == ["channel_vacated"] * 2


async def test_a_second_server_with_the_same_file_ends_with_one_line_and_exit_code_2(
    start_process: StartProcess, tmp_path: Path
) -> None:
    path = tmp_path / "queue.db"
    async with receiving() as receiver:
        content = configuration(receiver, path)
        await start_process(content)
        second = await start_process(content, listens=False, name="second.json")
        assert await second.exit_code() == 2
        last = second.log.splitlines()[-1]
        assert last.startswith(f"soketpy start: error: {tmp_path}/second.json")
        assert "webhooks.path: another server (process " in last
        assert "Traceback" not in second.log


def sqlite(path: Path, **given: Any) -> dict[str, Any]:
    """Return the settings of a queue in a file."""
    return {"webhooks": config.Webhooks(queue="sqlite", path=str(path), **given)}


def hooked(receiver: Receiver) -> Any:
    return replace(APP, webhooks=(Webhook(url=receiver.url(), event_types=("channel_occupied",)),))


async def test_no_file_is_created_until_an_app_has_a_webhook(start_server: StartServer, tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    peers = await start_server(**sqlite(path))
    await (await peers.client()).subscribe("news")
    assert list_of(tmp_path) == []
    async with receiving() as receiver:
        peers.reload(hooked(receiver))
        await (await peers.client()).subscribe("later")
        await receiver.wait_for(1)
        assert of_channel(receiver.events, "later") == ["channel_occupied"]
        assert "queue.db" in list_of(tmp_path)


def list_of(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


async def test_deliveries_of_a_removed_webhook_become_dead_letters(start_server: StartServer, tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    async with receiving() as receiver:
        receiver.answer = refuse
        peers = await start_server(apps=(hooked(receiver),), **sqlite(path))
        await (await peers.client()).subscribe("news")
        await receiver.wait_for(1)
        peers.reload(APP)
        await (await peers.client()).subscribe("other")
        command = SqliteQueue(str(path), owner=False)
        await command.start()

        async def is_buried() -> bool:
            return [each.reason for each in await command.dead(10)] == [REMOVED]

        await until(is_buried)
        await command.stop()


async def refuse(request: Request) -> web.StreamResponse:
    return web.Response(status=500)


async def test_a_reload_whose_file_is_in_use_starts_the_webhooks_when_it_is_free(
    start_server: StartServer, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("soketpy.process.webhooks.PAUSE", 0.01)
    path = tmp_path / "queue.db"
    holder = SqliteQueue(str(path))
    await holder.start()
    async with receiving() as receiver:
        peers = await start_server(**sqlite(path))
        peers.reload(hooked(receiver))
        await (await peers.client()).subscribe("news")
        await until(lambda: "Webhooks cannot start" in caplog.text)
        await holder.stop()
        await receiver.wait_for(1)
    assert caplog.text.count("Webhooks cannot start") == 1


async def test_a_queue_that_cannot_be_used_is_a_mistake_in_the_configuration(
    start_server: StartServer, tmp_path: Path
) -> None:
    async with receiving() as receiver:
        with pytest.raises(ConfigError, match=r"^webhooks\.path: .* there is no directory"):
            await start_server(apps=(hooked(receiver),), **sqlite(tmp_path / "none" / "queue.db"))
