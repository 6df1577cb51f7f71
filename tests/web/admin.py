"""The admin port of a registry in memory, and its client."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from soketpy.config.registry import Admin
from soketpy.config.settings import Settings
from soketpy.core.apps import App, Key
from soketpy.core.webhooks import Webhook
from soketpy.process import admin_server
from tests.registries import MemoryRegistry
from tests.web.wire import Answer, request, wire

TOKENS = ("a-token-of-the-tests", "another-token-of-the-tests")
AUTHORIZED = f"Authorization: Bearer {TOKENS[0]}"
SECRET = "a-secret-of-the-tests"
HOOK = Webhook(url="https://hooks.example", event_types=("member_added",), headers={"X-Token": SECRET})


class Port:
    """The admin port of a registry, its client, and the ids of apps that have changed."""

    def __init__(self, number: int, registry: MemoryRegistry, changed: list[str | None]) -> None:
        self.number = number
        self.registry = registry
        self.changed = changed

    async def call(
        self, method: str, path: str, value: object = None, *, token: str = TOKENS[0], body: bytes | None = None
    ) -> Answer:
        """Send one request with a token. ``value`` is sent as JSON."""
        body = body if body is not None else b"" if value is None else json.dumps(value).encode()
        headers = [f"Authorization: Bearer {token}", *(["Content-Type: application/json"] if body else [])]
        return await self.send(request(method, path, body, *headers), without_body=method == "HEAD")

    async def send(self, data: bytes, *, without_body: bool = False) -> Answer:
        async with wire(self.number) as client:
            client.send(data)
            return await client.answer(without_body)


@pytest.fixture
async def port() -> AsyncIterator[Port]:
    apps = App(id="a", keys=(Key("k", SECRET),), webhooks=(HOOK,)), App(id="b&c", keys=(Key("k2", SECRET),))
    registry, changed = MemoryRegistry(*apps), list[str | None]()
    settings = Settings(admin=Admin(enabled=True, port=0, tokens=TOKENS), app_defaults={"max_connections": 3})
    async with AsyncExitStack() as stack:
        yield Port(await admin_server.serve_admin(stack, settings, registry, changed.append), registry, changed)
