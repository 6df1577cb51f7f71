"""The operations on the apps of a registry."""

import pytest

from soketpy.core.app_registry import BrokenApp, NoSuchApp, RegistryRefused
from soketpy.core.apps import App, Key
from soketpy.registry.operations import (
    MOST_KEYS,
    NoSuchKey,
    WrongValue,
    add,
    change,
    find,
    new_key,
    page,
    remove_key,
    rotate,
    shared_keys,
)
from tests.registries import MemoryRegistry

NOW = 1000.0
OLD, NEW = Key("old", "old-secret"), Key("new", "new-secret")


def app(*keys: Key, app_id: str = "a") -> App:
    return App(id=app_id, keys=keys or (OLD,))


async def test_a_page_names_the_id_after_which_the_next_one_begins() -> None:
    registry = MemoryRegistry(*(app(Key(f"key-{each}", "s"), app_id=each) for each in "cab"))
    first = await page(registry, limit=2)
    assert ([each.id for each in first.apps], first.next) == (["a", "b"], "b")
    last = await page(registry, "b", limit=2)
    assert ([each.id for each in last.apps], last.next) == (["c"], None)


async def test_a_full_last_page_has_no_next_page() -> None:
    assert (await page(MemoryRegistry(app()), limit=1)).next is None


async def test_a_broken_entry_is_found() -> None:
    broken = BrokenApp("a", ("k",), "max_connections: must be a number")
    assert await find(MemoryRegistry(broken), "a") == broken


async def test_an_app_that_does_not_exist_is_not_found() -> None:
    with pytest.raises(NoSuchApp, match="no app with the id 'b'"):
        await find(MemoryRegistry(app()), "b")


async def test_a_new_app_has_an_id_a_key_and_a_secret_at_random() -> None:
    registry = MemoryRegistry()
    one, other = await add(registry, {}, {}), await add(registry, {}, {})
    assert set(registry.entries) == {one.id, other.id}
    assert one.keys[0].secret != other.keys[0].secret
    assert (len(one.key), len(one.keys[0].secret)) == (20, 40)


async def test_a_new_app_has_the_given_values_over_the_defaults() -> None:
    given = {"id": "x", "key": "k", "secret": "s", "max_connections": 5}
    made = await add(MemoryRegistry(), given, {"max_connections": 1, "client_events": True})
    assert (made.id, made.keys, made.max_connections, made.client_events) == ("x", (Key("k", "s"),), 5, True)


async def test_an_app_with_the_key_of_another_app_is_not_added() -> None:
    registry = MemoryRegistry(app())
    with pytest.raises(RegistryRefused):
        await add(registry, {"key": "old"}, {})
    assert list(registry.entries) == ["a"]


def test_a_secret_without_its_key_is_refused() -> None:
    with pytest.raises(WrongValue, match="secret: has no effect without key"):
        new_key({"secret": "s"})


async def test_changed_fields_leave_the_other_fields_as_they_are() -> None:
    registry = MemoryRegistry(App(id="a", keys=(OLD,), client_events=True))
    changed = await change(registry, "a", {"max_connections": 7})
    assert changed == registry.app("a") == App(id="a", keys=(OLD,), client_events=True, max_connections=7)


async def test_a_change_that_makes_no_valid_app_changes_nothing() -> None:
    registry = MemoryRegistry(app())
    with pytest.raises(WrongValue, match=r"^max_connections must be 0 or more"):
        await change(registry, "a", {"max_connections": -5})
    assert registry.app("a") == app()


ROTATIONS = [
    ((OLD,), None, (NEW, OLD)),
    ((OLD,), NOW + 5, (NEW, Key("old", "old-secret", NOW + 5))),
    ((OLD,), NOW, (NEW,)),
    ((OLD, Key("older", "s", NOW + 1)), NOW + 5, (NEW, Key("old", "old-secret", NOW + 5), Key("older", "s", NOW + 1))),
    ((OLD, Key("older", "s", NOW + 9)), NOW + 5, (NEW, Key("old", "old-secret", NOW + 5), Key("older", "s", NOW + 5))),
    ((OLD, Key("older", "s", NOW + 9)), None, (NEW, OLD, Key("older", "s", NOW + 9))),
    ((OLD, Key("ended", "s", NOW - 1)), None, (NEW, OLD)),
]


@pytest.mark.parametrize(("keys", "ends_at", "expected"), ROTATIONS)
async def test_a_rotation_puts_the_new_key_first_and_ends_the_older_ones(
    keys: tuple[Key, ...], ends_at: float | None, expected: tuple[Key, ...]
) -> None:
    registry = MemoryRegistry(app(*keys))
    assert (await rotate(registry, "a", NEW, ends_at, NOW)).keys == expected
    assert registry.app("a").keys == expected


async def test_a_key_that_the_app_has_is_no_new_key() -> None:
    with pytest.raises(RegistryRefused, match="already has this key"):
        await rotate(MemoryRegistry(app()), "a", Key("old", "other"), None, NOW)


async def test_a_key_whose_end_has_passed_must_be_removed_before_it_is_a_new_key() -> None:
    with pytest.raises(RegistryRefused, match="whose end has passed: remove it first"):
        await rotate(MemoryRegistry(app(NEW, Key("ended", "s", NOW))), "a", Key("ended", "s"), None, NOW)


async def test_apps_of_a_foreign_table_with_the_same_key_are_named() -> None:
    twin, other = app(OLD, app_id="b"), app(Key("else", "s"), app_id="c")
    registry = MemoryRegistry(app(NEW, OLD), twin, other, broken := BrokenApp("d", ("old",), "secret: missing"))
    registry.writable = "soketpy only reads the table"
    assert await shared_keys(registry, [app(NEW, OLD), other, broken]) == {
        "a": "key: the same key as app b and app d",
        "d": "key: the same key as app a and app b",
    }


async def test_the_number_of_keys_is_limited() -> None:
    registry = MemoryRegistry(app())
    for number in range(MOST_KEYS - 1):
        await rotate(registry, "a", Key(f"key-{number}", "s"), None, NOW)
    with pytest.raises(RegistryRefused, match=f"has {MOST_KEYS} keys"):
        await rotate(registry, "a", NEW, None, NOW)


async def test_a_removed_key_is_gone() -> None:
    registry = MemoryRegistry(app(NEW, OLD))
    assert (await remove_key(registry, "a", "old")).keys == (NEW,)


async def test_the_first_key_after_a_removal_is_one_without_an_end() -> None:
    ending = Key("ending", "s", NOW + 5)
    assert (await remove_key(MemoryRegistry(app(NEW, ending, OLD)), "a", "new")).keys == (OLD, ending)


@pytest.mark.parametrize("others", [(), (Key("ending", "s", NOW + 5),)])
async def test_the_last_key_that_stays_is_not_removed(others: tuple[Key, ...]) -> None:
    registry = MemoryRegistry(app(NEW, *others))
    with pytest.raises(RegistryRefused, match="no other key of the app stays"):
        await remove_key(registry, "a", "new")
    assert registry.app("a").keys == (NEW, *others)


async def test_a_key_that_the_app_does_not_have_is_not_removed() -> None:
    with pytest.raises(NoSuchKey):
        await remove_key(MemoryRegistry(app()), "a", "new")
