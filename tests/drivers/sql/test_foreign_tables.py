"""Tables that soketpy did not create: those of soketi, and those with unusual columns."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from soketpy.core.app_registry import BrokenApp, RegistryRefused
from soketpy.core.apps import App, Key
from soketpy.core.webhooks import Webhook
from soketpy.drivers.sql import apps as sql_apps
from soketpy.drivers.sql.apps import SqlApps
from tests.drivers.registries import nothing
from tests.drivers.sql.conftest import OpenPlace, Place
from tests.drivers.sql.soketi import MYSQL, POSTGRES, ROW

ROOT = Path(__file__).parents[3]
LEAST: dict[str, Any] = {"id": "1", "key": "k", "secret": "s"}
LEAST_APP = App(id="1", keys=(Key("k", "s"),))


def plain(id_type: str = "varchar(255)", key_type: str = "varchar(255)", more: str = "") -> str:
    """Return a statement that creates a table with the columns that an app needs."""
    return f"CREATE TABLE apps (id {id_type}, {{0}}key{{0}} {key_type}, secret varchar(255){more})"


def create(place: Place, statement: str) -> None:
    place.owned(statement.format(place.server.quote))


@pytest.fixture
def soketi(place: Place) -> Place:
    """Return a database with soketi's table and the row of its documentation."""
    place.owned(POSTGRES if place.server.quote == '"' else MYSQL)
    place.insert(**ROW)
    return place


APP = App(id="app-id", keys=(Key("app-key", "app-secret"),), client_events=True, max_connections=200)


async def test_an_app_of_soketi_is_found_by_its_id_and_its_key(soketi: Place) -> None:
    registry = await soketi.open()
    assert await registry.fetch(["app-id"], []) == [APP]
    assert await registry.fetch([], ["app-key"]) == [APP]
    assert await registry.fetch(["app-id", "x"], ["app-key", "y"]) == [APP]


async def test_the_values_of_all_of_soketis_columns(soketi: Place) -> None:
    hooks = [{"url": "https://a.example/?q='", "event_types": ["channel_occupied"], "headers": {"A": "'%s:a"}}]
    soketi.insert(
        id="2",
        key="k",
        secret="s",
        max_connections=-1,
        enabled=0,
        enable_client_messages=0,
        max_backend_events_per_sec=1,
        max_client_events_per_sec=2,
        max_read_req_per_sec=3,
        webhooks=json.dumps(hooks),
        max_presence_members_per_channel=4,
        max_presence_member_size_in_kb=5,
        max_channel_name_length=6,
        max_event_channels_at_once=7,
        max_event_name_length=8,
        max_event_payload_in_kb=9,
        max_event_batch_size=10,
        enable_user_authentication=1,
    )
    registry = await soketi.open()
    assert await registry.fetch(["2"], []) == [
        App(
            id="2",
            keys=(Key("k", "s"),),
            enabled=False,
            max_backend_events_per_second=1,
            max_client_events_per_second=2,
            max_read_requests_per_second=3,
            webhooks=(
                Webhook(url="https://a.example/?q='", event_types=("channel_occupied",), headers={"A": "'%s:a"}),
            ),
            max_presence_members_per_channel=4,
            max_presence_member_size_in_kb=5,
            max_channel_name_length=6,
            max_event_channels_at_once=7,
            max_event_name_length=8,
            max_event_payload_in_kb=9,
            max_event_batch_size=10,
            authorized_connections=True,
        )
    ]


async def test_a_table_of_soketi_is_only_read(soketi: Place) -> None:
    registry = await soketi.open()
    assert registry.writable is not None
    assert "soketpy apps init" in registry.writable
    with pytest.raises(RegistryRefused, match="only reads"):
        await registry.add(LEAST_APP)
    with pytest.raises(RegistryRefused, match="only reads"):
        await registry.change("app-id", lambda old: old)
    with pytest.raises(RegistryRefused, match="only reads"):
        await registry.remove("app-id")
    assert await registry.page() == [APP]


FURTHER_LIMITS: dict[str, Any] = {
    "max_presence_members_per_channel": 1,
    "max_presence_member_size_in_kb": 2,
    "max_channel_name_length": 3,
    "max_event_channels_at_once": 4,
    "max_event_name_length": 5,
    "max_event_payload_in_kb": 6,
    "max_event_batch_size": 7,
}


