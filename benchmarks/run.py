"""``make bench``: runs every scenario against every installed server, and writes the pages and the plot.

    python -m benchmarks.run [--quick] [--rounds N] [--only SCENARIO ...] [--minutes N] [--out FOLDER]

Each round measures all scenarios and servers once, so that a disturbance of the machine affects all of them. After the
time limit, no further measurement starts. A page without any chosen scenario stays as it is.
"""

import argparse
import fnmatch
import json
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import generator, machine, plot, report
from benchmarks.catalogue import CLUSTER, PAGES, SCENARIOS, Page
from benchmarks.results import Results
from benchmarks.scenarios import Scenario
from benchmarks.servers import BUILD, KINDS, REDIS, ROOT, SOKETI_SERVER, running


def main() -> int:
    """Run the chosen scenarios. Return 1 if a ledger of soketpy shows a fault."""
    args = _arguments()
    until = time.monotonic() + args.minutes * 60
    program = generator.build("loadgen", BUILD)
    generator.build("limit", BUILD)
    chosen = args.only or list(SCENARIOS)
    if not generator.speaks_tls():
        chosen = [scenario for scenario in chosen if not scenario.tls]
    if not REDIS.installed:
        chosen = [scenario for scenario in chosen if scenario not in CLUSTER.scenarios]
    results, skipped = {page: Results() for page in PAGES}, 0
    for number in range(1, args.rounds + 1):
        for scenario in chosen:
            if scenario.rounds is not None and number > scenario.rounds:
                continue
            for server in scenario.servers:
                if time.monotonic() > until:
                    skipped += 1
                elif KINDS[server].installed:
                    page = next(page for page in PAGES if scenario in page.scenarios)
                    _measure(results[page], program, scenario, server, number, args.quick)
    remarks = _remarks(args, skipped)
    _write(args.out, results, chosen, remarks)
    broken = [line for each in results.values() for line in each.broken]
    for line in (*remarks, *broken):
        print(line, file=sys.stderr)
    return 1 if any(line.startswith("soketpy") for line in broken) else 0


def _measure(results: Results, program: Path, scenario: Scenario, server: str, number: int, quick: bool) -> None:
    print(f"round {number}  {scenario.id:<18} {server:<10}", end="", flush=True)
    try:
        result = _play(program, scenario, server, quick)
    except (RuntimeError, OSError, subprocess.SubprocessError) as fault:
        results.broken.append(f"{server}, {scenario.title}: {fault}")
        print(f" {fault}")
        return
    results.add(scenario, server, result)
    for figure in scenario.figures:
        value = f"{report.number(figure.take(result), figure.digits)} {figure.unit}".rstrip()
        print(f" {figure.name} {value};", end="")
    print()


def _play(program: Path, scenario: Scenario, server: str, quick: bool) -> generator.Result:
    options = scenario.options_for(server, quick)
    if scenario.play is not None:
        return scenario.play(program, options)
    with running(KINDS[server], tls=scenario.tls) as started:
        return generator.run(program, started, options)


def _write(out: Path, results: dict[Page, Results], chosen: list[Scenario], remarks: list[str]) -> None:
    for folder in (out, BUILD):
        folder.mkdir(parents=True, exist_ok=True)
    facts = machine.facts()
    for page, found in results.items():
        shown = [scenario for scenario in page.scenarios if scenario in chosen]
        if shown:
            of_page = [*facts, machine.redis()] if page is CLUSTER else facts
            (out / page.file).write_text(report.write(page, found, of_page, remarks, shown))
            print(f"{out / page.file} is written.")
        if shown and page.picture:
            (out / page.picture).write_text(plot.plot(found))
    runs = (run for found in results.values() for run in found.runs.items())
    raw = {f"{scenario} {server}": each for (scenario, server), each in runs}
    (BUILD / "results.json").write_text(json.dumps(raw, indent=1))


def _remarks(args: argparse.Namespace, skipped: int) -> list[str]:
    remarks = []
    if args.quick:
        remarks.append(
            "A quick run: one short round with fewer clients than the titles say. Its verdicts are not valid."
        )
    if skipped:
        remarks.append(f"The time limit was reached before {skipped} runs of the last rounds.")
    if not REDIS.installed:
        remarks.append("redis-server is not installed, so the scenarios with many nodes were not measured.")
    if not generator.speaks_tls():
        remarks.append("The headers or the command of OpenSSL are missing, so TLS was not measured.")
    if not SOKETI_SERVER.installed:
        remarks.append("soketi is not installed, so soketi was not measured.")
    return remarks


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.run",
        description=__doc__.replace("``", ""),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="run one round of shorter and smaller scenarios")
    parser.add_argument("--rounds", type=int, help="the number of rounds (3)")
    parser.add_argument(
        "--only", nargs="+", metavar="SCENARIO", help="only these scenarios, such as fan-out-1 or 'cluster-*'"
    )
    parser.add_argument("--minutes", type=float, default=40, help="the time limit for new measurements (40)")
    parser.add_argument(
        "--out", type=Path, help="the folder of the pages (docs; with --quick or --only, build/benchmarks)"
    )
    args = parser.parse_args()
    if args.only:
        names = [scenario.id for scenario in SCENARIOS]
        unknown = [pattern for pattern in args.only if not fnmatch.filter(names, pattern)]
        if unknown:
            parser.error(f"unknown scenario: {', '.join(unknown)}; the scenarios are {', '.join(names)}")
        args.only = [each for each in SCENARIOS if any(fnmatch.fnmatch(each.id, pattern) for pattern in args.only)]
    args.rounds = args.rounds or (1 if args.quick else 3)
    args.out = args.out or (BUILD if args.quick or args.only else ROOT / "docs")
    return args


if __name__ == "__main__":
    sys.exit(main())
