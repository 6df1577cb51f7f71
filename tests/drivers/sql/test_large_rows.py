"""Apps with very many keys or very long values: the work for one app is bounded, and others are not affected."""

from soketpy.core.app_registry import LONGEST_VALUE, MOST_ITEMS, BrokenApp
from soketpy.core.apps import App, Key
from tests.drivers.sql.conftest import Opened

KEYS = 3000


async def test_an_app_with_very_many_keys_is_refused_and_few_of_its_keys_are_read(opened: Opened) -> None:
    await opened.insert("1")
    await opened.insert("2")
    await opened.add_keys("1", KEYS)
    for ids, keys in ((["1", "2"], []), ([], ["key-1", "key-2"]), (["1", "2"], ["1-0", "key-2"])):
        broken, other = sorted(await opened.registry.fetch(ids, keys), key=lambda each: each.id)
        assert isinstance(broken, BrokenApp)
        assert broken.problem == f"keys: must have at most {MOST_ITEMS} items"
        assert len(broken.keys) == 1 + MOST_ITEMS + 1
        assert other == App(id="2", keys=(Key("key-2", "s"),))
    assert [each.id for each in await opened.registry.page()] == ["1", "2"]


async def test_an_app_with_very_many_keys_is_found_by_each_of_them(opened: Opened) -> None:
    await opened.insert("1")
    await opened.add_keys("1", KEYS)
    last = f"1-{KEYS - 1}"
    [broken] = await opened.registry.fetch([], [last])
    assert isinstance(broken, BrokenApp)
    assert last in broken.keys


async def test_an_app_may_have_the_most_keys_and_the_longest_webhooks(opened: Opened) -> None:
    hooks = '[{"url": "https://a.example/", "event_types": ["channel_occupied"]}]'
    await opened.insert("1", webhooks=hooks + " " * (LONGEST_VALUE - len(hooks)))
    await opened.add_keys("1", MOST_ITEMS)
    for found in (await opened.registry.fetch([], ["1-50"]), await opened.registry.page()):
        [app] = found
        assert isinstance(app, App)
        assert [each.key for each in app.keys] == ["key-1", *(f"1-{at}" for at in range(MOST_ITEMS))]
        assert [each.url for each in app.webhooks] == ["https://a.example/"]


async def test_the_beginning_of_a_long_value_is_read(opened: Opened) -> None:
    await opened.insert("1", webhooks=f'["{"é" * 300_000}"]')
    await opened.insert("2")
    for found in (await opened.registry.fetch(["1", "2"], ["key-1"]), await opened.registry.page()):
        broken, other = sorted(found, key=lambda each: each.id)
        assert isinstance(broken, BrokenApp)
        assert broken.problem == f"webhooks: must have at most {LONGEST_VALUE} characters"
        assert isinstance(other, App)
    assert opened.longest == LONGEST_VALUE + 1
