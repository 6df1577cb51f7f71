"""The delay of the event loop: how late a timer runs, because other callbacks run for too long."""

import asyncio

from soketpy.core.histograms import Histogram

INTERVAL = 0.1
"""Seconds between two runs of the timer."""


class LoopDelay:
    """Measures the delay of an event loop from ``start`` to ``stop``."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.delays = Histogram()
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to measure."""
        due = self._loop.time() + INTERVAL
        self._timer = self._loop.call_at(due, self._run, due)

    def stop(self) -> None:
        """Measure no longer."""
        if self._timer is not None:
            self._timer.cancel()

    def _run(self, due: float) -> None:
        self.delays.count(max(0.0, self._loop.time() - due))
        self.start()
