"""The limit of new connections in a second."""

from dataclasses import replace

import pytest

from soketpy.core.apps import App, Key
from soketpy.core.rates import Rates
from soketpy.protocol.errors import ConnectionRefused
from tests.drivers.limited import Limited, Unreached
from tests.fakes import APP, House

TWO = replace(APP, max_connects_per_second=2)


@pytest.fixture
def limited(nodes: None, monkeypatch: pytest.MonkeyPatch) -> Limited:
    return Limited(monkeypatch)


def refused(house: House, app: App) -> ConnectionRefused:
    with pytest.raises(ConnectionRefused) as caught:
        house.connect(app)
    return caught.value


def test_connects_beyond_the_rate_are_asked_to_come_later(limited: Limited) -> None:
    house = limited.house
    clients = [house.connect(TWO) for _ in range(2)]
    for _ in range(3):
        refusal = refused(house, TWO)
        assert (refusal.code, refusal.message) == (
            4100,
            "The app may have 2 new connections a second; reconnect in a while.",
        )
    assert [client.closed for client in clients] == [None, None]
    assert house.total == 2


def test_a_refused_client_may_connect_after_a_while(limited: Limited) -> None:
    house = limited.house
    for _ in range(2):
        house.connect(TWO)
    refused(house, TWO)
    limited.advance(0.5)
    house.connect(TWO)
    refused(house, TWO)


def test_apps_have_rates_of_their_own(limited: Limited) -> None:
    house = limited.house
    for app in (TWO, replace(TWO, id="other", keys=(Key("other-key", "s"),))):
        for _ in range(2):
            house.connect(app)
        refused(house, app)


def test_a_refused_client_is_not_counted(limited: Limited) -> None:
    house, app = limited.house, replace(APP, max_connects_per_second=1, max_connections=2)
    house.connect(app)
    refused(house, app)
    limited.advance(1)
    house.connect(app)


def test_a_new_rate_holds_at_once(limited: Limited) -> None:
    house = limited.house
    house.connect(replace(APP, max_connects_per_second=1))
    refused(house, replace(APP, max_connects_per_second=1))
    for _ in range(3):
        house.connect(APP)


def test_a_connect_whose_rate_cannot_be_checked_is_asked_to_come_later() -> None:
    house = House(limiter=Rates(Unreached(), None, lambda: False))
    refusal = refused(house, TWO)
    assert (refusal.code, refusal.message) == (4100, "The rate limit of the app cannot be checked now; try again.")
    assert house.connect(APP).closed is None, "an app without the limit is not affected"
