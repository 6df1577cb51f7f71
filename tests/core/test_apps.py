"""Apps and the registry of the configuration."""

import pickle
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from math import inf, nan
from typing import Any

import pytest

from soketpy.core.apps import App, Apps, Key, StaticApps
from soketpy.core.history import HistoryRule

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


def test_a_rule_of_history_reaches_another_process() -> None:
    rule = HistoryRule(channels="room", kib=2)
    again = pickle.loads(pickle.dumps(rule))
    assert again == rule
    assert again.size == rule.size == 2048


def test_an_app_with_an_origin_that_no_browser_sends_cannot_be_made() -> None:
    said = r"^App\.allowed_origins\[1\]: 'https://b\.com/chat' matches no origin: an origin has no path"
    with pytest.raises(ValueError, match=said):
        App(id="1", keys=ONE.keys, allowed_origins=("https://a.com", "https://b.com/chat", "https://c.com/chat"))


KEYS = (Key("k", "s"),)
WRONG_TYPES: list[tuple[dict[str, Any], str]] = [
    ({"id": 1}, "App.id must be a str, not int"),
    ({"keys": "k"}, "App.keys must be a list or tuple of Key, not str"),
    ({"keys": Key("k", "s")}, "App.keys must be a list or tuple of Key, not Key"),
    ({"keys": [("k", "s")]}, "App.keys must be a list or tuple of Key, not of tuple"),
    ({"allowed_origins": "localhost"}, "App.allowed_origins must be a list or tuple of str, not str"),
    ({"allowed_origins": None}, "App.allowed_origins must be a list or tuple of str, not NoneType"),
    ({"allowed_origins": ["a.com", None]}, "App.allowed_origins must be a list or tuple of str, not of NoneType"),
    ({"enabled": "no"}, "App.enabled must be True or False, not str"),
    ({"client_events": 1}, "App.client_events must be True or False, not int"),
    ({"max_connections": "10"}, "App.max_connections must be an int or None, not str"),
    ({"max_connections": True}, "App.max_connections must be an int or None, not bool"),
    ({"max_connections": 1.5}, "App.max_connections must be an int or None, not float"),
    ({"max_channel_name_length": None}, "App.max_channel_name_length must be an int, not NoneType"),
    ({"max_event_payload_in_kb": "1"}, "App.max_event_payload_in_kb must be a number, not str"),
]
WRONG_VALUES: list[tuple[dict[str, Any], str]] = [
    ({"id": ""}, "App.id must not be empty"),
    ({"keys": []}, "App.keys must have at least one Key"),
    ({"max_connections": -1}, "App.max_connections must be 0 or more or None, not -1"),
    ({"max_event_batch_size": -1}, "App.max_event_batch_size must be 0 or more, not -1"),
    ({"max_event_payload_in_kb": inf}, "App.max_event_payload_in_kb must be 0 or more, not inf"),
    ({"max_event_payload_in_kb": nan}, "App.max_event_payload_in_kb must be 0 or more, not nan"),
]


@pytest.mark.parametrize(("given", "said"), WRONG_TYPES)
def test_an_app_with_a_value_of_another_type_cannot_be_made(given: dict[str, Any], said: str) -> None:
    with pytest.raises(TypeError) as fault:
        App(**{"id": "1", "keys": KEYS, **given})
    assert str(fault.value) == said


@pytest.mark.parametrize(("given", "said"), WRONG_VALUES)
def test_an_app_with_a_value_that_cannot_work_cannot_be_made(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        App(**{"id": "1", "keys": KEYS, **given})


def test_an_app_takes_lists_for_tuples() -> None:
    app = App(id="1", keys=[*KEYS], allowed_origins=["a.com"])  # type: ignore[arg-type]
    assert (app.keys, app.allowed_origins) == (KEYS, ("a.com",))
    assert hash(app) == hash(App(id="1", keys=KEYS, allowed_origins=("a.com",)))


@pytest.mark.parametrize(("key", "secret"), [(b"k", "s"), ("k", b"hunter2"), ("k", None), (1, "s")])
def test_a_key_and_its_secret_are_text(key: Any, secret: Any) -> None:
    with pytest.raises(TypeError, match=r"^Key\.(key|secret) must be a str, not (bytes|int|NoneType)$"):
        Key(key, secret)


@pytest.mark.parametrize(("key", "secret", "name"), [("", "s", "key"), ("k", "", "secret")])
def test_a_key_and_its_secret_are_not_empty(key: str, secret: str, name: str) -> None:
    with pytest.raises(ValueError, match=f"^Key.{name} must not be empty$"):
        Key(key, secret)
