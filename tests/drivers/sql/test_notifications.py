"""The changes of apps that PostgreSQL reports."""

import asyncio
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from soketpy.core.apps import App, Key
from soketpy.drivers.sql import postgres as driver
from soketpy.drivers.sql.apps import SqlApps
from tests.databases import Postgres
from tests.drivers.registries import ServerKit
from tests.drivers.sql.conftest import Place
from tests.patience import PATIENCE, until

HASTY = 0.5
"""Seconds, for a question that must not get an answer."""

APP = App(id="1", keys=(Key("k", "s"), Key("l", "t")))


class Heard:
    """The changes that a registry has reported."""

    def __init__(self) -> None:
        self.changes: list[str | None] = []

    async def listen(self, registry: SqlApps) -> None:
        """Start the registry and wait until the connection for notifications is open."""
        await registry.start(self.changes.append)
        await until(lambda: self.changes == [None])
        self.changes.clear()

    async def next(self) -> list[str | None]:
        """Wait for a change. Return all changes since the last call."""
        await until(lambda: self.changes)
        found = self.changes[:]
        self.changes.clear()
        return found


@pytest.fixture
async def registry(postgres: Place) -> SqlApps:
    registry = postgres.registry()
    await registry.initialise()
    await registry.add(APP)
    return registry


@pytest.fixture
async def heard(registry: SqlApps) -> Heard:
    heard = Heard()
    await heard.listen(registry)
    return heard


@pytest.mark.parametrize(
    ("statement", "ids"),
    [
        ("INSERT INTO apps (id, key, secret) VALUES ('2', 'x', 'y')", ["2"]),
        ("UPDATE apps SET enabled = 0", ["1"]),
        ("UPDATE apps_keys SET ends_at = 1", ["1"]),
        ("DELETE FROM apps_keys", ["1"]),
        ("DELETE FROM apps", ["1"]),
        ("INSERT INTO apps_keys (key, app_id, secret) VALUES ('x', '1', 'y')", ["1"]),
        ("TRUNCATE apps_keys", [None]),
        ("TRUNCATE apps CASCADE", [None]),
        ("BEGIN; DELETE FROM apps_keys; UPDATE apps SET id = '3 4'; COMMIT", ["1", "3 4"]),
    ],
)
async def test_a_change_with_plain_sql_is_reported(
    postgres: Place, heard: Heard, statement: str, ids: list[str | None]
) -> None:
    await asyncio.to_thread(postgres.sql, statement)
    found = await heard.next()
    assert sorted(map(str, found)) == sorted(map(str, ids))


async def test_a_change_that_is_rolled_back_is_not_reported(postgres: Place, heard: Heard) -> None:
    await asyncio.to_thread(postgres.sql, "BEGIN; DELETE FROM apps; ROLLBACK")
    assert await heard_after(postgres, heard) == ["3"]


async def heard_after(postgres: Place, heard: Heard) -> list[str | None]:
    await asyncio.to_thread(postgres.sql, "INSERT INTO apps (id, key, secret) VALUES ('3', 'x', 'y')")
    return await heard.next()


async def test_the_changes_of_other_tables_are_not_reported(postgres: Place, heard: Heard) -> None:
    other = postgres.registry("other")
    await other.initialise()
    await other.add(App(id="7", keys=(Key("k", "s"),)))
    await asyncio.to_thread(postgres.sql, "NOTIFY soketpy_apps", "NOTIFY soketpy_apps, 'oth er'", "NOTIFY other")
    assert await heard_after(postgres, heard) == ["3"]


async def test_any_app_may_have_changed_after_a_gap(postgres: Place, heard: Heard) -> None:
    await asyncio.to_thread(
        postgres.sql, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'soketpy %'"
    )
    assert await heard.next() == [None]
    assert await heard_after(postgres, heard) == ["3"]


async def test_a_connection_that_does_not_answer_is_replaced(
    postgres: Place, registry: SqlApps, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(driver, "CHECK_SECONDS", 0.05)
    heard = Heard()
    hasty = postgres.registry()
    await heard.listen(hasty)
    hasty.database.timeout = HASTY
    with postgres.server.standing_still():
        await until(lambda: "No notifications of changes of apps: " in caplog.text)
    hasty.database.timeout = PATIENCE
    assert set(await heard.next()) == {None}


@pytest.fixture
def own() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


async def test_notifications_return_after_a_crash_with_one_warning(
    own: Postgres, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "RECONNECT_SECONDS", 0.01)
    caplog.set_level(logging.INFO, "soketpy.apps")
    kit = ServerKit(own, driver.PostgresDatabase, notifies=True)
    registry, heard = kit.registry(kit.new_place()), Heard()
    try:
        await registry.initialise()
        await heard.listen(registry)
        own.kill()
        await until(lambda: caplog.record_tuples)
        own.start()
        assert set(await heard.next()) == {None}
        await registry.add(APP)
        await until(lambda: "1" in heard.changes)
    finally:
        await registry.stop()
    (_, level, text), *others = [each for each in caplog.record_tuples if each[0] == "soketpy.apps"]
    assert level == logging.WARNING
    assert text.startswith("No notifications of changes of apps: PostgreSQL: ")
    assert others == [("soketpy.apps", logging.INFO, "Notifications of changes of apps work again")]


async def test_the_documented_trigger_reports_the_changes_of_another_table(postgres: Place) -> None:
    postgres.owned('CREATE SCHEMA other; CREATE TABLE other.apps (id integer, "key" text, secret text)')
    postgres.sql("GRANT USAGE ON SCHEMA other TO soketpy; GRANT SELECT ON other.apps TO soketpy")
    page = (Path(__file__).parents[3] / "docs" / "apps.md").read_text()
    [trigger] = re.findall(r"```sql\n(CREATE FUNCTION notify_soketpy.*?)```", page, re.DOTALL)
    postgres.sql(trigger.replace("ON apps\n", "ON other.apps\n"))
    heard = Heard()
    await heard.listen(postgres.registry("other.apps"))
    for statement in (
        "INSERT INTO other.apps VALUES (7, 'k', 's')",
        "UPDATE other.apps SET secret = 't'",
        "DELETE FROM other.apps",
    ):
        await asyncio.to_thread(postgres.sql, statement)
        assert await heard.next() == ["7"]
