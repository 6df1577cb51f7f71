"""The contracts of a roster and of a bus, which every driver must fulfil."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soketpy.core.history import HistoryRule, Position
from soketpy.core.idempotency import Once
from soketpy.core.ports import Bus, ChannelFull, Roster, Transition
from soketpy.core.presence import Member
from soketpy.drivers.local.bus import LocalBus
from soketpy.drivers.local.cache import LocalCache
from soketpy.drivers.local.history import MemoryHistory
from soketpy.drivers.local.once import Recent
from soketpy.drivers.local.roster import LocalRoster
from soketpy.protocol.messages import Event
from tests.fakes import now


class Node:
    """Remembers what a bus and a roster ask of it."""

    def __init__(self) -> None:
        self.asked: list[tuple[object, ...]] = []

    def deliver(self, app_id: str, channel: str, event: Event, exclude: str | None = None) -> None:
        self.asked.append(("deliver", app_id, channel, event, exclude))

    def member_added(self, app_id: str, channel: str, member: Member) -> None:
        self.asked.append(("added", app_id, channel, member.user_id, member.info))

    def member_removed(self, app_id: str, channel: str, member: Member) -> None:
        self.asked.append(("removed", app_id, channel, member.user_id))

    def count_changed(self, app_id: str, channel: str, count: int) -> None:
        self.asked.append(("count", app_id, channel, count))

    def wants_counts(self, app_id: str) -> bool:
        return True

    def end_user(self, app_id: str, user_id: str) -> None:
        self.asked.append(("end_user", app_id, user_id))

    def deliver_stored(
        self, app_id: str, channel: str, event: Event, position: Position, exclude: str | None = None
    ) -> None:
        self.asked.append(("deliver_stored", app_id, channel, event.name, position.serial, exclude))

    def check_history(self) -> None:
        self.asked.append(("check_history",))

    def notify_watchers(self, app_id: str, user_id: str, online: bool) -> None:
        self.asked.append(("notify_watchers", app_id, user_id, online))

    def report(self, transition: Transition, app_id: str, channel: str, user_id: str | None = None) -> None:
        self.asked.append((transition, app_id, channel, *(() if user_id is None else (user_id,))))

    def take(self) -> list[tuple[object, ...]]:
        """Return the calls since the last ``take``."""
        asked, self.asked = self.asked, []
        return asked


class Desk:
    """A roster and its node, with plain methods for a test."""

    def __init__(self, make: Callable[[], Roster]) -> None:
        self.node = Node()
        self.roster = make()
        self.roster.attach(self.node)
        self.take = self.node.take

    def join(self, channel: str, app_id: str = "app") -> int:
        return now(self.roster.join(app_id, channel))

    def leave(self, channel: str, app_id: str = "app") -> int:
        return now(self.roster.leave(app_id, channel))

    def join_as(
        self, user_id: str, channel: str = "presence-a", *, app_id: str = "app", info: bytes = b"", limit: int = 100
    ) -> list[str]:
        members = now(self.roster.join_as(app_id, channel, user_id, info, limit))
        return [member.user_id for member in members]

    def leave_as(self, user_id: str, channel: str = "presence-a", *, app_id: str = "app") -> None:
        now(self.roster.leave_as(app_id, channel, user_id))

    def counts(self, *channels: str, app_id: str = "app") -> list[int]:
        return now(self.roster.counts(app_id, channels))

    def members(self, channel: str = "presence-a", app_id: str = "app") -> list[str]:
        return [member.user_id for member in now(self.roster.members(app_id, channel))]

    def channels(self, prefix: str = "", app_id: str = "app") -> dict[str, int]:
        return dict(now(self.roster.channels(app_id, prefix)))

    def sign_in(self, user_id: str, *watchlist: str, app_id: str = "app") -> set[str]:
        return now(self.roster.sign_in(app_id, user_id, watchlist))

    def sign_out(self, user_id: str, *watchlist: str, app_id: str = "app") -> None:
        now(self.roster.sign_out(app_id, user_id, watchlist))


@pytest.fixture(params=[LocalRoster], ids=["local"])
def desk(request: pytest.FixtureRequest) -> Desk:
    return Desk(request.param)


# Subscriptions


def test_the_first_subscription_occupies_a_channel_and_the_last_vacates_it(desk: Desk) -> None:
    assert [desk.join("news") for _ in range(3)] == [1, 2, 3]
    assert desk.take() == [(Transition.OCCUPIED, "app", "news")]
    assert [desk.leave("news") for _ in range(3)] == [2, 1, 0]
    assert desk.take() == [(Transition.VACATED, "app", "news")]
    desk.join("news")
    assert desk.take() == [(Transition.OCCUPIED, "app", "news")]


def test_subscriptions_are_counted_by_app_and_channel(desk: Desk) -> None:
    for channel in ("news", "news", "sport"):
        desk.join(channel)
    desk.join("news", "other")
    assert desk.counts("news", "sport", "weather") == [2, 1, 0]
    assert desk.counts("news", "sport", app_id="other") == [1, 0]
    assert desk.counts("news", app_id="nobody") == [0]
    assert desk.counts() == []


def test_channels_are_listed_by_prefix_with_their_counts(desk: Desk) -> None:
    for channel in ("private-a", "private-a", "private-b", "news"):
        desk.join(channel)
    desk.join("private-c", "other")
    assert desk.channels("private-") == {"private-a": 2, "private-b": 1}
    assert desk.channels() == {"private-a": 2, "private-b": 1, "news": 1}
    assert desk.channels(app_id="nobody") == {}


def test_a_vacated_channel_is_listed_no_more(desk: Desk) -> None:
    desk.join("news")
    desk.leave("news")
    assert desk.channels() == {}
    assert desk.counts("news") == [0]


def test_a_count_is_told_as_it_is(desk: Desk) -> None:
    for _ in range(2):
        desk.join("news")
    desk.take()
    desk.roster.send_count("app", "news")
    desk.roster.send_count("app", "weather")
    assert desk.take() == [("count", "app", "news", 2), ("count", "app", "weather", 0)]


# Members


def test_a_user_is_added_with_the_first_connection_and_removed_with_the_last(desk: Desk) -> None:
    assert desk.join_as("ada", info=b"{}") == ["ada"]
    assert desk.take() == [
        (Transition.OCCUPIED, "app", "presence-a"),
        ("added", "app", "presence-a", "ada", b"{}"),
        (Transition.ADDED, "app", "presence-a", "ada"),
    ]
    assert desk.join_as("ada", info=b"[]") == ["ada"]
    desk.leave_as("ada")
    assert desk.take() == []
    desk.leave_as("ada")
    assert desk.take() == [
        ("removed", "app", "presence-a", "ada"),
        (Transition.REMOVED, "app", "presence-a", "ada"),
        (Transition.VACATED, "app", "presence-a"),
    ]


def test_connections_of_members_are_counted_as_subscriptions(desk: Desk) -> None:
    for user_id in ("ada", "ada", "bob"):
        desk.join_as(user_id)
    assert desk.counts("presence-a") == [3]
    assert desk.members() == ["ada", "bob"]
    assert now(desk.roster.member_counts("app", ["presence-a", "presence-b"])) == [2, 0]
    for user_id in ("ada", "bob", "ada"):
        desk.leave_as(user_id)
    assert desk.members() == []
    assert desk.channels() == {}


def test_a_full_channel_takes_no_new_member_and_nothing_changes(desk: Desk) -> None:
    for user_id in ("ada", "bob"):
        desk.join_as(user_id, limit=2)
    desk.take()
    with pytest.raises(ChannelFull):
        desk.join_as("eve", limit=2)
    assert desk.take() == []
    assert desk.members() == ["ada", "bob"]
    assert desk.counts("presence-a") == [2]


def test_a_full_channel_takes_further_connections_of_its_members(desk: Desk) -> None:
    desk.join_as("ada", limit=1)
    assert desk.join_as("ada", limit=1) == ["ada"]
    assert desk.counts("presence-a") == [2]


def test_a_channel_for_no_members_is_never_occupied(desk: Desk) -> None:
    with pytest.raises(ChannelFull):
        desk.join_as("ada", limit=0)
    assert desk.take() == []
    assert desk.counts("presence-a") == [0]
    assert desk.channels() == {}


def test_members_are_apart_by_app_and_channel(desk: Desk) -> None:
    desk.join_as("ada")
    desk.join_as("ada", "presence-b")
    desk.join_as("ada", app_id="other")
    assert [asked[1:3] for asked in desk.take() if asked[0] is Transition.ADDED] == [
        ("app", "presence-a"),
        ("app", "presence-b"),
        ("other", "presence-a"),
    ]
    desk.leave_as("ada")
    assert desk.members() == []
    assert desk.members("presence-b") == desk.members(app_id="other") == ["ada"]


# Users


def test_a_user_is_online_from_the_first_sign_in_to_the_last_sign_out(desk: Desk) -> None:
    assert desk.sign_in("ada", "bob") == set()
    assert desk.take() == [("notify_watchers", "app", "ada", True)]
    assert desk.sign_in("ada", "ada", "bob") == {"ada"}
    desk.sign_out("ada", "bob")
    assert desk.take() == []
    desk.sign_out("ada", "ada", "bob")
    assert desk.take() == [("notify_watchers", "app", "ada", False)]
    assert desk.sign_in("bob", "ada", "bob") == {"bob"}


def test_users_are_apart_by_app(desk: Desk) -> None:
    desk.sign_in("ada")
    assert desk.sign_in("bob", "ada", app_id="other") == set()
    desk.sign_in("ada", app_id="other")
    desk.sign_out("ada")
    assert desk.sign_in("eve", "ada") == set()
    assert desk.sign_in("eve", "ada", app_id="other") == {"ada"}


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["presence-1", "presence-2"])), max_size=20))
def test_whatever_comes_and_goes_each_transition_is_reported_once(joins: list[tuple[str, str]]) -> None:
    desk = Desk(LocalRoster)
    for user_id, channel in joins:
        desk.join_as(user_id, channel)
    added = [asked[:1:-1] for asked in desk.take() if asked[0] is Transition.ADDED]
    assert sorted(added) == sorted(set(joins))
    for user_id, channel in reversed(joins):
        desk.leave_as(user_id, channel)
    removed = [asked[:1:-1] for asked in desk.take() if asked[0] is Transition.REMOVED]
    assert sorted(removed) == sorted(set(joins))
    assert desk.channels() == {}


# The bus

KEY = Once("key", "digest")


def test_a_bus_has_its_own_node_do_everything_in_order() -> None:
    node = Node()
    cache = LocalCache(1800, 100, lambda: 0.0)
    bus: Bus = LocalBus(cache, MemoryHistory(lambda: 0.0, app_size=10**6, size=10**6), Recent(lambda: 0.0, 120))
    bus.attach(node)
    event = Event("said", b"1")
    receipts = [
        bus.publish("app", "news", event),
        bus.publish("app", "news", event, "1.2"),
        bus.publish_cached("app", "cache-news", event, "1.2"),
        bus.publish_stored("app", "news", event, HistoryRule(channels="news"), "1.2"),
        bus.publish_once("app", "news", event, KEY, None),
        bus.publish_once("app", "news", event, KEY, None),
        bus.publish_once("app", "news", event, KEY, HistoryRule(channels="news")),
        bus.publish_once("app", "news", event, KEY, HistoryRule(channels="news")),
        bus.terminate("app", "ada"),
    ]
    assert receipts == [None] * 9, "there is nobody to wait for"
    assert node.asked == [
        ("deliver", "app", "news", event, None),
        ("deliver", "app", "news", event, "1.2"),
        ("deliver", "app", "cache-news", event, "1.2"),
        ("deliver_stored", "app", "news", "said", 1, "1.2"),
        ("deliver", "app", "news", event, None),
        ("deliver_stored", "app", "news", "said", 2, None),
        ("end_user", "app", "ada"),
    ]
    last = now(cache.get("app", "cache-news"))
    assert last is not None
    assert (last.name, last.data) == ("said", b"1")


def test_a_member_that_cannot_be_entered_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(LocalRoster)
    now(desk.roster.join_as("app", "presence-a", "bob", b"{}", 10))
    desk.take()
    with monkeypatch.context() as patched:
        patched.setattr(Member, "of", lambda *_: 1 / 0)
        for channel in ("presence-a", "presence-b"):
            with pytest.raises(ZeroDivisionError):
                now(desk.roster.join_as("app", channel, "ada", b"{}", 10))
    assert now(desk.roster.channels("app", "")) == {"presence-a": 1}
    assert now(desk.roster.member_counts("app", ["presence-a", "presence-b"])) == [1, 0]
    assert desk.take() == []


def test_a_member_that_cannot_be_taken_away_is_not_counted_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(LocalRoster)
    for user_id in ("ada", "bob"):
        now(desk.roster.join_as("app", "presence-a", user_id, b"{}", 10))
    with monkeypatch.context() as patched:
        patched.setattr(desk.node, "member_removed", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            now(desk.roster.leave_as("app", "presence-a", "ada"))
    assert now(desk.roster.channels("app", "")) == {"presence-a": 1}
    assert [member.user_id for member in now(desk.roster.members("app", "presence-a"))] == ["bob"]
    now(desk.roster.leave_as("app", "presence-a", "bob"))
    assert now(desk.roster.channels("app", "")) == {}
