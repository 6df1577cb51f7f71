"""Values of all apps with one bound, alone and in the stores of one node: no app displaces values of another."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soketpy.core.history import HistoryRule, Position
from soketpy.core.tabs import TabState
from soketpy.drivers.local import history, once, tabs
from soketpy.drivers.local.once import LocalAnswers
from soketpy.drivers.local.shares import Shares
from soketpy.drivers.sqlite import log_heads
from soketpy.drivers.sqlite import tabs as sqlite_tabs
from tests.drivers.logs import KINDS, Kit, task_of

RULE = HistoryRule(channels="*")

Key = tuple[str, str]


@pytest.fixture(params=KINDS)
async def kit(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Kit]:
    """Return a store with a bound of 10 values."""
    for module in (tabs, sqlite_tabs, once):
        monkeypatch.setattr(module, "MOST", 10)
    for module in (history, log_heads):
        monkeypatch.setattr(module, "MOST_BEGUN", 10)
    monkeypatch.setattr(sqlite_tabs, "CHECKED", 2)
    kit = Kit(request.param, tmp_path / "history.db")
    await kit.start()
    yield kit
    await kit.stop()


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9), st.booleans())))
def test_the_app_with_the_most_values_loses_its_oldest_one(operations: list[tuple[str, int, bool]]) -> None:
    shares = Shares[Key, int](6)
    model: dict[str, dict[Key, int]] = {}
    for number, (app, name, adds) in enumerate(operations):
        key = app, str(name)
        values = model.setdefault(app, {})
        before = values.pop(key, None)
        if not adds:
            assert shares.pop(key) == before
            continue
        values[key] = number
        removed = shares.put(key, number)
        most = max(map(len, model.values()))
        if sum(map(len, model.values())) > 6:
            [loser] = [each for each in model.values() if removed in each.values()]
            assert len(loser) == most
            assert next(iter(loser.values())) == removed
            del loser[next(iter(loser))]
        else:
            assert removed is None
    assert len(shares) == sum(map(len, model.values()))
    for values in model.values():
        for key, value in values.items():
            assert shares.get(key) == value


def test_values_that_have_expired_are_removed() -> None:
    shares = Shares[Key, int](100)
    for app in "abc":
        for number in range(5):
            shares.put((app, str(number)), number, 10, now=5)
    assert shares.get(("a", "1"), 9) == 1
    assert shares.get(("a", "1"), 10) is None
    for number in range(5):
        shares.put(("d", str(number)), number, 20, now=10)
    assert len(shares) == 5


async def test_many_tabs_of_one_app_displace_only_its_own(kit: Kit) -> None:
    state = TabState({"room": Position("0" * 16, 7)}, ("1.1",), kit.time)
    await task_of(kit.store.tabs.claim("app", "tab", "1.1"))
    kit.store.tabs.save("app", "tab", "1.1", state)
    for number in range(30):
        await task_of(kit.store.tabs.claim("other", str(number), "2.2"))
    assert await task_of(kit.store.tabs.claim("app", "tab", "1.2")) == state
    assert await task_of(kit.store.tabs.claim("other", "0", "2.3")) is None
    assert await task_of(kit.store.tabs.claim("other", "29", "2.3")) is not None


async def test_a_connected_tab_that_was_forgotten_is_saved_again(kit: Kit) -> None:
    await task_of(kit.store.tabs.claim("app", "tab", "1.1"))
    for number in range(30):
        await task_of(kit.store.tabs.claim("app", str(number), "2.2"))
    state = TabState({"room": Position("0" * 16, 7)}, ("1.1",), kit.time)
    kit.store.tabs.save("app", "tab", "1.1", state)
    assert await task_of(kit.store.tabs.claim("app", "tab", "1.2")) == state


async def test_many_begun_logs_of_one_app_displace_only_its_own(kit: Kit) -> None:
    page = await kit.read("room", RULE, begin=True)
    others = [(await kit.read(str(number), RULE, app="other", begin=True)).epoch for number in range(30)]
    assert (await kit.read("room", RULE)).epoch == page.epoch
    assert (await kit.read("0", RULE, app="other")).epoch == ""
    assert (await kit.read("29", RULE, app="other")).epoch == others[29]


async def test_many_keys_of_one_app_displace_only_its_own(kit: Kit) -> None:
    answers = LocalAnswers(lambda: kit.time, 120)
    answers.put("app", "key", b"answer")
    for number in range(30):
        answers.put("other", str(number), b"")
    assert await answers.find("app", "key") == b"answer"
    assert await answers.find("other", "0") is None
    assert await answers.find("other", "29") == b""
