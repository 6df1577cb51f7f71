"""The signals of a server: stop (also during the start), reload the configuration, and renew the workers."""

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from soketpy.config import ConfigError, Settings
from soketpy.config.cautions import cautions
from soketpy.config.changes import changed_settings, changes, several
from soketpy.process.log import quantity
from soketpy.process.registries import described, is_in_database
from soketpy.process.reloads import Reloads

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

    def _stop(self) -> None:
        (self.hurried if self.stopped.is_set() else self.stopped).set()

    async def unless_stopped(self, starting: Coroutine[Any, Any, T]) -> T | None:
        """Return the result of the start, or None if a signal stops the process before the start is complete."""
        started = await unless(self.stopped, starting)
        if started is None:
            log.info("Stopping before the start was complete", {"event": "start_interrupted"})
        return started

    def obey(self, *, reload: Callable[[], None], renew: Callable[[], None]) -> None:
        """Call ``reload`` at SIGHUP and ``renew`` at SIGUSR2.

        Call them now for signals that arrived during the start.
        """
        for number, act in ((signal.SIGHUP, reload), (signal.SIGUSR2, renew)):
            self._loop.add_signal_handler(number, act)
            if number in self._early:
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


class Configuration:
    """The configuration of a running server. SIGHUP reloads it."""

    def __init__(
        self,
        settings: Settings,
        read: Callable[[], Settings],
        apply: Callable[[Settings], int | None],
        reloads: Reloads | None = None,
    ) -> None:
        """Begin with the settings of the start.

        ``apply`` applies new apps and returns how many clients it closes, or None if other processes close and log
        them. ``reloads`` counts the reloads.
        """
        self._reloads = reloads or Reloads()
        self._at_start = self._latest = settings
        self._read = read
        self._apply = apply

    def reload(self) -> None:
        """Read the configuration and apply its apps. If the new configuration is invalid, log why and keep the old one.

        A file that had apps and has none now is invalid too: it may be half-written, and all clients would be closed.
        """
        try:
            settings = self._read()
            self._check_apps(settings)
            closing = self._apply(settings)
        except (ConfigError, ValueError, OSError) as fault:
            log.error(  # noqa: TRY400
                "Kept the old configuration, because the new one is invalid: %(reason)s",
                {
                    "event": "configuration_refused",
                    "reason": fault.in_one_line() if isinstance(fault, ConfigError) else fault,
                },
            )
            self._reloads.note(applied=False)
            return
        self._reloads.note(applied=True)
        closed = f"; {closing_clients(closing)}" if closing else ""
        waiting = _waiting(self._at_start, settings)
        log.info(
            "Reloaded the configuration: %(applied)s%(closing)s%(waiting)s",
            {
                "event": "configuration_reloaded",
                "applied": self._applied(settings),
                "closing": closed,
                "waiting": waiting,
                "count": closing,
            },
        )
        self._log_changes(settings)
        known = set(cautions(self._latest))
        for caution in cautions(settings):
            if caution not in known:
                log.warning("%(caution)s", {"event": "configuration_warning", "caution": caution})
        self._latest = settings

    def _log_changes(self, settings: Settings) -> None:
        """Log which apps and settings differ from those of the last reload, or that none do."""
        if (changed := changes(self._latest, settings)) is None:
            log.info("Nothing has changed in the configuration", {"event": "configuration_unchanged"})
        else:
            log.info(
                "Changes in the configuration: %(changes)s", {"event": "configuration_changed", "changes": changed}
            )

    def _applied(self, settings: Settings) -> str:
        """Return in words which apps are applied. The database of a running server does not change."""
        if is_in_database(self._at_start):
            return f"{described(self._at_start)} will be read again"
        return quantity(len(settings.apps), "app")

    def _check_apps(self, settings: Settings) -> None:
        if is_in_database(settings) != is_in_database(self._at_start):
            raise settings.mistake("registry.driver", "apps move into or out of a database at a restart only")
        if self._latest.apps_in_file and not settings.apps_in_file:
            raise ConfigError(f"{settings.sources[0]}: has no apps any more, and all clients would be closed")


def closing_clients(number: int) -> str:
    """Return the part of a log line that says how many clients are closed, and why."""
    return f"closing {quantity(number, 'client')} of removed or disabled apps and of removed keys"


def _waiting(serving: Settings, settings: Settings) -> str:
    names = changed_settings(serving, settings)
    if not is_in_database(serving):  # new defaults are already in the apps
        names = [each for each in names if not each.startswith("app_defaults.")]
    return f"; {several(names)} wait{'s' if len(names) == 1 else ''} for a restart" if names else ""
