"""The tables that soketpy creates."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from soketpy.config.app_rows import columns
from soketpy.drivers.sql.apps import SqlApps
from soketpy.drivers.sql.tables import Names, own_tables
from tests.drivers.registries import KITS, Kit

SQL_KITS = ["sqlite", "postgres", "mysql"]


@pytest.fixture(params=SQL_KITS)
def kit(request: pytest.FixtureRequest) -> Kit:
    return KITS[request.param](request)


def test_the_tables_have_a_column_for_each_field_of_an_app() -> None:
    apps, _ = own_tables(Names("apps"))
    assert set(apps.columns.keys()) == set(columns().values()) - {"keys"}, "add a migration in soketpy/drivers/sql"


async def test_the_migrations_create_the_tables(kit: Kit) -> None:
    registry = kit.registry(kit.new_place())
    assert isinstance(registry, SqlApps)
    await registry.initialise()

    def compare(connection: Connection) -> None:
        apps, _ = own_tables(Names("apps"))
        opts = {"version_table": "apps_version", "include_object": lambda _, __, kind, *___: kind != "index"}
        context = MigrationContext.configure(connection, opts=opts)
        assert compare_metadata(context, apps.metadata) == []

    async with registry.database.connection() as connection:
        await connection.run_sync(compare)
    await registry.stop()
    await kit.close()