@pytest.mark.parametrize(
    ("kind", "table", "start"), [("postgres", POSTGRES, 'SELECT "key"'), ("mysql", MYSQL, "SELECT BINARY")]
)
async def test_the_apps_of_soketi_move_to_new_tables(open_place: OpenPlace, kind: str, table: str, start: str) -> None:
    """The documentation has the statements."""
    place = await open_place(kind)
    place.owned(table)
    place.insert(**ROW, **FURTHER_LIMITS)
    pattern = rf"```sql\n({re.escape(start)}.*?)```"
    [statements] = re.findall(pattern, (ROOT / "docs" / "apps.md").read_text(), re.DOTALL)
    rename, copy = statements.split("-- now run: soketpy apps init")
    assert place.sql(rename).strip() == ""
    registry = place.registry()
    await registry.initialise()
    place.sql(copy)
    moved = replace(APP, **FURTHER_LIMITS)
    assert await registry.page() == [moved]
    assert await registry.change("app-id", lambda old: replace(old, enabled=False)) == replace(moved, enabled=False)
    place.sql(
        "DROP TABLE apps_keys", "DROP TABLE apps_version", "DROP TABLE apps", "ALTER TABLE soketi_apps RENAME TO apps"
    )
    place.insert(**{**ROW, "id": "twin"})
    assert place.sql(rename).split() == ["app-key|2"] if kind == "postgres" else ["app-key", "2"]


async def moved(soketi: Place, running: SqlApps) -> None:
    """Move the apps of soketi to new tables while ``running`` has read the old one, and rotate the keys."""
    assert await running.fetch([], ["app-key"]) == [APP]
    soketi.owned("ALTER TABLE apps RENAME TO soketi_apps")
    operator = soketi.registry()
    await operator.initialise()
    soketi.owned()
    soketi.insert(id="app-id", key="app-key", secret="app-secret")
    await operator.change("app-id", lambda old: replace(old, keys=(Key("new", "s"), *old.keys)), ("keys",))


async def test_a_running_server_knows_the_keys_of_new_tables_after_it_looks_again(soketi: Place) -> None:
    running = await soketi.open()
    await moved(soketi, running)
    running.look_again()
    [app] = await running.fetch([], ["app-key"])
    assert isinstance(app, App)
    assert [each.key for each in app.keys] == ["new", "app-key"]


async def test_a_running_server_notices_new_tables_after_some_time(
    soketi: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql_apps, "LOOK_AGAIN", 0)
    running = await soketi.open()
    await moved(soketi, running)
    assert [each.id for each in await running.fetch([], ["app-key"])] == ["app-id"]


async def test_a_running_server_changes_apps_in_new_tables(soketi: Place) -> None:
    running = await soketi.open()
    await moved(soketi, running)
    await running.remove("app-id")
    assert await running.page() == []


async def test_an_initialisation_does_not_change_a_table_of_soketi(soketi: Place) -> None:
    registry = soketi.registry()
    before = soketi.server.tables(soketi.name)
    assert await registry.initialise() == []
    assert soketi.server.tables(soketi.name) == before
    assert registry.writable is not None


async def test_another_programs_table_of_keys_is_not_read(soketi: Place) -> None:
    soketi.owned("CREATE TABLE apps_keys (id integer, api_key varchar(9))")
    registry = await soketi.open()
    assert await registry.fetch(["app-id"], ["app-key"]) == [APP]


async def test_the_pages_of_a_table_of_soketi(soketi: Place) -> None:
    for number in range(5):
        soketi.insert(**{**ROW, "id": f"{number}", "key": f"k{number}"})
    registry = await soketi.open()
    assert [each.id for each in await registry.page("", 2)] == ["0", "1"]
    assert [each.id for each in await registry.page("1", 3)] == ["2", "3", "4"]
    assert [each.id for each in await registry.page("4")] == ["app-id"]


async def test_a_table_with_only_the_needed_columns(place: Place) -> None:
    create(place, plain())
    place.insert(**LEAST)
    registry = await place.open()
    assert await registry.fetch(["1"], ["k"]) == [LEAST_APP]


