"""Workers that do not answer: they are reported, and killed after some time, so that others can replace them.

A worker that hangs or is stopped keeps its listening socket, and the system gives it new connections, which wait there.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable

from soketpy.process.worker_process import WorkerProcess

log = logging.getLogger("soketpy.workers")

TICK = 1.0
"""Seconds between two looks at the workers."""

LATE = 1.0
"""Seconds of delay of this process after which its clock proves nothing: the whole machine may have been suspended."""


class SilenceWatch:
    """Watches for how long each worker has not answered, and kills a worker after ``patience`` seconds (0: never).

    Only ticks that are on time count. If this process itself was late, the workers may not have run either, so their
    silence is counted from 0 again.
    """

    def __init__(self, workers: Callable[[], Iterable[WorkerProcess]], patience: float) -> None:
        self._workers = workers
        self._patience = patience

    async def run(self) -> None:
        """Watch until the task is cancelled."""
        clock = asyncio.get_running_loop().time
        before = clock()
        while True:
            await asyncio.sleep(TICK)
            before, elapsed = clock(), clock() - before
            self.look(elapsed)

    def look(self, elapsed: float) -> None:
        """Look at all workers, ``elapsed`` seconds after the last look."""
        late = elapsed > TICK + LATE
        for each in self._workers():
            if late or not each.owes_answer:
                each.silence = 0.0
                continue
            was_silent = each.silent
            each.silence += elapsed
            if 0 < self._patience <= each.silence:
                each.kill_silent()
            elif each.silent and not was_silent:
                log.warning(
                    "%(worker)s has not answered for %(seconds)d s: new clients that the system gives to it must wait",
                    {"event": "worker_silent", "worker": each, "pid": each.pid, "seconds": each.silence},
                )
