"""Runs soketpy on a named event loop: ``python -m benchmarks.launcher NAME``. Environment variables configure it."""

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
"""The event loops: the module of the loop, and the module that serves its sockets if the loop does not."""


def factory(name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """Return a function that creates the named event loop. Raise ImportError if a package is missing."""
    loop, _, sockets = name.partition("+")
    made: Callable[[], asyncio.AbstractEventLoop] = import_module(loop).new_event_loop
    if sockets:
        made = import_module(sockets).loop_factory(made)
    return made


def main() -> None:
    """Serve until the process gets a signal to stop."""
    settings = load(str(HERE / "soketpy.yaml"), os.environ, {})
    configure(settings.log.level, settings.log.format)
    with asyncio.Runner(loop_factory=factory(sys.argv[1])) as runner:
        runner.run(serve(settings, lambda: settings))


if __name__ == "__main__":
    main()
