"""The operations of the command and the admin API on every kind of registry."""

from dataclasses import replace

from soketpy.core.app_registry import AppRegistry
from soketpy.core.apps import App, Key
from soketpy.registry import operations
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
