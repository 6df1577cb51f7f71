"""The apps that a command may use: those of the configuration, or some of its database."""

from typing import TYPE_CHECKING

from soketpy.cli.faults import Failure, Mistake

if TYPE_CHECKING:
    from collections.abc import Sequence

    from soketpy import App
    from soketpy.config import Settings


def apps_of(settings: "Settings", app_id: str | None, key: str | None = None) -> "Sequence[App]":
    """Return the apps with this id or key, or more: all apps of a configuration are returned.

    With a database, the id or the key must be known, because the first app could be that of anybody. Keys that have
    ended are left out. Raise Mistake without an id and a key, and Failure if the database cannot be used or an entry is
    no valid app.
    """
    if not _is_in_database(settings):
        return settings.apps
    if app_id is None and key is None:
        raise Mistake("the apps are in a database: give --app-id")
    import asyncio

    return asyncio.run(_read(settings, [] if app_id is None else [app_id], [] if key is None else [key]))


def place_of(settings: "Settings") -> str:
    """Return in words where the apps are."""
    return "in the database" if _is_in_database(settings) else "in the configuration"


def _is_in_database(settings: "Settings") -> bool:
    from soketpy.config.registry import CONFIG

    return settings.registry.driver != CONFIG


async def _read(settings: "Settings", ids: "Sequence[str]", keys: "Sequence[str]") -> "Sequence[App]":
    import time
    from dataclasses import replace

    from soketpy.cli.admin_calls import opened
    from soketpy.core.app_registry import BrokenApp

    found: list[App] = []
    async with opened(settings) as registry:
        await registry.start(lambda _: None)
        for entry in await registry.fetch(ids, keys):
            if isinstance(entry, BrokenApp):
                raise Failure(f"app {entry.id} in the database is not valid: {entry.problem}")
            valid = tuple(each for each in entry.keys if each.ends_at is None or each.ends_at > time.time())
            if not valid:
                raise Failure(f"every key of app {entry.id} in the database has ended")
            found.append(replace(entry, keys=valid))
    return found
