"""The operations of the command and the admin API on every kind of registry."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from soketpy.config.app_rows import app_of
from soketpy.core.app_registry import AppRegistry, ValueRefused
from soketpy.core.apps import App, Key
from soketpy.core.webhooks import Filter, Webhook
from soketpy.registry import operations
from tests.drivers.registries import Kit, nothing
from tests.drivers.test_registry import kit as kit
from tests.drivers.test_registry import place as place
from tests.drivers.test_registry import registry as registry

NOW = 1_000_000.0
FIRST, SECOND, THIRD = (Key(f"operated-{number}", f"secret-{number}") for number in range(3))


async def test_all_apps_are_on_one_of_the_pages(registry: AppRegistry) -> None:
    added = [f"{prefix}-{number}" for prefix in "aB" for number in range(9)]
    for app_id in added:
        await operations.add(registry, {"id": app_id}, {})
    pages = [await operations.page(registry, limit=4)]
    for _ in range(4):
        pages.append(await operations.page(registry, pages[-1].next or "", limit=4))
    found = [app.id for page in pages for app in page.apps]
    assert [page.next is None for page in pages] == [False, False, False, False, True]
    assert sorted(found) == sorted(added)


async def test_keys_are_rotated_and_removed(registry: AppRegistry) -> None:
    await operations.add(registry, {"id": "rotated", "key": FIRST.key, "secret": FIRST.secret}, {})
    await operations.rotate(registry, "rotated", SECOND, NOW + 60.5, NOW)
    assert await keys(registry) == (SECOND, replace(FIRST, ends_at=NOW + 60.5))
    await operations.rotate(registry, "rotated", THIRD, None, NOW)
    assert await keys(registry) == (THIRD, SECOND, replace(FIRST, ends_at=NOW + 60.5))
    await operations.remove_key(registry, "rotated", THIRD.key)
    assert await keys(registry) == (SECOND, replace(FIRST, ends_at=NOW + 60.5))
    await operations.rotate(registry, "rotated", THIRD, None, NOW + 61)
    assert await keys(registry) == (THIRD, SECOND)


async def keys(registry: AppRegistry) -> tuple[Key, ...]:
    app = await operations.find(registry, "rotated")
    assert isinstance(app, App)
    return app.keys


@asynccontextmanager
async def with_defaults(kit: Kit, place: str, **limits: Any) -> AsyncIterator[AppRegistry]:
    """Open the same registry as a process with these defaults of its configuration does."""
    registry = kit.registry(place, read=lambda row: app_of(row, limits))
    await registry.start(nothing)
    try:
        yield registry
    finally:
        await registry.stop()


async def app(registry: AppRegistry, app_id: str = "a") -> App:
    found = await operations.find(registry, app_id)
    assert isinstance(found, App), found
    return found


STORED = {"max_connections": 50, "client_events": True, "max_event_batch_size": 7}
NEW_HOOKS = (Webhook(url="https://b.example/", event_types=("member_added",)),)


@pytest.mark.parametrize("changed", [{"enabled": False}, {"webhooks": NEW_HOOKS}, {"watchlists": False}, {}])
async def test_a_change_keeps_stored_values_that_are_the_defaults_of_its_process(
    kit: Kit, place: str, registry: AppRegistry, changed: dict[str, Any]
) -> None:
    await operations.add(registry, {"id": "a", **STORED}, {})
    async with with_defaults(kit, place, **STORED) as same:
        await operations.change(same, "a", changed)
        await operations.rotate(same, "a", SECOND, None, NOW)
        await operations.remove_key(same, "a", SECOND.key)
    found = await app(registry)
    assert {name: getattr(found, name) for name in STORED} == STORED
    assert {name: getattr(found, name) for name in changed} == changed


async def test_a_given_field_is_stored_also_if_it_is_the_default(kit: Kit, place: str, registry: AppRegistry) -> None:
    given = {"max_connections": None, "watchlists": True, "max_event_batch_size": 10}
    await operations.add(registry, {"id": "added", **given}, {})
    await operations.add(registry, {"id": "changed"}, {})
    await operations.change(registry, "changed", given)
    async with with_defaults(kit, place, max_connections=2, watchlists=False, max_event_batch_size=3) as other:
        for app_id in ("added", "changed"):
            found = await app(other, app_id)
            assert {name: getattr(found, name) for name in given} == given


async def test_a_field_that_is_not_given_follows_the_defaults_of_each_process(
    kit: Kit, place: str, registry: AppRegistry
) -> None:
    async with with_defaults(kit, place, max_connections=2) as other:
        await operations.add(other, {"id": "a", "client_events": True}, {"max_connections": 2})
        assert (await app(other)).max_connections == 2
    assert (await app(registry)).max_connections is None


async def test_a_field_goes_back_to_the_default(kit: Kit, place: str, registry: AppRegistry) -> None:
    await operations.add(registry, {"id": "a", "webhooks": NEW_HOOKS, **STORED}, {})
    unset = {"defaults": ("max_connections", "webhooks"), "client_events": False}
    async with with_defaults(kit, place, max_connections=2) as other:
        changed = await operations.change(other, "a", unset)
        assert (changed.max_connections, changed.webhooks, changed.client_events) == (2, (), False)
        assert await app(other) == changed
    assert (await app(registry)).max_connections is None
    assert (await app(registry)).max_event_batch_size == 7


async def test_the_stored_fields_of_an_app_are_known(registry: AppRegistry) -> None:
    assert set(await registry.stored("a")) == set()
    await operations.add(registry, {"id": "a", "max_connections": None, "client_events": False}, {})
    await operations.rotate(registry, "a", SECOND, None, NOW)
    own = {"max_connections", "client_events"}
    assert own == set(await registry.stored("a")) - {"id", "key", "secret", "keys"}
    await operations.change(registry, "a", {"defaults": ("client_events",), "webhooks": NEW_HOOKS})
    assert set(await registry.stored("a")) & set(operations.CHANGEABLE) == {"max_connections", "webhooks"}


async def test_an_app_that_could_not_be_read_again_is_not_stored(registry: AppRegistry) -> None:
    hooks = tuple(
        Webhook(url="https://a.example", event_types=("member_added",), filter=Filter(channel_name_starts_with=str(at)))
        for at in range(101)
    )
    before = await operations.add(registry, {"id": "a", "webhooks": hooks[:100]}, {})
    with pytest.raises(ValueRefused, match=r"^webhooks: must have at most 100 items"):
        await operations.change(registry, "a", {"webhooks": hooks})
    with pytest.raises(ValueRefused, match=r"^webhooks: must have at most 100 items"):
        await operations.add(registry, {"id": "b", "webhooks": hooks}, {})
    assert await registry.page() == [before]
