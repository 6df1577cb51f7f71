"""The results of the rounds: medians, spreads, and the targets that are met."""

from collections import defaultdict
from dataclasses import dataclass, field
from math import isnan
from statistics import median

from benchmarks.catalogue import SCENARIOS
from benchmarks.generator import Result, faults
from benchmarks.scenarios import Figure, Scenario, Target


@dataclass(frozen=True, slots=True)
class Value:
    """The median, the lowest and the highest value of a figure over all rounds."""

    median: float
    least: float
    most: float


@dataclass(slots=True)
class Results:
    """All measurements of one run."""

    runs: dict[tuple[str, str], list[Result]] = field(default_factory=lambda: defaultdict(list))
    broken: list[str] = field(default_factory=list)  # faults in the ledgers, and measurements that failed

    def add(self, scenario: Scenario, server: str, result: Result) -> None:
        """Add one round. If not all clients could subscribe, add only the fault: the figures would be for less work."""
        found = faults(result)
        if "never subscribed" not in found:
            self.runs[scenario.id, server].append(result)
        if found:
            listed = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in found.items())
            self.broken.append(f"{server}, {scenario.title}: {listed}")

    def value(self, scenario_id: str, server: str, figure: str) -> Value | None:
        """Return a figure of one server, or None if it was not measured or the server does not have it."""
        runs = self.runs.get((scenario_id, server))
        if not runs:
            return None
        take = _figure(scenario_id, figure).take
        values = [take(run) for run in runs]
        if any(map(isnan, values)):
            return None
        return Value(median(values), min(values), max(values))

    def base(self, scenario: Scenario, target: Target) -> float | None:
        """Return the value that the target is a ratio of, or 1 if the target is a fixed value."""
        if not target.of:
            return 1.0
        found = self.value(target.scenario or scenario.id, target.of, target.of_figure or target.figure)
        return found.median if found is not None and found.median > 0 else None

    def reached(self, scenario: Scenario, target: Target) -> float | None:
        """Return our value in the unit of the target: as a ratio if the target is one."""
        value, base = self.value(scenario.id, scenario.ours, target.figure), self.base(scenario, target)
        return None if value is None or base is None else value.median / base


def met(target: Target, reached: float) -> bool:
    """Return True if the target is met."""
    return (target.least is None or reached >= target.least) and (target.most is None or reached <= target.most)


def _figure(scenario_id: str, name: str) -> Figure:
    scenario = next(scenario for scenario in SCENARIOS if scenario.id == scenario_id)
    return next(figure for figure in scenario.figures if figure.name == name)
