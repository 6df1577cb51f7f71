"""Tables of apps in DynamoDB for tests, and a proxy that answers some calls by itself."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from aiobotocore.session import get_session
from aiohttp import ClientSession, web

from soketpy.config.app_rows import ReadRow, Row, field_of, item_of, reader
from soketpy.drivers.aws.apps import DynamoApps
from soketpy.drivers.aws.dynamo_items import item_of as item_of_row
from tests.aws import client_arguments, options
from tests.patience import PATIENCE

SOKETIS_ITEM: Mapping[str, Any] = {
    "AppId": {"S": "app-id"},
    "AppKey": {"S": "app-key"},
    "AppSecret": {"S": "app-secret"},
    "MaxConnections": {"N": "-1"},
    "EnableClientMessages": {"B": b"false"},
    "Enabled": {"B": b"true"},
    "MaxBackendEventsPerSecond": {"N": "-1"},
    "MaxClientEventsPerSecond": {"N": "-1"},
    "MaxReadRequestsPerSecond": {"N": "-1"},
    "Webhooks": {"S": "[]"},
    "EnableUserAuthentication": {"B": b"false"},
}
"""The item of soketi's documentation."""

READ: ReadRow = reader()
"""Converts a row to an app, without limits of its own."""

MOST_WRITTEN = 25
"""Items that one call of DynamoDB writes, at most."""


@asynccontextmanager
async def client(url: str) -> AsyncIterator[Any]:
    """Open a client of DynamoDB that is not soketpy's."""
    async with get_session().create_client("dynamodb", **client_arguments(url)) as opened:
        yield opened


async def create_table(url: str, name: str, *, id_type: str = "S", key_type: str = "S", **changed: Any) -> None:
    """Create a table as soketi's documentation does. ``changed`` replaces arguments of the call."""
    index = {
        "IndexName": "AppKeyIndex",
        "KeySchema": [{"AttributeName": "AppKey", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"},
        "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5},
    }
    arguments = {
        "AttributeDefinitions": [
            {"AttributeName": "AppId", "AttributeType": id_type},
            {"AttributeName": "AppKey", "AttributeType": key_type},
        ],
        "KeySchema": [{"AttributeName": "AppId", "KeyType": "HASH"}],
        "GlobalSecondaryIndexes": [index],
        "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5},
    }
    async with client(url) as dynamodb:
        await dynamodb.create_table(TableName=name, **(arguments | changed))


async def put(url: str, table: str, *items: Mapping[str, Any]) -> None:
    """Write items, as a tool does that knows nothing of soketpy."""
    async with client(url) as dynamodb:
        for at in range(0, len(items), MOST_WRITTEN):
            requests = [{"PutRequest": {"Item": item}} for item in items[at : at + MOST_WRITTEN]]
            await dynamodb.batch_write_item(RequestItems={table: requests})


async def items_of(url: str, table: str) -> list[dict[str, Any]]:
    """Return all items of a table."""
    async with client(url) as dynamodb:
        return list((await dynamodb.scan(TableName=table))["Items"])


def soketis_item(app_id: str, key: str, **changed: Any) -> dict[str, Any]:
    """Return an item of soketi. ``changed`` has other attributes with their types; None removes one."""
    item = {**SOKETIS_ITEM, "AppId": {"S": app_id}, "AppKey": {"S": key}, **changed}
    return {name: value for name, value in item.items() if value is not None}


def registry(url: str, table: str, *, timeout: float = PATIENCE, read: ReadRow = READ) -> DynamoApps:
    """Return a registry that is not open."""
    return DynamoApps(table, options(url), read=read, write=item_of, field_of=field_of, timeout=timeout)


class DynamoKit:
    """Registries in tables of DynamoDB, for the contract tests."""

    notifies = False

    def __init__(self, url: str) -> None:
        self._url = url

    def new_place(self) -> str:
        return f"apps-{uuid4()}"

    def registry(self, place: str, *, read: ReadRow = READ) -> DynamoApps:
        return registry(self._url, place, read=read)

    async def insert(self, place: str, row: Row) -> None:
        names = {"id": "AppId", "key": "AppKey", "secret": "AppSecret"}
        await put(self._url, place, item_of_row({names.get(column, column): value for column, value in row.items()}))

    async def close(self) -> None:
        pass


@dataclass(frozen=True)
class Call:
    """One call that the proxy has received, and the way to pass it on."""

    name: str
    arguments: Any
    forward: Callable[[Any], Awaitable[web.Response]]


Answer = Callable[[Call], Awaitable[web.Response]]


@dataclass
class Proxy:
    """A proxy before DynamoDB. ``answers`` has the answers of the next calls with a name; all others are passed on."""

    url: str = ""
    calls: list[str] = field(default_factory=list)
    answers: dict[str, list[Answer]] = field(default_factory=dict)


def fault(code: str, status: int = 400, message: str = "", **more: Any) -> Answer:
    """Return an answer of AWS that is an error."""

    async def answer(call: Call) -> web.Response:
        body = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": message, **more}
        return web.json_response(body, status=status, content_type="application/x-amz-json-1.0")

    return answer


@asynccontextmanager
async def proxy(target: str) -> AsyncIterator[Proxy]:
    """Run a proxy on a free port of the loopback address."""
    running = Proxy()
    async with ClientSession() as session:

        async def serve(request: web.Request) -> web.Response:
            name = request.headers["X-Amz-Target"].rpartition(".")[2]
            running.calls.append(name)
            headers = {each: request.headers[each] for each in ("X-Amz-Target", "Authorization", "Content-Type")}

            async def forward(arguments: Any) -> web.Response:
                async with session.post(target, data=json.dumps(arguments), headers=headers) as answer:
                    body = await answer.read()
                    return web.Response(status=answer.status, body=body, content_type="application/x-amz-json-1.0")

            call = Call(name, json.loads(await request.read()), forward)
            answers = running.answers.get(name)
            return await (answers.pop(0)(call) if answers else forward(call.arguments))

        app = web.Application(client_max_size=2**24)
        app.router.add_post("/", serve)
        runner = web.AppRunner(app, shutdown_timeout=0)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            running.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield running
        finally:
            await runner.cleanup()
