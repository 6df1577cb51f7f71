"""What signals ask of a server: to stop, even while it starts, to read its configuration anew, to renew its workers."""

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from soketpy.config import ConfigError, Settings
from soketpy.config.effects import cautions
from soketpy.core.fields import differing
from soketpy.process.log import quantity

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


class Configuration:
    """The configuration of a running server, which SIGHUP reads again."""

    def __init__(
        self, settings: Settings, read: Callable[[], Settings], give: Callable[[Settings], int | None]
    ) -> None:
        """Begin with the settings of the start. ``give`` applies new apps and returns how many clients it closes.

        ``give`` returns None where other processes close the clients and log it.
        """
        self._at_start = self._latest = settings
        self._read = read
        self._give = give

    def read_anew(self) -> None:
        """Read the configuration and apply its apps. Keep the old one, and log why, if the new one is broken.

        A file that has no apps any more is broken too: it may be half-written, and all clients would be closed.
        """
        try:
            settings = self._read()
            self._check_apps(settings)
            closing = self._give(settings)
        except (ConfigError, ValueError, OSError) as fault:
            log.error("Kept the old configuration, since the new one is broken: %s", fault)  # noqa: TRY400 - no traceback
            return
        closed = f"; {closing_clients(closing)}" if closing else ""
        waiting = _waiting(self._at_start, settings)
        log.info("Read the configuration anew: %s%s%s", quantity(len(settings.apps), "app"), closed, waiting)
        known = set(cautions(self._latest))
        for caution in cautions(settings):
            if caution not in known:
                log.warning("%s", caution)
        self._latest = settings

    def _check_apps(self, settings: Settings) -> None:
        if self._latest.apps_in_file and not settings.apps_in_file:
            raise ConfigError(f"{settings.sources[0]}: has no apps any more, and all clients would be closed")


def closing_clients(number: int) -> str:
    """Return the part of a log line that says how many clients are closed by new apps, and why."""
    return f"closing {quantity(number, 'client')} of removed or disabled apps and of removed keys"


def _waiting(serving: Settings, settings: Settings) -> str:
    names = [name for name in differing(serving, settings) if name != "apps"]
    return f"; {', '.join(names)} wait{'s' if len(names) == 1 else ''} for a restart" if names else ""
