"""What signals ask of a server: to stop, even while it starts, to read its configuration anew, to renew its workers."""

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from soketpy.config import ConfigError, Settings
from soketpy.config.rows import differing
from soketpy.log import quantity

log = logging.getLogger("soketpy")

T = TypeVar("T")


class Signals:
    """The signals of this process, none of which ends it from now on. ``stopped`` is set by SIGTERM and SIGINT."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._early: set[signal.Signals] = set()
        self.stopped = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self.stopped.set)
        for number in (signal.SIGHUP, signal.SIGUSR2):
            self._loop.add_signal_handler(number, self._early.add, number)

    async def unless_stopped(self, starting: Coroutine[Any, Any, T]) -> T | None:
        """What has started; None if it is to stop before."""
        started = await unless(self.stopped, starting)
        if started is None:
            log.info("Stopping: it has not started yet")
        return started

    def obey(self, *, reload: Callable[[], None], renew: Callable[[], None]) -> None:
        """Do so at SIGHUP and at SIGUSR2, and at once for those that came while it started."""
        for number, act in ((signal.SIGHUP, reload), (signal.SIGUSR2, renew)):
            self._loop.add_signal_handler(number, act)
            if number in self._early:
                act()


async def unless(stopped: asyncio.Event, starting: Coroutine[Any, Any, T]) -> T | None:
    """What has started; None if ``stopped`` is set before: then starting is cancelled, and cleans up after itself."""
    start, stop = asyncio.ensure_future(starting), asyncio.ensure_future(stopped.wait())
    try:
        await asyncio.wait([start, stop], return_when=asyncio.FIRST_COMPLETED)
    finally:
        stop.cancel()
        start.cancel()  # no more than a word to one that is done
        await asyncio.wait([start])
    return None if start.cancelled() else start.result()


def read_anew(serving: Settings, read: Callable[[], Settings], give: Callable[[Settings], None]) -> None:
    """Read the configuration and give it to who serves by it; where it is broken, all stays as it was.

    ``serving`` is what it was at the start: what differs besides the apps has no effect before the next one.
    """
    try:
        settings = read()
        give(settings)
    except (ConfigError, ValueError, OSError) as fault:
        log.error("Kept the old configuration, since the new one is broken: %s", fault)  # noqa: TRY400 - no traceback
    else:
        log.info("Read the configuration anew: %s%s", quantity(len(settings.apps), "app"), _waiting(serving, settings))


def _waiting(serving: Settings, settings: Settings) -> str:
    names = [name for name in differing(serving, settings) if name != "apps"]
    return f"; {', '.join(names)} wait{'s' if len(names) == 1 else ''} for a restart" if names else ""
