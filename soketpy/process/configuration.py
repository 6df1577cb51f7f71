"""The configuration of a running server. SIGHUP reloads it."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from soketpy.config import ConfigError, Settings
from soketpy.config.cautions import cautions
from soketpy.config.changes import Changes, changed_settings, changes, several
from soketpy.core.containment import contain
from soketpy.process.log import quantity
from soketpy.process.registries import described, is_in_database
from soketpy.process.reloads import Reloads
from soketpy.process.threads import in_thread

log = logging.getLogger("soketpy")


@dataclass(frozen=True, slots=True)
class _Read:
    """Valid new settings, and their difference to those before."""

    settings: Settings
    changes: Changes | None
    waiting: str
    cautions: list[str]


class Configuration:
    """The configuration of a running server.

    A thread reads and checks the files, so that clients are served during the reload.
    """

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
        self._read_settings = read
        self._apply = apply
        self._asked = False
        self._running: asyncio.Task[None] | None = None

    def reload(self) -> None:
        """Begin a reload. If one is running, another one follows it, so that the newest files are read."""
        self._asked = True
        if self._running is None:
            self._running = asyncio.get_running_loop().create_task(self._reload_when_asked())

    async def settle(self) -> None:
        """Wait until no reload is running."""
        while self._running is not None:
            await asyncio.wait([self._running])

    async def stop(self) -> None:
        """Abandon a running reload."""
        if self._running is not None:
            self._running.cancel()
            await self.settle()

    async def _reload_when_asked(self) -> None:
        try:
            while self._asked:
                self._asked = False
                try:
                    await self._reload()
                except Exception as fault:
                    contain(log, fault, "The configuration could not be reloaded")
        finally:
            self._running = None

    async def _reload(self) -> None:
        """Read the configuration and apply its apps. If the new configuration is invalid, log why and keep the old one.

        A file that had apps and has none now is invalid too: it may be half-written, and all clients would be closed.
        """
        try:
            read = await in_thread(self._read)
            closing = self._apply(read.settings)
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
        self._latest = read.settings
        self._reloads.note(applied=True)
        self._log(read, closing)

    def _read(self) -> _Read:
        """Return the new settings and all that takes long to compute from them. A thread calls this."""
        settings = self._read_settings()
        self._check_apps(settings)
        known = set(cautions(self._latest))
        return _Read(
            settings,
            changes(self._latest, settings),
            _waiting(self._at_start, settings),
            [each for each in cautions(settings) if each not in known],
        )

    def _log(self, read: _Read, closing: int | None) -> None:
        log.info(
            "Reloaded the configuration: %(applied)s%(closing)s%(waiting)s",
            {
                "event": "configuration_reloaded",
                "applied": self._applied(read.settings),
                "closing": f"; {closing_clients(closing)}" if closing else "",
                "waiting": read.waiting,
                "count": closing,
            },
        )
        if read.changes is None:
            log.info("Nothing has changed in the configuration", {"event": "configuration_unchanged"})
        else:
            log.info(
                "Changes in the configuration: %(changes)s",
                {"event": "configuration_changed", "changes": read.changes, **read.changes.fields()},
            )
        for caution in read.cautions:
            log.warning("%(caution)s", {"event": "configuration_warning", "caution": caution})

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
