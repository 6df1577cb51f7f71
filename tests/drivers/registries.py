"""The registries of apps for the contract tests: each kit opens registries of one kind."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import aiosqlite
import pytest

from soketpy.config.app_rows import ReadRow, Row, field_of, row_of
from soketpy.core.app_registry import AppRegistry
from soketpy.drivers.sql.apps import SqlApps
from soketpy.drivers.sql.database import Database
from soketpy.drivers.sql.mysql import MysqlDatabase
from soketpy.drivers.sql.postgres import PostgresDatabase
from soketpy.drivers.sql.server import Server
from soketpy.drivers.sql.sqlite import SqliteDatabase
from tests.databases import DatabaseServer
from tests.drivers.aws.dynamo import READ, DynamoKit
from tests.patience import PATIENCE


def nothing(app_id: str | None) -> None:
    """Ignore a change."""


class Kit(Protocol):
    """Opens registries of one kind. A place is where the entries of one registry are, such as a database."""

    notifies: bool
    """True if a registry reports the changes that another process makes."""

    def new_place(self) -> str:
        """Return a place that has nothing, not even tables."""

    def registry(self, place: str, *, read: ReadRow = READ) -> AppRegistry:
        """Return a registry that is not started. ``read`` converts its rows to apps."""

    async def insert(self, place: str, row: Row) -> None:
        """Insert an entry as another program would do it, with ``id``, ``key`` and ``secret`` among its columns."""

    async def close(self) -> None:
        """Remove everything."""


class SqliteKit:
    """Registries in SQLite files."""

    notifies = True

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def new_place(self) -> str:
        return str(self._folder / f"{uuid4()}.db")

    def registry(self, place: str, *, read: ReadRow = READ) -> SqlApps:
        return SqlApps(SqliteDatabase(place, poll=0.05), read=read, write=row_of, field_of=field_of)

    async def insert(self, place: str, row: Row) -> None:
        async with aiosqlite.connect(place) as connection:
            marks = ", ".join("?" for _ in row)
            await connection.execute(f"INSERT INTO apps ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))
            await connection.commit()

    async def close(self) -> None:
        pass


class ServerKit:
    """Registries in the databases of one server."""

    def __init__(self, server: DatabaseServer, database: Callable[..., Database], notifies: bool) -> None:
        self.notifies = notifies
        self.server = server
        self._database = database
        self._places: list[str] = []

    def new_place(self) -> str:
        place = f"test_{uuid4().hex}"
        self.server.new_database(place)
        self._places.append(place)
        return place

    def registry(
        self, place: str, table: str = "apps", timeout: float = PATIENCE, *, read: ReadRow = READ, **changes: Any
    ) -> SqlApps:
        """Return a registry that is not started. ``changes`` are other values of the address of the server."""
        server: Server = replace(self.server.server(place), **changes)
        return SqlApps(self._database(server, timeout=timeout), table=table, read=read, write=row_of, field_of=field_of)

    async def insert(self, place: str, row: Row) -> None:
        await asyncio.to_thread(self.server.insert, place, row)

    async def close(self) -> None:
        for place in self._places:
            self.server.drop_database(place)


def sqlite_kit(request: pytest.FixtureRequest) -> Kit:
    """Return the kit of SQLite."""
    return SqliteKit(request.getfixturevalue("tmp_path"))


def dynamo_kit(request: pytest.FixtureRequest) -> Kit:
    """Return the kit of DynamoDB."""
    return DynamoKit(request.getfixturevalue("sqs_server").url)


def postgres_kit(request: pytest.FixtureRequest) -> Kit:
    """Return the kit of PostgreSQL."""
    return ServerKit(request.getfixturevalue("postgres_server"), PostgresDatabase, notifies=True)


def mysql_kit(request: pytest.FixtureRequest) -> Kit:
    """Return the kit of MySQL."""
    return ServerKit(request.getfixturevalue("mariadb_server"), MysqlDatabase, notifies=False)


KITS: dict[str, Callable[[Any], Kit]] = {
    "dynamodb": dynamo_kit,
    "mysql": mysql_kit,
    "postgres": postgres_kit,
    "sqlite": sqlite_kit,
}
"""The kit of each kind of registry. A kind that is added here runs the contract tests."""
