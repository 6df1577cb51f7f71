"""The log of ``soketpy start`` about apps in a database."""

import json
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from soketpy.config.cautions import BLOCKED
from soketpy.core.webhooks import Webhook
from tests.patience import PATIENCE, until
from tests.process.test_apps import InFile
from tests.process.test_apps import in_file as in_file
from tests.process.test_signals import APP, Process, StartProcess, configuration
from tests.process.test_signals import start_process as start_process
from tests.receiver import receiving


async def start_with_file(start_process: StartProcess, tmp_path: Path, **settings: object) -> Process:
    given = {
        "host": "127.0.0.1",
        "port": 0,
        "timeouts": {"shutdown": 0.1},
        "registry": {"driver": "sqlite"},
        "sqlite": {"path": str(tmp_path / "apps.db")},
        "webhooks": {"path": str(tmp_path / "webhooks.db")},
    }
    return await start_process(json.dumps({**given, **settings}))


async def test_the_start_says_that_webhooks_reach_no_private_address(
    start_process: StartProcess, tmp_path: Path
) -> None:
    assert BLOCKED in (await start_with_file(start_process, tmp_path)).log


async def test_sighup_says_that_the_apps_of_the_database_are_read_again(
    start_process: StartProcess, tmp_path: Path
) -> None:
    process = await start_with_file(start_process, tmp_path)
    process.signal(signal.SIGHUP)
    assert (await process.logged("Reloaded .*")).group() == (
        "Reloaded the configuration: the apps in SQLite will be read again"
    )


async def test_sighup_does_not_move_the_apps_into_a_database(start_process: StartProcess, tmp_path: Path) -> None:
    process = await start_process(configuration(APP))
    client = await process.socket(APP.key)
    await client.hear()
    await client.subscribe("room")
    process.config.write_text('{"registry": {"driver": "sqlite"}}')
    process.signal(signal.SIGHUP)
    why = r"soketpy\.json:1: registry\.driver: apps move into or out of a database at a restart only$"
    await process.logged(f"ERROR.*Kept the old configuration, because the new one is invalid: .*{why}")
    assert await process.trigger(APP, "room", "still here") == 200
    assert (await client.hear())["event"] == "still here"


@pytest.mark.parametrize("workers", [1, 2])
async def test_the_start_names_the_admin_port(start_process: StartProcess, tmp_path: Path, workers: int) -> None:
    admin = {"enabled": True, "port": 0, "tokens": ["a-token-of-the-tests"]}
    process = await start_with_file(start_process, tmp_path, admin=admin, workers=workers)
    assert process.log.count("Admin API on http://127.0.0.1:") == 1


async def test_the_first_failed_attempt_to_open_the_database_is_logged_once(
    in_file: InFile, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    in_file.fail_first_starts(monkeypatch, 2, "SQLite: locked")
    await in_file.serve()
    lines = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert lines == ["The apps in SQLite cannot be read: SQLite: locked; trying again for 30 s"]


async def test_the_first_delivery_to_a_private_address_is_logged(
    in_file: InFile, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FIRST_PAUSE", "LONGEST_PAUSE"):
        monkeypatch.setattr(f"soketpy.core.retries.{name}", 10 * PATIENCE)  # no second attempt
    async with receiving() as receiver:
        hook = Webhook(url=receiver.url(), event_types=("channel_occupied",))
        await in_file.registry.change("app-id", lambda app: replace(app, webhooks=(hook,)))
        peers = await in_file.serve()
        await (await peers.client()).subscribe("news")
        said = "fail: the address is private or special, and blocked: see webhooks.private_addresses"
        await until(lambda: said in caplog.text)
        [traffic] = peers.server.webhook_traffic().values()
        assert (traffic.failed, receiver.requests) == (1, [])
