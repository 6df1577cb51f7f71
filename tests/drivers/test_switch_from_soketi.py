"""A server over the tables of soketi, started with soketi's variables alone. Its database is killed under load."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import pytest

from soketpy.core.apps import App, Key
from tests.aws import ACCESS_KEY, SECRET_KEY, TOKEN, Moto
from tests.clients.programs import Launched
from tests.conftest import At
from tests.databases import PASSWORD, USER, DatabaseServer
from tests.drivers.aws import dynamo
from tests.drivers.sql import soketi
from tests.fakes import APP
from tests.patience import until

OTHER = App(id="other", keys=(Key("other-key", "other-secret"),))


@dataclass(frozen=True)
class Soketi:
    """An environment of soketi, with two apps in its database."""

    environment: Mapping[str, str]
    server: DatabaseServer | None = None


def new_name() -> str:
    return f"test_{uuid4().hex}"


def of_sql(server: DatabaseServer, kind: str, name: str, table: str) -> Soketi:
    database = new_name()
    server.new_database(database)
    server.sql(database, table, *server.grants(database))
    server.insert(database, soketi.ROW)
    server.insert(database, {**soketi.ROW, "id": OTHER.id, "key": OTHER.key, "secret": OTHER.keys[0].secret})
    return Soketi(
        {
            "SOKETI_APP_MANAGER_DRIVER": kind,
            f"SOKETI_DB_{name}_HOST": "127.0.0.1",
            f"SOKETI_DB_{name}_PORT": str(server.port),
            f"SOKETI_DB_{name}_USERNAME": USER,
            f"SOKETI_DB_{name}_PASSWORD": PASSWORD,
            f"SOKETI_DB_{name}_DATABASE": database,
            "SOKETI_DB_POOLING_ENABLED": "true",
            "SOKETI_DEFAULT_APP_ID": "left-over",
        },
        server,
    )


@pytest.fixture(params=["postgres", "mysql"])
def in_sql(request: pytest.FixtureRequest) -> Soketi:
    """Return apps in PostgreSQL or MariaDB."""
    if request.param == "postgres":
        server: DatabaseServer = request.getfixturevalue("postgres_server")
        return of_sql(server, "postgres", "POSTGRES", soketi.POSTGRES)
    return of_sql(request.getfixturevalue("mariadb_server"), "mysql", "MYSQL", soketi.MYSQL)


@pytest.fixture
async def in_dynamodb(sqs_server: Moto) -> Soketi:
    """Return apps in DynamoDB."""
    table, url = new_name(), sqs_server.url
    await dynamo.create_table(url, table)
    await dynamo.put(url, table, dynamo.soketis_item(APP.id, APP.key, EnableClientMessages={"B": b"true"}))
    return Soketi(
        {
            "SOKETI_APP_MANAGER_DRIVER": "dynamodb",
            "SOKETI_APP_MANAGER_DYNAMODB_ENDPOINT": url,
            "SOKETI_APP_MANAGER_DYNAMODB_TABLE": table,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_SESSION_TOKEN": TOKEN,
        }
    )


@contextmanager
def started(of: Soketi, folder: Path) -> Iterator[Launched]:
    """Run ``soketpy start`` in an environment of soketi. The queue of webhooks is in this folder."""
    command = (sys.executable, "-m", "soketpy", "start", "--host", "127.0.0.1", "--port", "0")
    with Launched(*command, ready="Listening on", env=of.environment, cwd=folder) as server:
        yield server


def port_of(server: Launched) -> int:
    found = re.search(r"127\.0\.0\.1:(\d+)", server.greeting)
    assert found is not None, server.greeting
    return int(found[1])


async def check(port: int, stack: AsyncExitStack) -> At:
    """Use the first app over WebSocket and REST."""
    peers = At(port, stack)
    client, other = await peers.client(), await peers.client()
    for each in (client, other):
        assert (await each.subscribe("private-news"))["event"] == "pusher_internal:subscription_succeeded"
    assert (await peers.trigger("private-news", "said")).status == 200
    for each in (client, other):
        assert (await each.hear())["event"] == "said"
    await client.say("client-said", {}, channel="private-news")
    assert (await other.hear())["event"] == "client-said"
    return peers


async def test_a_team_switches_with_its_variables_and_its_table(in_sql: Soketi, tmp_path: Path) -> None:
    with started(in_sql, tmp_path) as server:
        async with AsyncExitStack() as stack:
            await check(port_of(server), stack)
        assert "left-over" not in server.preamble


async def test_a_team_switches_with_its_table_in_dynamodb(in_dynamodb: Soketi, tmp_path: Path) -> None:
    with started(in_dynamodb, tmp_path) as server:
        async with AsyncExitStack() as stack:
            await check(port_of(server), stack)


async def test_a_killed_database_affects_no_app_that_is_cached(in_sql: Soketi, tmp_path: Path) -> None:
    assert in_sql.server is not None
    with ExitStack() as servers:
        server = servers.enter_context(started(in_sql, tmp_path))
        async with AsyncExitStack() as stack:
            peers = await check(port_of(server), stack)
            listener = await peers.client()
            await listener.subscribe("news")
            in_sql.server.kill()
            servers.callback(revive, in_sql.server)
            for number in range(50):
                assert (await peers.trigger("news", f"event-{number}")).status == 200
                assert (await listener.hear())["event"] == f"event-{number}"
            assert (await peers.client()).id
            refused = await peers.call("GET", "/channels", app=OTHER)
            assert (refused.status, refused.headers.get("Retry-After")) == (503, "1")
            socket = await peers.socket(f"/app/{OTHER.key}?protocol=7")
            assert (await socket.closed())[0] == 4100
            in_sql.server.start()

            async def works_again() -> bool:
                return (await peers.call("GET", "/channels", app=OTHER)).status == 200

            await until(works_again)
            unknown = replace(OTHER, id="nobody")
            assert (await peers.call("GET", "/channels", app=unknown)).status == 404
            socket = await peers.socket("/app/nobody?protocol=7")
            assert (await socket.closed())[0] == 4001


def revive(server: DatabaseServer) -> None:
    """Start the database for the other tests, if a failed test has left it killed."""
    if server._process is None:
        server.start()


def test_a_start_without_the_database_ends_with_1_and_one_line(in_sql: Soketi, tmp_path: Path) -> None:
    environment = {**in_sql.environment, "SOKETPY_REGISTRY_START_TIMEOUT": "0.1"}
    port = next(name for name in environment if name.endswith("_PORT"))
    ended = subprocess.run(
        [sys.executable, "-m", "soketpy", "start", "--host", "127.0.0.1", "--port", "0"],
        env={**os.environ, **environment, port: "1"},
        cwd=tmp_path,
        capture_output=True,
        check=False,
        text=True,
    )
    assert ended.returncode == 1
    errors = [line for line in ended.stderr.splitlines() if "ERROR" in line]
    assert len(errors) == 1, ended.stderr
    assert "cannot be read" in errors[0]
    assert PASSWORD not in ended.stderr
