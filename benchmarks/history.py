"""The cost of history: publishing on a channel with history, compared to a channel without history.

    python -m benchmarks.history publish [--store NAME ...] [--publishers N] [--rounds N] [--seconds N]

``publish`` measures the scenario ``rest`` (sixteen publishers, one subscriber): without history, with logs in memory,
and with logs in an SQLite file. A round measures all of them, in another order each time. The figure is the median of
the ratios of the times for one event within the rounds. The target for logs in memory is a ratio of at most 1.2.

The server runs on core 0, the generator on core 1. The file is in the directory of temporary files (``TMPDIR``): put it
on a disk, since a file system in memory confirms writes at once.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import generator
from benchmarks.apps import ratio, server_of, write
from benchmarks.servers import APP, BUILD, running

NONE = "none"
STORES = ("memory", "sqlite")

MOST = {"memory": 1.2}
"""The largest ratio of the time for an event with history to the time without, by store."""


def settings(store: str, folder: Path) -> dict[str, Any]:
    """Return the configuration of a server whose channels have history in this store."""
    found: dict[str, Any] = {"host": "127.0.0.1", "log": {"level": "warning"}}
    if store == NONE:
        return {**found, "apps": [APP]}
    history = {"store": store, "path": str(folder / "history.db")}
    return {**found, "apps": [{**APP, "history": [{"channels": "*"}]}], "history": history}


def publish(given: argparse.Namespace) -> int:
    """Compare the stores. Return 1 if one is above its target or has a fault in its ledger."""
    names = [NONE, *given.store]
    program = generator.build("loadgen", BUILD)
    work: dict[str, str | int] = {"subscribers": 1, "publishers": given.publishers, "events": 1_000_000}
    work |= {"duration": int(given.seconds * 1000)}
    times: dict[str, list[float]] = {name: [] for name in names}
    cpu: dict[str, list[float]] = {name: [] for name in names}
    faulty = False
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        configs = {each: write(folder, each, settings(each, folder)) for each in names}
        for number in range(given.rounds):
            for each in names[number % len(names) :] + names[: number % len(names)]:
                with running(server_of(configs[each])) as server:
                    result = generator.run(program, server, work)
                found = generator.faults(result)
                faulty = faulty or bool(found)
                times[each].append(1e6 / result["run"]["events_s"])
                cpu[each].append(result["run"]["server_cpu_us"])
                rate = result["run"]["events_s"]
                figures = f"{rate:8,.0f} events/s, CPU {cpu[each][-1]:.2f} µs"
                print(f"round {number + 1}  {each:7} {figures}; {found or ''}", flush=True)
    slow = False
    for each in given.store:
        median, least, most = ratio(times[each], times[NONE])
        slow = slow or median > MOST.get(each, median)
        target = f", at most {MOST[each]} wanted" if each in MOST else ""
        print(f"{each}: ratio of times {median:.3f} (from {least:.3f} to {most:.3f}){target}", end="; ")
        print("ratio of CPU {:.3f} (from {:.3f} to {:.3f})".format(*ratio(cpu[each], cpu[NONE])))
    return int(slow or faulty)


def main() -> int:
    """Read the arguments and run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    publishing = commands.add_parser("publish")
    publishing.add_argument("--store", nargs="+", choices=STORES, default=list(STORES))
    publishing.add_argument("--publishers", type=int, default=16)
    publishing.add_argument("--rounds", type=int, default=6)
    publishing.add_argument("--seconds", type=float, default=3)
    publishing.set_defaults(run=publish)
    given = parser.parse_args()
    found: int = given.run(given)
    return found


if __name__ == "__main__":
    sys.exit(main())
