"""The states of tabs, in each kind of store of one node."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from soketpy.core.history import Position
from soketpy.core.tabs import TabState, unsaved
from soketpy.drivers.local import tabs as local_tabs
from tests.drivers.logs import KINDS, Kit, task_of

E = "0123456789abcdef"


@pytest.fixture(params=KINDS)
async def kit(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Kit]:
    kit = Kit(request.param, tmp_path / "history.db")
    await kit.start()
    yield kit
    await kit.stop()


def state(kit: Kit, serial: int = 7) -> TabState:
    return TabState({"room": Position(E, serial), "presence-é": Position(E, 1)}, ("1.1", "1.2"), kit.time)


async def claim(kit: Kit, socket_id: str, tab: str = "tab", app: str = "app") -> TabState | None:
    return await task_of(kit.store.tabs.claim(app, tab, socket_id))


async def test_a_new_tab_has_no_state(kit: Kit) -> None:
    assert await claim(kit, "1.1") is None


async def test_a_tab_whose_connections_have_saved_nothing_is_known(kit: Kit) -> None:
    await claim(kit, "1.1")
    for socket_id in ("1.2", "1.3"):
        assert await claim(kit, socket_id) == unsaved(kit.time)


async def test_a_state_is_returned_as_it_was_saved(kit: Kit) -> None:
    await claim(kit, "1.1")
    kit.store.tabs.save("app", "tab", "1.1", state(kit))
    assert await claim(kit, "1.2") == state(kit)


async def test_only_the_connection_that_claimed_last_can_save(kit: Kit) -> None:
    await claim(kit, "1.1")
    kit.store.tabs.save("app", "tab", "1.1", state(kit))
    await claim(kit, "1.2")
    kit.store.tabs.save("app", "tab", "1.1", state(kit, 8))
    kit.store.tabs.save("app", "tab", "1.2", state(kit, 9))
    assert await claim(kit, "1.3") == state(kit, 9)


async def test_tabs_of_two_apps_do_not_meet(kit: Kit) -> None:
    await claim(kit, "1.1")
    kit.store.tabs.save("app", "tab", "1.1", state(kit))
    assert await claim(kit, "1.2", app="other") is None
    assert await claim(kit, "1.2", tab="other") is None


async def test_a_state_is_forgotten_after_a_day(kit: Kit) -> None:
    await claim(kit, "1.1")
    kit.store.tabs.save("app", "tab", "1.1", state(kit))
    kit.time += local_tabs.KEPT + 1
    await claim(kit, "1.2", tab="another")
    assert await claim(kit, "1.3") is None


async def test_a_state_survives_a_restart_if_the_logs_do(kit: Kit) -> None:
    await claim(kit, "1.1")
    kit.store.tabs.save("app", "tab", "1.1", state(kit))
    await kit.restart()
    assert (await claim(kit, "1.2") is not None) is kit.keeps is kit.store.tabs.durable
