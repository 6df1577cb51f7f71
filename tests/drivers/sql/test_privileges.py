"""Users of a database with few privileges: those that docs/apps.md lists are enough."""

import pytest

from soketpy.core.app_registry import RegistryRefused, RegistryUnavailable
from soketpy.core.apps import App, Key
from soketpy.drivers.sql.apps import SqlApps
from tests.databases import DatabaseServer
from tests.drivers.registries import nothing
from tests.drivers.sql.conftest import Place
from tests.drivers.sql.soketi import MYSQL, POSTGRES, ROW

APP = App(id="1", keys=(Key("k", "s"), Key("l", "t")))
OPERATOR = ("SELECT, INSERT, UPDATE, DELETE ON apps", "SELECT, INSERT, UPDATE, DELETE ON apps_keys")


def user(place: Place, name: str, *privileges: str) -> SqlApps:
    """Create a user with a name of its own, and return a registry of the user."""
    server: DatabaseServer = place.server
    given = f"u{place.name[-10:]}_{name}"
    account = given if server.quote == '"' else f"{given}@'127.0.0.1'"
    create = (
        f"CREATE ROLE {account} LOGIN PASSWORD 'p'"
        if server.quote == '"'
        else f"CREATE USER {account} IDENTIFIED BY 'p'"
    )
    place.sql(create, *(f"GRANT {each} TO {account}" for each in privileges))
    return place.registry(username=given, password="p")


async def test_a_server_only_reads(place: Place) -> None:
    owner = place.registry()
    await owner.initialise()
    await owner.add(APP)
    registry = user(place, "reader", *(f"SELECT ON {each}" for each in ("apps", "apps_keys", "apps_version")))
    await registry.start(nothing)
    assert await registry.fetch([], ["k", "l"]) == [APP]
    assert await registry.page() == [APP]
    for change in (registry.add(App(id="2", keys=(Key("m", "s"),))), registry.remove("1")):
        with pytest.raises(RegistryRefused, match=r"denied.*; docs/apps\.md has the privileges"):
            await change
    assert await registry.page() == [APP]


async def test_a_server_reads_a_table_of_soketi_with_one_privilege(place: Place) -> None:
    place.sql(POSTGRES if place.server.quote == '"' else MYSQL)
    place.insert(**ROW)
    registry = user(place, "soketi", "SELECT ON apps")
    await registry.start(nothing)
    assert [each.id for each in await registry.fetch(["app-id"], ["app-key"])] == ["app-id"]
    assert registry.writable is not None


async def test_an_operator_changes_apps_but_no_tables(place: Place) -> None:
    await place.registry().initialise()
    registry = user(place, "operator", *OPERATOR, "SELECT, UPDATE ON apps_version")
    await registry.start(nothing)
    await registry.add(APP)
    await registry.change("1", lambda old: APP)
    await registry.remove("1")


async def test_the_privileges_to_create_tables(place: Place) -> None:
    needed = "CREATE, USAGE ON SCHEMA public"
    if place.server.quote != '"':
        needed = f"CREATE, ALTER, INDEX, REFERENCES, SELECT, INSERT, UPDATE ON {place.name}.*"
    registry = user(place, "init", needed)
    assert len(await registry.initialise()) == 1
    assert registry.writable is None


async def test_a_user_that_may_not_create_tables(place: Place) -> None:
    registry = user(place, "none")
    with pytest.raises((RegistryRefused, RegistryUnavailable), match=r"denied|no table"):
        await registry.start(nothing)
    with pytest.raises((RegistryRefused, RegistryUnavailable), match="denied"):
        await registry.initialise()
