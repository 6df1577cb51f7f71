"""Runs soketpy and counts the lookups of apps: ``python -m benchmarks.apps_server CONFIG COUNTS``.

CONFIG and COUNTS are files. Each second a line is added to COUNTS: a JSON object with the time (of the clock that all
processes of the machine share), the lookups that waited for the database, the queries, and the seconds that the queries
took. Lookups of cached apps are not counted, so that the server is as fast as without the counters.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Collection
from pathlib import Path

import uvloop

from soketpy.config import load
from soketpy.core.apps import App
from soketpy.process.log import configure
from soketpy.process.single import serve
from soketpy.registry.cache import CachedApps
from soketpy.registry.lookups import Lookups


class Counts:
    """The counters. ``watch`` replaces methods of the cache by ones that count."""

    def __init__(self) -> None:
        self.missed = self.queries = 0
        self.seconds = 0.0

    def watch(self) -> None:
        """Count from now on."""
        by_key, query = Lookups.by_key, CachedApps._query

        async def counted_by_key(lookups: Lookups, key: str) -> App | None:
            self.missed += 1
            return await by_key(lookups, key)

        async def counted_query(apps: CachedApps, ids: Collection[str], keys: Collection[str]) -> None:
            self.queries += 1
            start = time.monotonic()
            try:
                await query(apps, ids, keys)
            finally:
                self.seconds += time.monotonic() - start

        Lookups.by_key = counted_by_key  # type: ignore[assignment, method-assign]
        CachedApps._query = counted_query  # type: ignore[assignment, method-assign]

    async def write_each_second(self, path: Path) -> None:
        """Write the counters, each second, until this is cancelled."""
        with path.open("a") as file:
            while True:
                line = {"time": time.monotonic(), **vars(self)}
                file.write(json.dumps(line) + "\n")
                file.flush()
                await asyncio.sleep(1)


async def run(config: str, counts: Path) -> None:
    """Serve until the process gets a signal to stop."""
    settings = load(config, os.environ, {})
    configure(settings.log.level, settings.log.format)
    counted = Counts()
    counted.watch()
    writing = asyncio.create_task(counted.write_each_second(counts))
    try:
        await serve(settings, lambda: settings)
    finally:
        writing.cancel()


if __name__ == "__main__":
    uvloop.run(run(sys.argv[1], Path(sys.argv[2])))
