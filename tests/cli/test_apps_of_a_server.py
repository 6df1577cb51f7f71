"""The effect of ``soketpy apps`` on the clients of a server whose apps are in an SQLite file."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from soketpy.cli import main
from soketpy.config.registry import Admin, Registry, Sqlite
from soketpy.config.settings import Redis
from soketpy.drivers.sql.sqlite import SqliteDatabase
from tests.cli.test_workers import Together
from tests.clients.programs import free_port
from tests.conftest import At, Peers, Socket, StartServer
from tests.redis import LONG_LEASE

TOKEN = "a-token-of-the-tests"

Run = Callable[..., Awaitable[Any]]


@pytest.fixture
async def peers(start_server: StartServer, tmp_path: Path) -> Peers:
    return await start_server(
        apps=(),
        registry=Registry(driver="sqlite", unknown_seconds=1),
        sqlite=Sqlite(path=str(tmp_path / "apps.db")),
        admin=Admin(enabled=True, port=0, tokens=(TOKEN,)),
    )


@pytest.fixture(params=["remote", "local"])
async def run(
    request: pytest.FixtureRequest,
    peers: Peers,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    """Run a form of the command over the admin API, or on the file of the server. Return its JSON."""
    if request.param == "remote":
        monkeypatch.setenv("SOKETPY_ADMIN_TOKEN", TOKEN)
        where = ["--admin-url", f"http://127.0.0.1:{peers.server.admin_port}"]
    else:
        file = tmp_path / "soketpy.json"
        file.write_text(json.dumps({"registry": {"driver": "sqlite"}, "sqlite": {"path": str(tmp_path / "apps.db")}}))
        where = ["--config", str(file)]

    async def run(*argv: str) -> Any:
        json_too = ["--yes"] if argv[0] == "remove" else ["--json"]
        assert await asyncio.to_thread(main, ("apps", *argv, *json_too, *where)) == 0
        out = capsys.readouterr().out
        return None if argv[0] == "remove" else json.loads(out)

    return run


async def connect(peers: Peers, key: str) -> Socket:
    """Return a client of an app whose greeting has been read."""
    return await peers.client(path=f"/app/{key}?protocol=7")


async def test_a_new_app_serves_clients(peers: Peers, run: Run) -> None:
    app = await run("add", "--id", "1", "client_events=true")
    await connect(peers, app["keys"][0]["key"])


async def test_the_clients_of_a_disabled_app_are_closed(peers: Peers, run: Run) -> None:
    app = await run("add", "--id", "1")
    client = await connect(peers, app["keys"][0]["key"])
    await run("disable", "1")
    assert (await client.closed())[0] == 4003


async def test_the_clients_of_a_removed_app_are_closed(peers: Peers, run: Run) -> None:
    app = await run("add", "--id", "1")
    client = await connect(peers, app["keys"][0]["key"])
    await run("remove", "1")
    assert (await client.closed())[0] == 4001


async def test_the_clients_of_older_keys_stay_until_the_keys_end(peers: Peers, run: Run) -> None:
    app = await run("add", "--id", "1")
    old = await connect(peers, app["keys"][0]["key"])
    app = await run("rotate", "1", "--ends-in", "1h")
    new = await connect(peers, app["keys"][0]["key"])
    await connect(peers, app["keys"][1]["key"])
    await run("remove", "1", "--key", app["keys"][1]["key"])
    assert (await old.closed())[0] == 4009
    await new.say("pusher:ping")
    assert (await new.hear())["event"] == "pusher:pong"


@pytest.mark.usefixtures("redis")  # where there is none, workers cannot run
async def test_a_change_over_the_admin_api_applies_to_all_workers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOKETPY_ADMIN_TOKEN", TOKEN)
    admin = {"enabled": True, "port": free_port(), "tokens": [TOKEN]}
    where = ("--admin-url", f"http://127.0.0.1:{admin['port']}", "--json")
    registry = {"driver": "sqlite", "cache_seconds": 3600}
    database = {"path": str(tmp_path / "apps.db")}
    async with AsyncExitStack() as stack:
        server = stack.enter_context(Together(tmp_path, apps=[], registry=registry, sqlite=database, admin=admin))
        assert await asyncio.to_thread(main, ("apps", "add", "--id", "1", *where)) == 0
        key = json.loads(capsys.readouterr().out)["keys"][0]["key"]
        clients = [await connect(At(server.port, stack), key) for _ in range(10)]
        assert await asyncio.to_thread(main, ("apps", "disable", "1", *where)) == 0
        assert {(await client.closed())[0] for client in clients} == {4003}


# A cluster over Redis


@pytest.fixture
def cluster(redis: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return the settings of a cluster whose nodes notice a change of the file only by a message over Redis."""

    async def watch(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(SqliteDatabase, "watch", watch)
    return {
        "cluster": "redis",
        "redis": {"unix_socket": redis, "prefix": f"test-{uuid4()}", "lease": LONG_LEASE},
        "registry": {"driver": "sqlite", "cache_seconds": 3600},
        "sqlite": {"path": str(tmp_path / "apps.db")},
    }


@pytest.mark.parametrize("remote", [True, False])
async def test_a_change_applies_to_all_nodes_at_once(
    cluster: dict[str, Any],
    remote: bool,
    start_server: StartServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nodes = [await start_server(apps=(), **settings_of(cluster, admin=number == 0)) for number in range(2)]
    (tmp_path / "soketpy.json").write_text(json.dumps(cluster))
    monkeypatch.setenv("SOKETPY_ADMIN_TOKEN", TOKEN)
    url = f"http://127.0.0.1:{nodes[0].server.admin_port}"
    where = ("--admin-url", url) if remote else ("--config", str(tmp_path / "soketpy.json"))
    assert await asyncio.to_thread(main, ("apps", "add", "--id", "1", "--key", "k", *where)) == 0
    clients = [await connect(node, "k") for node in nodes]
    assert await asyncio.to_thread(main, ("apps", "disable", "1", *where)) == 0
    assert [(await client.closed())[0] for client in clients] == [4003, 4003]
    assert capsys.readouterr().err == ""


def settings_of(cluster: dict[str, Any], *, admin: bool) -> dict[str, Any]:
    """Return the settings of a node for a server in this process."""
    return {
        "cluster": "redis",
        "redis": Redis(**cluster["redis"]),
        "registry": Registry(**cluster["registry"]),
        "sqlite": Sqlite(**cluster["sqlite"]),
        "admin": Admin(enabled=admin, port=0, tokens=(TOKEN,)),
    }


async def test_a_change_without_redis_is_made_and_has_a_note(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {
        "cluster": "redis",
        "redis": {"unix_socket": str(tmp_path / "none.sock")},
        "registry": {"driver": "sqlite", "cache_seconds": 7},
        "sqlite": {"path": str(tmp_path / "apps.db")},
    }
    (tmp_path / "soketpy.json").write_text(json.dumps(settings))
    where = ("--config", str(tmp_path / "soketpy.json"))
    assert await asyncio.to_thread(main, ("apps", "add", "--id", "1", *where)) == 0
    written = capsys.readouterr()
    assert written.out.startswith("id: 1\n")
    assert written.err.startswith("soketpy apps: running nodes apply the change within 7 s: ")
