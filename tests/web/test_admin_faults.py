"""The admin port with slow clients, many requests, faults and a stop; and its log lines."""

import asyncio
import logging
from collections.abc import Callable, Collection
from contextlib import AsyncExitStack
from typing import Any

import pytest

from soketpy.config.registry import Admin
from soketpy.config.settings import Settings
from soketpy.core.apps import App
from soketpy.process import admin_server
from soketpy.web import admin_port, http
from tests.conftest import Contained
from tests.patience import until
from tests.registries import MemoryRegistry
from tests.web.admin import AUTHORIZED, SECRET, TOKENS, Port
from tests.web.admin import port as port
from tests.web.wire import Wire, request, wire

# Slow clients


async def test_a_client_that_sends_its_body_too_slowly_is_refused(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "REQUEST_TIMEOUT", 0.0)
    head = ("POST /admin/apps HTTP/1.1", "Host: x", AUTHORIZED, "Content-Type: application/json", "Content-Length: 9")
    assert (await port.send("\r\n".join([*head, "", ""]).encode() + b"{")).status == 408


async def test_a_client_that_sends_no_request_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin_server, "FIRST_REQUEST_TIMEOUT", 0.0)
    settings = Settings(admin=Admin(enabled=True, port=0, tokens=TOKENS))
    async with AsyncExitStack() as stack:
        number = await admin_server.serve_admin(stack, settings, MemoryRegistry(), lambda _: None)
        async with wire(number) as client:
            assert await client.rest() == b""


# Many requests, faults, the stop


