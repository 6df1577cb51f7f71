"""Apps in DynamoDB, beyond the contract of all registries: soketi's tables, and the layout of soketpy's own ones."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from soketpy.core.app_registry import BrokenApp, RegistryRefused
from soketpy.core.apps import App, Key
from soketpy.core.webhooks import Webhook
from soketpy.drivers.aws import dynamo_source
from soketpy.drivers.aws.apps import DynamoApps
from tests.drivers.aws.dynamo import SOKETIS_ITEM, client, create_table, items_of, put, registry, soketis_item

HOOK = "https://hooks.example/pusher"


@pytest.fixture
async def table() -> str:
    return f"apps-{uuid4()}"


@pytest.fixture
async def apps(moto_url: str, table: str) -> AsyncIterator[DynamoApps]:
    """Return a registry whose table does not exist yet."""
    opened = registry(moto_url, table)
    yield opened
    await opened.stop()


@pytest.fixture
async def ours(apps: DynamoApps) -> DynamoApps:
    """Return a registry with a table that it has created."""
    await apps.initialise()
    return apps


def app(app_id: str = "a", *keys: str, **fields: Any) -> App:
    return App(id=app_id, keys=tuple(Key(key, f"secret-of-{key}") for key in keys or (f"key-{app_id}",)), **fields)


async def ids(apps: DynamoApps, *, by_ids: tuple[str, ...] = (), by_keys: tuple[str, ...] = ()) -> list[str]:
    return sorted(each.id for each in await apps.fetch(by_ids, by_keys))


# Tables of soketi


async def test_the_app_of_soketis_documentation_is_found_by_id_and_by_key(
    moto_url: str, table: str, apps: DynamoApps
) -> None:
    await create_table(moto_url, table)
    await put(moto_url, table, SOKETIS_ITEM)
    expected = App(id="app-id", keys=(Key("app-key", "app-secret"),))
    assert await apps.fetch(["app-id"], []) == [expected]
    assert await apps.fetch([], ["app-key"]) == [expected]


@pytest.mark.parametrize("id_type", ["S", "N"])
@pytest.mark.parametrize("key_type", ["S", "N"])
async def test_ids_and_keys_may_be_numbers_or_text(
    moto_url: str, table: str, apps: DynamoApps, id_type: str, key_type: str
) -> None:
    await create_table(moto_url, table, id_type=id_type, key_type=key_type)
    await put(moto_url, table, {**SOKETIS_ITEM, "AppId": {id_type: "7"}, "AppKey": {key_type: "8"}})
    found = await apps.fetch(["7"], ["8"])
    assert [(each.id, each.key) for each in found if isinstance(each, App)] == [("7", "8")]


async def test_a_text_that_is_another_spelling_of_a_number_is_another_id(
    moto_url: str, table: str, apps: DynamoApps
) -> None:
    await create_table(moto_url, table, id_type="N")
    await put(moto_url, table, {**SOKETIS_ITEM, "AppId": {"N": "7"}})
    assert await ids(apps, by_ids=("07", "7.0", "seven")) == []


@pytest.mark.parametrize(
    "value",
    [
        {"S": f'[{{"url":"{HOOK}","event_types":["channel_occupied"]}}]'},
        {"L": [{"M": {"url": {"S": HOOK}, "event_types": {"L": [{"S": "channel_occupied"}]}}}]},
    ],
)
async def test_webhooks_may_be_json_or_a_list(moto_url: str, table: str, apps: DynamoApps, value: Any) -> None:
    await create_table(moto_url, table)
    await put(moto_url, table, soketis_item("a", "k", Webhooks=value))
    (found,) = await apps.fetch(["a"], [])
    assert isinstance(found, App)
    assert found.webhooks == (Webhook(url=HOOK, event_types=("channel_occupied",)),)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Webhooks", {"S": "[{"}),
        ("Webhooks", {"BOOL": True}),
        ("MaxConnections", {"S": "many"}),
        ("MaxConnections", {"L": []}),
        ("EnableClientMessages", {"N": "2"}),
        ("AppSecret", {"NULL": True}),
        ("AppSecret", None),
        ("AppKey", None),
    ],
)
async def test_a_broken_item_is_named_and_does_not_affect_others(
    moto_url: str, table: str, apps: DynamoApps, name: str, value: Any
) -> None:
    await create_table(moto_url, table)
    await put(moto_url, table, soketis_item("a", "k"), soketis_item("b", "l", **{name: value}))
    good, broken = sorted(await apps.fetch(["a", "b"], []), key=lambda each: each.id)
    assert isinstance(good, App)
    assert isinstance(broken, BrokenApp)
    assert broken.problem.lower().startswith(name.lower()) or "missing" in broken.problem
    assert "app-secret" not in broken.problem


async def test_a_missing_limit_is_the_default(moto_url: str, table: str, apps: DynamoApps) -> None:
    await create_table(moto_url, table)
    await put(moto_url, table, soketis_item("a", "k", MaxConnections={"NULL": True}, Webhooks={"NULL": True}))
    (found,) = await apps.fetch(["a"], [])
    assert isinstance(found, App)
    assert (found.max_connections, found.webhooks) == (None, ())


async def test_two_apps_with_one_key_are_both_found(moto_url: str, table: str, apps: DynamoApps) -> None:
    await create_table(moto_url, table)
    await put(moto_url, table, soketis_item("a", "k"), soketis_item("b", "k"))
    assert await ids(apps, by_keys=("k",)) == ["a", "b"]


async def test_another_attribute_does_not_replace_the_id(moto_url: str, table: str, apps: DynamoApps) -> None:
    await create_table(moto_url, table)
    await put(moto_url, table, {**soketis_item("a", "k"), "id": {"S": "b"}, "key": {"S": "l"}})
    assert await ids(apps, by_ids=("a", "b"), by_keys=("k", "l")) == ["a"]


async def test_more_ids_and_keys_than_one_call_reads_are_found(moto_url: str, table: str, apps: DynamoApps) -> None:
    await create_table(moto_url, table)
    await put(moto_url, table, *(soketis_item(f"a{number}", f"k{number}") for number in range(110)))
    numbers = range(105)
    found = await ids(apps, by_ids=tuple(f"a{each}" for each in numbers), by_keys=tuple(f"k{each}" for each in numbers))
    assert found == sorted(f"a{each}" for each in numbers)


@pytest.mark.parametrize("name", ["", "x" * 2049, "é" * 1500, "\ud800", "#soketpy"])
async def test_a_name_that_no_app_can_have_does_not_affect_others(
    moto_url: str, table: str, apps: DynamoApps, name: str
) -> None:
    await create_table(moto_url, table)
    await put(moto_url, table, soketis_item("a", "k"), soketis_item("b", "l"))
    assert await ids(apps, by_ids=(name, "a"), by_keys=(name, "l")) == ["a", "b"]


async def test_a_table_of_soketi_is_only_read(moto_url: str, table: str, apps: DynamoApps) -> None:
    await create_table(moto_url, table)
    await put(moto_url, table, SOKETIS_ITEM)
    await apps.start(lambda _: None)
    assert apps.writable is not None
    for change in (apps.add(app()), apps.change("app-id", lambda each: each), apps.remove("app-id")):
        with pytest.raises(RegistryRefused, match=apps.writable):
            await change
    assert await apps.initialise() == []
    assert await items_of(moto_url, table) == [SOKETIS_ITEM]


async def test_the_apps_of_soketi_are_listed_in_the_order_of_their_ids(
    moto_url: str, table: str, apps: DynamoApps
) -> None:
    await create_table(moto_url, table, id_type="N")
    await put(moto_url, table, *({**SOKETIS_ITEM, "AppId": {"N": number}} for number in ("9", "10", "-1")))
    assert [each.id for each in await apps.page()] == ["-1", "10", "9"]


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        (
            {
                "KeySchema": [
                    {"AttributeName": "AppId", "KeyType": "HASH"},
                    {"AttributeName": "AppKey", "KeyType": "RANGE"},
                ]
            },
            "its key must be AppId alone",
        ),
        (
            {
                "GlobalSecondaryIndexes": [
                    {
                        "IndexName": "Other",
                        "KeySchema": [{"AttributeName": "AppKey", "KeyType": "HASH"}],
                        "Projection": {"ProjectionType": "ALL"},
                        "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5},
                    }
                ]
            },
            "no index AppKeyIndex",
        ),
    ],
)
async def test_a_table_of_another_layout_is_refused(
    moto_url: str, table: str, apps: DynamoApps, changed: Any, problem: str
) -> None:
    await create_table(moto_url, table, **changed)
    with pytest.raises(RegistryRefused, match=problem):
        await apps.start(lambda _: None)


# Tables of soketpy


async def test_a_missing_table_is_refused_and_can_be_created(moto_url: str, table: str, apps: DynamoApps) -> None:
    with pytest.raises(RegistryRefused, match="does not exist"):
        await apps.start(lambda _: None)
    assert len(await apps.initialise()) == 2
    await apps.start(lambda _: None)
    assert apps.writable is None
    async with client(moto_url) as dynamodb:
        described = (await dynamodb.describe_table(TableName=table))["Table"]
    assert described["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"


async def test_an_existing_table_of_soketpy_is_not_changed(ours: DynamoApps) -> None:
    await ours.add(app())
    assert await ours.initialise() == []
    assert ours.writable is None


async def test_an_empty_table_becomes_a_table_of_soketpy(moto_url: str, table: str, apps: DynamoApps) -> None:
    await create_table(moto_url, table)
    assert len(await apps.initialise()) == 1
    await apps.add(app())


async def test_an_empty_table_whose_ids_are_numbers_is_only_read(moto_url: str, table: str, apps: DynamoApps) -> None:
    await create_table(moto_url, table, id_type="N")
    assert await apps.initialise() == []
    assert apps.writable is not None


async def test_two_operators_create_a_table_at_once(moto_url: str, table: str, apps: DynamoApps) -> None:
    other = registry(moto_url, table)
    try:
        await asyncio.gather(apps.initialise(), other.initialise())
        assert (apps.writable, other.writable) == (None, None)
    finally:
        await other.stop()


async def test_a_table_that_another_operator_marks_meanwhile_is_writable(
    moto_url: str, table: str, apps: DynamoApps, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, is_empty = registry(moto_url, table), apps._table.is_empty

    async def is_empty_after_the_other() -> bool:
        await other.initialise()
        return await is_empty()

    monkeypatch.setattr(apps._table, "is_empty", is_empty_after_the_other)
    try:
        await apps.initialise()
        assert apps.writable is None
    finally:
        await other.stop()


async def test_a_table_of_a_newer_soketpy_is_only_read(moto_url: str, table: str, ours: DynamoApps) -> None:
    await put(moto_url, table, {"AppId": {"S": "#soketpy"}, "soketpy_version": {"N": "2"}})
    newer = registry(moto_url, table)
    try:
        await newer.start(lambda _: None)
        assert newer.writable is not None
        assert "version 2" in newer.writable
    finally:
        await newer.stop()


async def test_soketi_can_read_an_app_of_soketpy(moto_url: str, table: str, ours: DynamoApps) -> None:
    hook = Webhook(url=HOOK, event_types=("channel_occupied",))
    await ours.add(app("a", "k", max_connections=5, client_events=True, webhooks=(hook,)))
    async with client(moto_url) as dynamodb:
        item = (await dynamodb.get_item(TableName=table, Key={"AppId": {"S": "a"}}))["Item"]
    assert item["AppKey"] == {"S": "k"}
    assert item["AppSecret"] == {"S": "secret-of-k"}
    assert item["MaxConnections"] == {"N": "5"}
    assert item["EnableClientMessages"] == {"BOOL": True}
    assert "Enabled" not in item  # so that soketi's default is in effect
    assert item["Webhooks"]["S"].startswith("[{")


async def test_an_app_is_found_by_each_of_its_keys(ours: DynamoApps) -> None:
    await ours.add(app("a", "k1", "k2", "k3"))
    assert [await ids(ours, by_keys=(key,)) for key in ("k1", "k2", "k3")] == [["a"]] * 3
    await ours.change("a", lambda each: replace(each, keys=each.keys[1:2]))
    assert [await ids(ours, by_keys=(key,)) for key in ("k1", "k2", "k3")] == [[], ["a"], []]


async def test_the_items_that_are_no_apps_are_not_listed(ours: DynamoApps) -> None:
    await ours.add(app("a", "k1", "k2"))
    assert [each.id for each in await ours.page()] == ["a"]
    assert await ids(ours, by_ids=("#soketpy", "#key:k1")) == []


async def test_a_removed_app_leaves_nothing(moto_url: str, table: str, ours: DynamoApps) -> None:
    await ours.add(app("a", "k1", "k2"))
    await ours.remove("a")
    assert [each["AppId"]["S"] for each in await items_of(moto_url, table)] == ["#soketpy"]


async def test_attributes_that_soketpy_does_not_know_are_kept(moto_url: str, table: str, ours: DynamoApps) -> None:
    await put(moto_url, table, soketis_item("a", "k", Team={"S": "red"}, maxConnections={"N": "3"}))
    await ours.change("a", lambda each: replace(each, max_connections=4))
    item = next(each for each in await items_of(moto_url, table) if each["AppId"]["S"] == "a")
    assert item["Team"] == {"S": "red"}
    assert "maxConnections" not in item
    assert item["MaxConnections"] == {"N": "4"}


async def test_the_key_of_a_broken_app_is_not_given_to_another_one(moto_url: str, table: str, ours: DynamoApps) -> None:
    await put(moto_url, table, soketis_item("a", "k", MaxConnections={"S": "many"}))
    with pytest.raises(RegistryRefused, match="app a has the key k already"):
        await ours.add(app("b", "k"))


async def test_a_key_that_was_changed_by_another_tool_is_free_again(
    moto_url: str, table: str, ours: DynamoApps
) -> None:
    await ours.add(app("a", "k"))
    await put(moto_url, table, soketis_item("a", "l"))
    assert [await ids(ours, by_keys=(key,)) for key in ("k", "l")] == [[], ["a"]]
    await ours.add(app("b", "k"))
    assert [await ids(ours, by_keys=(key,)) for key in ("k", "l")] == [["b"], ["a"]]
    await ours.remove("a")
    assert await ids(ours, by_keys=("k",)) == ["b"]


async def test_a_change_that_does_not_fit_into_the_item_is_refused(moto_url: str, table: str, ours: DynamoApps) -> None:
    await put(moto_url, table, {**soketis_item("a", "k"), "Notes": {"S": "x" * 380_000}})  # of another program
    hooks = tuple(
        Webhook(url=f"{HOOK}/{number}/{'x' * 1900}", event_types=("channel_occupied",)) for number in range(30)
    )
    with pytest.raises(RegistryRefused, match="larger than 400 KB"):
        await ours.change("a", lambda old: replace(old, webhooks=hooks))
    [stored] = await ours.fetch(["a"], [])
    assert isinstance(stored, App)
    assert stored.webhooks == ()


async def test_more_keys_than_one_transaction_writes_are_refused(ours: DynamoApps) -> None:
    await ours.add(app("a", *(f"k{number}" for number in range(99))))
    with pytest.raises(RegistryRefused, match="at most 99 keys"):
        await ours.add(app("b", *(f"l{number}" for number in range(100))))


async def test_a_name_that_dynamodb_cannot_store_is_refused(ours: DynamoApps) -> None:
    for bad in (app("#soketpy"), app("a" * 2049), app("b", "k" * 2048)):
        with pytest.raises(RegistryRefused):
            await ours.add(bad)


async def test_one_of_many_operators_gets_a_key(moto_url: str, table: str, ours: DynamoApps) -> None:
    others = [registry(moto_url, table) for _ in range(4)]
    results = await asyncio.gather(
        *(each.add(app(f"a{number}", "k", f"l{number}")) for number, each in enumerate(others)), return_exceptions=True
    )
    await asyncio.gather(*(each.stop() for each in others))
    assert sorted(type(each).__name__ for each in results) == ["NoneType"] + ["RegistryRefused"] * 3
    assert len(await ours.page()) == 1


async def test_no_change_of_two_operators_is_lost(moto_url: str, table: str, ours: DynamoApps) -> None:
    await ours.add(app("a", "k", max_connections=1))
    other = registry(moto_url, table)

    async def increment(apps: DynamoApps) -> None:
        for _ in range(5):
            await apps.change("a", lambda each: replace(each, max_connections=(each.max_connections or 0) + 1))

    await asyncio.gather(increment(ours), increment(other))
    await other.stop()
    (found,) = await ours.fetch(["a"], [])
    assert isinstance(found, App)
    assert found.max_connections == 11


async def test_a_table_that_is_initialised_later_is_noticed(
    moto_url: str, table: str, apps: DynamoApps, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create_table(moto_url, table)
    await apps.start(lambda _: None)
    other = registry(moto_url, table)
    try:
        await other.initialise()
        await other.add(app("a", "k1", "k2"))
        assert await ids(apps, by_keys=("k2",)) == []
        monkeypatch.setattr(dynamo_source, "LOOK_AGAIN", 0)
        assert await ids(apps, by_keys=("k2",)) == ["a"]
        assert apps.writable is None
    finally:
        await other.stop()


async def test_a_table_that_is_initialised_later_is_looked_at_before_a_change_and_on_request(
    moto_url: str, table: str, apps: DynamoApps
) -> None:
    await create_table(moto_url, table)
    await apps.start(lambda _: None)
    other, third = registry(moto_url, table), registry(moto_url, table)
    try:
        await third.start(lambda _: None)
        await other.initialise()
        await apps.add(app("a", "k1", "k2"))
        assert await ids(third, by_keys=("k2",)) == []
        third.look_again()
        assert await ids(third, by_keys=("k2",)) == ["a"]
    finally:
        await other.stop()
        await third.stop()


async def test_a_key_that_is_given_twice_is_looked_up_once(ours: DynamoApps) -> None:
    await ours.add(app("a", "k1", "k2"))
    assert await ids(ours, by_keys=("k1", "k2", "k2", "k1")) == ["a"]


async def test_a_page_whose_apps_were_removed_is_skipped(moto_url: str, table: str, ours: DynamoApps) -> None:
    for name in "abcd":
        await ours.add(app(name))
    await ours.page("", 1)
    other = registry(moto_url, table)
    await other.remove("b")
    await other.stop()
    assert [each.id for each in await ours.page("a", 1)] == ["c"]
