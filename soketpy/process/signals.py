"""The signals of a server: stop (also during the start), reload the configuration, and renew the workers."""

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from soketpy.process.held_signals import release

log = logging.getLogger("soketpy")

T = TypeVar("T")


class Signals:
    """The handlers of four signals, which then do not end this process.

    The first SIGTERM or SIGINT sets ``stopped``, and the second one ``hurried``.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._early: set[signal.Signals] = set()
        self.stopped, self.hurried = asyncio.Event(), asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._stop)
        for number in (signal.SIGHUP, signal.SIGUSR2):
            self._loop.add_signal_handler(number, self._early.add, number)
        release()

    def _stop(self) -> None:
        (self.hurried if self.stopped.is_set() else self.stopped).set()

    async def unless_stopped(self, starting: Coroutine[Any, Any, T]) -> T | None:
        """Return the result of the start, or None if a signal stops the process before the start is complete."""
        started = await unless(self.stopped, starting)
        if started is None:
            log.info("Stopping before the start was complete", {"event": "start_interrupted"})
        return started

    def obey(self, *, reload: Callable[[], None], renew: Callable[[], None]) -> None:
        """Call ``reload`` at SIGHUP and ``renew`` at SIGUSR2, until the server begins to stop.

        Call them now for signals that arrived during the start.
        """
        for number, act in ((signal.SIGHUP, reload), (signal.SIGUSR2, renew)):
            self._loop.add_signal_handler(number, self._unless_stopping, number, act)
            if number in self._early:
                act()

    def _unless_stopping(self, number: signal.Signals, act: Callable[[], None]) -> None:
        """Ignore a signal during the stop: new workers, for example, would close the clients before the drain ends."""
        if self.stopped.is_set():
            log.info(
                "Ignored %(signal)s, because the server is stopping", {"event": "signal_ignored", "signal": number.name}
            )
        else:
            act()


async def unless(stopped: asyncio.Event, starting: Coroutine[Any, Any, T]) -> T | None:
    """Return the result of ``starting``, or cancel it and return None if ``stopped`` is set before it is complete."""
    start, stop = asyncio.ensure_future(starting), asyncio.ensure_future(stopped.wait())
    try:
        await asyncio.wait([start, stop], return_when=asyncio.FIRST_COMPLETED)
    finally:
        stop.cancel()
        start.cancel()  # without effect on a task that is done
        await asyncio.wait([start])
    return None if start.cancelled() else start.result()
