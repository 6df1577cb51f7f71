"""Tables in the databases of servers, as other programs have created them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from soketpy.drivers.sql.apps import SqlApps
from tests.databases import DatabaseServer
from tests.drivers.registries import KITS, ServerKit, nothing

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
