"""The apps of a database in a running server: their cache, and the start of their registry."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from soketpy.config import Settings
from soketpy.core.app_registry import RegistryRefused, RegistryUnavailable
from soketpy.core.ports import Unreachable
from soketpy.process.registries import PRODUCTS, Adapt, registry_of
from soketpy.registry.cache import CachedApps

log = logging.getLogger("soketpy.apps")

PAUSE = 1.0
"""Seconds between two attempts to open the registry at the start."""


def cached_apps(settings: Settings, adapt: Adapt | None = None) -> CachedApps:
    """Return the apps of a database, which are not loaded yet. ``adapt`` changes each app that is read.

    Raise ConfigError if the libraries of the driver are missing.
    """
    given = settings.registry
    return CachedApps(
        registry_of(settings, adapt), ttl=given.cache_seconds, unknown_ttl=given.unknown_seconds, size=given.cache_size
    )


async def open_apps(settings: Settings, start: Callable[[], Awaitable[None]]) -> None:
    """Call ``start``, which opens the database of apps, until it succeeds. Log the first failed attempt.

    Raise Unreachable if the database cannot be used within ``registry.start_timeout``.
    """
    loop, name = asyncio.get_running_loop(), PRODUCTS[settings.registry.driver]
    patience, reason = settings.registry.start_timeout, ""
    deadline = loop.time() + patience
    while True:
        try:
            async with asyncio.timeout_at(deadline):
                await start()
        except RegistryRefused as fault:
            raise Unreachable(f"The apps in {name} cannot be used: {fault}") from None
        except RegistryUnavailable as fault:
            left = deadline - loop.time()
            if left <= 0:
                raise Unreachable(f"The apps in {name} cannot be read: {fault}") from None
            if not reason:
                log.warning(
                    "The apps in %(database)s cannot be read: %(reason)s; trying again for %(seconds)g s",
                    {"event": "apps_not_read", "database": name, "reason": fault, "seconds": patience},
                )
            reason = str(fault)
            await asyncio.sleep(min(PAUSE, left))
        except TimeoutError:
            reason = reason or f"no answer within {patience:g} s"
            raise Unreachable(f"The apps in {name} cannot be read: {reason}") from None
        else:
            return
