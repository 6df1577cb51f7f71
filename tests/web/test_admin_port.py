"""The admin API over TCP, on a registry in memory."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from soketpy.config.registry import Admin
from soketpy.config.settings import Settings
from soketpy.core.app_registry import BrokenApp
from soketpy.core.apps import App, Key
from soketpy.core.webhooks import Webhook
from soketpy.process import admin_server
from soketpy.web import admin_port, http
from tests.conftest import Contained
from tests.patience import until
from tests.registries import MemoryRegistry
from tests.web.wire import Answer, Wire, request, wire

TOKENS = ("a-token-of-the-tests", "another-token-of-the-tests")
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


# Operations


async def test_the_list_has_all_apps_and_no_secrets(port: Port) -> None:
    answer = await port.call("GET", "/admin/apps")
    assert [app["id"] for app in answer.json["apps"]] == ["a", "b&c"]
    assert answer.json["next"] is None
    assert SECRET.encode() not in answer.body


async def test_the_list_has_pages(port: Port) -> None:
    first = (await port.call("GET", "/admin/apps?limit=1")).json
    assert ([app["id"] for app in first["apps"]], first["next"]) == (["a"], "a")
    last = (await port.call("GET", "/admin/apps?after=a&limit=1")).json
    assert ([app["id"] for app in last["apps"]], last["next"]) == (["b&c"], None)


async def test_an_app_is_shown_without_secrets(port: Port) -> None:
    answer = await port.call("GET", "/admin/apps/a")
    assert answer.json["keys"] == [{"key": "k", "ends_at": None}]
    assert answer.json["webhooks"][0]["headers"] == {"X-Token": None}
    assert SECRET.encode() not in answer.body


async def test_an_id_may_be_percent_encoded(port: Port) -> None:
    assert (await port.call("GET", "/admin/apps/b%26c")).json["id"] == "b&c"


async def test_a_broken_entry_is_shown_with_its_problem(port: Port) -> None:
    port.registry.entries["x"] = BrokenApp("x", (), "secret: missing")
    assert (await port.call("GET", "/admin/apps/x")).json["problem"] == "secret: missing"


async def test_a_new_app_is_answered_with_its_secret(port: Port) -> None:
    answer = await port.call("POST", "/admin/apps", {"id": "n", "client_events": True})
    app = port.registry.app("n")
    assert answer.status == 201
    assert answer.json["keys"] == [{"key": app.key, "secret": app.keys[0].secret, "ends_at": None}]
    assert (app.client_events, app.max_connections) == (True, 3)
    assert port.changed == ["n"]


async def test_an_app_without_any_given_value_is_made_at_random(port: Port) -> None:
    made = (await port.call("POST", "/admin/apps")).json
    assert port.registry.app(made["id"]).key == made["keys"][0]["key"]


async def test_a_changed_app_is_answered_without_secrets(port: Port) -> None:
    answer = await port.call("PATCH", "/admin/apps/a", {"max_connections": None, "enabled": False})
    assert (answer.status, answer.json["max_connections"]) == (200, None)
    assert not port.registry.app("a").enabled
    assert port.registry.app("a").webhooks == (HOOK,)
    assert SECRET.encode() not in answer.body
    assert port.changed == ["a"]


@pytest.mark.parametrize(("switch", "enabled"), [("disable", False), ("enable", True)])
async def test_an_app_is_enabled_or_disabled(port: Port, switch: str, enabled: bool) -> None:
    assert (await port.call("POST", f"/admin/apps/a/{switch}")).json["enabled"] is enabled
    assert port.registry.app("a").enabled is enabled
    assert port.changed == ["a"]


async def test_a_rotation_is_answered_with_the_new_secret_only(port: Port) -> None:
    answer = await port.call("POST", "/admin/apps/a/rotate", {"ends_in": 3600})
    new, old = port.registry.app("a").keys
    assert answer.json["keys"] == [
        {"key": new.key, "secret": new.secret, "ends_at": None},
        {"key": "k", "ends_at": old.ends_at},
    ]
    assert old.ends_at is not None
    assert port.changed == ["a"]


async def test_a_key_is_removed(port: Port) -> None:
    await port.call("POST", "/admin/apps/a/rotate", {"key": "new", "secret": "s"})
    assert (await port.call("DELETE", "/admin/apps/a/keys/k")).status == 200
    assert port.registry.app("a").keys == (Key("new", "s"),)


async def test_an_app_is_removed(port: Port) -> None:
    answer = await port.call("DELETE", "/admin/apps/a")
    assert (answer.status, answer.body) == (204, b"")
    assert "a" not in port.registry.entries
    assert port.changed == ["a"]


async def test_head_is_answered_as_get_without_a_body(port: Port) -> None:
    assert (await port.call("HEAD", "/admin/apps/a")).status == 200


# Requests that are refused

REFUSED: list[tuple[str, str, object, int, str]] = [
    ("GET", "/", None, 404, "There is nothing at this path."),
    ("GET", "/admin/appsa", None, 404, "There is nothing at this path."),
    ("GET", "/admin/apps/", None, 404, "There is nothing at this path."),
    ("GET", "/admin/apps/a/", None, 404, "There is nothing at this path."),
    ("POST", "/admin/apps/a/other", None, 404, "There is nothing at this path."),
    ("GET", "/admin/apps/a%00", None, 404, "There is nothing at this path."),
    ("GET", "/admin/apps/none", None, 404, "there is no app with the id 'none'"),
    ("PATCH", "/admin/apps/none", {"enabled": True}, 404, "there is no app with the id 'none'"),
    ("DELETE", "/admin/apps/none", None, 404, "there is no app with the id 'none'"),
    ("DELETE", "/admin/apps/a/keys/none", None, 404, "the app does not have this key"),
    ("DELETE", "/admin/apps/a/keys/k", None, 409, "no other key of the app stays: rotate the keys first"),
    ("POST", "/admin/apps", {"id": "a"}, 409, "there is an app with the id 'a' already"),
    ("POST", "/admin/apps", {"key": "k"}, 409, "another app has the key 'k'"),
    ("POST", "/admin/apps/a/rotate", {"key": "k"}, 409, "the app already has this key"),
    ("POST", "/admin/apps", {"secret": "s"}, 400, "secret: has no effect without key"),
    ("POST", "/admin/apps", {"x": 1}, 400, "x: no such field"),
    ("POST", "/admin/apps", [], 400, "must be a JSON object, not a list"),
    ("PATCH", "/admin/apps/a", {"id": "c"}, 400, "id: never changes"),
    ("PATCH", "/admin/apps/a", {"enabled": 1}, 400, "enabled: must be true or false, not 1"),
    ("PATCH", "/admin/apps/a", {}, 400, "There is no field to change in the body."),
    ("POST", "/admin/apps/a/rotate", {"ends_in": -1}, 400, "ends_in: must be a number from 0 to 315360000, not -1"),
    ("POST", "/admin/apps/a/rotate", {"ends_at": 5}, 400, "ends_at: is in the past; write ends_in: 0 to remove the "),
    ("POST", "/admin/apps/a/rotate", {"ends_at": 5, "ends_in": 5}, 400, "ends_at: given next to ends_in; use one of "),
    ("GET", "/admin/apps?limit=0", None, 400, "limit: must be a whole number from 1 to 100"),
    ("GET", "/admin/apps?limit=101", None, 400, "limit: must be a whole number from 1 to 100"),
    ("GET", "/admin/apps?limit=%D9%A3", None, 400, "limit: must be a whole number from 1 to 100"),
    ("GET", "/admin/apps?after=%00", None, 400, "after: must be the id of an app"),
    ("GET", "/admin/apps?page=2", None, 400, "'page': no such parameter; a list has after and limit"),
]


@pytest.mark.parametrize(("method", "path", "value", "status", "reason"), REFUSED)
async def test_a_refusal_has_its_status_and_reason(
    port: Port, method: str, path: str, value: object, status: int, reason: str
) -> None:
    before = dict(port.registry.entries)
    answer = await port.call(method, path, value)
    assert (answer.status, answer.json["code"]) == (status, status)
    assert answer.json["error"].startswith(reason)
    assert port.registry.entries == before
    assert not port.changed


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/admin/apps", "GET, POST, HEAD"),
        ("OPTIONS", "/admin/apps/a", "GET, PATCH, DELETE, HEAD"),
        ("GET", "/admin/apps/a/rotate", "POST"),
        ("POST", "/admin/apps/a/keys/k", "DELETE"),
    ],
)
async def test_a_wrong_method_is_told_the_right_ones(port: Port, method: str, path: str, allowed: str) -> None:
    answer = await port.call(method, path)
    assert (answer.status, answer.headers["allow"]) == (405, allowed)


UNAUTHORIZED = [
    (),
    ("Authorization: Bearer",),
    ("Authorization: Bearer ",),
    ("Authorization: Bearer wrong",),
    (f"Authorization: Bearer {TOKENS[0][:-1]}",),
    (f"Authorization: Bearer {TOKENS[0]}x",),
    (f"Authorization: Bearer {TOKENS[0]} {TOKENS[1]}",),
    (f"Authorization: Bearer {'x' * 10_000}",),
    ("Authorization: Bearer \u00e4\udcff",),
    (f"Authorization: Basic {TOKENS[0]}",),
    (f"Authorization: {TOKENS[0]}",),
    ("Authorization: Bearer wrong", f"Authorization: Bearer {TOKENS[0]}"),
]


@pytest.mark.parametrize("headers", UNAUTHORIZED, ids=range(len(UNAUTHORIZED)))
@pytest.mark.parametrize("target", ["GET /admin/apps", "PUT /none", "DELETE /admin/apps/a"])
async def test_a_request_without_a_token_is_refused(port: Port, headers: tuple[str, ...], target: str) -> None:
    lines = [f"{target} HTTP/1.1", "Host: localhost", *headers, "", ""]
    answer = await port.send("\r\n".join(lines).encode("utf-8", "surrogateescape"))
    assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert "a" in port.registry.entries


@pytest.mark.parametrize("token", TOKENS)
async def test_each_of_several_tokens_is_accepted(port: Port, token: str) -> None:
    assert (await port.call("GET", "/admin/apps", token=token)).status == 200


async def test_the_scheme_may_be_written_in_any_case(port: Port) -> None:
    answer = await port.send(request("GET", "/admin/apps", b"", f"Authorization: bEARER {TOKENS[0]}"))
    assert answer.status == 200


async def test_a_registry_that_does_not_answer_is_told_with_a_time_to_retry(port: Port) -> None:
    port.registry.down = "connection refused"
    answer = await port.call("GET", "/admin/apps")
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    assert answer.json["error"] == "The registry does not answer: connection refused"


async def test_a_registry_that_is_read_only_says_why(port: Port) -> None:
    port.registry.writable = "the apps are in the configuration"
    answer = await port.call("POST", "/admin/apps/a/disable")
    assert (answer.status, answer.json["error"]) == (409, "the apps are in the configuration")


AUTHORIZED = f"Authorization: Bearer {TOKENS[0]}"


@pytest.mark.parametrize(
    "kind", [(), ("Content-Type: text/json",), ("Content-Type: application/x-www-form-urlencoded",)]
)
async def test_a_body_that_is_not_announced_as_json_is_refused(port: Port, kind: tuple[str, ...]) -> None:
    assert (await port.send(request("POST", "/admin/apps", b"{}", AUTHORIZED, *kind))).status == 415


async def test_the_type_of_a_body_may_have_parameters(port: Port) -> None:
    kind = "Content-Type: Application/JSON; charset=utf-8"
    assert (await port.send(request("POST", "/admin/apps", b"{}", AUTHORIZED, kind))).status == 201


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b'{"a":' * 100, b"[" * 60_000, b"9" * 60_000, b"{}x"])
async def test_a_body_that_is_no_json_is_refused(port: Port, body: bytes) -> None:
    answer = await port.call("POST", "/admin/apps", body=body)
    assert answer.status == 400
    assert len(answer.body) < 1000


async def test_a_body_of_10_mb_is_refused_and_not_kept(port: Port) -> None:
    answer = await port.call("POST", "/admin/apps", body=b" " * 10 * 1024 * 1024)
    assert answer.status == 413


async def test_a_body_in_too_large_chunks_is_refused(port: Port) -> None:
    async with wire(port.number) as client:
        client.send(
            request(
                "POST", "/admin/apps", b"", AUTHORIZED, "Content-Type: application/json", "Transfer-Encoding: chunked"
            )
        )
        client.send(b"10001\r\n" + b" " * 0x10001 + b"\r\n0\r\n\r\n")
        assert (await client.answer()).status == 413


async def test_a_webhook_that_nearly_fills_the_largest_body_is_stored(port: Port) -> None:
    hooks = [{"url": f"https://h/{number}", "event_types": ["member_added"]} for number in range(1000)]
    assert (await port.call("PATCH", "/admin/apps/a", {"webhooks": hooks})).status == 200
    assert len(port.registry.app("a").webhooks) == 1000


async def test_bytes_that_are_not_http_are_refused(port: Port) -> None:
    assert (await port.send(b"\x16\x03\x01\x02\x00")).status == 400


async def test_no_answer_may_be_cached_or_read_by_other_origins(port: Port) -> None:
    for answer in (
        await port.call("GET", "/admin/apps"),
        await port.send(request("GET", "/admin/apps", b"", "Origin: https://example.com")),
        await port.send(request("OPTIONS", "/admin/apps", b"", "Origin: https://example.com", AUTHORIZED)),
    ):
        assert answer.headers["cache-control"] == "no-store"
        assert not [name for name in answer.headers if name.startswith("access-control")]


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

    async def page(self, after: str, limit: int) -> Any:
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

    async def slow(app_id: str, how: Callable[[App], App]) -> App:
        began.set()
        await proceed.wait()
        return await change(app_id, how)

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
    await port.call("PATCH", "/admin/apps/n", {"max_connections": 77, "webhooks": []})
    await port.call("POST", "/admin/apps/n/rotate", {"ends_in": 77})
    await port.call("DELETE", "/admin/apps/n/keys/n-key")
    await port.call("POST", "/admin/apps/n/disable")
    await port.call("DELETE", "/admin/apps/n")
    await port.call("GET", "/admin/apps")
    assert caplog.messages == [
        "Admin API: added the app n (id, key, secret) (from 127.0.0.1)",
        "Admin API: changed the app n (max_connections, webhooks) (from 127.0.0.1)",
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
        "Admin API: refused PATCH /admin/apps/a from 127.0.0.1: 400",
    ]
    assert SECRET not in caplog.text


async def test_refusals_are_logged_a_limited_number_of_times(port: Port, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with wire(port.number) as client:
        client.send(request("GET", "/admin/apps") * 200)
        for _ in range(200):
            assert (await client.answer()).status == 401
    assert len(caplog.messages) < 200
