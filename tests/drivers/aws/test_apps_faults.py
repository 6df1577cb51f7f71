"""Apps in DynamoDB while DynamoDB, the network or the credentials fail."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from aiohttp import web

from soketpy.core.app_registry import RegistryRefused, RegistryUnavailable
from soketpy.core.apps import App, Key
from soketpy.drivers.aws import dynamo_table
from soketpy.drivers.aws.apps import DynamoApps
from tests.aws import ACCESS_KEY, SECRET_KEY, TOKEN, moto
from tests.drivers.aws.dynamo import Call, Proxy, client, create_table, fault, proxy, put, registry, soketis_item
from tests.patience import attempts

SHORT = 0.2
"""Seconds that a call may take in a test whose call gets no answer."""

APP = App(id="a", keys=(Key("k", "secret-of-k"),))


@pytest.fixture
async def before(moto_url: str) -> AsyncIterator[Proxy]:
    """Run a proxy before moto."""
    async with proxy(moto_url) as running:
        yield running


@pytest.fixture
async def apps(before: Proxy, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[DynamoApps]:
    """Return a registry behind the proxy, with an empty table of its own. No call is repeated by the library."""
    monkeypatch.setattr(dynamo_table, "ATTEMPTS", 1)
    opened = registry(before.url, f"apps-{uuid4()}")
    await opened.initialise()
    before.calls.clear()
    yield opened
    await opened.stop()


async def partly(call: Call) -> web.Response:
    """Process only the first key, as DynamoDB does under load."""
    ((table, request),) = call.arguments["RequestItems"].items()
    first, *rest = request["Keys"]
    answer = await call.forward({"RequestItems": {table: {**request, "Keys": [first]}}})
    assert isinstance(answer.body, bytes)
    body = answer.body.replace(
        b'"UnprocessedKeys": {}', b'"UnprocessedKeys": ' + json.dumps({table: {"Keys": rest}}).encode()
    )
    assert body != answer.body
    return web.Response(body=body, content_type="application/x-amz-json-1.0")


async def nothing(call: Call) -> web.Response:
    """Process no key."""
    return web.json_response({"Responses": {}, "UnprocessedKeys": call.arguments["RequestItems"]})


async def test_unprocessed_keys_are_read_again(before: Proxy, apps: DynamoApps) -> None:
    for number in range(4):
        await apps.add(App(id=f"a{number}", keys=(Key(f"k{number}", "s"),)))
    before.answers["BatchGetItem"] = [partly, nothing, partly]
    found = await apps.fetch([f"a{number}" for number in range(4)], [])
    assert sorted(each.id for each in found) == ["a0", "a1", "a2", "a3"]


async def test_keys_that_are_never_processed_make_the_registry_unavailable(
    before: Proxy, apps: DynamoApps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dynamo_table, "SHORTEST_PAUSE", 0)
    before.answers["BatchGetItem"] = [nothing] * dynamo_table.ROUNDS
    with pytest.raises(RegistryUnavailable, match="limits the reads"):
        await apps.fetch(["a"], [])
    assert await apps.fetch(["a"], []) == []


THROTTLED = "ProvisionedThroughputExceededException"


async def test_a_throttled_call_makes_the_registry_unavailable(before: Proxy, apps: DynamoApps) -> None:
    before.answers["Query"] = [fault(THROTTLED, message=f"of {ACCESS_KEY}")]
    with pytest.raises(RegistryUnavailable, match=THROTTLED) as caught:
        await apps.fetch([], ["k"])
    assert ACCESS_KEY not in str(caught.value)
    assert await apps.fetch([], ["k"]) == []


async def test_a_throttled_call_is_repeated(before: Proxy, apps: DynamoApps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dynamo_table, "ATTEMPTS", 2)
    patient = registry(before.url, apps._table.name)
    before.answers["Query"] = [fault(THROTTLED)]
    try:
        assert await patient.fetch([], ["k"]) == []
    finally:
        await patient.stop()


async def test_a_throttled_transaction_changes_nothing(before: Proxy, apps: DynamoApps) -> None:
    reasons = [{"Code": "None"}, {"Code": "ThrottlingError", "Message": "of the table"}]
    before.answers["TransactWriteItems"] = [fault("TransactionCanceledException", CancellationReasons=reasons)]
    with pytest.raises(RegistryUnavailable, match="ThrottlingError"):
        await apps.add(APP)
    assert await apps.fetch(["a"], []) == []


async def test_a_change_is_repeated_after_a_conflict(before: Proxy, apps: DynamoApps) -> None:
    reasons = [{"Code": "TransactionConflict"}, {"Code": "None"}]
    before.answers["TransactWriteItems"] = [fault("TransactionCanceledException", CancellationReasons=reasons)]
    await apps.add(APP)
    assert await apps.fetch(["a"], []) == [APP]


async def test_a_change_is_given_up_after_many_conflicts(
    before: Proxy, apps: DynamoApps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("soketpy.drivers.aws.apps.PAUSE", 0)
    conflict = fault("TransactionCanceledException", CancellationReasons=[{"Code": "ConditionalCheckFailed"}])
    before.answers["TransactWriteItems"] = [conflict] * 20
    with pytest.raises(RegistryUnavailable, match="other operators"):
        await apps.add(APP)


@pytest.mark.parametrize("code", ["AccessDeniedException", "UnrecognizedClientException", "ExpiredTokenException"])
async def test_credentials_that_aws_refuses_end_the_start(before: Proxy, apps: DynamoApps, code: str) -> None:
    other = registry(before.url, apps._table.name)
    before.answers["DescribeTable"] = [fault(code, message=f"{ACCESS_KEY} {SECRET_KEY} {TOKEN}")]
    try:
        with pytest.raises(RegistryRefused, match=code) as caught:
            await other.start(lambda _: None)
    finally:
        await other.stop()
    text = str(caught.value)
    assert "\n" not in text
    assert not any(secret in text for secret in (ACCESS_KEY, SECRET_KEY, TOKEN))


async def test_credentials_that_aws_refuses_later_make_the_registry_unavailable(
    before: Proxy, apps: DynamoApps
) -> None:
    before.answers["BatchGetItem"] = [fault("ExpiredTokenException")]
    with pytest.raises(RegistryUnavailable, match="ExpiredTokenException"):
        await apps.fetch(["a"], [])
    assert await apps.fetch(["a"], []) == []


async def test_a_change_without_the_permission_is_refused(before: Proxy, apps: DynamoApps) -> None:
    before.answers["TransactWriteItems"] = [fault("AccessDeniedException")]
    with pytest.raises(RegistryRefused, match="AccessDeniedException"):
        await apps.add(APP)


async def test_a_call_without_an_answer_ends_after_the_timeout(before: Proxy, apps: DynamoApps) -> None:
    released = asyncio.Event()

    async def hang(call: Call) -> web.Response:
        await released.wait()
        return await call.forward(call.arguments)

    impatient = registry(before.url, apps._table.name, timeout=SHORT)
    before.answers["DescribeTable"] = [hang]
    try:
        with pytest.raises(RegistryUnavailable, match=r"no answer within 0\.2 s"):
            await impatient.fetch(["a"], [])
    finally:
        released.set()
        await impatient.stop()


async def test_a_table_that_was_replaced_is_read_by_its_new_type_of_ids(
    moto_url: str, before: Proxy, apps: DynamoApps
) -> None:
    table = apps._table.name
    await apps.add(App(id="7", keys=(Key("k", "s"),)))
    async with client(moto_url) as dynamodb:
        await dynamodb.delete_table(TableName=table)
    with pytest.raises(RegistryUnavailable, match="does not exist"):
        await apps.fetch(["7"], [])
    await create_table(moto_url, table, id_type="N")
    await put(moto_url, table, {**soketis_item("7", "k"), "AppId": {"N": "7"}})
    assert [each.id for each in await apps.fetch(["7"], [])] == ["7"]
    assert apps.writable is not None


async def test_a_walk_through_all_pages_scans_the_table_once(before: Proxy, apps: DynamoApps) -> None:
    for number in range(5):
        await apps.add(App(id=f"a{number}", keys=(Key(f"k{number}", "s"),)))
    before.calls.clear()
    walked: list[str] = []
    while page := await apps.page(walked[-1] if walked else "", 2):
        walked += [each.id for each in page]
        if len(page) < 2:
            break
    assert walked == [f"a{number}" for number in range(5)]
    assert before.calls.count("Scan") == 1


async def test_a_page_after_a_change_knows_the_change(apps: DynamoApps) -> None:
    for name in ("a", "b", "d", "e"):
        await apps.add(App(id=name, keys=(Key(f"key-{name}", "s"),)))
    await apps.page("", 2)
    await apps.add(App(id="c", keys=(Key("key-c", "s"),)))
    assert [each.id for each in await apps.page("b", 2)] == ["c", "d"]


async def test_a_table_that_is_too_large_for_a_scan_is_not_listed(
    apps: DynamoApps, before: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dynamo_table, "MOST_SCANNED", 2)
    endless = {"Items": [], "LastEvaluatedKey": {"AppId": {"S": "a"}}}

    async def more(call: Call) -> web.Response:
        return web.json_response(endless)

    before.answers["Scan"] = [more, more]
    with pytest.raises(RegistryUnavailable, match="too large for a list"):
        await apps.page()


async def test_the_registry_works_again_when_dynamodb_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dynamo_table, "ATTEMPTS", 1)
    table = f"apps-{uuid4()}"
    with moto() as server:
        apps = registry(server.url, table)
        port = urlsplit(server.url).port
        await apps.initialise()
        await apps.add(APP)
        assert await apps.fetch([], ["k"]) == [APP]
    try:
        for operation in (apps.fetch([], ["k"]), apps.page(), apps.add(APP), apps.change("a", replace)):
            with pytest.raises(RegistryUnavailable):
                await operation
        assert port is not None
        with moto(port=port) as server:
            await create_table(server.url, table)
            await put(server.url, table, soketis_item("b", "k"))
            for _ in attempts():
                try:
                    found = await apps.fetch([], ["k"])
                    break
                except RegistryUnavailable:
                    continue
            assert [each.id for each in found] == ["b"]
    finally:
        await apps.stop()


async def test_a_refresh_of_apps_is_one_call(before: Proxy, apps: DynamoApps) -> None:
    for number in range(3):
        await apps.add(App(id=f"a{number}", keys=(Key(f"k{number}", "s"), Key(f"l{number}", "s"))))
    before.calls.clear()
    found = await apps.fetch(["a0", "a1", "a2"], ["k0", "k1", "l1", "k2"])
    assert sorted(each.id for each in found) == ["a0", "a1", "a2"]
    assert before.calls == ["BatchGetItem"]
