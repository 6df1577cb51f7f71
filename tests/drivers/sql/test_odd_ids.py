"""Ids that no valid app has: such entries are on the pages of a list, and can be removed."""

import pytest

from soketpy.core.app_registry import BrokenApp, NoSuchApp
from soketpy.registry import operations
from tests.drivers.sql.conftest import Opened

ODD = ["a\u00e9", "a\nz", "tab\t", "1:a", "\u6771", "x y"]
IDS = [*(f"A{number}" for number in range(3)), *ODD, *(f"b{number}" for number in range(3))]


@pytest.mark.parametrize("limit", [1, 2, 5])
async def test_a_list_goes_on_after_an_odd_id(opened: Opened, limit: int) -> None:
    for app_id in IDS:
        await opened.insert(app_id)
    page = await operations.page(opened.registry, limit=limit)
    found = [*page.apps]
    for _ in IDS:
        if page.next is None:
            break
        assert page.next.isascii()
        assert page.next.isprintable()
        page = await operations.page(opened.registry, page.next, limit)
        found += page.apps
    assert page.next is None
    assert sorted(each.id for each in found) == sorted(IDS)
    assert {each.id for each in found if isinstance(each, BrokenApp)} == set(ODD)


async def test_an_entry_with_an_odd_id_can_be_removed(opened: Opened) -> None:
    for app_id in IDS:
        await opened.insert(app_id)
    for app_id in ODD:
        await opened.registry.remove(app_id)
        with pytest.raises(NoSuchApp):
            await opened.registry.remove(app_id)
    for app_id in ("A0 ", "a0", "\0", ""):
        with pytest.raises(NoSuchApp):
            await opened.registry.remove(app_id)
    assert len(await opened.registry.page()) == len(IDS) - len(ODD)
