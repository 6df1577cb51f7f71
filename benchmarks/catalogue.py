"""Every scenario, in the order of the page on which its figures stand."""

from dataclasses import dataclass

from benchmarks import cluster, hostile, scenarios
from benchmarks.scenarios import Scenario


@dataclass(frozen=True, eq=False, slots=True)
class Page:
    """A page of figures, in the form of a file in ``docs``."""

    file: str
    opening: str
    scenarios: tuple[Scenario, ...]
    picture: str = ""  # the file of its plot


ONE_NODE = Page(
    "benchmarks.md",
    """\
# Benchmarks

soketpy beside soketi, and beside a server in C that does one write a delivery and nothing else (`limit`). Each server
has one core to itself and is started afresh for every round; the load generator has another core and keeps a ledger of
every event. Where the server's CPU is near 100 %, the generator was not the bottleneck; with one publisher `limit` is
held up by the generator as much as by itself. How to run this, what each scenario and figure means, and why some
targets are not met: [benchmarks](../benchmarks/README.md).

This page is written by `make bench`.

![Throughput of the servers](benchmarks.svg)
""",
    (*scenarios.SCENARIOS, *hostile.SCENARIOS),
    picture="benchmarks.svg",
)

CLUSTER = Page(
    "benchmarks-cluster.md",
    """\
# Benchmarks of many nodes

Two nodes of soketpy over one Redis (*soketpy x2*), beside one node alone (*soketpy*), and beside two nodes of soketi
over a Redis of their own (*soketi x2*). All nodes and their Redis share one core, so what two nodes use more than one
is what it costs to be many; on cores of their own they do more. The load generator has another core, and keeps a ledger
of every event over all nodes. How to run this, and what each scenario and figure means:
[benchmarks](../benchmarks/README.md).

This page is written by `make bench`.
""",
    cluster.SCENARIOS,
)

PAGES = (ONE_NODE, CLUSTER)
SCENARIOS = tuple(scenario for page in PAGES for scenario in page.scenarios)
