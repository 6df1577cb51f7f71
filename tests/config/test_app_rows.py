"""Rows of registries of apps, with soketi's columns."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soketpy.config.app_rows import NAMES, Row, WriteRow, columns, item_of, reader, row_of
from soketpy.core.app_registry import LATEST, BrokenApp, ValueRefused
from soketpy.core.apps import TABLES, App, Key, limit_fields
from soketpy.core.history import HistoryRule
from soketpy.core.webhooks import Filter, LambdaOptions, Webhook

LEAST = {"id": "7", "key": "k", "secret": "s"}

WEBHOOKS = [
    {
        "url": "https://hooks.example/pusher",
        "event_types": ["channel_occupied"],
        "headers": {"X-Token": "t"},
        "filter": {"channel_name_starts_with": "room-"},
    }
]


def app(row: Row, limits: dict[str, object] | None = None) -> App:
    found = reader(limits)(row)
    assert isinstance(found, App), found
    return found


def problem(**row: object) -> str:
    found = reader()({**LEAST, **row})
    assert isinstance(found, BrokenApp), found
    return found.problem


ALL = ("id", "keys", *TABLES, *limit_fields())


def test_an_app_of_soketis_columns() -> None:
    found = app({**LEAST, "enable_client_messages": 1, "max_read_req_per_sec": "5", "webhooks": json.dumps(WEBHOOKS)})
    assert found.keys == (Key("k", "s"),)
    assert found.client_events
    assert found.max_read_requests_per_second == 5
    assert found.webhooks[0].filter.channel_name_starts_with == "room-"


def test_an_app_of_soketis_attributes_in_dynamodb() -> None:
    found = app({"AppId": Decimal(7), "AppKey": "k", "AppSecret": "s", "MaxConnections": Decimal(5), "Enabled": False})
    assert (found.id, found.max_connections, found.enabled) == ("7", 5, False)


@pytest.mark.parametrize(
    "value",
    [
        '[{"channels":"room-*","events":50}]',
        b'[{"channels":"room-*","events":50}]',
        [{"channels": "room-*", "events": Decimal(50)}],
        [{"channels": "room-*", "events": "50"}],
    ],
)
def test_the_history_of_an_app_is_json_or_a_list(value: object) -> None:
    assert app({**LEAST, "history": value}).history == (HistoryRule(channels="room-*", events=50),)


@pytest.mark.parametrize("id", ["7", 7, Decimal("7"), b"7"])
def test_an_id_may_be_a_number_or_text(id: object) -> None:
    assert app({**LEAST, "id": id}).id == "7"


@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_value_is_the_default_of_the_server(value: object) -> None:
    assert app({**LEAST, "max_event_batch_size": value}, {"max_event_batch_size": 3}).max_event_batch_size == 3


@pytest.mark.parametrize("value", [-1, 0, "-1", Decimal(-1)])
def test_max_connections_without_a_limit(value: object) -> None:
    assert app({**LEAST, "max_connections": value}).max_connections is None


@pytest.mark.parametrize(
    "column", ["max_backend_events_per_sec", "max_client_events_per_sec", "MaxReadRequestsPerSecond"]
)
@pytest.mark.parametrize("value", [0, "0", Decimal(0)])
def test_a_rate_of_0_allows_nothing_as_in_soketi(column: str, value: object) -> None:
    found = app({**LEAST, column: value})
    rates = found.max_backend_events_per_second, found.max_client_events_per_second, found.max_read_requests_per_second
    assert sorted(map(str, rates)) == ["0", "None", "None"]
    assert row_of(found, ALL)["max_subscribes_per_second"] == 200


def test_unknown_columns_are_ignored() -> None:
    assert app({**LEAST, "created_at": object()}) == app(LEAST)


def test_unusual_characters_in_a_secret() -> None:
    secret = "пароль\"'`;--$\\ {}"
    assert app({**LEAST, "secret": secret}).keys[0].secret == secret


def test_further_keys() -> None:
    keys = [{"key": "old", "secret": "o", "ends_at": 17.5}, {"key": "older", "secret": "p"}]
    assert app({**LEAST, "keys": json.dumps(keys)}).keys == (Key("k", "s"), Key("old", "o", 17.5), Key("older", "p"))


FULL = App(
    id="7",
    keys=(Key("k", "s"), Key("old", "o", 17.5)),
    webhooks=(
        Webhook(url="https://a.example/", event_types=("channel_occupied",), headers={"A": "b"}, batching=True),
        Webhook(
            lambda_function="f",
            lambda_=LambdaOptions(region="eu-central-1", async_=True),
            event_types=("member_added",),
            filter=Filter(channel_name_matches="^a"),
        ),
    ),
    allowed_origins=("https://a.example",),
    max_connections=5,
    max_subscribes_per_second=None,
    max_event_payload_in_kb=1.5,
    enabled=False,
)


LIMITS = {
    "allowed_origins": st.just(()) | st.just(("https://a.example",)),
    "max_connections": st.none() | st.integers(1, 3),
    "max_subscribes_per_second": st.none() | st.sampled_from([1, 200]),
    "max_event_payload_in_kb": st.sampled_from([0.5, 100]),
    "max_event_batch_size": st.integers(9, 11),
    "enabled": st.booleans(),
    "client_events": st.booleans(),
}
FIELDS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries({}, optional=LIMITS)


@pytest.mark.parametrize("write", [row_of, item_of])
@given(limits=FIELDS, fields=FIELDS)
def test_the_row_of_an_app_is_read_as_the_same_app(
    write: WriteRow, limits: dict[str, Any], fields: dict[str, Any]
) -> None:
    for written in (replace(FULL, **fields), App(id="1", keys=(Key("k", "s"),), **fields)):
        assert app(json.loads(json.dumps(write(written, ALL))), limits) == written


def test_a_field_that_is_not_written_follows_the_defaults() -> None:
    written = App(id="7", keys=(Key("k", "s"),), max_connections=3, client_events=True)
    found = app(row_of(written, ("id", "keys", "client_events")), {"max_connections": 5, "client_events": False})
    assert (found.max_connections, found.client_events) == (5, True)


def test_no_limit_is_written_as_a_number() -> None:
    unlimited = App(id="7", keys=(Key("k", "s"),), max_subscribes_per_second=None)
    row = row_of(unlimited, ("max_connections", "max_subscribes_per_second"))
    assert row == {"max_connections": -1, "max_subscribes_per_second": -1}


def test_a_row_of_all_fields_has_every_column() -> None:
    assert set(row_of(FULL, ALL)) == set(columns().values())


def hooks(number: int, prefix: str = "") -> tuple[Webhook, ...]:
    """Return webhooks, each of which has filters of its own."""
    return tuple(
        Webhook(
            url="https://a.example/",
            event_types=("member_added",),
            filter=Filter(channel_name_starts_with=f"{prefix}{at}"),
        )
        for at in range(number)
    )


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("webhooks", hooks(101), "webhooks: must have at most 100 items"),
        ("webhooks", hooks(99, "x" * 700), "webhooks: must have at most 65536 characters"),
        ("keys", tuple(Key(f"k{at}", "s") for at in range(102)), "keys: must have at most 100 items"),
        ("client_events", "yes", "client_events: no database can store this value"),
    ],
)
def test_a_value_that_could_not_be_read_again_is_not_written(field: str, value: Any, expected: str) -> None:
    written = App(id="7", keys=(Key("k", "s"),))
    object.__setattr__(written, field, value)
    with pytest.raises(ValueRefused, match=expected):
        row_of(written, (field,))


def test_the_json_of_a_row_is_compact_and_readable() -> None:
    written = App(id="7", keys=(Key("k", "s"), Key("o", "п")), webhooks=hooks(1, "é"))
    row = row_of(written, ("keys", "webhooks"))
    assert row["keys"] == '[{"key":"o","secret":"п"}]'
    assert '{"channel_name_starts_with":"é0"}' in str(row["webhooks"])


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"key": None}, "key: missing"),
        ({"secret": ""}, "secret: missing"),
        ({"id": None}, "id: missing"),
        ({"webhooks": "[{"}, "webhooks: not valid JSON: Expecting property name enclosed in double quotes"),
        ({"webhooks": "[" * 2000 + "]" * 2000}, "webhooks: nested too deeply"),
        ({"webhooks": f"[{'9' * 5000}]"}, "webhooks: a number has too many digits"),
        ({"webhooks": "[NaN]"}, "webhooks: not valid JSON: NaN is no number of JSON"),
        ({"webhooks": "[" * 40 + "]" * 40}, "webhooks: nested too deeply"),
        ({"webhooks": "[" + "1," * 100 + "1]"}, "webhooks: must have at most 100 items"),
        ({"webhooks": [1] * 101}, "webhooks: must have at most 100 items"),
        ({"webhooks": f'["{"x" * 65_536}"]'}, "webhooks: must have at most 65536 characters"),
        ({"secret": b"x" * 65_537}, "secret: must have at most 65536 characters"),
        (
            {"max_event_batch_size": Decimal("Infinity")},
            "max_event_batch_size: must be a whole number of 1 or more, not 'Infinity'",
        ),
        (
            {"max_event_batch_size": Decimal("sNaN")},
            "max_event_batch_size: must be a whole number of 1 or more, not 'sNaN'",
        ),
        ({"webhooks": {}}, "webhooks: must be a list, not a table"),
        ({"history": "[{"}, "history: not valid JSON: Expecting property name enclosed in double quotes"),
        ({"history": [1] * 101}, "history: must have at most 100 items"),
        ({"history": {}}, "history: must be a list, not a table"),
        ({"history": "[{}]"}, "history[0]: must have channels: the name of a channel, or a pattern such as room-*"),
        (
            {"history": '[{"channels":"a","events":0}]'},
            "history[0].events: must be a whole number from 1 to 100000, not 0",
        ),
        ({"max_event_batch_size": "many"}, "max_event_batch_size: must be a whole number of 1 or more, not 'many'"),
        ({"keys": "[1]"}, "keys[0]: must be a table of key and secret, not a number"),
        ({"keys": '[{"key":"a"}]'}, "keys[0]: must have a secret"),
        ({"keys": '{"key":"a"}'}, "keys: must be a list, not a table"),
        (
            {"keys": '[{"key":"a","secret":"b","ends_at":"soon"}]'},
            "keys[0].ends_at: must be a time in Unix seconds, not text",
        ),
        *(
            (
                {"keys": [{"key": "a", "secret": "b", "ends_at": end}]},
                "keys[0].ends_at: must be a time in Unix seconds until the year 9999, not in milliseconds",
            )
            for end in (1.8e12, LATEST + 1, 1e300, float("inf"), float("nan"), -1)
        ),
    ],
)
def test_a_broken_row_names_the_column(row: dict[str, Any], expected: str) -> None:
    assert problem(**row) == expected


@pytest.mark.parametrize("id", ["7", 7, Decimal("7.0"), b"7", memoryview(b"7")])
def test_a_broken_row_has_the_id_that_a_valid_one_would_have(id: object) -> None:
    found = reader()({**LEAST, "id": id, "key": b"k", "max_connections": "x"})
    assert isinstance(found, BrokenApp)
    assert (found.id, found.keys) == ("7", ("k",))


class Strange:
    """A value whose text cannot be read."""

    def __str__(self) -> str:
        raise ZeroDivisionError("secret")


def test_no_value_raises() -> None:
    assert problem(max_connections=Strange()) == "the entry cannot be read (ZeroDivisionError)"


def test_a_broken_row_shows_no_secret_and_keeps_its_id_and_key() -> None:
    found = reader()({"id": 7, "key": "k", "secret": "top\nsecret"})
    assert isinstance(found, BrokenApp)
    assert (found.id, found.keys) == ("7", ("k",))
    assert "top" not in repr(found)


def test_an_item_has_soketis_attributes_and_all_of_its_names_are_read() -> None:
    full = App(id="a", keys=(Key("k", "s"), Key("k2", "s2", 5.5)), max_connections=5, allowed_origins=("https://a.b",))
    item = item_of(full, ALL)
    assert (item["AppId"], item["MaxConnections"], item["Enabled"]) == ("a", 5, True)
    assert app(item) == full
    assert item.keys() <= NAMES
