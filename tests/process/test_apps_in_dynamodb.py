"""A server whose apps are in DynamoDB."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from soketpy import Server, Settings, testing
from soketpy.config import load
from soketpy.config.registry import Dynamodb, Registry
from soketpy.config.settings import Webhooks
from soketpy.core.app_registry import AppRegistry
from soketpy.core.apps import App, Key
from soketpy.core.ports import Unreachable
from soketpy.drivers.aws import dynamo_table
from soketpy.process.registries import registry_of
from soketpy.registry import lookups
from tests.aws import ACCESS_KEY, SECRET_KEY, moto
from tests.conftest import Peers
from tests.drivers.aws.dynamo import create_table, put, soketis_item
from tests.fakes import APP
from tests.patience import PATIENCE, until

OTHER = App(id="other", keys=(Key("other-key", "other-secret"),))


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Run moto's server."""
    with moto() as server:
        yield server.url


def settings(url: str, table: str, **registry: Any) -> dict[str, Any]:
    """Return the settings of a server with apps in a table."""
    return {
        "registry": Registry(driver="dynamodb", table=table, cache_seconds=PATIENCE, **registry),
        "dynamodb": Dynamodb(endpoint=url, access_key_id=ACCESS_KEY, secret_access_key=SECRET_KEY),
    }


async def open_table(url: str, stack: AsyncExitStack) -> tuple[dict[str, Any], AppRegistry]:
    """Create a table with one app. Return the settings of its servers, and its registry."""
    given = settings(url, f"apps-{uuid4()}")
    registry = registry_of(Settings(apps=(), **given))
    stack.push_async_callback(registry.stop)
    await registry.initialise()
    await registry.add(APP)
    return given, registry


async def serve(stack: AsyncExitStack, **given: Any) -> Peers:
    given |= {"host": "127.0.0.1", "port": 0, "webhooks": testing.in_memory(Webhooks())}
    return Peers([await stack.enter_async_context(Server(**given))], stack)


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as opened:
        yield opened


async def test_clients_and_publishers_of_an_app_in_dynamodb(url: str, stack: AsyncExitStack) -> None:
    given, _ = await open_table(url, stack)
    peers = await serve(stack, **given)
    client = await peers.client()
    await client.subscribe("news")
    assert (await peers.trigger("news", "said")).status == 200
    assert (await client.hear())["event"] == "said"
    socket = await peers.socket("/app/nobody?protocol=7")
    assert (await socket.closed())[0] == 4001


async def test_the_table_of_soketi_with_its_variables(url: str, stack: AsyncExitStack) -> None:
    table = f"apps-{uuid4()}"
    await create_table(url, table)
    await put(url, table, soketis_item(APP.id, APP.key, AppSecret={"S": APP.keys[0].secret}))
    variables = {
        "SOKETI_APP_MANAGER_DRIVER": "dynamodb",
        "SOKETI_APP_MANAGER_DYNAMODB_TABLE": table,
        "SOKETI_APP_MANAGER_DYNAMODB_REGION": "us-east-1",
        "SOKETI_APP_MANAGER_DYNAMODB_ENDPOINT": url,
        "SOKETPY_DYNAMODB_ACCESS_KEY_ID": ACCESS_KEY,
        "SOKETPY_DYNAMODB_SECRET_ACCESS_KEY": SECRET_KEY,
    }
    loaded = load(None, variables, {})
    peers = await serve(stack, registry=loaded.registry, dynamodb=loaded.dynamodb)
    await peers.client()
    assert (await peers.trigger("news", "said")).status == 200


async def test_a_changed_app_applies_to_open_connections(url: str, stack: AsyncExitStack) -> None:
    given, registry = await open_table(url, stack)
    peers = await serve(stack, **given)
    client = await peers.client()
    await registry.change(APP.id, lambda app: replace(app, enabled=False))
    peers.server.reload(peers.server.settings)
    assert (await client.closed())[0] == 4003


async def test_cached_apps_work_while_dynamodb_does_not(stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dynamo_table, "ATTEMPTS", 1)
    monkeypatch.setattr(lookups, "PAUSE", 0.0)
    with moto() as server:
        given, _ = await open_table(server.url, stack)
        port = int(server.url.rpartition(":")[2])
        peers = await serve(stack, **given)
        client = await peers.client()
        await client.subscribe("news")
    assert (await peers.trigger("news", "said")).status == 200
    assert (await client.hear())["event"] == "said"
    assert (await peers.call("GET", "/channels", app=OTHER)).status == 503
    socket = await peers.socket("/app/other-key?protocol=7")
    assert (await socket.closed())[0] == 4100
    with moto(port=port) as server:
        table = given["registry"].table
        await create_table(server.url, table)
        await put(server.url, table, soketis_item("other", "other-key", AppSecret={"S": "other-secret"}))

        async def is_known() -> bool:
            return (await peers.call("GET", "/channels", app=OTHER)).status == 200

        await until(is_known)


async def test_a_missing_table_ends_the_start(url: str) -> None:
    with pytest.raises(Unreachable, match=r"The apps in DynamoDB cannot be used: .*it does not exist"):
        await Server(host="127.0.0.1", port=0, **settings(url, f"apps-{uuid4()}")).start()
