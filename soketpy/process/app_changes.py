"""The announcement of changed apps to the other nodes of a cluster."""

import asyncio
import logging

from soketpy.config import Settings
from soketpy.core.containment import contain
from soketpy.core.ports import Unavailable

log = logging.getLogger("soketpy.apps")

STOP_TIMEOUT = 2.0
"""Seconds that the last announcements may take when the process stops. Other nodes then read the changes later."""


async def announce(settings: Settings, app_id: str | None) -> None:
    """Tell all nodes of a cluster over Redis that an app has changed. Raise Unavailable if that is not possible.

    Other servers notice the change by their database, or within ``registry.cache_seconds``.
    """
    if settings.cluster != "redis":
        return
    from soketpy.drivers.redis import app_changes
    from soketpy.process.redis_address import connector_of

    await app_changes.announce(connector_of(settings), settings.redis.prefix, app_id)


class Announcer:
    """Tells the nodes of a cluster, in the background, which apps this process has changed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._waiting: dict[str | None, None] = {}
        self._running: asyncio.Task[None] | None = None

    def announce(self, app_id: str | None) -> None:
        """Announce a change of an app as soon as possible. Never blocks and never raises."""
        self._waiting[app_id] = None
        if self._running is None:
            self._running = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while self._waiting:
            app_id = next(iter(self._waiting))
            del self._waiting[app_id]
            try:
                await announce(self._settings, app_id)
            except Unavailable as fault:
                log.warning(
                    "A change of app %(app)s reaches the other nodes later, when they read it: %(reason)s",
                    {"event": "app_change_not_announced", "app": app_id, "reason": fault},
                )
            except Exception as fault:
                contain(log, fault, "A change of app %s could not be announced", app_id)
        self._running = None

    async def stop(self) -> None:
        """Announce the last changes, for some seconds."""
        if (running := self._running) is not None:
            await asyncio.wait([running], timeout=STOP_TIMEOUT)
            if running.cancel():
                await asyncio.wait([running])
