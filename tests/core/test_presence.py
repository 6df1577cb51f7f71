"""Presence channels: one member per distinct user, one member_added and member_removed each."""

from dataclasses import replace
from typing import Any

import pytest

from soketpy.core.presence import Member, Members
from tests.fakes import APP, Client, House

pytestmark = pytest.mark.usefixtures("nodes")

ROOM = "presence-room"


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
def watcher(house: House) -> Client:
    """A member who has been in the room before the test begins."""
    client = house.connect()
    client.subscribe(ROOM, "watcher")
    client.take()
    return client


def told(client: Client) -> list[tuple[str, dict[str, Any]]]:
    """The comings and goings that were heard."""
    return [
        (message["event"].removeprefix("pusher_internal:"), message["data"])
        for message in client.take()
        if message["event"].startswith("pusher_internal:member_")
    ]


def test_a_joiner_is_greeted_with_all_who_are_there_itself_included(house: House) -> None:
    first, second = house.connect(), house.connect()
    first.subscribe(ROOM, "1", {"name": "Ada"})
    second.subscribe(ROOM, "2")
    [greeting] = second.take()
    assert greeting == {
        "event": "pusher_internal:subscription_succeeded",
        "channel": ROOM,
        "data": {"presence": {"ids": ["1", "2"], "hash": {"1": {"name": "Ada"}, "2": None}, "count": 2}},
    }


def test_a_joiner_never_gets_its_own_member_added(house: House) -> None:
    client = house.connect()
    client.subscribe(ROOM, "1")
    assert client.heard() == ["subscription_succeeded"]


def test_the_others_are_told_who_came_and_who_left(house: House, watcher: Client) -> None:
    client = house.connect()
    client.subscribe(ROOM, "1", {"name": "Ada"})
    assert told(watcher) == [("member_added", {"user_id": "1", "user_info": {"name": "Ada"}})]
    client.unsubscribe(ROOM)
    assert told(watcher) == [("member_removed", {"user_id": "1"})]
    assert told(client) == []


def test_a_member_without_user_info_is_added_without_it(house: House, watcher: Client) -> None:
    house.connect().subscribe(ROOM, "1")
    assert told(watcher) == [("member_added", {"user_id": "1"})]


def test_a_member_who_loses_the_connection_is_removed(house: House, watcher: Client) -> None:
    client = house.connect()
    client.subscribe(ROOM, "1")
    client.leave()
    assert [event for event, _ in told(watcher)] == ["member_added", "member_removed"]


def test_a_user_with_two_connections_comes_once_and_leaves_once(house: House, watcher: Client) -> None:
    tabs = [house.connect(), house.connect()]
    for tab in tabs:
        tab.subscribe(ROOM, "1")
    assert told(watcher) == [("member_added", {"user_id": "1"})]
    assert told(tabs[0]) == []
    tabs[0].unsubscribe(ROOM)
    assert told(watcher) == []
    tabs[1].leave()
    assert told(watcher) == [("member_removed", {"user_id": "1"})]


def test_the_second_connection_of_a_user_is_greeted_with_one_member(house: House) -> None:
    tabs = [house.connect(), house.connect()]
    for tab in tabs:
        tab.subscribe(ROOM, "1")
    [greeting] = tabs[1].take()
    assert greeting["data"]["presence"] == {"ids": ["1"], "hash": {"1": None}, "count": 1}


def test_what_a_user_told_at_first_stays_until_the_last_connection_leaves(house: House, watcher: Client) -> None:
    tabs = [house.connect(), house.connect()]
    for number, tab in enumerate(tabs):
        tab.subscribe(ROOM, "1", {"tab": number})
    tabs[0].leave()
    [greeting] = tabs[1].take()
    assert greeting["data"]["presence"]["hash"]["1"] == {"tab": 0}


def test_a_user_id_that_is_a_number_becomes_its_text(house: House, watcher: Client) -> None:
    number, text = house.connect(), house.connect()
    number.subscribe(ROOM, 10)
    text.subscribe(ROOM, "10")
    assert told(watcher) == [("member_added", {"user_id": "10"})]


def test_subscribing_again_is_greeted_with_who_is_there_now_and_tells_nobody(house: House, watcher: Client) -> None:
    client = house.connect()
    client.subscribe(ROOM, "1")
    told(watcher)
    client.take()
    client.subscribe(ROOM, "another", auth="not asked for")
    [greeting] = client.take()
    assert greeting["data"]["presence"]["ids"] == ["watcher", "1"]
    assert told(watcher) == []


def test_a_join_and_a_leave_within_one_iteration_are_told_in_order(house: House, watcher: Client) -> None:
    for number in range(3):
        client = house.connect()
        client.subscribe(ROOM, str(number))
        client.leave()
    expected = [(event, str(number)) for number in range(3) for event in ("member_added", "member_removed")]
    assert [(event, data["user_id"]) for event, data in told(watcher)] == expected


