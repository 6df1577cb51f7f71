"""Watchlists: events about the online state of watched users."""

from dataclasses import replace

import pytest

from soketpy.core.apps import App
from tests.fakes import APP, Client, House

pytestmark = pytest.mark.usefixtures("nodes")

Groups = dict[str, list[str]]


@pytest.fixture
def house() -> House:
    return House()


def enter(house: House, user_id: str, *watchlist: str, app: App = APP) -> Client:
    client = house.connect(app)
    client.sign_in(user_id, watchlist=list(watchlist))
    return client


def told(client: Client) -> list[Groups]:
    """Return the watchlist events that the client got, one dict per message."""
    messages = [message for message in client.take() if message["event"] == "pusher_internal:watchlist_events"]
    return [{event["name"]: event["user_ids"] for event in message["data"]["events"]} for message in messages]


def test_right_after_signing_in_one_is_told_who_is_online_and_who_is_not(house: House) -> None:
    enter(house, "bob")
    client = enter(house, "ada", "bob", "eve", "joe")
    success, watchlist = client.take()
    assert success["event"] == "pusher:signin_success"
    assert watchlist == {
        "event": "pusher_internal:watchlist_events",
        "data": {"events": [{"name": "online", "user_ids": ["bob"]}, {"name": "offline", "user_ids": ["eve", "joe"]}]},
    }


def test_the_data_is_a_string(house: House) -> None:
    client = enter(house, "ada", "bob")
    assert b'"data":"{\\"events\\":[{\\"name\\":\\"offline\\"' in client.transport.frames[-1]


@pytest.mark.parametrize("watchlist", [[], None])
def test_who_watches_nobody_is_told_nothing(house: House, watchlist: object) -> None:
    client = house.connect()
    client.sign_in("ada", watchlist=watchlist)
    assert client.heard() == ["signin_success"]
    enter(house, "bob")
    assert client.take() == []


def test_a_user_is_online_from_the_first_connection_to_the_last(house: House) -> None:
    watcher = enter(house, "ada", "bob")
    told(watcher)
    tabs = [enter(house, "bob"), enter(house, "bob")]
    assert told(watcher) == [{"online": ["bob"]}]
    tabs[0].leave()
    assert told(watcher) == []
    tabs[1].connection.refuse(4009, "enough")
    assert told(watcher) == [{"offline": ["bob"]}]


def test_every_connection_of_a_watcher_is_told(house: House) -> None:
    tabs = [enter(house, "ada", "bob"), enter(house, "ada", "bob")]
    for tab in tabs:
        told(tab)
    enter(house, "bob")
    assert [told(tab) for tab in tabs] == [[{"online": ["bob"]}]] * 2


def test_who_is_not_watched_is_not_told_of(house: House) -> None:
    watcher = enter(house, "ada", "bob")
    told(watcher)
    enter(house, "eve").leave()
    assert told(watcher) == []


def test_a_watcher_who_left_is_told_nothing_and_watches_no_more(house: House) -> None:
    watcher = enter(house, "ada", "bob")
    watcher.leave()
    watcher.take()
    enter(house, "bob")
    assert watcher.take() == []


def test_one_may_watch_oneself(house: House) -> None:
    first = enter(house, "ada", "ada")
    assert told(first) == [{"online": ["ada"]}]
    second = enter(house, "ada")
    second.leave()
    assert told(first) == []


def test_a_user_who_is_named_twice_is_watched_once(house: House) -> None:
    watcher = enter(house, "ada", "bob", "bob")
    assert told(watcher) == [{"offline": ["bob"]}]
    enter(house, "bob")
    assert told(watcher) == [{"online": ["bob"]}]


def test_of_a_watchlist_that_is_too_long_the_first_100_are_watched(house: House) -> None:
    watchlist = [f"user-{number}" for number in range(101)]
    client = enter(house, "ada", *watchlist)
    success, error, watched = client.take()
    assert success["event"] == "pusher:signin_success"
    assert (error["event"], error["data"]["code"]) == ("pusher:error", 4302)
    assert watched["data"]["events"] == [{"name": "offline", "user_ids": watchlist[:100]}]
    enter(house, "user-100")
    assert told(client) == []
    enter(house, "user-99")
    assert told(client) == [{"online": ["user-99"]}]
    assert client.closed is None


def test_a_watchlist_of_100_is_not_too_long(house: House) -> None:
    client = enter(house, "ada", *[f"user-{number}" for number in range(100)])
    assert client.heard() == ["signin_success", "watchlist_events"]


def test_the_longest_watchlist_is_a_setting(house: House) -> None:
    client = enter(house, "ada", "bob", "eve", app=replace(APP, max_watchlist_size=1))
    assert told(client) == [{"offline": ["bob"]}]


def test_an_app_may_have_watchlists_switched_off(house: House) -> None:
    client = enter(house, "ada", "bob", app=replace(APP, watchlists=False))
    enter(house, "bob")
    assert client.heard() == ["signin_success"]


def test_nobody_can_subscribe_to_the_channel_of_those_who_watch_a_user(house: House) -> None:
    client = house.connect()
    client.subscribe("#watchers-of-bob")
    enter(house, "bob")
    assert client.heard() == ["subscription_error"]


def test_switching_watchlists_on_or_off_confuses_nobody(house: House) -> None:
    early = enter(house, "ada", "bob")
    house.node.update({APP.id: replace(APP, watchlists=False)}.get)
    early.leave()
    house.node.update({APP.id: APP}.get)
    enter(house, "bob").leave()
    assert house.online("ada", "bob") == set()
