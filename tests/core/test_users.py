"""Users: signing in, events for a user, terminating connections."""

import pytest

from soketpy.core.users import Users
from tests.fakes import Client, House

pytestmark = pytest.mark.usefixtures("nodes")

ADAS = "#server-to-user-ada"


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
def client(house: House) -> Client:
    return house.connect()


def signed_in(house: House, user_id: str = "ada") -> Client:
    client = house.connect()
    client.sign_in(user_id)
    client.take()
    return client


def check_closed(client: Client, code: int = 4009) -> None:
    [error] = client.take()
    assert error["event"] == "pusher:error"
    assert error["data"]["code"] == code
    assert client.closed == (code, error["data"]["message"])


# Signing in


def test_a_sign_in_is_answered_with_its_user_data_as_it_came(client: Client) -> None:
    user_data = '{"id" : "ada", "user_info":{"name":"\\u00c9"}}'
    client.sign_in_with(user_data)
    [message] = client.take()
    assert message == {"event": "pusher:signin_success", "data": {"user_data": user_data}}


@pytest.mark.parametrize("auth", ["", "app-key", "app-key:0", "other-key:0", "ключ:ключ"])
def test_a_bad_signature_closes_with_4009(house: House, client: Client, auth: str) -> None:
    client.say("pusher:signin", {"auth": auth, "user_data": '{"id":"ada"}'})
    check_closed(client)
    assert house.online("ada") == set()


@pytest.mark.parametrize("user_data", ["", "x", "{}", '{"id":""}', '{"id":[7]}', '{"id":null}', '{"name":"ada"}'])
def test_user_data_without_a_good_id_closes_with_4009(client: Client, user_data: str) -> None:
    client.sign_in_with(user_data)
    check_closed(client)


@pytest.mark.parametrize("data", [None, {}, 5, [], {"auth": 5, "user_data": "{}"}, {"auth": "a:b", "user_data": {}}])
def test_a_malformed_sign_in_closes_with_4009(client: Client, data: object) -> None:
    client.say("pusher:signin", data)
    check_closed(client)


def test_a_user_id_over_the_limit_closes_with_4009(client: Client) -> None:
    client.sign_in("x" * 129)
    check_closed(client)


def test_signing_in_again_as_the_same_user_is_answered_and_counts_once(house: House, client: Client) -> None:
    client.sign_in("ada")
    client.sign_in("ada", user_info={"more": 1})
    assert client.heard() == ["signin_success"] * 2
    client.leave()
    assert house.online("ada") == set()


def test_signing_in_again_as_another_closes_with_4009(house: House) -> None:
    client = signed_in(house)
    client.sign_in("bob")
    check_closed(client)
    assert house.online("ada", "bob") == set()


# Being reached


def test_an_event_to_a_user_reaches_every_connection_of_the_user_and_no_other(house: House) -> None:
    first, second, other, stranger = signed_in(house), signed_in(house), signed_in(house, "bob"), house.connect()
    house.trigger(ADAS, "said", "{}")
    message = {"event": "said", "channel": ADAS, "data": {}}
    assert (first.take(), second.take()) == ([message], [message])
    assert (other.take(), stranger.take()) == ([], [])


def test_only_the_user_may_subscribe_to_its_channel(house: House) -> None:
    user, other, stranger = signed_in(house), signed_in(house, "bob"), house.connect()
    for client in (user, other, stranger):
        client.subscribe(ADAS)
    assert user.take() == [{"event": "pusher_internal:subscription_succeeded", "channel": ADAS, "data": {}}]
    for client in (other, stranger):
        [answer] = client.take()
        assert (answer["event"], answer["data"]["type"]) == ("pusher:subscription_error", "AuthError")
    house.trigger(ADAS, "said")
    assert (user.heard(), other.heard(), stranger.heard()) == (["said"], [], [])


def test_subscribing_to_the_own_channel_changes_nothing(house: House) -> None:
    client = signed_in(house)
    client.subscribe(ADAS)
    client.unsubscribe(ADAS)
    client.take()
    house.trigger(ADAS, "said")
    assert client.heard() == ["said"]
    assert house.count(ADAS) == 0


def test_an_event_to_a_user_may_exclude_a_connection(house: House) -> None:
    first, second = signed_in(house), signed_in(house)
    before, _ = house.sent()
    house.trigger(ADAS, "said", exclude=first)
    assert (first.heard(), second.heard()) == ([], ["said"])
    assert house.sent()[0] - before == 1


def test_a_user_who_is_gone_is_reached_no_more(house: House) -> None:
    signed_in(house).leave()
    house.trigger(ADAS, "said")
    assert sum(len(hub) for hub in house.hubs) == 0


# Being shown the door


def test_terminating_a_user_closes_all_its_connections_with_4009(house: House) -> None:
    first, second, other = signed_in(house), signed_in(house), signed_in(house, "bob")
    house.terminate("ada")
    check_closed(first)
    check_closed(second)
    assert other.closed is None
    assert house.online("ada", "bob") == {"bob"}


def test_nothing_is_lost_before_a_termination(house: House) -> None:
    client = signed_in(house)
    house.trigger(ADAS, "said")
    house.terminate("ada")
    assert client.heard() == ["said", "error"]


def test_terminating_nobody_is_silent(house: House, client: Client) -> None:
    house.terminate("ada")
    assert client.take() == []


def test_a_terminated_user_may_come_back(house: House) -> None:
    signed_in(house)
    house.terminate("ada")
    assert signed_in(house).closed is None
    assert house.online("ada") == {"ada"}


def test_a_presence_member_is_not_a_user(house: House, client: Client) -> None:
    client.subscribe("presence-a", "ada")
    house.terminate("ada")
    assert client.closed is None


# Users themselves


def test_users_know_connections_until_they_are_removed() -> None:
    users: Users[str] = Users()
    users.add("app", "ada", "first")
    users.add("app", "ada", "second")
    assert sorted(users.connections("app", "ada")) == ["first", "second"]
    users.remove("app", "ada", "first")
    assert users.connections("app", "ada") == ("second",)
    users.remove("app", "ada", "second")
    users.remove("app", "ada", "second")
    assert users.connections("app", "ada") == ()
    assert users._connections == {}, "nothing is kept of who is gone"


def test_users_of_two_apps_are_apart() -> None:
    users: Users[str] = Users()
    users.add("app", "ada", "one")
    users.add("other", "ada", "two")
    assert users.connections("app", "ada") == ("one",)
