"""Every scenario, in the order of the page."""

from benchmarks import hostile, scenarios

SCENARIOS = (*scenarios.SCENARIOS, *hostile.SCENARIOS)