class Gate:
    """A registry whose pages wait until the test opens the gate."""

    def __init__(self, registry: MemoryRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open = asyncio.Event()
        self.waiting = 0
        self._page = registry.page
        monkeypatch.setattr(registry, "page", self.page)

    async def page(self, after: str, limit: int, skip: int) -> Any:
        self.waiting += 1
        await self.open.wait()
        return await self._page(after, limit)


async def test_few_requests_use_the_registry_at_the_same_time(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(port.registry, monkeypatch)
    calls = [asyncio.create_task(port.call("GET", "/admin/apps")) for _ in range(3 * admin_port.AT_ONCE)]
    await until(lambda: gate.waiting == admin_port.AT_ONCE)
    gate.open.set()
    assert {answer.status for answer in await asyncio.gather(*calls)} == {200}


async def test_a_connection_beyond_the_bound_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin_server, "MOST_CONNECTIONS", 2)
    registry = MemoryRegistry()
    gate, settings = Gate(registry, monkeypatch), Settings(admin=Admin(enabled=True, port=0, tokens=TOKENS))
    async with AsyncExitStack() as stack:
        port = Port(await admin_server.serve_admin(stack, settings, registry, lambda _: None), registry, [])
        calls = [asyncio.create_task(port.call("GET", "/admin/apps")) for _ in range(2)]
        await until(lambda: gate.waiting == 2)
        assert (await port.call("GET", "/admin/apps")).status == 503
        gate.open.set()
        assert {answer.status for answer in await asyncio.gather(*calls)} == {200}


async def test_a_change_is_completed_although_its_client_has_disconnected(
    port: Port, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, proceed, change = asyncio.Event(), asyncio.Event(), port.registry.change

    async def slow(app_id: str, how: Callable[[App], App], *fields: Collection[str]) -> App:
        began.set()
        await proceed.wait()
        return await change(app_id, how, *fields)

    monkeypatch.setattr(port.registry, "change", slow)
    async with wire(port.number) as client:
        client.send(request("POST", "/admin/apps/a/disable", b"", AUTHORIZED))
        await began.wait()
    proceed.set()
    await until(lambda: port.changed == ["a"])
    assert not port.registry.app("a").enabled


async def test_requests_of_one_connection_are_answered_in_order(port: Port) -> None:
    async with wire(port.number) as client:
        client.send(b"".join(request("GET", path, b"", AUTHORIZED) for path in ("/admin/apps/a", "/x", "/admin/apps")))
        assert [await _status(client) for _ in range(3)] == [200, 404, 200]


async def _status(client: Wire) -> int:
    return (await client.answer()).status


async def test_a_fault_is_answered_with_500_and_no_details(
    port: Port, contained: Contained, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise RuntimeError(SECRET)

    monkeypatch.setattr(port.registry, "fetch", fail)
    answer = await port.call("GET", "/admin/apps/a")
    assert answer.status == 500
    assert SECRET.encode() not in answer.body
    assert contained.count == 1


async def test_the_stop_waits_for_a_request_that_is_being_served(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = MemoryRegistry()
    gate, settings = Gate(registry, monkeypatch), Settings(admin=Admin(enabled=True, port=0, tokens=TOKENS))
    stack = AsyncExitStack()
    port = Port(await admin_server.serve_admin(stack, settings, registry, lambda _: None), registry, [])
    call = asyncio.create_task(port.call("GET", "/admin/apps"))
    await until(lambda: gate.waiting)
    stop = asyncio.create_task(stack.aclose())
    asyncio.get_running_loop().call_soon(gate.open.set)
    assert (await call).status == 200
    await stop


async def test_a_request_during_the_stop_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = MemoryRegistry()
    gate, settings = Gate(registry, monkeypatch), Settings(admin=Admin(enabled=True, port=0, tokens=TOKENS))
    stack = AsyncExitStack()
    port = Port(await admin_server.serve_admin(stack, settings, registry, lambda _: None), registry, [])
    async with wire(port.number) as client:
        client.send(request("GET", "/x", b"", AUTHORIZED))
        assert (await client.answer()).status == 404
        call = asyncio.create_task(port.call("GET", "/admin/apps"))
        await until(lambda: gate.waiting)
        stop = asyncio.create_task(stack.aclose())
        await asyncio.sleep(0)
        client.send(request("GET", "/x", b"", AUTHORIZED))
        assert (await client.answer()).status == 503
        gate.open.set()
        assert (await call).status == 200
        await stop


async def test_the_stop_gives_up_a_request_that_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin_port, "STOP_PATIENCE", 0.0)
    registry = MemoryRegistry()
    gate, settings = Gate(registry, monkeypatch), Settings(admin=Admin(enabled=True, port=0, tokens=TOKENS))
    stack = AsyncExitStack()
    port = Port(await admin_server.serve_admin(stack, settings, registry, lambda _: None), registry, [])
    call = asyncio.create_task(port.call("GET", "/admin/apps"))
    await until(lambda: gate.waiting)
    await stack.aclose()
    assert (await call).status == 503


# The log


async def test_each_change_is_one_line_with_names_and_without_values(
    port: Port, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "soketpy.admin")
    await port.call("POST", "/admin/apps", {"id": "n", "key": "n-key", "secret": SECRET})
    await port.call("PATCH", "/admin/apps/n", {"max_connections": 77, "webhooks": [], "defaults": ["enabled"]})
    await port.call("POST", "/admin/apps/n/rotate", {"ends_in": 77})
    await port.call("DELETE", "/admin/apps/n/keys/n-key")
    await port.call("POST", "/admin/apps/n/disable")
    await port.call("DELETE", "/admin/apps/n")
    await port.call("GET", "/admin/apps")
    assert caplog.messages == [
        "Admin API: added the app n (id, key, secret) (from 127.0.0.1)",
        "Admin API: changed the app n (max_connections, webhooks, enabled) (from 127.0.0.1)",
        "Admin API: rotated the keys of the app n (ends_in) (from 127.0.0.1)",
        "Admin API: removed a key of the app n (from 127.0.0.1)",
        "Admin API: disabled the app n (from 127.0.0.1)",
        "Admin API: removed the app n (from 127.0.0.1)",
    ]


async def test_a_refusal_is_logged_without_token_query_or_values(port: Port, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await port.call("GET", f"/admin/apps?{SECRET}", token=SECRET)
    await port.call("PATCH", "/admin/apps/a", {"max_connections": SECRET, SECRET: 1})
    assert [line for line in caplog.messages if line.startswith("Admin")] == [
        "Admin API: refused GET /admin/apps from 127.0.0.1: 401",
        "Admin API: refused PATCH /admin/apps/a from 127.0.0.1: 400 (max_connections)",
    ]
    assert SECRET not in caplog.text


async def test_refusals_are_logged_a_limited_number_of_times(port: Port, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with wire(port.number) as client:
        client.send(request("GET", "/admin/apps") * 200)
        for _ in range(200):
            assert (await client.answer()).status == 401
    assert len(caplog.messages) < 200
