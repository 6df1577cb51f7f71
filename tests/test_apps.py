"""Apps and where they come from."""

import pickle
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from soketpy.apps import App, Apps, Key, StaticApps

ONE = App(id="1", keys=(Key("one", "secret-1"), Key("one-new", "secret-2")))
TWO = App(id="2", keys=(Key("two", "secret-3"),))


def test_each_key_of_an_app_has_its_own_secret() -> None:
    assert ONE.secret_of("one") == "secret-1"
    assert ONE.secret_of("one-new") == "secret-2"
    assert ONE.secret_of("two") is None
    assert ONE.secret_of("") is None


def test_new_clients_get_the_first_key() -> None:
    assert ONE.key == "one"


def test_a_secret_is_never_shown() -> None:
    assert "secret" not in repr(ONE)


@pytest.mark.parametrize(("kib", "size"), [(100, 102_400), (0.5, 512), (2, 2_048)])
def test_sizes_are_counted_in_units_of_1024_bytes(kib: float, size: int) -> None:
    app = App(id="1", keys=ONE.keys, max_event_payload_in_kb=kib, max_presence_member_size_in_kb=kib)
    assert (app.max_event_payload, app.max_presence_member_size) == (size, size)


def test_the_defaults_are_those_of_soketi_and_pusher() -> None:
    limits = {
        "max_channel_name_length": 200,
        "max_presence_members_per_channel": 100,
        "max_presence_member_size_in_kb": 2,
        "max_user_id_length": 128,
        "max_watchlist_size": 100,
        "max_event_name_length": 200,
        "max_event_payload_in_kb": 100,
        "max_event_channels_at_once": 100,
        "max_event_batch_size": 10,
        "max_connections": None,
        "max_backend_events_per_second": None,
        "max_client_events_per_second": None,
        "max_read_requests_per_second": None,
    }
    switches = {"enabled": True, "watchlists": True, "client_events": False, "subscription_count_events": False}
    expected = limits | switches
    assert {name: getattr(ONE, name) for name in expected} == expected


# The contract of a source of apps, held by every driver

MakeApps = Callable[[Iterable[App]], Apps]


@pytest.fixture(params=[StaticApps], ids=["static"])
def make_apps(request: pytest.FixtureRequest) -> MakeApps:
    make: MakeApps = request.param
    return make


def test_an_app_is_found_by_its_id_and_by_each_of_its_keys(make_apps: MakeApps) -> None:
    apps = make_apps([ONE, TWO])
    assert apps.by_id("1") is ONE
    assert apps.by_key("one") is ONE
    assert apps.by_key("one-new") is ONE
    assert apps.by_key("two") is TWO


def test_an_app_that_is_not_there_is_none(make_apps: MakeApps) -> None:
    apps = make_apps([ONE])
    assert apps.by_id("one") is None
    assert apps.by_key("1") is None


# Static apps


def test_there_may_be_no_apps() -> None:
    assert StaticApps().by_id("1") is None


@pytest.mark.parametrize(
    ("second", "fault"),
    [
        (App(id="1", keys=TWO.keys), "two apps have the id '1'"),
        (App(id="2", keys=ONE.keys[1:]), "the key 'one-new' is given twice"),
        (App(id="2", keys=TWO.keys * 2), "the key 'two' is given twice"),
    ],
)
def test_what_two_apps_share_is_refused_and_changes_nothing(second: App, fault: str) -> None:
    apps = StaticApps([ONE])
    with pytest.raises(ValueError, match=fault):
        apps.replace([ONE, second])
    assert apps.by_id("1") is ONE
    assert apps.by_key("one") is ONE
    assert apps.by_key("two") is None


def test_replacing_takes_away_what_is_not_among_the_new() -> None:
    apps = StaticApps([ONE])
    apps.replace([TWO])
    assert apps.by_id("1") is None
    assert apps.by_key("one") is None
    assert apps.by_id("2") is TWO


def test_the_origins_of_an_app_are_parsed_once_and_reach_another_process() -> None:
    app = App(id="1", keys=(Key("k", "s"),), allowed_origins=("https://example.com:443",))
    again = pickle.loads(pickle.dumps(app))
    assert again == app
    for each in (app, again, replace(app, allowed_origins=("example.com",))):
        assert each.origins.match("https://example.com")


def test_an_app_with_an_origin_that_no_browser_sends_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="no path"):
        App(id="1", keys=(), allowed_origins=("https://example.com/chat",))
