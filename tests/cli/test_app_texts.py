"""The lines of ``soketpy apps``."""

import pytest

from soketpy.cli.app_texts import date_of, secret_lines


@pytest.mark.parametrize("seconds", [1.8e15, 1e300, -1e18, float("inf"), float("nan")])
def test_a_time_without_a_date_is_a_number(seconds: float) -> None:
    assert float(date_of(seconds)) == pytest.approx(seconds, nan_ok=True)


def test_a_secret_is_printed_beside_an_older_key_with_any_end() -> None:
    keys = [{"key": "new", "secret": "s", "ends_at": None}, {"key": "old", "ends_at": 1.8e15}]
    assert list(secret_lines({"id": "shop", "keys": keys})) == [
        "id: shop",
        "key: new",
        "secret: s",
        "older key: old (ends 1.8e+15)",
    ]
