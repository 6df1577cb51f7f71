"""Where hostile clients play: a server and a load of others, and what shows of the server's process."""

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
    """Starts servers and the load generator, on a thread that does not stand back where the play does."""

    def __init__(self, program: Path, front: ThreadPoolExecutor) -> None:
        self._program = program
        self._front = front
        front.submit(int).result()  # a thread has the priority of who starts it, and this one is not yet back

    @contextmanager
    def server(self, kind: Kind = SOKETPY, port: int = 0) -> Iterator[Running]:
        """A fresh server, which ends with the block. Raises RuntimeError where it does not start."""
        server = running(kind, port)
        try:
            yield self._front.submit(server.__enter__).result()
        finally:
            server.__exit__(None, None, None)

    def load(self, server: Running, options: Options) -> Future[Result]:
        """The load generator, at work from now on."""
        return self._front.submit(generator.run, self._program, server, options)


def beside_a_load(play: Callable[[Stage, Options], Result]) -> Play:
    """Let a play have the load generator's core, but behind it, so that the play does not add to its times."""
    return _staged(play, _stand_back)


def alone(play: Callable[[Stage, Options], Result]) -> Play:
    """Let a play have the load generator's core."""
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
    """Run only where nobody else wants to; that holds for this thread, and cannot be taken back."""
    _stand_apart()
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def configured(**variables: object) -> Kind:
    """The server with some settings of its own."""
    texts = {name: str(value) for name, value in variables.items()}
    return replace(SOKETPY, environment={**SOKETPY.environment, **texts})


def memory(server: Running, kind: str = "VmRSS") -> int:
    """KiB of memory that the server has resident, or had at most (VmHWM)."""
    lines = Path(f"/proc/{server.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(kind))


def forget_peak(server: Running) -> None:
    """Let the most that the server had be what it has now: proc(5), clear_refs."""
    Path(f"/proc/{server.pid}/clear_refs").write_text("5")


def open_files(server: Running) -> int:
    """How many files the server has open, its sockets among them."""
    return len(os.listdir(f"/proc/{server.pid}/fd"))
