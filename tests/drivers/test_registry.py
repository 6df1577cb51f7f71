"""The contract of the registries of apps, for each kind of registry."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from time import sleep
from typing import Any

import pytest

from soketpy.config.app_rows import Row
from soketpy.core.app_registry import AppRegistry, BrokenApp, NoSuchApp, RegistryRefused
from soketpy.core.apps import App, Key
from soketpy.core.history import HistoryRule
from soketpy.core.webhooks import Webhook
from soketpy.drivers.entries import SLICE_SECONDS
from tests.drivers.aws.dynamo import READ
from tests.drivers.registries import KITS, Kit, nothing
from tests.patience import PAUSE, attempts, until

FULL = App(
    id="full",
    keys=(Key("full-key", "full-secret"), Key("old", "o", 1_900_000_000.5), Key("older", "p")),
    webhooks=(
        Webhook(url="https://a.example/?q=%20'\"", event_types=("channel_occupied",), headers={"X-A": "b"}),
        Webhook(url="https://b.example/", event_types=("member_added", "client_event")),
    ),
    history=(HistoryRule(channels="room-*", events=50, rewind_seconds=1.5), HistoryRule(channels="news")),
    allowed_origins=("https://a.example", "https://*.b.example"),
    enabled=False,
    client_events=True,
    watchlists=False,
    tls_only=True,
    max_connections=5,
    max_backend_events_per_second=7,
    max_subscribes_per_second=None,
    max_presence_member_size_in_kb=0.5,
    max_event_payload_in_kb=1.5,
    max_event_batch_size=3,
)


def app(app_id: str, *keys: str, **fields: Any) -> App:
    """Return an app with these keys; without keys, its key is ``key-ID``."""
    return App(id=app_id, keys=tuple(Key(key, f"secret of {key}") for key in keys or (f"key-{app_id}",)), **fields)


@pytest.fixture(params=KITS)
async def kit(request: pytest.FixtureRequest) -> AsyncIterator[Kit]:
    """Run a test with each kind of registry."""
    kit = KITS[request.param](request)
    yield kit
    await kit.close()


@pytest.fixture
def place(kit: Kit) -> str:
    return kit.new_place()


@pytest.fixture
async def registry(kit: Kit, place: str) -> AsyncIterator[AppRegistry]:
    """Open a registry without apps."""
    registry = kit.registry(place)
    await registry.initialise()
    await registry.start(nothing)
    yield registry
    await registry.stop()


@pytest.fixture
async def other(kit: Kit, place: str, registry: AppRegistry) -> AsyncIterator[AppRegistry]:
    """Open the same registry as another process does."""
    other = kit.registry(place)
    await other.start(nothing)
    yield other
    await other.stop()


async def ids(registry: AppRegistry, ids: list[str], keys: list[str]) -> list[str]:
    """Return the ids of the apps that are found."""
    return sorted(found.id for found in await registry.fetch(ids, keys))


async def test_an_app_is_read_as_it_was_added(registry: AppRegistry) -> None:
    await registry.add(FULL)
    assert await registry.fetch([FULL.id], []) == [FULL]


async def test_an_app_with_the_defaults_is_read_as_it_was_added(registry: AppRegistry) -> None:
    await registry.add(app("1"))
    assert await registry.fetch(["1"], []) == [app("1")]


@pytest.mark.parametrize("key", [each.key for each in FULL.keys])
async def test_an_app_is_found_by_each_of_its_keys(registry: AppRegistry, key: str) -> None:
    await registry.add(app("1"))
    await registry.add(FULL)
    assert await registry.fetch([], [key]) == [FULL]


async def test_an_app_is_found_once_by_its_id_and_its_keys(registry: AppRegistry) -> None:
    await registry.add(FULL)
    assert await registry.fetch([FULL.id, FULL.id], [each.key for each in FULL.keys]) == [FULL]


async def test_several_apps_are_found_at_once(registry: AppRegistry) -> None:
    for name in "abcd":
        await registry.add(app(name, f"{name}1", f"{name}2"))
    assert await ids(registry, ["a", "x"], ["b1", "c2", "y"]) == ["a", "b", "c"]


async def test_many_ids_and_keys_are_fetched_at_once(registry: AppRegistry) -> None:
    wanted = [f"{number:03}" for number in range(30)]
    for each in wanted:
        await registry.add(app(each, f"k{each}", f"f{each}"))
    unknown = [f"unknown-{number}" for number in range(600)]
    found = await ids(registry, [*unknown, *wanted[:10]], [f"k{each}" for each in wanted[10:20]] + unknown)
    assert found == wanted[:20]
    assert await ids(registry, [], [f"f{each}" for each in wanted]) == wanted


async def test_nothing_is_asked_for(registry: AppRegistry) -> None:
    await registry.add(app("1"))
    assert await registry.fetch([], []) == []


ODD = ["", "' OR '1'='1", "1; DROP TABLE apps; --", '"', "\\", "%", "_", "A", "a ", "1 ", "01", "1.0", "\0", "a\0"]
ODD += ["\ud800", "\U0001f600", "9" * 40, "-1", "1e0", "x" * 70_000, "${x}", "%s", ":id", "$1", "?"]


async def test_an_unknown_id_or_key_finds_nothing(registry: AppRegistry) -> None:
    await registry.add(app("1", "a"))
    for odd in ODD:
        assert await registry.fetch([odd], [odd]) == [], ascii(odd[:30])
    assert await ids(registry, ["1", *ODD], ["a", *ODD]) == ["1"]


SECRETS = [
    "'",
    '"',
    "\\",
    "\\'",
    "%",
    "%s",
    "%(a)s",
    ":a",
    "?",
    "$1",
    "{}",
    "\U0001f600",
    "п",
    " a ",
    "`",
    "--",
    "1",
    "0",
]


async def test_unusual_characters_in_secrets(registry: AppRegistry) -> None:
    for at, secret in enumerate(SECRETS):
        added = App(id=str(at), keys=(Key(f"a{at}", secret), Key(f"b{at}", secret)))
        await registry.add(added)
        assert await registry.fetch([str(at)], []) == [added]


async def test_the_id_of_another_app_is_refused(registry: AppRegistry) -> None:
    await registry.add(app("1", "a"))
    with pytest.raises(RegistryRefused, match="app 1"):
        await registry.add(app("1", "b"))
    assert await registry.fetch(["1"], ["b"]) == [app("1", "a")]


@pytest.mark.parametrize("taken", ["a", "b"])
@pytest.mark.parametrize("first", [True, False])
async def test_a_key_of_another_app_is_refused(registry: AppRegistry, taken: str, first: bool) -> None:
    await registry.add(app("1", "a", "b"))
    with pytest.raises(RegistryRefused, match=f"key {taken}"):
        await registry.add(app("2", *((taken, "c") if first else ("c", taken))))
    assert await registry.fetch(["2"], ["c"]) == []


async def test_a_change_replaces_an_app(registry: AppRegistry) -> None:
    await registry.add(FULL)
    new = replace(app(FULL.id, "new", "full-key"), max_connections=9, webhooks=FULL.webhooks[1:])
    assert await registry.change(FULL.id, lambda old: new) == new
    assert await registry.fetch([FULL.id], []) == [new]
    assert await registry.fetch([], ["new"]) == [new]
    assert await registry.fetch([], ["full-key"]) == [new]
    assert await registry.fetch([], ["old", "older"]) == []


async def test_a_change_gets_the_app(registry: AppRegistry) -> None:
    await registry.add(FULL)
    await registry.change(FULL.id, lambda old: replace(old, enabled=old == FULL))
    assert await registry.fetch([FULL.id], []) == [replace(FULL, enabled=True)]


async def test_the_keys_of_an_app_may_change_their_places(registry: AppRegistry) -> None:
    await registry.add(FULL)
    turned = replace(FULL, keys=FULL.keys[::-1])
    await registry.change(FULL.id, lambda old: turned)
    assert await registry.fetch([FULL.id], []) == [turned]


async def test_a_change_of_an_unknown_app(registry: AppRegistry) -> None:
    with pytest.raises(NoSuchApp):
        await registry.change("1", lambda old: old)


async def test_the_id_of_an_app_stays_the_same(registry: AppRegistry) -> None:
    await registry.add(app("1", "a"))
    with pytest.raises(RegistryRefused):
        await registry.change("1", lambda old: app("2", "a"))
    assert await ids(registry, ["1", "2"], []) == ["1"]


@pytest.mark.parametrize("taken", ["a", "b"])
async def test_a_change_to_the_key_of_another_app_is_refused(registry: AppRegistry, taken: str) -> None:
    await registry.add(app("1", "a", "b"))
    await registry.add(app("2", "c"))
    with pytest.raises(RegistryRefused, match=f"key {taken}"):
        await registry.change("2", lambda old: replace(old, keys=(*old.keys, Key(taken, "s")), enabled=False))
    assert await registry.fetch(["2"], []) == [app("2", "c")]


@pytest.mark.parametrize("fault", [ValueError("no"), OSError("no"), TimeoutError("no"), RegistryRefused("no")])
async def test_an_exception_in_a_change_passes_through(registry: AppRegistry, fault: Exception) -> None:
    def change(old: App) -> App:
        raise fault

    await registry.add(app("1"))
    with pytest.raises(type(fault), match=r"^no$"):
        await registry.change("1", change)
    assert await registry.fetch(["1"], []) == [app("1")]


async def test_a_removed_app_is_not_found(registry: AppRegistry) -> None:
    await registry.add(app("1", "a", "b"))
    await registry.remove("1")
    assert await registry.fetch(["1"], ["a", "b"]) == []
    assert await registry.page() == []


async def test_a_removal_of_an_unknown_app(registry: AppRegistry) -> None:
    with pytest.raises(NoSuchApp):
        await registry.remove("1")


async def test_the_id_and_the_keys_of_a_removed_app_are_free(registry: AppRegistry) -> None:
    await registry.add(app("1", "a", "b"))
    await registry.remove("1")
    await registry.add(app("1", "b"))
    await registry.add(app("2", "a"))
    assert await ids(registry, [], ["a", "b"]) == ["1", "2"]


async def test_a_key_that_an_app_no_longer_has_is_free(registry: AppRegistry) -> None:
    await registry.add(app("1", "a", "b", "c"))
    await registry.change("1", lambda old: app("1", "c"))
    await registry.add(app("2", "a", "b"))
    assert await registry.fetch([], ["a", "b"]) == [app("2", "a", "b")]


async def test_pages_have_each_app_once_and_in_order(registry: AppRegistry) -> None:
    names = ["1", "10", "2", "A", "B", "a", "ab", "b"]
    for each in names[::-1]:
        await registry.add(app(each, f"1{each}", f"2{each}"))
    found: list[App | BrokenApp] = []
    after = ""
    while page := await registry.page(after, 3):
        assert len(page) <= 3
        found += page
        after = page[-1].id
    assert [each.id for each in found] == names
    assert found == [app(each, f"1{each}", f"2{each}") for each in names]


async def test_a_page_has_at_most_a_hundred_apps(registry: AppRegistry) -> None:
    for number in range(101):
        await registry.add(app(f"{number:03}"))
    assert len(await registry.page()) == 100
    assert [each.id for each in await registry.page("098")] == ["099", "100"]


async def test_another_process_sees_a_change(registry: AppRegistry, other: AppRegistry) -> None:
    await registry.add(app("1"))
    assert await other.fetch(["1"], []) == [app("1")]


async def test_changes_at_the_same_time_are_all_made(registry: AppRegistry, other: AppRegistry) -> None:
    def count(old: App) -> App:
        return replace(old, max_connections=(old.max_connections or 0) + 1)

    await registry.add(app("1"))
    await asyncio.gather(*(each.change("1", count) for each in (registry, other) * 5))
    assert await registry.fetch(["1"], []) == [app("1", max_connections=10)]


async def test_one_of_two_apps_that_are_added_at_the_same_time_gets_a_key(
    registry: AppRegistry, other: AppRegistry
) -> None:
    added = await asyncio.gather(
        registry.add(app("1", "a", "x")), other.add(app("2", "x", "b")), return_exceptions=True
    )
    assert [type(each) for each in added if each is not None] == [RegistryRefused]
    assert len(await registry.fetch([], ["x"])) == 1


async def test_one_of_two_apps_that_are_added_at_the_same_time_gets_an_id(
    registry: AppRegistry, other: AppRegistry
) -> None:
    added = await asyncio.gather(registry.add(app("1", "a")), other.add(app("1", "b")), return_exceptions=True)
    assert [type(each) for each in added if each is not None] == [RegistryRefused]
    assert len(await registry.fetch(["1"], [])) == 1


BROKEN: dict[str, Any] = {"id": "bad", "key": "bad-key", "secret": "top-secret", "max_event_batch_size": -5}


async def test_a_broken_entry_does_not_affect_others(kit: Kit, place: str, registry: AppRegistry) -> None:
    await registry.add(app("1"))
    await kit.insert(place, BROKEN)
    bad, good = sorted(await registry.fetch(["bad", "1"], []), key=lambda each: isinstance(each, App))
    assert good == app("1")
    assert isinstance(bad, BrokenApp)
    assert (bad.id, bad.keys) == ("bad", ("bad-key",))
    assert bad.problem.startswith("max_event_batch_size: ")


async def test_a_value_that_cannot_be_decoded_does_not_affect_others(
    kit: Kit, place: str, registry: AppRegistry
) -> None:
    await registry.add(app("good"))
    await kit.insert(place, {"id": "bad", "key": "k", "secret": "s", "webhooks": f"[{'9' * 5000}]"})
    good, bad = sorted(await registry.fetch(["bad"], ["key-good"]), key=lambda each: each.id, reverse=True)
    assert good == app("good")
    assert isinstance(bad, BrokenApp)
    assert (bad.id, bad.keys) == ("bad", ("k",))
    assert bad.problem == "webhooks: a number has too many digits"


async def test_a_fault_of_the_reader_does_not_affect_others(kit: Kit, place: str, registry: AppRegistry) -> None:
    await registry.add(app("1"))
    await registry.add(app("bad", "a", "b"))

    def read(row: Row) -> App | BrokenApp:
        if "bad" in row.values():
            raise RecursionError("with a secret")
        return READ(row)

    faulty = kit.registry(place, read=read)
    try:
        await faulty.start(nothing)
        found = sorted(await faulty.fetch(["1", "bad"], []), key=lambda each: each.id)
        assert found[0] == app("1")
        assert isinstance(found[1], BrokenApp)
        assert (found[1].id, found[1].keys[0]) == ("bad", "a")
        assert found[1].problem == "the entry cannot be read (RecursionError)"
        with pytest.raises(RegistryRefused, match="cannot be read"):
            await faulty.change("bad", lambda old: old)
        assert [type(each) for each in await faulty.page()] == [App, BrokenApp]
    finally:
        await faulty.stop()


async def test_the_reading_of_many_apps_does_not_hold_the_event_loop(
    kit: Kit, place: str, registry: AppRegistry
) -> None:
    for name in "abcd":
        await registry.add(app(name))
    iterations, at = 0, list[int]()

    async def count() -> None:
        nonlocal iterations
        for number in attempts():
            iterations = number
            await asyncio.sleep(0)

    def read(row: Row) -> App | BrokenApp:
        at.append(iterations)
        sleep(2 * SLICE_SECONDS)
        return READ(row)

    slow = kit.registry(place, read=read)
    counting = asyncio.create_task(count())
    try:
        await slow.start(nothing)
        for reading in (slow.fetch(list("abcd"), []), slow.page()):
            at.clear()
            assert len(await reading) == 4
            assert len(set(at)) == 4
    finally:
        counting.cancel()
        await slow.stop()


async def test_a_broken_entry_is_found_by_its_key(kit: Kit, place: str, registry: AppRegistry) -> None:
    await kit.insert(place, BROKEN)
    assert await ids(registry, [], ["bad-key"]) == ["bad"]


async def test_a_broken_entry_is_on_its_page(kit: Kit, place: str, registry: AppRegistry) -> None:
    await registry.add(app("1"))
    await kit.insert(place, BROKEN)
    assert [type(each) for each in await registry.page()] == [App, BrokenApp]


async def test_a_broken_entry_is_removed(kit: Kit, place: str, registry: AppRegistry) -> None:
    await kit.insert(place, BROKEN)
    await registry.remove("bad")
    assert await registry.page() == []


async def test_a_broken_entry_does_not_change(kit: Kit, place: str, registry: AppRegistry) -> None:
    await kit.insert(place, BROKEN)
    with pytest.raises(RegistryRefused, match="max_event_batch_size: ") as refused:
        await registry.change("bad", lambda old: old)
    assert "top-secret" not in str(refused.value)


async def test_the_id_and_key_of_a_broken_entry_are_in_use(kit: Kit, place: str, registry: AppRegistry) -> None:
    await kit.insert(place, BROKEN)
    with pytest.raises(RegistryRefused, match="app bad"):
        await registry.add(app("bad"))
    with pytest.raises(RegistryRefused, match="key bad-key"):
        await registry.add(app("1", "bad-key"))


async def test_the_changes_of_another_process_are_reported(kit: Kit, place: str, registry: AppRegistry) -> None:
    if not kit.notifies:
        pytest.skip("the database does not report changes")
    other, reported = kit.registry(place), list[str | None]()
    await other.start(reported.append)
    try:
        # The first changes may come before the database has been asked for changes.
        for number in attempts():
            if reported:
                break
            await registry.add(app(f"first-{number}"))
            await asyncio.sleep(PAUSE)
        for change in (
            registry.add(app("1")),
            registry.change("1", lambda old: replace(old, enabled=False)),
            registry.remove("1"),
        ):
            reported.clear()
            await change
            await until(lambda: {"1", None} & set(reported))
    finally:
        await other.stop()


async def test_a_new_registry_is_created_once(kit: Kit, place: str) -> None:
    registry = kit.registry(place)
    try:
        assert await registry.initialise() != []
        await registry.start(nothing)
        await registry.add(app("1"))
        assert registry.writable is None
        assert await registry.initialise() == []
        assert await registry.page() == [app("1")]
    finally:
        await registry.stop()


async def test_a_registry_starts_again(registry: AppRegistry) -> None:
    await registry.add(app("1"))
    await registry.stop()
    await registry.start(nothing)
    assert await registry.page() == [app("1")]
    await registry.change("1", lambda old: replace(old, enabled=False))


async def test_a_registry_works_after_a_cancelled_call(registry: AppRegistry) -> None:
    await registry.add(app("1"))
    for iterations in range(20):
        calls = [
            asyncio.create_task(registry.fetch(["1"], [])),
            asyncio.create_task(registry.change("1", lambda old: replace(old, enabled=not old.enabled))),
        ]
        for _ in range(iterations):
            await asyncio.sleep(0)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
    assert await ids(registry, ["1"], []) == ["1"]
    await registry.remove("1")
