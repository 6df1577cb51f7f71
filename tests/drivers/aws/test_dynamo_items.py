"""Items of DynamoDB: values, keys, sizes and conditions."""

from decimal import Decimal
from typing import Any

import pytest

from soketpy.drivers.aws.dynamo_items import as_read, attribute_of, entry_of, key_value, row_of, size_of, value_of


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ({"S": "text"}, "text"),
        ({"N": "7"}, 7),
        ({"N": "7.0"}, 7),
        ({"N": "0.5"}, Decimal("0.5")),
        ({"B": b"true"}, b"true"),
        ({"BOOL": True}, True),
        ({"NULL": True}, None),
        ({"L": [{"N": "1"}, {"M": {"a": {"S": "b"}}}]}, [1, {"a": "b"}]),
        ({"SS": ["a"]}, ["a"]),
        ({"NS": ["1"]}, [1]),
    ],
)
def test_the_value_of_an_attribute(attribute: Any, value: object) -> None:
    assert value_of(attribute) == value


@pytest.mark.parametrize(
    ("value", "attribute"),
    [
        (True, {"BOOL": True}),
        (-1, {"N": "-1"}),
        (0.5, {"N": "0.5"}),
        ("", {"S": ""}),
        ([], {"S": "[]"}),
        ([{"é": 1}], {"S": '[{"é":1}]'}),
    ],
)
def test_the_attribute_of_a_value(value: object, attribute: Any) -> None:
    assert attribute_of(value) == attribute


@pytest.mark.parametrize(
    ("text", "kind", "found"),
    [
        ("7", "S", True),
        ("7", "N", True),
        ("-7", "N", True),
        ("0", "N", True),
        ("-0", "N", False),
        ("07", "N", False),
        ("7.5", "N", False),
        ("7" * 38, "N", True),
        ("7" * 39, "N", False),
        ("٧", "N", False),
        ("", "S", False),
        ("é" * 1024, "S", True),
        ("é" * 1025, "S", False),
        ("\udc00", "S", False),
    ],
)
def test_a_text_is_a_key_if_it_is_the_only_spelling_of_a_value(text: str, kind: str, found: bool) -> None:
    assert key_value(text, kind) == ({kind: text} if found else None)


def test_a_row_has_the_names_of_attributes() -> None:
    assert row_of({"AppId": {"N": "7"}, "id": {"S": "8"}, "Team": {"S": "red"}}) == {"AppId": 7, "Team": "red"}


@pytest.mark.parametrize(
    ("attribute", "size"),
    [
        ({"S": "é"}, 2),
        ({"B": b"abc"}, 3),
        ({"BOOL": True}, 1),
        ({"NULL": True}, 1),
        ({"N": "1"}, 21),
        ({"SS": ["a", "é"]}, 3),
        ({"BS": [b"abc"]}, 3),
        ({"L": [{"S": "a"}]}, 5),
        ({"M": {"ab": {"S": "a"}}}, 7),
    ],
)
def test_the_size_of_an_item_is_that_of_names_and_values(attribute: Any, size: int) -> None:
    assert size_of({"AppId": {"S": "a"}, "x": attribute}) == 6 + 1 + size


def test_the_condition_of_a_missing_item() -> None:
    assert as_read(None) == {"ConditionExpression": "attribute_not_exists(AppId)"}


def test_the_condition_of_an_item_names_each_attribute() -> None:
    assert as_read({"AppId": {"S": "a"}, "Enabled": {"BOOL": True}}) == {
        "ConditionExpression": "#0 = :0 AND #1 = :1",
        "ExpressionAttributeNames": {"#0": "AppId", "#1": "Enabled"},
        "ExpressionAttributeValues": {":0": {"S": "a"}, ":1": {"BOOL": True}},
    }


def test_no_two_entries_of_a_key_are_equal() -> None:
    assert entry_of("k", "a") != entry_of("k", "a")
