"""User ids: numbers as JavaScript writes them, and equal to their text."""

import pytest

from soketpy.protocol import ids
from soketpy.protocol.ids import NumericId

# A number as Python decodes it from JSON, and its text in JavaScript; whole numbers keep all digits.
NUMBERS: list[tuple[float, str]] = [
    (0, "0"),
    (7, "7"),
    (-7, "-7"),
    (5.0, "5"),
    (-0.0, "0"),
    (1e3, "1000"),
    (1.5, "1.5"),
    (-2.25, "-2.25"),
    (0.1, "0.1"),
    (1e-6, "0.000001"),
    (1.5e-7, "1.5e-7"),
    (1e-7, "1e-7"),
    (1e20, "100000000000000000000"),
    (1e21, "1e+21"),
    (1.5e300, "1.5e+300"),
    (12345678901234567890.0, "12345678901234567000"),
    (5e-324, "5e-324"),
    (9007199254740993, "9007199254740993"),
    (10**30, "1000000000000000000000000000000"),
]


@pytest.mark.parametrize(("number", "text"), NUMBERS)
def test_a_number_is_written_as_javascript_writes_it(number: float, text: str) -> None:
    assert ids.of(number) == text
    assert ids.literal(ids.of(number)) == text.encode()


def test_a_string_stays_a_string() -> None:
    assert ids.literal(ids.of("5.0")) == b'"5.0"'


def test_a_number_and_its_text_are_one_id() -> None:
    assert ids.of(1) == ids.of("1") == "1"
    assert {ids.of(1): "member"}["1"] == "member"
    assert ids.literal(str(NumericId("1"))) == b'"1"'


def test_an_infinite_number_is_no_id() -> None:
    with pytest.raises(ValueError, match="out of range"):
        ids.of(float("inf"))
