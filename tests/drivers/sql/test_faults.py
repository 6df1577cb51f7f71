"""Databases that die, stop to answer, or refuse: the registry says so, and works again without a restart."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, suppress
from dataclasses import replace

import pytest

from soketpy.core.app_registry import RegistryRefused, RegistryUnavailable
from soketpy.core.apps import App, Key
from soketpy.drivers.sql.apps import SqlApps
from soketpy.drivers.sql.mysql import MysqlDatabase
from soketpy.drivers.sql.postgres import PostgresDatabase
from soketpy.drivers.sql.server import Server
from tests.clients.programs import free_port
from tests.databases import PASSWORD, MariaDb, Postgres
from tests.drivers.registries import ServerKit, nothing
from tests.drivers.sql.conftest import Place
from tests.patience import PATIENCE, attempts, until

HASTY = 0.5
"""Seconds, for a call that must not get an answer."""

APP = App(id="1", keys=(Key("k", "s"), Key("l", "t")))


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


@pytest.fixture(scope="module")
def own_mariadb() -> Iterator[MariaDb]:
    with MariaDb() as server:
        yield server


@pytest.fixture(params=["postgres", "mysql"])
async def owned(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    """Open a database of a server that the test may kill. The database has one app."""
    if request.param == "postgres":
        kit = ServerKit(request.getfixturevalue("own_postgres"), PostgresDatabase, notifies=True)
    else:
        kit = ServerKit(request.getfixturevalue("own_mariadb"), MysqlDatabase, notifies=False)
    kit.server.start()
    async with AsyncExitStack() as stack:
        place = Place(kit, stack)
        registry = place.registry()
        await registry.initialise()
        await registry.add(APP)
        yield place


async def works(registry: SqlApps) -> bool:
    with suppress(RegistryUnavailable):
        return await registry.fetch([], ["k"]) == [APP]
    return False


async def test_a_registry_survives_a_crash_of_the_database(owned: Place) -> None:
    registry = owned.registry()
    await registry.start(nothing)
    for _ in range(2):
        assert await registry.fetch(["1"], []) == [APP]
        owned.server.kill()
        with pytest.raises(RegistryUnavailable):
            await registry.fetch(["1"], [])
        with pytest.raises(RegistryUnavailable):
            await registry.change("1", lambda old: old)
        owned.server.start()
        await until(lambda: works(registry))
        assert await registry.change("1", lambda old: old) == APP


async def test_the_calls_during_a_crash_end(owned: Place) -> None:
    registry = owned.registry()
    await registry.start(nothing)
    running, answers = True, 0

    async def ask() -> None:
        nonlocal answers
        for _ in attempts():
            with suppress(RegistryUnavailable):
                assert await registry.fetch(["1"], ["k"]) == [APP]
                answers += 1
            await asyncio.sleep(0)
            if not running:
                break

    calls = [asyncio.create_task(ask()) for _ in range(20)]
    for _ in range(3):
        before = answers
        await until(lambda: answers > before + 20)  # noqa: B023 - awaited here
        owned.server.kill()
        owned.server.start()
    running = False
    await asyncio.gather(*calls)
    await until(lambda: works(registry))


async def test_a_start_without_the_database(owned: Place) -> None:
    owned.server.kill()
    registry = owned.registry()
    with pytest.raises(RegistryUnavailable) as refused:
        await registry.start(nothing)
    assert PASSWORD not in str(refused.value)
    assert "\n" not in str(refused.value)
    owned.server.start()
    await registry.start(nothing)
    assert await works(registry)


async def test_a_database_that_does_not_answer(owned: Place) -> None:
    registry = owned.registry()
    await registry.start(nothing)
    registry.database.timeout = HASTY
    with owned.server.standing_still():
        for _ in range(3):
            with pytest.raises(RegistryUnavailable, match=f"did not answer within {HASTY:g} s"):
                await registry.fetch(["1"], [])
        calls = (registry.fetch([], ["k"]) for _ in range(20))
        found = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(each) for each in found} == {RegistryUnavailable}
    registry.database.timeout = PATIENCE
    await until(lambda: works(registry))


async def test_an_id_that_no_table_can_have_needs_no_database(owned: Place) -> None:
    registry = owned.registry()
    await registry.start(nothing)
    registry.database.timeout = HASTY
    with owned.server.standing_still():
        assert await registry.fetch(["x" * 256, "\0"], ["y" * 256]) == []
        assert await registry.fetch([], []) == []
        with pytest.raises(RegistryUnavailable):
            await registry.fetch(["x" * 255], [])
    registry.database.timeout = PATIENCE


async def test_the_stop_does_not_wait_for_a_database_that_does_not_answer(owned: Place) -> None:
    before = asyncio.all_tasks()
    registry = owned.registry()
    await registry.start(nothing)
    await asyncio.gather(*(registry.fetch(["1"], []) for _ in range(5)))
    with owned.server.standing_still():
        await registry.stop()
        assert asyncio.all_tasks() == before
    await registry.start(nothing)
    assert await works(registry)


async def test_a_cancelled_call_to_a_database_that_does_not_answer(owned: Place) -> None:
    registry = owned.registry()
    await registry.start(nothing)
    with owned.server.standing_still():
        calls = [asyncio.create_task(registry.fetch(["1"], [])) for _ in range(10)]
        calls += [asyncio.create_task(owned.registry().fetch(["1"], []))]
        for _ in range(20):
            await asyncio.sleep(0)
        for each in calls:
            each.cancel()
        done, _ = await asyncio.wait(calls)
        assert all(each.cancelled() for each in done)
    await until(lambda: works(registry))


async def test_a_table_that_is_locked(place: Place) -> None:
    holder = place.registry()
    await holder.initialise()
    await holder.add(APP)
    blocked = await place.open()
    blocked.database.timeout = HASTY
    async with holder.database.connection() as connection:
        if place.server.quote == '"':
            await connection.execution_options(isolation_level="READ COMMITTED")
            await connection.exec_driver_sql("LOCK TABLE apps IN ACCESS EXCLUSIVE MODE")
        else:
            await connection.exec_driver_sql("LOCK TABLES apps WRITE")
        with pytest.raises(RegistryUnavailable):
            await blocked.fetch(["1"], [])
        if place.server.quote != '"':
            await connection.exec_driver_sql("UNLOCK TABLES")
    blocked.database.timeout = PATIENCE
    assert await works(blocked)


async def test_a_change_that_waits_for_another_one_ends(place: Place) -> None:
    holder = place.registry()
    await holder.initialise()
    await holder.add(APP)
    blocked = await place.open()
    blocked.database.timeout = HASTY
    async with holder.database.transaction() as connection:
        await connection.exec_driver_sql("SELECT * FROM apps_version FOR UPDATE")
        with pytest.raises(RegistryUnavailable):
            await blocked.remove("1")
        blocked.database.timeout = PATIENCE
        assert await works(blocked)
    await blocked.remove("1")


async def test_the_server_ends_a_statement_that_takes_too_long(place: Place) -> None:
    """The server limits the time too: the client may be gone."""
    registry = place.registry(timeout=HASTY)
    sleep = "SELECT pg_sleep(600)" if place.server.quote == '"' else "SELECT SLEEP(600)"
    with pytest.raises(RegistryUnavailable, match=r"statement timeout|max_statement_time"):
        async with registry.database.connection(PATIENCE) as connection:
            await connection.exec_driver_sql(sleep)


async def test_a_wrong_password(place: Place) -> None:
    registry = place.registry(password="wrong-word")
    with pytest.raises(RegistryUnavailable, match=r"(?i)password") as refused:
        await registry.start(nothing)
    assert "wrong-word" not in str(refused.value)


async def test_an_unknown_database(place: Place) -> None:
    registry = place.registry(database="nowhere")
    with pytest.raises(RegistryUnavailable, match="nowhere"):
        await registry.start(nothing)


async def test_a_port_without_a_server(place: Place) -> None:
    registry = place.registry(port=free_port())
    with pytest.raises(RegistryUnavailable) as refused:
        await registry.start(nothing)
    assert "\n" not in str(refused.value)


async def test_a_port_that_never_answers(place: Place) -> None:
    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with silent:
        registry = place.registry(port=silent.sockets[0].getsockname()[1], timeout=HASTY)
        with pytest.raises(RegistryUnavailable, match=f"within {HASTY:g} s"):
            await registry.start(nothing)
        await registry.stop()


async def test_a_port_of_another_protocol(place: Place) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    other = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with other:
        registry = place.registry(port=other.sockets[0].getsockname()[1])
        with pytest.raises(RegistryUnavailable) as refused:
            await registry.start(nothing)
        assert "\n" not in str(refused.value)
        await registry.stop()


async def test_a_table_that_was_dropped_and_created_again(place: Place) -> None:
    registry = place.registry()
    await registry.initialise()
    await registry.add(APP)
    for table in ("apps_keys", "apps", "apps_version"):
        place.sql(f"DROP TABLE {table} {'CASCADE' if place.server.quote == chr(34) else ''}")
    if place.server.quote == '"':
        place.sql("DROP FUNCTION apps_changed")
    for _ in range(2):
        with pytest.raises(RegistryUnavailable):
            await registry.fetch(["1"], [])
    again = place.registry()
    await again.initialise()
    await again.add(APP)
    await until(lambda: works(registry))


async def test_a_column_that_was_added_while_the_registry_is_open(place: Place) -> None:
    place.owned(f"CREATE TABLE apps (id varchar(9), {place.server.quote}key{place.server.quote} text, secret text)")
    place.insert(id="1", key="k", secret="s")
    registry = await place.open()
    assert len(await registry.fetch(["1"], ["k"])) == 1
    place.sql("ALTER TABLE apps ADD COLUMN enabled smallint DEFAULT 0", "ALTER TABLE apps DROP COLUMN secret")
    place.sql("ALTER TABLE apps ADD COLUMN secret varchar(20) DEFAULT 't'")

    async def is_read() -> bool:
        with suppress(RegistryUnavailable):
            return len(await registry.fetch(["1"], [])) == 1
        return False

    await until(is_read)


async def test_a_value_that_does_not_fit(place: Place) -> None:
    registry = place.registry()
    await registry.initialise()
    for app in (
        App(id="2", keys=(Key("a", "x" * 256),)),
        App(id="x" * 256, keys=(Key("a", "s"),)),
        App(id="2", keys=(Key("a", "s"), Key("y" * 256, "s"))),
        replace(APP, id="2", keys=(Key("a", "s"),), max_connections=2**31),
    ):
        with pytest.raises(RegistryRefused, match="the database stores at most"):
            await registry.add(app)
    assert await registry.page() == []
    await registry.add(App(id="2", keys=(Key("a", "x" * 255),), max_connections=2**31 - 1))


@pytest.mark.parametrize("database", [PostgresDatabase, MysqlDatabase])
async def test_a_server_that_cannot_be_reached_is_named(
    database: type[PostgresDatabase] | type[MysqlDatabase],
) -> None:
    port = free_port()
    for host in ("127.0.0.1", "name.invalid"):
        opened = database(Server(host=host, port=port, username="u", password="p", database="chat"), timeout=PATIENCE)
        opened.prepare()
        with pytest.raises(RegistryUnavailable, match=rf" \({host}:{port}, database chat\)$"):
            async with opened.connection():
                pass
        await opened.close()
