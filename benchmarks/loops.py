"""Compares soketpy on several event loops, over plain TCP and over TLS, and prints tables in Markdown.

    python -m benchmarks.loops [--rounds N] [--loops NAME ...]

aiofastnet is not a dependency of soketpy. To measure its loops too, run ``pip install aiofastnet``.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import generator, report
from benchmarks.launcher import LOOPS, factory
from benchmarks.results import Results
from benchmarks.scenarios import SCENARIOS, Scenario
from benchmarks.servers import BUILD, ROOT, SOKETPY, Kind, running

WORK = {
    "plain TCP": ("fan-out-1", "fan-out-16", "connect-1000"),
    "TLS 1.3": ("fan-out-1-tls", "fan-out-16-tls", "connect-1000-tls"),
}
"""The scenarios of each table."""

COLUMNS = (
    ("deliveries/s, 1 publisher", 0, "deliveries"),
    ("deliveries/s, 16 publishers", 1, "deliveries"),
    ("µs CPU per client", 2, "CPU per client"),
    ("KiB per connection", 2, "memory per connection"),
)
"""The title of each column, the index of its scenario in ``WORK``, and its figure."""


def main() -> int:
    """Run all rounds over all loops. Return 1 if a ledger shows a fault."""
    args = _arguments()
    loops = [name for name in args.loops if _installed(name)]
    program = generator.build("loadgen", BUILD)
    by_id = {scenario.id: scenario for scenario in SCENARIOS}
    results = Results()
    for number in range(1, args.rounds + 1):
        for scenario in (by_id[name] for names in WORK.values() for name in names):
            for loop in loops if generator.speaks_tls() or not scenario.tls else ():
                print(f"round {number}  {scenario.id:<16} {loop}", file=sys.stderr)
                _measure(results, program, scenario, loop)
    print("\n\n".join("\n".join(_table(title, loops, results)) for title in WORK))
    for line in results.broken:
        print(line, file=sys.stderr)
    return 1 if results.broken else 0


def _measure(results: Results, program: Path, scenario: Scenario, loop: str) -> None:
    kind = Kind(
        loop,
        (sys.executable, "-m", "benchmarks.launcher", loop),
        {"PYTHONPATH": str(ROOT), "SOKETPY_PORT": "PORT"},
        cert=SOKETPY.cert,
        key=SOKETPY.key,
    )
    try:
        with running(kind, tls=scenario.tls) as started:
            result = generator.run(program, started, scenario.options_for(loop, quick=True))
    except (RuntimeError, subprocess.SubprocessError) as fault:
        results.broken.append(f"{loop}, {scenario.title}: {fault}")
    else:
        results.add(scenario, loop, result)


def _table(title: str, loops: Sequence[str], results: Results) -> Iterator[str]:
    """Yield the rows of a table: the medians, with their ratio to the first loop in brackets."""
    yield f"| {title} | " + " | ".join(name for name, *_ in COLUMNS) + " |"
    yield "| " + " | ".join(["---"] * (1 + len(COLUMNS))) + " |"
    for loop in loops:
        cells = [_cell(results, WORK[title][place], figure, loop, loops[0]) for _, place, figure in COLUMNS]
        yield f"| {loop} | " + " | ".join(cells) + " |"


def _cell(results: Results, scenario: str, figure: str, loop: str, first: str) -> str:
    value, base = results.value(scenario, loop, figure), results.value(scenario, first, figure)
    if value is None or base is None:
        return "–"
    shown = report.number(value.median, 1 if value.median < 100 else 0)
    return f"{shown} ({value.median / base.median:.2f})"


def _installed(loop: str) -> bool:
    try:
        factory(loop)
    except ImportError as fault:
        print(f"{loop} is skipped: {fault}", file=sys.stderr)
        return False
    return True


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loops", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="the number of rounds (3)")
    parser.add_argument("--loops", nargs="+", choices=LOOPS, default=LOOPS, help="the event loops to compare")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
