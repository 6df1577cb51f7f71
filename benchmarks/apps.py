"""The cost of apps in a database: publishing with a cached app, and connects for random apps of many.

    python -m benchmarks.apps publish [--registry NAME ...] [--rounds N] [--seconds N]
    python -m benchmarks.apps connect [--apps N] [--rate N] [--seconds N] [--cache-seconds N]

``publish`` measures the scenario ``rest`` (sixteen publishers, one subscriber): with the app in the configuration, and
with the same app in a database. A round measures all of them, in another order each time, and the figure is the median
of the ratios within the rounds. The target is a ratio of events of at least 0.97.

``connect`` opens connections at a fixed rate for random apps of a PostgreSQL, and closes each after its greeting. At
the start no app is cached. Each line is one second: the connects, the share that found its app in the cache, the
queries, their mean time, and the time from the connect to the greeting. If the generator or the server cannot keep up,
fewer connections are opened, and the line shows how many.

The server runs on core 0, the generator and PostgreSQL on core 1.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks import generator
from benchmarks.crowd import Client, Crowd, handshake
from benchmarks.postgres import Postgres, postgres
from benchmarks.servers import APP, BUILD, GENERATOR_CORE, SOKETPY, Kind, running
from soketpy.config import load
from soketpy.process.registries import registry_of

CONFIGURED = "config"
LEAST = 0.97
"""The least ratio of the events per second with an app of a database to those with an app of the configuration."""

IN_FLIGHT = 1000
"""Connections that wait for their greeting, at most."""

TICK = 0.005
"""Seconds between two bursts of connects."""


def settings(registry: str, database: Postgres, folder: Path, **more: Any) -> dict[str, Any]:
    """Return the configuration of a server whose apps are in this registry."""
    bounds = {"max_connections": 60_000}
    found = {"host": "127.0.0.1", "log": {"level": "warning"}, "bounds": bounds}
    if registry == CONFIGURED:
        return {**found, "apps": [APP]}
    groups = {"postgres": database.settings, "sqlite": {"path": str(folder / "apps.db")}}
    return {**found, "registry": {"driver": registry, **more}, registry: groups[registry]}


def write(folder: Path, name: str, given: dict[str, Any]) -> Path:
    """Write a configuration. Return its file."""
    path = folder / f"{name}.json"
    path.write_text(json.dumps(given))
    return path


async def create(config: Path) -> None:
    """Create the tables, with the app of the load generator."""
    from soketpy.core.apps import App, Key

    registry = registry_of(load(str(config), {}, {}))
    try:
        await registry.initialise()
        await registry.start(lambda _: None)
        await registry.add(App(id=APP["id"], keys=(Key(APP["key"], APP["secret"]),)))
    finally:
        await registry.stop()


def fill(database: Postgres, count: int) -> list[str]:
    """Add apps to the table. Return their keys."""
    database.run(
        "INSERT INTO apps (id, key, secret) "
        f"SELECT 'app-' || n, 'key-' || n, 'secret' FROM generate_series(1, {count}) n; ANALYZE apps"
    )
    return [f"key-{number}" for number in range(1, count + 1)]


# Publishing


def publish(given: argparse.Namespace) -> int:
    """Compare the registries. Return 1 if one is below the target or has a fault in its ledger."""
    names = [CONFIGURED, *given.registry]
    program = generator.build("loadgen", BUILD)
    work: dict[str, str | int] = {"subscribers": 1, "publishers": 16, "events": 1_000_000}
    work |= {"duration": int(given.seconds * 1000)}
    events: dict[str, list[float]] = {name: [] for name in names}
    cpu: dict[str, list[float]] = {name: [] for name in names}
    faulty = False
    with prepared(given.registry) as configs:
        for number in range(given.rounds):
            for name in names[number % len(names) :] + names[: number % len(names)]:
                with running(server_of(configs[name])) as server:
                    result = generator.run(program, server, work)
                found = generator.faults(result)
                faulty = faulty or bool(found)
                events[name].append(result["run"]["events_s"])
                cpu[name].append(result["run"]["server_cpu_us"])
                figures = f"{events[name][-1]:8,.0f} events/s, CPU {cpu[name][-1]:.2f} µs"
                print(f"round {number + 1}  {name:10} {figures}; {found or ''}", flush=True)
    low = False
    for name in given.registry:
        median, least, most = ratio(events[name], events[CONFIGURED])
        low = low or median < LEAST
        print(
            f"{name}: ratio of events {median:.3f} (from {least:.3f} to {most:.3f}), at least {LEAST} wanted", end="; "
        )
        print("ratio of CPU {:.3f} (from {:.3f} to {:.3f})".format(*ratio(cpu[name], cpu[CONFIGURED])))
    return int(low or faulty)


def ratio(figures: Sequence[float], base: Sequence[float]) -> tuple[float, float, float]:
    """Return the median, the least and the largest ratio of two figures in the same round."""
    found = [each / other for each, other in zip(figures, base, strict=True)]
    return statistics.median(found), min(found), max(found)


@contextmanager
def prepared(registries: Sequence[str]) -> Iterator[dict[str, Path]]:
    """Prepare the registries. Yield the file of the configuration of each."""
    with tempfile.TemporaryDirectory() as name, postgres() as database:
        folder = Path(name)
        configs = {each: write(folder, each, settings(each, database, folder)) for each in (CONFIGURED, *registries)}
        for each in registries:
            asyncio.run(create(configs[each]))
        yield configs


def server_of(config: Path) -> Kind:
    """Return the server with this configuration, as users start it."""
    return replace(SOKETPY, command=(sys.executable, "-m", "soketpy", "start", "--config", config, "--port", "PORT"))


# Connecting


@dataclass
class Second:
    """The connects that ended in one second. ``waits`` are the seconds from each connect to its greeting."""

    begin: float
    waits: list[float]
    failed: int = 0


class Connector:
    """Opens connections for random apps, and closes each after its greeting."""

    def __init__(self, crowd: Crowd, keys: Sequence[str]) -> None:
        self._crowd = crowd
        self._openings = [handshake(key) for key in keys]
        self._random = random.Random(1)
        self._waiting: list[Client] = []

    def run(self, rate: int, seconds: int) -> list[Second]:
        """Open connections at a rate, at most ``IN_FLIGHT`` at a time. Return each second."""
        found: list[Second] = []
        start, dialled = time.monotonic(), 0
        for number in range(seconds):
            second = Second(start + number, [])
            found.append(second)
            while (now := time.monotonic()) < second.begin + 1:
                due = int(rate * (now - start)) - dialled
                for _ in range(min(due, IN_FLIGHT - len(self._waiting))):
                    self._waiting += self._crowd.dial(1, self._random.choice(self._openings))
                dialled += due  # those for which there was no room are left out
                self._crowd.run(TICK)
                self._collect(second)
        return found

    def _collect(self, second: Second) -> None:
        """Note the connections that have been greeted or have failed, and close them."""
        done = [client for client in self._waiting if client.greeted_at or client.code or client.ended_at]
        self._waiting = [
            client for client in self._waiting if not (client.greeted_at or client.code or client.ended_at)
        ]
        for client in done:
            if client.greeted_at:
                second.waits.append(client.greeted_at - client.dialled_at)
            else:
                second.failed += 1
        self._crowd.drop(done)


def connect(given: argparse.Namespace) -> int:
    """Connect clients to random apps. Return 1 if a connect failed."""
    os.sched_setaffinity(0, {int(GENERATOR_CORE)})
    with tempfile.TemporaryDirectory() as name, postgres() as database:
        folder = Path(name)
        more = {"cache_seconds": given.cache_seconds, "cache_size": given.cache_size}
        config = write(folder, "server", settings("postgres", database, folder, **more))
        asyncio.run(create(config))
        keys = fill(database, given.apps)
        counts = folder / "counts"
        command = (sys.executable, "-m", "benchmarks.apps_server", config, counts)
        kind = replace(SOKETPY, command=command, environment={**SOKETPY.environment, "SOKETPY_PORT": "PORT"})
        with running(kind) as server, Crowd(server.port) as crowd:
            before = time.process_time()
            seconds = Connector(crowd, keys).run(given.rate, given.seconds)
            used = (time.process_time() - before) / given.seconds
            time.sleep(1.5)  # the server writes its counters once more
            lines = [json.loads(line) for line in counts.read_text().splitlines()]
    report(seconds, lines)
    print(f"The generator used {used:.0%} of its core.")
    return int(any(second.failed for second in seconds))


def report(seconds: Sequence[Second], lines: Sequence[dict[str, float]]) -> None:
    """Print a line for each second, for each half of the time, and for all of it."""
    heads = zip(
        (9, 9, 8, 9, 9, 9, 7), ("connects", "hit rate", "queries", "a query", "p50", "p99", "failed"), strict=True
    )
    print(f"{'second':>8} {' '.join(name.rjust(width) for width, name in heads)}")
    for number, second in enumerate(seconds):
        print(f"{number + 1:>8} {_figures([second], lines)}")
    half = len(seconds) // 2
    print(f"{'1st half':>8} {_figures(seconds[:half], lines)}")
    print(f"{'2nd half':>8} {_figures(seconds[half:], lines)}")
    print(f"{'all':>8} {_figures(seconds, lines)}")


def _figures(seconds: Sequence[Second], lines: Sequence[dict[str, float]]) -> str:
    waits = sorted(each for second in seconds for each in second.waits)
    begin, end = seconds[0].begin, seconds[-1].begin + 1
    missed, queries, spent = (
        _at(lines, end, name) - _at(lines, begin, name) for name in ("missed", "queries", "seconds")
    )
    if not waits:
        return f"{0:>9}"
    p50, p99 = (1000 * waits[int(len(waits) * part)] for part in (0.5, 0.99))
    query = 1000 * spent / queries if queries else 0
    rate, hits = len(waits) / len(seconds), 1 - missed / len(waits)
    failed = sum(second.failed for second in seconds)
    return f"{rate:>7,.0f}/s {hits:>9.1%} {queries:>8,.0f} {query:>6.1f} ms {p50:>6.1f} ms {p99:>6.1f} ms {failed:>7}"


def _at(lines: Sequence[dict[str, float]], when: float, name: str) -> float:
    """Return a counter at a time, between the two lines around it."""
    before = [line for line in lines if line["time"] <= when]
    after = [line for line in lines if line["time"] > when]
    if not before or not after:
        return (before or after)[-1 if before else 0][name]
    left, right = before[-1], after[0]
    return left[name] + (right[name] - left[name]) * (when - left["time"]) / (right["time"] - left["time"])


def main() -> int:
    """Run one of the two benchmarks."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.apps",
        description="Measure the cost of apps in a database.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    kinds = parser.add_subparsers(dest="kind", required=True)
    chosen = kinds.add_parser("publish", help="events with a cached app", formatter_class=parser.formatter_class)
    chosen.add_argument("--registry", nargs="*", default=["postgres"], choices=["postgres", "sqlite"], help="databases")
    chosen.add_argument("--rounds", type=int, default=10, help="the number of measurements of each")
    chosen.add_argument("--seconds", type=float, default=4, help="the time of one measurement")
    chosen.set_defaults(run=publish)
    chosen = kinds.add_parser("connect", help="connects to random apps", formatter_class=parser.formatter_class)
    chosen.add_argument("--apps", type=int, default=10_000, help="the number of apps")
    chosen.add_argument("--rate", type=int, default=5_000, help="connects per second")
    chosen.add_argument("--seconds", type=int, default=40, help="the time of the measurement")
    chosen.add_argument("--cache-seconds", type=float, default=30, help="registry.cache_seconds")
    chosen.add_argument("--cache-size", type=int, default=20_000, help="registry.cache_size")
    chosen.set_defaults(run=connect)
    given = parser.parse_args()
    return int(given.run(given))


if __name__ == "__main__":
    sys.exit(main())