async def test_a_table_in_a_schema(postgres: Place) -> None:
    postgres.sql("CREATE SCHEMA other", "GRANT USAGE ON SCHEMA other TO soketpy")
    postgres.owned(POSTGRES.replace("apps (", "other.apps ("))
    postgres.sql("GRANT SELECT ON other.apps TO soketpy")
    postgres.insert("other.apps", **ROW)
    registry = await postgres.open("other.apps")
    assert await registry.fetch(["app-id"], []) == [APP]


async def test_a_view(place: Place) -> None:
    create(place, plain().replace("TABLE apps", "TABLE tenants"))
    place.insert("tenants", **LEAST)
    place.owned("CREATE VIEW apps AS SELECT * FROM tenants WHERE id <> '2'")
    registry = await place.open()
    assert await registry.fetch(["1"], ["k"]) == [LEAST_APP]


@pytest.mark.parametrize("type_", ["integer", "bigint", "smallint", "numeric(20)", "decimal(20, 2)"])
async def test_an_id_and_a_key_that_are_numbers(place: Place, type_: str) -> None:
    create(place, plain(type_, type_))
    place.insert(id=7, key=8, secret="s")
    registry = await place.open()
    app = App(id="7", keys=(Key("8", "s"),))
    assert await registry.fetch(["7"], []) == [app]
    assert await registry.fetch([], ["8"]) == [app]
    odd = ["07", "7.0", " 7", "+7", "7e0", "x", "", "7 OR 1=1", "٧", "9" * 30, str(2**31), str(2**63), str(-(2**63))]
    assert await registry.fetch([*odd, "8"], [*odd, "7", "08"]) == []
    assert [each.id for each in await registry.page("6")] == ["7"]
    assert await registry.page("7") == []
    assert await registry.page("x") == []


async def test_an_id_that_is_a_uuid(postgres: Place) -> None:
    create(postgres, plain("uuid", "uuid"))
    of, key = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "00000000-0000-0000-0000-000000000001"
    postgres.insert(id=of, key=key, secret="s")
    registry = await postgres.open()
    app = App(id=of, keys=(Key(key, "s"),))
    assert await registry.fetch([of], []) == [app]
    assert await registry.fetch([], [key]) == [app]
    assert await registry.fetch([of.upper(), "x", of.replace("-", ""), f"{{{of}}}"], ["x"]) == []


async def test_ids_and_keys_that_are_bytes(mysql: Place) -> None:
    create(mysql, plain("varbinary(100)", "varbinary(100)"))
    mysql.insert(**LEAST)
    registry = await mysql.open()
    assert await registry.fetch(["1"], ["k"]) == [LEAST_APP]


async def test_the_case_of_ids_and_keys_is_exact(mysql: Place) -> None:
    create(mysql, plain("varchar(255) COLLATE utf8mb4_general_ci", "varchar(255) COLLATE utf8mb4_general_ci"))
    mysql.insert(id="App", key="Key", secret="s")
    registry = await mysql.open()
    assert await registry.fetch(["app", "APP", "App "], ["key", "KEY", "Kéy", "Key "]) == []
    assert await registry.fetch(["App"], ["Key"]) == [App(id="App", keys=(Key("Key", "s"),))]


async def test_an_old_character_set(mysql: Place) -> None:
    create(mysql, plain() + " CHARACTER SET latin1")
    mysql.insert(id="1", key="k", secret="gehéim")
    registry = await mysql.open()
    assert await registry.fetch(["1", "\U0001f600"], ["ж"]) == [App(id="1", keys=(Key("k", "gehéim"),))]


async def test_two_apps_with_one_key_are_both_found(place: Place) -> None:
    create(place, plain())
    place.insert(**LEAST)
    place.insert(id="2", key="k", secret="t")
    registry = await place.open()
    found = await registry.fetch([], ["k"])
    assert sorted(each.id for each in found) == ["1", "2"]


