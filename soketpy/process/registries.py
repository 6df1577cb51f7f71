"""The registry of apps that the settings choose. A driver is imported only if it is used."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from soketpy.config import Settings
from soketpy.config.app_rows import Row, app_of, field_of, item_of, row_of
from soketpy.config.registry import CONFIG, SqlServer
from soketpy.core.app_registry import AppRegistry, BrokenApp
from soketpy.core.apps import App
from soketpy.process.log import quantity

if TYPE_CHECKING:
    from soketpy.drivers.sql.database import Database
    from soketpy.drivers.sql.server import Server

EXTRAS = {"sqlite": "sqlite", "postgres": "postgres", "mysql": "mysql", "dynamodb": "aws"}
"""The extra of the package with the libraries of each driver."""

PRODUCTS = {"sqlite": "SQLite", "postgres": "PostgreSQL", "mysql": "MySQL", "dynamodb": "DynamoDB"}

IN_CONFIGURATION = (
    "the apps are in the configuration; change them there. To use another configuration, give --config or set "
    "SOKETPY_CONFIG; to manage apps here, set registry.driver: sqlite"
)

Adapt = Callable[[App], App]


def is_in_database(settings: Settings) -> bool:
    """Return whether the apps are in a database, and not in the configuration."""
    return settings.registry.driver != CONFIG


def described(settings: Settings) -> str:
    """Return in words which apps a server has."""
    if is_in_database(settings):
        return f"the apps in {PRODUCTS[settings.registry.driver]}"
    return quantity(len(settings.apps), "app")


def registry_of(settings: Settings, adapt: Adapt | None = None) -> AppRegistry:
    """Return the registry of apps, which is not started. ``adapt`` changes each app that is read.

    Raise ConfigError if the apps are in the configuration, and if the libraries of the driver are missing.
    """
    driver, limits = settings.registry.driver, settings.app_defaults
    if driver == CONFIG:
        raise settings.mistake("registry.driver", f"config: {IN_CONFIGURATION}")

    def read(row: Row) -> App | BrokenApp:
        found = app_of(row, limits)
        return adapt(found) if adapt is not None and isinstance(found, App) else found

    try:
        return _registry(settings, read)
    except ImportError as fault:
        install = f"pip install 'soketpy[{EXTRAS[driver]}]'"
        raise settings.mistake("registry.driver", f"{driver} needs the library {fault.name}: {install}") from None


def _registry(settings: Settings, read: Callable[[Row], App | BrokenApp]) -> AppRegistry:
    table = settings.registry.table
    if settings.registry.driver == "dynamodb":
        from soketpy.drivers.aws.apps import DynamoApps

        aws = settings.dynamodb
        return DynamoApps(table, aws, read=read, write=item_of, field_of=field_of, timeout=aws.request_timeout)
    from soketpy.drivers.sql.apps import SqlApps

    return SqlApps(_database(settings), table=table, read=read, write=row_of, field_of=field_of)


def _database(settings: Settings) -> "Database":
    if settings.registry.driver == "sqlite":
        from soketpy.drivers.sql.sqlite import SqliteDatabase

        return SqliteDatabase(settings.sqlite.path)
    if settings.registry.driver == "postgres":
        from soketpy.drivers.sql.postgres import PostgresDatabase

        given: SqlServer = settings.postgres
        return PostgresDatabase(_server(given), pool_size=given.pool_size, timeout=given.statement_timeout)
    from soketpy.drivers.sql.mysql import MysqlDatabase

    given = settings.mysql
    return MysqlDatabase(_server(given), pool_size=given.pool_size, timeout=given.statement_timeout)


def _server(given: SqlServer) -> "Server":
    from soketpy.drivers.sql.server import Server

    return Server(
        host=given.host,
        port=given.port,
        username=given.username,
        password=given.password,
        database=given.database,
        tls=given.tls,
        ca=given.ca,
    )
