"""The pause before the next attempt of a failed delivery, and the end of its attempts."""

from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime

FIRST_PAUSE = 1.0
"""Seconds before the first retry. Each further pause is twice as long."""

LONGEST_PAUSE = 60.0
"""Seconds between two attempts, at most, unless the receiver asks for more."""

LONGEST_RETRY_AFTER = 3600.0
"""Seconds of a ``Retry-After`` that are respected."""


def pause_after(attempts: int, retry_after: float | None, random: Callable[[], float]) -> float:
    """Return the seconds before the next attempt, after ``attempts`` have failed.

    The pause is exponential, and varies by half in both directions (``random`` is from 0 to 1), so that deliveries that
    failed together are not tried again together. ``retry_after`` is the wish of the receiver, in seconds: the next
    attempt is not earlier.
    """
    pause = min(FIRST_PAUSE * 2.0 ** min(attempts - 1, 30), LONGEST_PAUSE) * (0.5 + random())
    return pause if retry_after is None else max(pause, min(retry_after, LONGEST_RETRY_AFTER))


def is_over(created: float, now: float, retry_for: float) -> bool:
    """Return whether a delivery that has just failed is given up: it is older than ``retry_for`` seconds."""
    return now - created >= retry_for


def seconds_of(retry_after: str, now: float) -> float | None:
    """Return the seconds that a ``Retry-After`` asks for, from 0 to ``LONGEST_RETRY_AFTER``, or None if it is invalid.

    The header has seconds or a date (RFC 9110, section 10.2.3). ``now`` is the Unix time in seconds.
    """
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return LONGEST_RETRY_AFTER if len(text) > 9 else min(float(text), LONGEST_RETRY_AFTER)
    try:
        date = parsedate_to_datetime(text)
        seconds = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)
