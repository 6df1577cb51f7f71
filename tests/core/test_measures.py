"""Measures of several processes become those of one server."""

import pickle
from typing import Literal

import pytest

from soketpy.core.histograms import Histogram
from soketpy.core.measures import Measure, Measures, by, of


def gauge(value: float, merge: Literal["sum", "highest", "lowest"]) -> Measures:
    return Measures([Measure("nodes", "gauge", "Nodes.", of(value), merge=merge)])


@pytest.mark.parametrize(("merge", "total"), [("sum", 5), ("highest", 3), ("lowest", 2)])
def test_a_gauge_says_how_its_values_are_merged(merge: Literal["sum", "highest", "lowest"], total: float) -> None:
    assert (gauge(2, merge) + gauge(3, merge)).value("nodes") == total


def test_counters_are_added_for_each_value_of_their_label() -> None:
    ours = Measures([Measure("calls", "counter", "Calls.", by({"a": 1, "b": 2}), ("kind",))])
    theirs = Measures([Measure("calls", "counter", "Calls.", by({"b": 3, "c": 4}), ("kind",))])
    assert (ours + theirs)["calls"].values == by({"a": 1, "b": 5, "c": 4})
    assert ours["calls"].values == by({"a": 1, "b": 2})


def test_histograms_are_added() -> None:
    one = Histogram()
    one.count(0.5)
    measures = Measures([Measure("delays", "histogram", "Delays.", of(one))])
    total = (measures + measures).value("delays")
    assert isinstance(total, Histogram)
    assert (sum(total.classes), total.seconds) == (2, 1.0)


def test_a_measure_of_one_process_only_is_part_of_the_sum() -> None:
    assert (Measures() + gauge(2, "sum") + Measures()).value("nodes") == 2


def test_a_process_that_has_ended_keeps_its_counters_and_has_no_gauges() -> None:
    counter = Measure("calls", "counter", "Calls.", of(7))
    ended = (Measures([counter]) + gauge(2, "lowest")).ended()
    assert (ended.value("calls"), ended["nodes"].values) == (7, {})
    assert (ended + gauge(3, "lowest")).value("nodes") == 3


def test_measures_can_be_sent_to_another_process() -> None:
    measures = gauge(2, "highest")
    assert pickle.loads(pickle.dumps(measures)) == measures