def test_who_joins_in_the_same_iteration_is_greeted_with_whom_it_is_not_told(house: House) -> None:
    first, second = house.connect(), house.connect()
    first.subscribe(ROOM, "1")
    second.subscribe(ROOM, "2")
    assert second.heard() == ["subscription_succeeded"]
    assert first.heard() == ["subscription_succeeded", "member_added"]


def test_a_signed_in_user_may_join_as_itself(house: House, watcher: Client) -> None:
    client = house.connect()
    client.sign_in("ada", user_info={"name": "Ada"})
    client.subscribe(ROOM)
    assert told(watcher) == [("member_added", {"user_id": "ada", "user_info": {"name": "Ada"}})]


def test_channel_data_goes_before_the_signed_in_user(house: House, watcher: Client) -> None:
    client = house.connect()
    client.sign_in("ada")
    client.subscribe(ROOM, "as another")
    assert told(watcher) == [("member_added", {"user_id": "as another"})]


@pytest.mark.parametrize("user_info", [{"name": '"Ada" \\ é\n\u2028'}, [], "text", 0, False, {}])
def test_user_info_may_be_any_json(house: House, watcher: Client, user_info: object) -> None:
    client = house.connect()
    client.subscribe(ROOM, '"1" \\ é', user_info)
    assert told(watcher) == [("member_added", {"user_id": '"1" \\ é', "user_info": user_info})]
    [greeting] = client.take()
    assert greeting["data"]["presence"]["hash"]['"1" \\ é'] == user_info


@pytest.mark.parametrize(
    "channel_data", ["", "x", "null", "{}", '{"user_id":null}', '{"user_id":""}', '{"user_id":[]}']
)
def test_a_member_that_is_none_is_refused(house: House, watcher: Client, channel_data: str) -> None:
    client = house.connect()
    client.subscribe(ROOM, channel_data=channel_data)
    [answer] = client.take()
    assert (answer["event"], answer["data"]["type"]) == ("pusher:subscription_error", "AuthError")
    assert told(watcher) == []


def test_a_presence_channel_is_not_joined_as_nobody(house: House) -> None:
    client = house.connect()
    client.subscribe(ROOM)
    assert client.heard() == ["subscription_error"]


# Limits


def test_a_full_room_takes_further_connections_of_its_members_only(house: House) -> None:
    app = replace(APP, max_presence_members_per_channel=1)
    first, tab, late = house.connect(app), house.connect(app), house.connect(app)
    first.subscribe(ROOM, "1")
    tab.subscribe(ROOM, "1")
    late.subscribe(ROOM, "2")
    assert tab.heard() == ["subscription_succeeded"]
    [answer] = late.take()
    assert (answer["data"]["type"], answer["data"]["status"]) == ("LimitReached", 4100)
    assert first.heard() == ["subscription_succeeded"]
    assert house.count(ROOM) == 2


def test_a_room_has_100_members_by_default(house: House) -> None:
    clients = [house.connect() for _ in range(101)]
    for number, client in enumerate(clients):
        client.subscribe(ROOM, number)
    assert clients[99].heard()[0] == "subscription_succeeded"
    assert clients[100].heard() == ["subscription_error"]


@pytest.mark.parametrize(("user_id", "user_info", "status"), [("x" * 129, None, 4009), ("1", "x" * 2049, 4301)])
def test_an_id_or_info_over_the_limit_is_refused(house: House, user_id: str, user_info: object, status: int) -> None:
    client = house.connect()
    client.subscribe(ROOM, user_id, user_info)
    [answer] = client.take()
    assert (answer["data"]["type"], answer["data"]["status"]) == ("LimitReached", status)


def test_an_id_and_info_up_to_the_limit_may_join(house: House) -> None:
    client = house.connect()
    client.subscribe(ROOM, "x" * 128, "x" * 2046)
    assert client.heard() == ["subscription_succeeded"]


# Members themselves


def test_members_are_the_users_who_have_a_connection_there() -> None:
    members = Members()
    added = members.join("1", b'{"a":1}')
    assert added is not None
    assert (added.user_id, added.info, added.connections) == ("1", b'{"a":1}', 1)
    assert members.join("1", b"{}") is None
    assert members.join("2", b"") is not None
    assert len(members) == 2
    assert "1" in members
    assert "3" not in members
    assert [member.user_id for member in members] == ["1", "2"]
    assert members.leave("1") is None
    assert members.leave("1") is added
    assert [member.user_id for member in members] == ["2"]


def test_a_member_is_escaped_once_for_all_rosters() -> None:
    member = Member.of("1", b'{"a":"b"}')
    assert (member.escaped_id, member.escaped_info) == (rb"\"1\"", rb"{\"a\":\"b\"}")
    assert Member.of("1", b"").escaped_info == b""
