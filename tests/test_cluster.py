"""What nodes know together and tell each other: the contracts of a roster and of a bus, held by every driver."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soketpy.cluster import Bus, ChannelFull, LocalBus, LocalRoster, Roster
from soketpy.protocol import messages
from soketpy.protocol.messages import Message

MakeRoster = Callable[[], Roster]


@pytest.fixture(params=[LocalRoster], ids=["local"])
def roster(request: pytest.FixtureRequest) -> Roster:
    make: MakeRoster = request.param
    return make()


def member_ids(roster: Roster, channel: str = "presence-a", app_id: str = "app") -> list[str]:
    return [member.user_id for member in roster.members(app_id, channel)]


# Subscriptions


def test_the_first_subscription_occupies_a_channel_and_the_last_vacates_it(roster: Roster) -> None:
    assert [roster.join("app", "news").occupied for _ in range(3)] == [True, False, False]
    assert [roster.leave("app", "news").vacated for _ in range(3)] == [False, False, True]
    assert roster.join("app", "news").occupied


def test_subscriptions_are_counted_by_app_and_channel(roster: Roster) -> None:
    roster.join("app", "news")
    roster.join("app", "news")
    roster.join("app", "sport")
    roster.join("other", "news")
    assert (roster.count("app", "news"), roster.count("app", "sport"), roster.count("other", "news")) == (2, 1, 1)
    assert roster.count("app", "weather") == roster.count("nobody", "news") == 0


def test_channels_are_listed_by_prefix_with_their_counts(roster: Roster) -> None:
    for channel in ("private-a", "private-a", "private-b", "news"):
        roster.join("app", channel)
    roster.join("other", "private-c")
    assert dict(roster.channels("app", "private-")) == {"private-a": 2, "private-b": 1}
    assert dict(roster.channels("app", "")) == {"private-a": 2, "private-b": 1, "news": 1}
    assert dict(roster.channels("nobody", "")) == {}


def test_a_vacated_channel_is_listed_no_more(roster: Roster) -> None:
    roster.join("app", "news")
    roster.leave("app", "news")
    assert dict(roster.channels("app", "")) == {}
    assert roster.count("app", "news") == 0


# Members


def test_a_user_is_added_with_the_first_connection_and_removed_with_the_last(roster: Roster) -> None:
    first = roster.join_as("app", "presence-a", "ada", b"{}", 100)
    second = roster.join_as("app", "presence-a", "ada", b"{}", 100)
    assert first.added is not None
    assert first.added.user_id == "ada"
    assert second.added is None
    assert roster.leave_as("app", "presence-a", "ada").removed is None
    left = roster.leave_as("app", "presence-a", "ada")
    assert left.removed is not None
    assert left.removed.user_id == "ada"


def test_connections_of_members_are_counted_as_subscriptions(roster: Roster) -> None:
    assert roster.join_as("app", "presence-a", "ada", b"", 100).occupied
    assert not roster.join_as("app", "presence-a", "ada", b"", 100).occupied
    assert not roster.join_as("app", "presence-a", "bob", b"", 100).occupied
    assert roster.count("app", "presence-a") == 3
    assert member_ids(roster) == ["ada", "bob"]
    assert not roster.leave_as("app", "presence-a", "ada").vacated
    assert not roster.leave_as("app", "presence-a", "bob").vacated
    assert roster.leave_as("app", "presence-a", "ada").vacated
    assert member_ids(roster) == []
    assert dict(roster.channels("app", "")) == {}


def test_a_full_channel_takes_no_new_member_and_nothing_changes(roster: Roster) -> None:
    for user_id in ("ada", "bob"):
        roster.join_as("app", "presence-a", user_id, b"", 2)
    with pytest.raises(ChannelFull):
        roster.join_as("app", "presence-a", "eve", b"", 2)
    assert member_ids(roster) == ["ada", "bob"]
    assert roster.count("app", "presence-a") == 2


def test_a_full_channel_takes_further_connections_of_its_members(roster: Roster) -> None:
    roster.join_as("app", "presence-a", "ada", b"", 1)
    assert roster.join_as("app", "presence-a", "ada", b"", 1).added is None
    assert roster.count("app", "presence-a") == 2


def test_a_channel_for_no_members_is_never_occupied(roster: Roster) -> None:
    with pytest.raises(ChannelFull):
        roster.join_as("app", "presence-a", "ada", b"", 0)
    assert roster.count("app", "presence-a") == 0
    assert dict(roster.channels("app", "")) == {}


def test_members_are_apart_by_app_and_channel(roster: Roster) -> None:
    roster.join_as("app", "presence-a", "ada", b"", 100)
    assert roster.join_as("app", "presence-b", "ada", b"", 100).added is not None
    assert roster.join_as("other", "presence-a", "ada", b"", 100).added is not None
    roster.leave_as("app", "presence-a", "ada")
    assert member_ids(roster) == []
    assert member_ids(roster, "presence-b") == member_ids(roster, app_id="other") == ["ada"]


# Users


def test_a_user_is_online_from_the_first_sign_in_to_the_last_sign_out(roster: Roster) -> None:
    assert [roster.sign_in("app", "ada") for _ in range(2)] == [True, False]
    assert roster.online("app", ["ada", "bob"]) == {"ada"}
    assert not roster.sign_out("app", "ada")
    assert roster.online("app", ["ada", "bob"]) == {"ada"}
    assert roster.sign_out("app", "ada")
    assert roster.online("app", ["ada", "bob"]) == set()
    assert roster.sign_in("app", "ada")


def test_users_are_apart_by_app(roster: Roster) -> None:
    assert roster.sign_in("app", "ada")
    assert roster.sign_in("other", "ada")
    roster.sign_out("app", "ada")
    assert roster.online("app", ["ada"]) == set()
    assert roster.online("other", ["ada"]) == {"ada"}


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["presence-1", "presence-2"])), max_size=20))
def test_whatever_comes_and_goes_each_transition_is_reported_once(joins: list[tuple[str, str]]) -> None:
    roster = LocalRoster()
    added = [
        (user_id, channel)
        for user_id, channel in joins
        if roster.join_as("app", channel, user_id, b"", 100).added is not None
    ]
    assert sorted(added) == sorted(set(joins))
    removed = [
        (user_id, channel)
        for user_id, channel in reversed(joins)
        if roster.leave_as("app", channel, user_id).removed is not None
    ]
    assert sorted(removed) == sorted(set(joins))
    assert dict(roster.channels("app", "")) == {}


# The bus


class Node:
    """Remembers what a bus asks of it."""

    def __init__(self) -> None:
        self.asked: list[tuple[object, ...]] = []

    def deliver(self, app_id: str, channel: str, message: Message, exclude: str | None = None) -> None:
        self.asked.append(("deliver", app_id, channel, message.text, exclude))

    def end_user(self, app_id: str, user_id: str) -> None:
        self.asked.append(("end_user", app_id, user_id))

    def tell_watchers(self, app_id: str, user_id: str, online: bool) -> None:
        self.asked.append(("tell_watchers", app_id, user_id, online))


def test_a_bus_has_its_own_node_do_everything_in_order() -> None:
    node = Node()
    bus: Bus = LocalBus(node)
    message = messages.cache_miss("news")
    bus.publish("app", "news", message)
    bus.publish("app", "news", message, "1.2")
    bus.announce("app", "ada", True)
    bus.terminate("app", "ada")
    assert node.asked == [
        ("deliver", "app", "news", message.text, None),
        ("deliver", "app", "news", message.text, "1.2"),
        ("tell_watchers", "app", "ada", True),
        ("end_user", "app", "ada"),
    ]
