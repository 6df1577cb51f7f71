"""The limit of the client events of all connections of an app together."""

from dataclasses import replace

import pytest

from soketpy.core.apps import App, Key
from soketpy.core.rates import Rates
from tests.core.test_client_events import on, rejected
from tests.drivers.limited import Limited, Unreached
from tests.fakes import APP, Client, House

THREE = replace(APP, max_total_client_events_per_second=3)


@pytest.fixture
def limited(nodes: None, monkeypatch: pytest.MonkeyPatch) -> Limited:
    return Limited(monkeypatch)


def say(client: Client, times: int = 1) -> None:
    for number in range(times):
        client.say("client-said", number, channel="private-a")


def test_all_connections_share_the_limit(limited: Limited) -> None:
    house = limited.house
    first, second, listener = (on(house, "private-a", THREE) for _ in range(3))
    say(first, 2)
    say(second)
    assert (len(listener.take()), len(first.take()), len(second.take())) == (3, 1, 2)
    for client in (first, second, listener):
        say(client)
        assert rejected(client) == "All connections of the app together may send 3 client events a second."


def test_the_rejection_names_the_channel_and_the_connection_stays(limited: Limited) -> None:
    client = on(limited.house, "private-a", replace(APP, max_total_client_events_per_second=0))
    say(client)
    [answer] = client.take()
    assert (answer["event"], answer["channel"], answer["data"]["code"]) == ("pusher:error", "private-a", 4301)
    assert client.closed is None


def test_the_limit_is_filled_with_time(limited: Limited) -> None:
    app = replace(APP, max_total_client_events_per_second=4)
    sender, listener = (on(limited.house, "private-a", app) for _ in range(2))
    say(sender, 5)
    assert [message["data"] for message in listener.take()] == [0, 1, 2, 3]
    limited.advance(0.5)
    say(sender, 3)
    assert [message["data"] for message in listener.take()] == [0, 1]


def test_apps_have_limits_of_their_own(limited: Limited) -> None:
    house, other = limited.house, replace(THREE, id="other", keys=(Key("other-key", "s"),))
    for app in (THREE, other):
        sender, listener = (on(house, "private-a", app) for _ in range(2))
        say(sender, 3)
        assert len(listener.take()) == 3


def test_an_event_that_is_rejected_for_another_reason_costs_nothing(limited: Limited) -> None:
    sender, listener = (on(limited.house, "private-a", THREE) for _ in range(2))
    for _ in range(3):
        sender.say("client-said", {}, channel="private-b")
    say(sender, 3)
    assert len(listener.take()) == 3


def test_a_busy_connection_is_stopped_by_its_own_limit_first(limited: Limited) -> None:
    app = replace(THREE, max_client_events_per_second=1)
    busy, other, listener = (on(limited.house, "private-a", app) for _ in range(3))
    say(busy, 9)
    busy.take()
    say(other)
    assert [message["data"] for message in listener.take()] == [0, 0]


def test_a_new_limit_applies_to_open_connections(limited: Limited) -> None:
    house = limited.house
    client = on(house, "private-a")
    say(client, 9)
    for node in house.nodes:
        node.update({APP.id: replace(APP, max_total_client_events_per_second=0)}.get)
    say(client)
    assert "0 client events a second" in rejected(client)


def test_events_keep_their_order(limited: Limited) -> None:
    app = replace(APP, max_total_client_events_per_second=1000)
    sender, listener = (on(limited.house, "private-a", app) for _ in range(2))
    say(sender, 200)
    assert [message["data"] for message in listener.take()] == list(range(200))


def test_a_client_that_leaves_the_channel_at_once_has_sent_its_event(limited: Limited) -> None:
    sender, listener = (on(limited.house, "private-a", THREE) for _ in range(2))
    say(sender)
    sender.unsubscribe("private-a")
    assert listener.heard() == ["client-said"]


def test_an_event_whose_limit_cannot_be_checked_is_rejected() -> None:
    house = House(limiter=Rates(Unreached(), None, lambda: False))
    client = on(house, "private-a", THREE)
    say(client)
    assert rejected(client) == "The rate limit of the app cannot be checked now; try again."


@pytest.mark.parametrize("app", [APP, replace(APP, max_client_events_per_second=100)])
def test_an_app_without_this_limit_asks_for_nothing(app: App) -> None:
    house = House(limiter=Rates(Unreached(), None, lambda: False))
    sender, listener = (on(house, "private-a", app) for _ in range(2))
    say(sender)
    assert listener.heard() == ["client-said"]
