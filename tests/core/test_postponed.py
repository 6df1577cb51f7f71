"""Subscriptions that began while the log of their channel could not be read."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from soketpy.core.ports import Unavailable
from soketpy.drivers.local.history import MemoryHistory
from soketpy.drivers.local.tabs import LocalTabs
from tests.core.test_resume import recovered, subscribed, triggered
from tests.fakes import House


@pytest.fixture
def house() -> House:
    return House()


@contextmanager
def unavailable(port: type, method: str) -> Iterator[None]:
    """Let a method of a port fail for the time of the block."""

    async def fail(*_: object, **__: object) -> Any:
        raise Unavailable

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(port, method, fail)
        yield


LOG = (MemoryHistory, "read")
TABS = (LocalTabs, "claim")


@pytest.mark.parametrize("part", [LOG, TABS])
def test_a_tab_gets_what_it_has_missed_when_the_log_can_be_read_again(house: House, part: tuple[type, str]) -> None:
    subscribed(house).leave()
    triggered(house, "room", "one")
    with unavailable(*part):
        client = subscribed(house)
        assert client.heard() == ["subscription_succeeded"]
        triggered(house, "room", "two")
        assert client.heard() == []  # it would come without the one before
        house.loop.advance(5)
        assert client.closed is None or part == TABS
    house.loop.advance(5)
    assert client.closed == (4200, "The history of a channel can be read again; please reconnect.")
    client.leave()
    assert recovered(subscribed(house).take()) == (["one", "two"], True)


def test_a_client_without_a_tab_is_closed_too(house: House) -> None:
    with unavailable(*LOG):
        client = subscribed(house, tab=None)
        another = subscribed(house, tab=None)
        another.unsubscribe("room")
    house.loop.advance(5)
    assert client.closed is not None
    assert another.closed is None


def test_the_others_of_the_channel_stay(house: House) -> None:
    other = subscribed(house, tab="other")
    with unavailable(*LOG):
        client = subscribed(house)
    triggered(house, "room", "one")
    house.loop.advance(5)
    assert client.closed is not None
    assert other.closed is None
    assert other.heard() == ["subscription_succeeded", "one"]
