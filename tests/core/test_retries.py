"""The times of retries."""

import pytest

from soketpy.core.retries import LONGEST_PAUSE, LONGEST_RETRY_AFTER, is_over, pause_after, seconds_of

NOON = 784_123_200.0  # Sun, 06 Nov 1994 12:00:00 GMT


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        (" 7 ", 7),
        ("3600", 3600),
        ("3601", LONGEST_RETRY_AFTER),
        ("9" * 5000, LONGEST_RETRY_AFTER),
        ("Sun, 06 Nov 1994 12:00:30 GMT", 30),
        ("Sunday, 06-Nov-94 12:00:30 GMT", 30),
        ("Sun Nov  6 12:00:30 1994", 30),
        ("Sun, 06 Nov 1994 13:00:30 +0100", 30),
        ("Sun, 06 Nov 1994 11:59:00 GMT", 0),
        ("Sun, 06 Nov 9999 12:00:00 GMT", LONGEST_RETRY_AFTER),
        ("Sun, 99 Nov 1994 12:00:00 GMT", None),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("٣", None),
        ("²", None),
        ("Sun, 06 Nov 99999999999999 12:00:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str, seconds: float | None) -> None:
    assert seconds_of(text, NOON) == seconds


def test_pauses_double_up_to_the_longest_one() -> None:
    assert [pause_after(attempts, None, lambda: 0.5) for attempts in (1, 2, 3, 4)] == [1, 2, 4, 8]
    assert pause_after(10_000, None, lambda: 0.5) == LONGEST_PAUSE


def test_pauses_vary_by_half() -> None:
    assert pause_after(3, None, lambda: 0.0) == 2
    assert pause_after(3, None, lambda: 1.0) == 6


def test_the_wish_of_a_receiver_only_lengthens_a_pause() -> None:
    assert pause_after(1, 30, lambda: 0.5) == 30
    assert pause_after(4, 1, lambda: 0.5) == 8
    assert pause_after(1, 10 * LONGEST_RETRY_AFTER, lambda: 0.5) == LONGEST_RETRY_AFTER


def test_a_delivery_is_given_up_when_it_is_old() -> None:
    assert not is_over(100, 399.9, 300)
    assert is_over(100, 400, 300)
