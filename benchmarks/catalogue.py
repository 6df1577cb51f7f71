"""All scenarios, in the order of their pages."""

from dataclasses import dataclass

from benchmarks import cluster, hostile, scenarios
from benchmarks.scenarios import Scenario


@dataclass(frozen=True, eq=False, slots=True)
class Page:
    """A page of figures: a file in ``docs``."""

    file: str
    opening: str
    scenarios: tuple[Scenario, ...]
    picture: str = ""  # the file of its plot


ONE_NODE = Page(
    "benchmarks.md",
    """\
# Benchmarks

This page compares soketpy with soketi and with `limit`, a server in C that does one write per delivery and nothing
else. Every round starts a new server on a core of its own. The load generator runs on another core and keeps a ledger
of every event. If the server's CPU is near 100 %, the load generator was not the bottleneck. With one publisher,
`limit` and the load generator slow each other down equally. The [description of the
benchmarks](../benchmarks/README.md) explains how to run them, the scenarios and figures, and the reasons why some
targets are not met.

`make bench` writes this page.

![Throughput of the servers](benchmarks.svg)
""",
    (*scenarios.SCENARIOS, *hostile.SCENARIOS),
    picture="benchmarks.svg",
)

CLUSTER = Page(
    "benchmarks-cluster.md",
    """\
# Benchmarks of many nodes

This page compares two nodes of soketpy over one Redis (*soketpy x2*) with one node (*soketpy*) and with two nodes of
soketi over another Redis (*soketi x2*). The nodes and their Redis share one core. So the difference between two nodes
and one node is the cost of the cluster; nodes on cores of their own deliver more. The load generator runs on another
core and keeps a ledger of every event over all nodes. The [description of the benchmarks](../benchmarks/README.md)
explains how to run them, and the scenarios and figures.

`make bench` writes this page.
""",
    cluster.SCENARIOS,
)

PAGES = (ONE_NODE, CLUSTER)
SCENARIOS = tuple(scenario for page in PAGES for scenario in page.scenarios)
