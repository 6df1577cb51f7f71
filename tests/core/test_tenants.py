"""Apps are isolated: a channel, user or socket id in one app has no effect in another."""

from dataclasses import replace

import pytest

from soketpy.core.apps import App, Key
from tests.fakes import APP, Client, House, channel_auth, user_auth

pytestmark = pytest.mark.usefixtures("nodes")

OTHER = replace(APP, id="other-app", keys=(Key("other-key", "other-secret"),))


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
def same_socket_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every app gives its clients the same ids."""
    monkeypatch.setattr("soketpy.core.connection.secrets.randbits", lambda bits: 7)


def on(house: House, app: App, channel: str, user_id: object = None) -> Client:
    client = house.connect(app)
    client.subscribe(channel, user_id)
    return client


def test_an_event_stays_in_its_app(house: House) -> None:
    ours, theirs = on(house, APP, "news"), on(house, OTHER, "news")
    house.trigger("news", "said")
    assert ours.heard() == ["subscription_succeeded", "said"]
    assert theirs.heard() == ["subscription_succeeded"]


def test_a_client_event_stays_in_its_app(house: House) -> None:
    ours, theirs, sender = (on(house, app, "private-a") for app in (APP, OTHER, APP))
    sender.say("client-said", {}, channel="private-a")
    assert ours.heard() == ["subscription_succeeded", "client-said"]
    assert theirs.heard() == ["subscription_succeeded"]


def test_members_are_those_of_the_app(house: House) -> None:
    ours, theirs = on(house, APP, "presence-a", "ada"), on(house, OTHER, "presence-a", "ada")
    [greeting] = theirs.take()
    assert greeting["data"]["presence"]["count"] == 1
    theirs.leave()
    assert ours.heard() == ["subscription_succeeded"]
    assert house.members("presence-a") == ["ada"]


def test_counts_are_those_of_the_app(house: House) -> None:
    counted = replace(APP, subscription_count_events=True)
    ours = on(house, counted, "news")
    ours.take()
    on(house, replace(OTHER, subscription_count_events=True), "news").leave()
    assert ours.take() == []


def test_a_cache_is_that_of_the_app(house: House) -> None:
    house.trigger("cache-a", "said")
    assert on(house, OTHER, "cache-a").heard() == ["subscription_succeeded", "cache_miss"]
    assert on(house, APP, "cache-a").heard() == ["subscription_succeeded", "said"]


@pytest.mark.usefixtures("same_socket_ids")
def test_the_same_socket_id_in_two_apps_is_two_connections(house: House) -> None:
    (
        ours,
        theirs,
    ) = on(house, APP, "news"), on(house, OTHER, "news")
    assert ours.id == theirs.id
    ours.take()
    theirs.take()
    house.trigger("news", "said", exclude=theirs)
    assert ours.take() == []
    house.trigger("news", "said", app=OTHER)
    assert theirs.heard() == ["said"]
    theirs.leave()
    assert house.node.connections(APP.id) == {ours.id: ours.connection}
    house.trigger("news", "still here")
    assert ours.heard() == ["still here"]


@pytest.mark.usefixtures("same_socket_ids")
def test_a_signature_of_another_app_opens_nothing(house: House) -> None:
    client = house.connect(OTHER)
    client.subscribe("private-a", auth=channel_auth(client.id, "private-a", app=APP))
    assert client.heard() == ["subscription_error"]
    client.say("pusher:signin", {"auth": user_auth(client.id, '{"id":"ada"}', APP), "user_data": '{"id":"ada"}'})
    assert client.closed is not None


def test_the_same_user_in_two_apps_is_two_users(house: House) -> None:
    clients = []
    for app in (APP, OTHER):
        client = house.connect(app)
        client.sign_in("ada", watchlist=["bob"])
        client.take()
        clients.append(client)
    ours, theirs = clients
    bob = house.connect(APP)
    bob.sign_in("bob")
    house.trigger("#server-to-user-ada", "said")
    assert ours.heard() == ["watchlist_events", "said"]
    assert theirs.heard() == []
    house.terminate("ada")
    assert ours.closed is not None
    assert theirs.closed is None
    assert house.online("ada", "bob", app=OTHER) == {"ada"}


def test_traffic_is_counted_by_app(house: House) -> None:
    on(house, APP, "news")
    before = house.sent(APP)
    theirs = on(house, OTHER, "news")
    theirs.say("pusher:ping")
    house.trigger("news", "said", app=OTHER)
    assert house.sent(APP) == before
    assert sum(node.traffic[OTHER.id].connections for node in house.nodes) == 1


def test_a_budget_of_one_app_is_not_spent_by_another(house: House) -> None:
    full = replace(APP, max_connections=1)
    house.connect(full)
    house.connect(OTHER)
    assert house.total == 2
