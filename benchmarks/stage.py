"""The threads, servers and loads of the scenarios with hostile clients, and readings of the server's process."""

import functools
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks import generator
from benchmarks.generator import Result
from benchmarks.scenarios import Options, Play
from benchmarks.servers import GENERATOR_CORE, SOKETPY, Kind, Running, running


class Stage:
    """Starts servers and the load generator, on a thread that keeps its normal priority."""

    def __init__(self, program: Path, front: ThreadPoolExecutor) -> None:
        self._program = program
        self._front = front
        front.submit(int).result()  # a new thread inherits the priority: start it before the play lowers its own

    @contextmanager
    def server(self, kind: Kind = SOKETPY, port: int = 0) -> Iterator[Running]:
        """Start a new server, and stop it at the end of the block. Raise RuntimeError if it does not start."""
        server = running(kind, port)
        try:
            yield self._front.submit(server.__enter__).result()
        finally:
            server.__exit__(None, None, None)

    def load(self, server: Running, options: Options) -> Future[Result]:
        """Start the load generator and return its future result."""
        return self._front.submit(generator.run, self._program, server, options)


def beside_a_load(play: Callable[[Stage, Options], Result]) -> Play:
    """Run a play on the load generator's core at idle priority, so that the play does not change the latencies."""
    return _staged(play, _stand_back)


def alone(play: Callable[[Stage, Options], Result]) -> Play:
    """Run a play on the load generator's core."""
    return _staged(play, _stand_apart)


def _staged(play: Callable[[Stage, Options], Result], stand: Callable[[], None]) -> Play:
    @functools.wraps(play)
    def on_a_thread(program: Path, options: Options) -> Result:
        with ThreadPoolExecutor(1) as front, ThreadPoolExecutor(1, initializer=stand) as back:
            return back.submit(play, Stage(program, front), options).result()

    return on_a_thread


def _stand_apart() -> None:
    os.sched_setaffinity(0, {int(GENERATOR_CORE)})


def _stand_back() -> None:
    """Give this thread idle priority (SCHED_IDLE). The thread cannot raise its priority again."""
    _stand_apart()
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def configured(**variables: object) -> Kind:
    """Return the server with additional settings."""
    texts = {name: str(value) for name, value in variables.items()}
    return replace(SOKETPY, environment={**SOKETPY.environment, **texts})


def memory(server: Running, kind: str = "VmRSS") -> int:
    """Return the resident memory of the server in KiB, or its peak (VmHWM)."""
    lines = Path(f"/proc/{server.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(kind))


def forget_peak(server: Running) -> None:
    """Reset the peak of the server's memory to its current value: proc(5), clear_refs."""
    Path(f"/proc/{server.pid}/clear_refs").write_text("5")


def open_files(server: Running) -> int:
    """Return the number of open files of the server, including its sockets."""
    return len(os.listdir(f"/proc/{server.pid}/fd"))