BROKEN = [
    ({"secret": None}, "secret: missing"),
    ({"webhooks": "[{"}, "webhooks: not valid JSON"),
    ({"webhooks": '{"url": 1}'}, "webhooks: must be a list"),
    ({"webhooks": '[{"url": "https://a.example/", "event_types": 1}]'}, "webhooks: webhooks.0"),
    ({"max_connections": "many"}, "max_connections: "),
    ({"max_event_batch_size": "99999999999999999999"}, "max_event_batch_size: "),
    ({"enabled": "perhaps"}, "enabled: "),
    ({"keys": "[1]"}, "keys[0]: "),
]


@pytest.mark.parametrize(("values", "problem"), BROKEN, ids=[problem for _, problem in BROKEN])
async def test_a_broken_row_names_the_column_and_affects_no_other(
    place: Place, values: dict[str, Any], problem: str
) -> None:
    names = ("max_connections", "max_event_batch_size", "enabled", "webhooks", "{0}keys{0}")
    create(place, plain(more="".join(f", {name} text" for name in names)))
    place.insert(**LEAST)
    place.insert(**{"id": "bad", "key": "bad-key", "secret": "top-secret", **values})
    registry = await place.open()
    good, bad = sorted(await registry.fetch(["1", "bad"], []), key=lambda each: each.id)
    assert good == LEAST_APP
    assert isinstance(bad, BrokenApp)
    assert bad.problem.startswith(problem)
    assert "top-secret" not in repr(bad)


@pytest.mark.parametrize("type_", ["json", "jsonb"])
@pytest.mark.parametrize(
    ("value", "problem"),
    [("[" * 1100 + "]" * 1100, "nested too deeply"), (f"[{'9' * 5000}]", "a number has too many digits")],
    ids=["nested", "long number"],
)
async def test_json_without_end_affects_no_other_row(postgres: Place, type_: str, value: str, problem: str) -> None:
    create(postgres, plain(more=f", webhooks {type_}"))
    postgres.insert(**LEAST)
    postgres.insert(id="bad", key="bad-key", secret="s", webhooks=value)
    registry = await postgres.open()
    for found in (await registry.fetch(["1", "bad"], []), await registry.page()):
        good, bad = sorted(found, key=lambda each: each.id)
        assert good == LEAST_APP
        assert isinstance(bad, BrokenApp)
        assert bad.problem == f"webhooks: {problem}"


@pytest.mark.parametrize("odd", ["NaN", "Infinity", "9" * 5000])
async def test_an_id_that_is_no_finite_or_small_number_affects_no_other_row(postgres: Place, odd: str) -> None:
    create(postgres, plain("numeric"))
    postgres.insert(**LEAST)
    postgres.insert(id=odd, key="odd", secret="s")
    registry = await postgres.open()
    good, other = await registry.page()
    assert good == LEAST_APP
    assert other.id == odd
    assert len(await registry.fetch([], ["k", "odd"])) == 2


async def test_a_row_without_an_id_or_a_key_affects_no_other(place: Place) -> None:
    create(place, plain())
    place.insert(**LEAST)
    place.insert(id=None, key="a", secret="s")
    place.insert(id="2", key=None, secret="s")
    registry = await place.open()
    found = await registry.fetch(["1", "2", "None"], ["a", "None"])
    assert sorted((type(each), each.id) for each in found if isinstance(each, App)) == [(App, "1")]
    assert {each.problem for each in found if isinstance(each, BrokenApp)} == {"id: missing", "key: missing"}


async def test_columns_that_soketpy_does_not_know_are_not_read(postgres: Place) -> None:
    create(postgres, plain(more=", created timestamp, place point, of_enum bytea"))
    postgres.insert(**LEAST, created="infinity", place="(1,2)", of_enum="\\xff")
    registry = await postgres.open()
    assert await registry.fetch(["1"], []) == [LEAST_APP]


async def test_a_missing_table_is_refused(place: Place) -> None:
    registry = place.registry()
    with pytest.raises(RegistryRefused, match='there is no table apps: create it with "soketpy apps init"'):
        await registry.start(nothing)


async def test_missing_columns_are_named(place: Place) -> None:
    place.owned("CREATE TABLE apps (id varchar(10), name varchar(10))")
    registry = place.registry()
    with pytest.raises(RegistryRefused, match="the table apps has no column key and no column secret"):
        await registry.start(nothing)
