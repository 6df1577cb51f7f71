"""The creation of tables: by several operators, after an attempt that failed, and by other versions of soketpy."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace

import pytest

from soketpy.core.app_registry import RegistryRefused
from soketpy.core.apps import App, Key
from soketpy.core.history import HistoryRule
from soketpy.drivers.sql.apps import SqlApps
from tests.drivers.registries import nothing
from tests.drivers.sql.conftest import Place

RULES = (HistoryRule(channels="room-*", events=50), HistoryRule(channels="news", rewind_seconds=1.5))
APP = App(id="1", keys=(Key("k", "s"), Key("l", "t")))


async def test_several_operators_create_the_tables_at_the_same_time(place: Place) -> None:
    registries = [place.registry() for _ in range(4)]
    done: list[Sequence[str]] = await asyncio.gather(*(each.initialise() for each in registries))
    assert sorted(map(len, done)) == [0, 0, 0, 1]
    await registries[0].add(APP)
    assert await registries[1].page() == [APP]


async def test_the_names_of_the_tables_are_told(place: Place) -> None:
    assert await place.registry("tenants").initialise() == [
        "Created the tables tenants, tenants_keys and tenants_version."
    ]
    assert place.server.tables(place.name) == ["tenants", "tenants_keys", "tenants_version"]


async def test_registries_with_different_tables_in_one_database(place: Place) -> None:
    one, two = place.registry("one"), place.registry("two-$x")
    for each in (one, two):
        await each.initialise()
        await each.add(APP)
    await one.remove("1")
    assert await two.page() == [APP]


async def test_tables_in_a_schema(place: Place) -> None:
    schema = place.name if place.server.quote == "`" else "other"
    if schema == "other":
        place.sql("CREATE SCHEMA other AUTHORIZATION soketpy")
    registry = place.registry(f"{schema}.apps")
    assert len(await registry.initialise()) == 1
    await registry.add(APP)
    await registry.change("1", lambda old: APP)
    assert await registry.fetch([], ["l"]) == [APP]
    assert await registry.initialise() == []


async def test_an_attempt_that_ended_early_is_completed(mysql: Place) -> None:
    """MySQL commits after each statement that creates a table."""
    registry = mysql.registry()
    await registry.initialise()
    mysql.sql("DELETE FROM apps_version", "DROP TABLE apps_keys")
    for _ in range(2):
        again = mysql.registry()
        await again.start(nothing)
        assert again.writable is not None
    assert len(await registry.initialise()) == 1
    await registry.add(APP)
    assert await registry.page() == [APP]


async def test_the_tables_of_another_version_are_only_read(place: Place) -> None:
    owner = place.registry()
    await owner.initialise()
    await owner.add(APP)
    place.sql("UPDATE apps_version SET version_num = '9999'")
    registry: SqlApps = await place.open()
    assert await registry.fetch([], ["l"]) == [APP]
    with pytest.raises(RegistryRefused, match="has format 9999, and this version of soketpy writes 0002"):
        await registry.remove("1")
    with pytest.raises(RegistryRefused, match="format 9999, which this version of soketpy does not know"):
        await registry.initialise()
    assert await registry.page() == [APP]


async def test_the_tables_of_the_first_version_get_the_column_of_history(place: Place) -> None:
    owner = place.registry()
    await owner.initialise()
    await owner.add(APP)
    place.sql("ALTER TABLE apps DROP COLUMN history", "UPDATE apps_version SET version_num = '0001'")
    registry = await place.open()
    assert await registry.fetch(["1"], []) == [APP]
    with pytest.raises(RegistryRefused, match="has format 0001, and this version of soketpy writes 0002"):
        await registry.change("1", lambda old: replace(old, history=RULES))
    assert await registry.initialise() == ["The tables apps and apps_keys now have format 0002; they had format 0001."]
    assert await registry.initialise() == []
    again = await place.open()
    assert await again.change("1", lambda old: replace(old, history=RULES)) == replace(APP, history=RULES)
    assert await registry.fetch([], ["l"]) == [replace(APP, history=RULES)]
    assert '"room-*"' in place.sql("SELECT history FROM apps").replace("\\", "")


async def test_an_upgrade_that_ended_before_it_noted_its_version_is_completed(mysql: Place) -> None:
    registry = mysql.registry()
    await registry.initialise()
    await registry.add(replace(APP, history=RULES))
    mysql.sql("UPDATE apps_version SET version_num = '0001'")
    assert len(await registry.initialise()) == 1
    assert await registry.page() == [replace(APP, history=RULES)]


async def test_a_name_that_is_too_long(place: Place) -> None:
    registry = place.registry("a" * 255)
    with pytest.raises(RegistryRefused, match="more than 40 characters"):
        await registry.initialise()
    await place.registry("a" * 40).initialise()


async def test_mysql_has_no_warnings_about_new_tables(mysql: Place, caplog: pytest.LogCaptureFixture) -> None:
    registry = mysql.registry()
    with caplog.at_level(logging.WARNING, logger="asyncmy"):
        await registry.initialise()
    assert caplog.messages == []
    assert "ENGINE=InnoDB" in mysql.sql("SHOW CREATE TABLE apps_version")


@pytest.mark.parametrize("mode", ["ANSI_QUOTES,NO_BACKSLASH_ESCAPES", "ANSI", "ORACLE", ""])
async def test_modes_of_mysql(mysql: Place, mode: str) -> None:
    before = mysql.sql("SELECT @@global.sql_mode").strip()
    mysql.sql(f"SET GLOBAL sql_mode = '{mode}'")
    try:
        registry = mysql.registry()
        await registry.initialise()
        app = App(id="1", keys=(Key("k", "\\' OR 1=1 -- \""), Key("l", "'\\")))
        await registry.add(app)
        assert await registry.fetch(["\\' OR 1=1 -- "], ["k", "\\"]) == [app]
        with pytest.raises(RegistryRefused):
            await registry.add(App(id="x" * 300, keys=(Key("m", "s"),)))
    finally:
        mysql.sql(f"SET GLOBAL sql_mode = '{before}'")
