"""Runs soketpy on the event loop that is named, the rest by variables: ``python -m benchmarks.launcher NAME``."""

import asyncio
import os
import sys
from collections.abc import Callable
from importlib import import_module

from benchmarks.servers import HERE
from soketpy.config import load
from soketpy.process.log import configure
from soketpy.process.single import serve

LOOPS = ("uvloop", "uvloop+aiofastnet", "asyncio", "asyncio+aiofastnet")
"""The module of an event loop, and of what serves its sockets where the loop does not."""


def factory(name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """What makes the event loop of that name. Raises ImportError where a package is missing."""
    loop, _, sockets = name.partition("+")
    made: Callable[[], asyncio.AbstractEventLoop] = import_module(loop).new_event_loop
    if sockets:
        made = import_module(sockets).loop_factory(made)
    return made


def main() -> None:
    """Serve until the process is told to stop."""
    settings = load(str(HERE / "soketpy.yaml"), os.environ, {})
    configure(settings.log.level, settings.log.format)
    with asyncio.Runner(loop_factory=factory(sys.argv[1])) as runner:
        runner.run(serve(settings, lambda: settings))


if __name__ == "__main__":
    main()
