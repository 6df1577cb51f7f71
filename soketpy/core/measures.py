"""The measures of a process besides traffic: values with a name and labels that several processes add up."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, cast

from soketpy.core.histograms import Histogram

Labels = tuple[str, ...]

Value = float | Histogram

Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True, slots=True)
class Measure:
    """One metric and its values, by the values of its labels.

    ``name`` has neither prefix nor ``_total``. ``merge`` says how the gauges of several processes become one value:
    their sum, or the highest or lowest of them. Counters and histograms are always added.
    """

    name: str
    kind: Kind
    help: str
    values: Mapping[Labels, Value] = field(default_factory=dict)
    labels: Labels = ()
    merge: Literal["sum", "highest", "lowest"] = "sum"

    def __add__(self, other: "Measure") -> "Measure":
        values = dict(self.values)
        for labels, value in other.values.items():
            values[labels] = self._merged(values[labels], value) if labels in values else value
        return replace(self, values=values)

    def _merged(self, ours: Value, theirs: Value) -> Value:
        if isinstance(ours, Histogram) or isinstance(theirs, Histogram):
            return cast("Histogram", ours) + cast("Histogram", theirs)
        if self.merge == "sum":
            return ours + theirs
        return max(ours, theirs) if self.merge == "highest" else min(ours, theirs)

    def ended(self) -> "Measure":
        """Return the measure of a process that has ended: a gauge has no value then."""
        return replace(self, values={}) if self.kind == "gauge" else self


class Measures(dict[str, Measure]):
    """The measures of one process, or of several together, by name."""

    def __init__(self, measures: Iterable[Measure] = ()) -> None:
        super().__init__((each.name, each) for each in measures)

    def __add__(self, other: Mapping[str, Measure]) -> "Measures":
        total = Measures(self.values())
        for name, measure in other.items():
            total[name] = total[name] + measure if name in total else measure
        return total

    def value(self, name: str) -> Value:
        """Return the value of a measure without labels, 0 if it has none."""
        return self[name].values.get((), 0) if name in self else 0

    def ended(self) -> "Measures":
        """Return the measures of a process that has ended."""
        return Measures(each.ended() for each in self.values())

    def __reduce__(self) -> tuple[type["Measures"], tuple[list[Measure]]]:
        return Measures, (list(self.values()),)


def of(value: Value) -> dict[Labels, Value]:
    """Return the value of a measure without labels."""
    return {(): value}


def by(values: Mapping[int, float] | Mapping[str, float]) -> dict[Labels, Value]:
    """Return the values of a measure with one label."""
    return {(str(label),): value for label, value in values.items()}
