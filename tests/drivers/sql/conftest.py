"""Tables in the databases of servers, as other programs have created them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiosqlite
import pytest

from soketpy.config.app_rows import Row
from soketpy.core.app_registry import BrokenApp
from soketpy.core.apps import App
from soketpy.drivers.sql.apps import SqlApps
from tests.databases import DatabaseServer
from tests.drivers.aws.dynamo import READ
from tests.drivers.registries import KITS, Kit, ServerKit, nothing

SERVERS = ("postgres", "mysql")


class Place:
    """One database, and the registries that are opened in it."""

    def __init__(self, kit: ServerKit, stack: AsyncExitStack) -> None:
        self.kit = kit
        self.server: DatabaseServer = kit.server
        self.name = kit.new_place()
        self._stack = stack

    def sql(self, *statements: str) -> str:
        """Run statements as the superuser."""
        return self.server.sql(self.name, *statements)

    def owned(self, *statements: str) -> None:
        """Create tables, which the user of the tests can read and change."""
        self.sql(*statements, *self.server.grants(self.name))

    def insert(self, table: str = "apps", **row: object) -> None:
        """Insert a row. None is NULL."""
        self.server.insert(self.name, row, table)

    def registry(self, table: str = "apps", **options: Any) -> SqlApps:
        """Return a registry, which ends with the test. ``options`` are those of the kit."""
        registry = self.kit.registry(self.name, table, **options)
        self._stack.push_async_callback(registry.stop)
        return registry

    async def open(self, table: str = "apps") -> SqlApps:
        """Return a registry that is started."""
        registry = self.registry(table)
        await registry.start(nothing)
        return registry


OpenPlace = Callable[[str], Awaitable[Place]]


@pytest.fixture
async def open_place(request: pytest.FixtureRequest) -> AsyncIterator[OpenPlace]:
    """Open a new database of a kind of server."""
    async with AsyncExitStack() as stack:

        async def open_place(kind: str) -> Place:
            kit = KITS[kind](request)
            assert isinstance(kit, ServerKit)
            stack.push_async_callback(kit.close)
            return Place(kit, stack)

        yield open_place


@pytest.fixture(params=SERVERS)
async def place(request: pytest.FixtureRequest, open_place: OpenPlace) -> Place:
    """Run a test with each kind of server."""
    return await open_place(request.param)


@pytest.fixture
async def postgres(open_place: OpenPlace) -> Place:
    return await open_place("postgres")


@pytest.fixture
async def mysql(open_place: OpenPlace) -> Place:
    return await open_place("mysql")


class Opened:
    """A registry with the tables of soketpy, and the longest text that it has read."""

    def __init__(self, kit: Kit) -> None:
        self.kit = kit
        self.place = kit.new_place()
        self.longest = 0
        registry = kit.registry(self.place, read=self._read)
        assert isinstance(registry, SqlApps)
        self.registry = registry

    def _read(self, row: Row) -> App | BrokenApp:
        self.longest = max(self.longest, *(len(each) for each in row.values() if isinstance(each, str | bytes)))
        return READ(row)

    async def sql(self, statement: str) -> None:
        """Run a statement as another program would do it."""
        if isinstance(self.kit, ServerKit):
            self.kit.server.sql(self.place, statement.replace('"', self.kit.server.quote))
            return
        async with aiosqlite.connect(self.place) as connection:
            await connection.execute(statement)
            await connection.commit()

    async def insert(self, app_id: str, **values: Any) -> None:
        """Insert an app with the key ``key-ID``."""
        await self.kit.insert(self.place, {"id": app_id, "key": f"key-{app_id}", "secret": "s", **values})

    async def add_keys(self, app_id: str, number: int) -> None:
        """Insert further keys of an app, in one statement."""
        rows = ", ".join(f"('{app_id}-{at}', '{app_id}', 's', {at})" for at in range(number))
        await self.sql(f'INSERT INTO apps_keys ("key", app_id, secret, position) VALUES {rows}')


@pytest.fixture(params=["sqlite", "postgres", "mysql"])
async def opened(request: pytest.FixtureRequest) -> AsyncIterator[Opened]:
    found = Opened(KITS[request.param](request))
    await found.registry.initialise()
    await found.registry.start(nothing)
    yield found
    await found.registry.stop()
    await found.kit.close()
