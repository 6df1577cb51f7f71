"""The metrics of a whole process for Prometheus: those that soketi does not have."""

from collections.abc import Iterator
from itertools import accumulate

from soketpy.core.histograms import BOUNDS, Histogram
from soketpy.core.measures import Measure, Measures
from soketpy.web.exposition import Family, Labels, Sample

PREFIX = "soketpy_"
"""Begins the names of all metrics that soketi does not have, and of no other."""

_BOUNDS = (*(f"{bound:g}" for bound in BOUNDS), "+Inf")


def families(port: str, measures: Measures) -> Iterator[Family]:
    """Yield the measures of a process, or of all workers together."""
    for measure in measures.values():
        name = f"{PREFIX}{measure.name}{'_total' if measure.kind == 'counter' else ''}"
        yield Family(name, measure.help, measure.kind, _samples(name, port, measure))


def _samples(name: str, port: str, measure: Measure) -> Iterator[Sample]:
    for values, value in measure.values.items():
        labels = Labels(**dict(zip(measure.labels, values, strict=True)), port=port)
        if isinstance(value, Histogram):
            yield from _histogram(name, labels, value)
        else:
            yield name, labels, "", value


def _histogram(name: str, labels: Labels, histogram: Histogram) -> Iterator[Sample]:
    numbers, seconds = tuple(accumulate(histogram.classes)), histogram.seconds  # at one moment
    for bound, number in zip(_BOUNDS, numbers, strict=True):
        yield f"{name}_bucket", labels, bound, number
    yield f"{name}_sum", labels, "", seconds
    yield f"{name}_count", labels, "", numbers[-1]
