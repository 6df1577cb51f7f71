"""The creation of the tables of apps, with Alembic. Each file in ``versions`` is one step to the newest version."""

from collections.abc import Sequence

from alembic import command
from alembic.config import Config
from alembic.util.exc import CommandError
from sqlalchemy import Column, Connection, MetaData, String, Table, inspect

from soketpy.core.app_registry import RegistryRefused
from soketpy.drivers.sql.database import Database
from soketpy.drivers.sql.tables import LONGEST_NAME, VERSION, Names, version_of


async def upgrade(database: Database, names: Names, seconds: float) -> Sequence[str]:
    """Create the tables, or bring them to the newest version. Return what was done.

    Raise RegistryUnavailable, and RegistryRefused if a newer version of soketpy has created the tables or the user of
    the database may not create tables. ``seconds`` is the time limit.
    """
    async with database.initialising(seconds) as connection:
        return await connection.run_sync(_upgrade, names)


def _upgrade(connection: Connection, names: Names) -> Sequence[str]:
    if len(names.apps) > LONGEST_NAME:
        raise RegistryRefused(f"soketpy creates no table whose name has more than {LONGEST_NAME} characters")
    before = version_of(connection, names)
    if before == VERSION:
        return []
    if before is None and inspect(connection).has_table(names.apps, schema=names.schema):
        return []  # a table of others
    config = Config()
    config.set_main_option("script_location", "soketpy.drivers.sql:migrations")
    config.attributes.update(connection=connection, names=names)
    _create_version_table(connection, names)
    try:
        command.upgrade(config, "head")
    except CommandError:
        raise RegistryRefused(
            f"the table {names.apps} has format {before}, which this version of soketpy does not know: use a newer one"
        ) from None
    if before:
        return [f"The tables {names.apps} and {names.keys} now have format {VERSION}; they had format {before}."]
    return [f"Created the tables {names.apps}, {names.keys} and {names.version}."]


def _create_version_table(connection: Connection, names: Names) -> None:
    """Create Alembic's table of the version if it is missing.

    Alembic would give its primary key a name. MySQL warns that it ignores the name. Changes of apps lock a row of the
    table, and therefore it needs InnoDB.
    """
    version = Column("version_num", String(32), primary_key=True)
    Table(names.version, MetaData(), version, schema=names.schema, mysql_engine="InnoDB").create(
        connection, checkfirst=True
    )
