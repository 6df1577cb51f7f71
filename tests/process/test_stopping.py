"""The stop of a server has a limit of time, whatever its parts wait for."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from soketpy import Server, Webhook
from soketpy.config import Settings
from soketpy.config import settings as config
from soketpy.drivers.local.cluster import LocalCluster
from soketpy.drivers.local.queue import MemoryQueue
from soketpy.process import app_changes, stopping, webhooks
from soketpy.process.app_changes import Announcer
from soketpy.process.stopping import Deadline
from soketpy.process.webhooks import Webhooks
from soketpy.webhooks.callback import Callback
from tests.conftest import StartServer
from tests.fakes import APP
from tests.patience import PATIENCE, until


@pytest.fixture
def no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the time of the stop be over at once."""
    monkeypatch.setattr(stopping, "STOP_TIMEOUT", 0.0)
    monkeypatch.setattr(stopping, "LEAST", 0.0)


async def hang(*_: object) -> Any:
    await asyncio.Event().wait()


async def listen(event: object) -> None:
    """Do nothing with an event."""


@pytest.mark.usefixtures("no_time")
@pytest.mark.parametrize(
    ("part", "attribute", "name"),
    [
        (Callback, "_callback", "on_event"),
        (LocalCluster, "_cluster", "The cluster"),
        (Webhooks, "_webhooks", "The queue of webhooks"),
    ],
)
async def test_a_part_that_hangs_does_not_keep_the_server_from_stopping(
    part: Any, attribute: str, name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    on_event = listen if part is Callback else None
    server = Server(host="127.0.0.1", port=0, timeouts=config.Timeouts(shutdown=0), on_event=on_event)
    stop = part.stop
    monkeypatch.setattr(part, "stop", hang)
    await server.start()
    await asyncio.wait_for(server.stop(), PATIENCE)
    assert f"{name} did not stop in time: the server stops without waiting any longer" in caplog.text
    await stop(getattr(server, attribute))


@pytest.mark.usefixtures("no_time")
async def test_a_part_is_stopped_although_the_parts_before_it_have_used_all_the_time() -> None:
    deadline, stopped = Deadline(), []
    await deadline.stop("one", hang)

    async def stop() -> None:
        stopped.append("two")

    await deadline.stop("two", stop)
    assert stopped == ["two"]


@pytest.mark.usefixtures("no_time")
async def test_a_part_that_hides_its_cancellation_is_left_behind() -> None:
    ended = asyncio.Event()

    async def stop() -> None:
        with suppress(asyncio.CancelledError):
            await ended.wait()
        await ended.wait()

    before = asyncio.all_tasks()
    await deadline_of(stop)
    [left] = asyncio.all_tasks() - before
    ended.set()
    await left


async def deadline_of(stop: Callable[[], Awaitable[None]]) -> None:
    await asyncio.wait_for(Deadline().stop("a part", stop), PATIENCE)


async def test_a_fault_of_a_stop_is_raised() -> None:
    async def stop() -> None:
        raise OSError("broken")

    with pytest.raises(OSError, match="broken"):
        await deadline_of(stop)


async def test_a_cancelled_stop_cancels_the_stop_of_its_part() -> None:
    before = asyncio.all_tasks()
    stopping_one = asyncio.create_task(Deadline().stop("a part", hang))
    await until(lambda: len(asyncio.all_tasks() - before) == 2)
    stopping_one.cancel()
    await until(lambda: asyncio.all_tasks() == before)


async def test_a_queue_that_hangs_loses_the_last_events_but_does_not_keep_the_server_from_stopping(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    storing = asyncio.Event()

    async def put(*_: object) -> int:
        storing.set()
        return int(await hang())

    monkeypatch.setattr(MemoryQueue, "put", put)
    monkeypatch.setattr(webhooks, "FLUSH_TIMEOUT", 0.0)
    app = replace(APP, webhooks=(Webhook(url="http://127.0.0.1:9/", event_types=("channel_occupied",)),))
    peers = await start_server(apps=(app,), timeouts=config.Timeouts(shutdown=0))
    await (await peers.client()).subscribe("room")
    await asyncio.wait_for(storing.wait(), PATIENCE)
    await asyncio.wait_for(peers.server.stop(), PATIENCE)
    assert "could not be stored, and are lost: the queue did not store them within 0 s" in caplog.text


async def test_an_announcement_that_hangs_does_not_keep_the_process_from_stopping(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(app_changes, "STOP_TIMEOUT", 0.0)
    monkeypatch.setattr(app_changes, "announce", hang)
    before = asyncio.all_tasks()
    announcer = Announcer(Settings())
    announcer.announce("app-id")
    await asyncio.wait_for(announcer.stop(), PATIENCE)
    assert asyncio.all_tasks() == before
