"""The metrics of a whole process for Prometheus: those that soketi does not have."""

from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import Metric

from soketpy.core.histograms import BOUNDS, Histogram
from soketpy.core.measures import Measures

PREFIX = "soketpy_"
"""Begins the names of all metrics that soketi does not have, and of no other."""

_BOUNDS = (*(f"{bound:g}" for bound in BOUNDS), "+Inf")


def collect(port: str, measures: Measures) -> Iterator[Metric]:
    """Yield the measures of a process, or of all workers together."""
    for measure in measures.values():
        metric = Metric(f"{PREFIX}{measure.name}", measure.help, measure.kind)
        suffix = "_total" if measure.kind == "counter" else ""
        for values, value in measure.values.items():
            labels = {**dict(zip(measure.labels, values, strict=True)), "port": port}
            if isinstance(value, Histogram):
                _add_histogram(metric, labels, value)
            else:
                metric.add_sample(f"{metric.name}{suffix}", labels, value)
        yield metric


def _add_histogram(metric: Metric, labels: dict[str, str], histogram: Histogram) -> None:
    for bound, number in zip(_BOUNDS, accumulate(histogram.classes), strict=True):
        metric.add_sample(f"{metric.name}_bucket", {**labels, "le": bound}, number)
    metric.add_sample(f"{metric.name}_sum", labels, histogram.seconds)
    metric.add_sample(f"{metric.name}_count", labels, sum(histogram.classes))
