"""Histograms of durations, and the counters of calls."""

import pytest

from soketpy.core.histograms import BOUNDS, Calls, Histogram


@pytest.mark.parametrize(
    ("seconds", "index"), [(0.0, 0), (BOUNDS[0], 0), (BOUNDS[0] + 1e-9, 1), (BOUNDS[-1], len(BOUNDS) - 1), (1e9, -1)]
)
def test_a_duration_is_counted_below_the_first_bound_that_it_does_not_exceed(seconds: float, index: int) -> None:
    histogram = Histogram()
    histogram.count(seconds)
    assert (histogram.classes[index], sum(histogram.classes)) == (1, 1)
    assert histogram.seconds == seconds


def test_two_histograms_add_up_and_stay_as_they_are() -> None:
    ours, theirs = Histogram(), Histogram()
    ours.count(1)
    theirs.count(1)
    theirs.count(100)
    total = ours + theirs
    assert (sum(total.classes), total.seconds) == (3, 102)
    assert (sum(ours.classes), sum(theirs.classes)) == (1, 2)


def test_calls_are_counted_by_status_and_by_duration() -> None:
    calls = Calls()
    for status, seconds in ((200, 0.001), (200, 0.002), (503, 20.0)):
        calls.count_call(status, seconds)
    assert calls.statuses == {200: 2, 503: 1}
    assert (sum(calls.classes), calls.classes[-1], calls.seconds) == (3, 1, 20.003)
