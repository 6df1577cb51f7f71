"""The admin API over TCP, on a registry in memory."""

import pytest

from soketpy.core.app_registry import BrokenApp
from soketpy.core.apps import App, Key
from tests.web.admin import AUTHORIZED, HOOK, SECRET, TOKENS, Port
from tests.web.admin import port as port
from tests.web.wire import request, wire

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


async def test_an_app_with_the_key_of_another_app_is_shown_with_the_problem(port: Port) -> None:
    port.registry.entries["twin"] = App(id="twin", keys=(Key("k", "s"),))
    port.registry.writable = "soketpy only reads the table"
    for path in ("/admin/apps/twin", "/admin/apps?after=b%26c"):
        document = (await port.call("GET", path)).json
        document = document["apps"][0] if "apps" in document else document
        assert (document["id"], document["enabled"]) == ("twin", True)
        assert document["problem"] == "key: the same key as app a"


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


async def test_the_history_of_an_app_is_changed(port: Port) -> None:
    rules = [{"channels": "room-*", "events": 50}, {"channels": "news", "client_events": True}]
    answer = await port.call("PATCH", "/admin/apps/a", {"history": rules})
    assert (answer.status, answer.json["history"]) == (200, rules)
    assert [rule.channels for rule in port.registry.app("a").history] == ["room-*", "news"]
    wrong = await port.call("PATCH", "/admin/apps/a", {"history": [{"channels": "news", "events": "50"}]})
    assert (wrong.status, wrong.json["error"].split(": ")[0]) == (400, "history[0].events")
    answer = await port.call("PATCH", "/admin/apps/a", {"defaults": ["history"]})
    assert answer.json["history"] == []
    assert port.registry.app("a").webhooks == (HOOK,)


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
    assert old.ends_at.is_integer()
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
    ("GET", "/admin/apps/", None, 404, "there is no app with the id ''"),
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
    ("POST", "/admin/apps/a/rotate", {"secret": "s"}, 400, "secret: has no effect without key"),
    ("GET", f"/admin/apps?{'a&' * 5000}", None, 400, "The query has too many parameters."),
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
    assert answer.json["error"] == "The database of the apps cannot be used: connection refused"


async def test_a_registry_that_is_read_only_says_why(port: Port) -> None:
    port.registry.writable = "the apps are in the configuration"
    answer = await port.call("POST", "/admin/apps/a/disable")
    assert (answer.status, answer.json["error"]) == (409, "the apps are in the configuration")


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
