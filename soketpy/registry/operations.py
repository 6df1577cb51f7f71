"""The operations on the apps of a registry: show, add, change, rotate keys, remove."""

import re
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from soketpy.core.app_registry import DEFAULTS, AppRegistry, BrokenApp, Found, NoSuchApp, RegistryRefused
from soketpy.core.apps import App, Key, app_fields

MOST_KEYS = 10
"""Keys that an app may have after a rotation."""

MOST_NAMED = 3
"""Apps with the same key that a problem names."""

PAGE = 100
"""Most apps of a page."""

LONGEST = 512
"""Characters of an id after which a page begins, at most."""

_SKIP = re.compile(r"([0-9]{1,9}):(.*)")
"""A number of apps to leave out, and the id before them."""

CHANGEABLE: Collection[str] = tuple(name for name in app_fields() if name not in ("id", "key", "secret", "keys"))
"""The fields of an app that may change. A rotation changes the keys, and the id never changes."""


class WrongValue(ValueError):
    """Values that make no valid app. The text is for people to read, and has no secret in it."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some apps in ascending order of their ids. ``next`` is the ``after`` of the next page, or None."""

    apps: Found
    next: str | None


async def page(registry: AppRegistry, after: str = "", limit: int = PAGE) -> Page:
    """Return at most ``limit`` apps. ``after`` is the ``next`` of the page before, or the id of an app.

    Raise RegistryUnavailable.
    """
    found_skip = _SKIP.fullmatch(after)
    skip, least = (int(found_skip[1]), found_skip[2]) if found_skip else (0, after)
    found = await registry.page(least, limit + 1, skip)
    shown = found[:limit]
    return Page(shown, _next(shown, least, skip) if len(found) > limit else None)


def _next(shown: Found, least: str, skip: int) -> str:
    """Return where the page after these apps begins: the last usual id, and the number of apps that follow it.

    A database may change an unusual id when it is read, so that the id cannot be compared with those in the database.
    """
    for following, each in enumerate(reversed(shown)):
        if _is_usual(each.id):
            return f"{following}:{each.id}" if following else each.id
    return f"{skip + len(shown)}:{least}"


def _is_usual(app_id: str) -> bool:
    return 0 < len(app_id) <= LONGEST and app_id.isascii() and app_id.isprintable() and not _SKIP.fullmatch(app_id)


async def find(registry: AppRegistry, app_id: str) -> App | BrokenApp:
    """Return one app. Raise NoSuchApp or RegistryUnavailable."""
    for each in await registry.fetch([app_id], []):
        if each.id == app_id:
            return each
    raise NoSuchApp(app_id)


async def shared_keys(registry: AppRegistry, apps: Found) -> Mapping[str, str]:
    """Return the problem of each app that has the key of another app, by the id of the app.

    A registry that soketpy changes has no such apps. Those of others, such as a table of soketi, may have them.
    """
    wanted = {key for app in apps for key in keys_of(app)}
    if registry.writable is None or not wanted:
        return {}
    owners: dict[str, set[str]] = {}
    for each in await registry.fetch([], wanted):
        for key in wanted.intersection(keys_of(each)):
            owners.setdefault(key, set()).add(each.id)
    problems = {}
    for app in apps:
        others = {each for key in keys_of(app) for each in owners.get(key, ())} - {app.id}
        if others:
            problems[app.id] = f"key: the same key as app {' and app '.join(sorted(others)[:MOST_NAMED])}"
    return problems


def keys_of(app: App | BrokenApp) -> Collection[str]:
    """Return the keys of an app, or those that a broken entry is known to have."""
    return app.keys if isinstance(app, BrokenApp) else [key.key for key in app.keys]


def new_id() -> str:
    """Return an id for a new app: 16 characters, at random."""
    return secrets.token_hex(8)


def new_key(given: Mapping[str, Any]) -> Key:
    """Return the ``key`` and the ``secret`` of a mapping. A missing one is made at random: 20 and 40 characters.

    Raise WrongValue for a secret without its key.
    """
    if "secret" in given and "key" not in given:
        raise WrongValue("secret: has no effect without key")
    return Key(given.get("key") or secrets.token_hex(10), given.get("secret") or secrets.token_hex(20))


async def add(registry: AppRegistry, given: Mapping[str, Any], defaults: Mapping[str, Any]) -> App:
    """Add an app with these fields, and return it. ``defaults`` are values of fields that are not given.

    The fields that are given are stored, and the others are not. A missing id, key or secret is made at random. Raise
    WrongValue, RegistryRefused or RegistryUnavailable.
    """
    fields = {name: value for name, value in given.items() if name in CHANGEABLE}
    try:
        app = App(**{**defaults, **fields, "id": given.get("id") or new_id(), "keys": (new_key(given),)})
    except (TypeError, ValueError) as fault:
        raise WrongValue(_of_field(fault)) from None
    await registry.add(app, tuple(fields))
    return app


async def change(registry: AppRegistry, app_id: str, values: Mapping[str, Any]) -> App:
    """Give fields of an app new values, and return the new app. Raise as ``AppRegistry.change``, or WrongValue.

    The fields in ``values["defaults"]`` have the defaults again. No other field of the entry changes.
    """
    fields = {name: value for name, value in values.items() if name != DEFAULTS}
    return await registry.change(app_id, partial(_changed, fields), tuple(fields), values.get(DEFAULTS, ()))


async def rotate(registry: AppRegistry, app_id: str, key: Key, ends_at: float | None, now: float) -> App:
    """Make ``key`` the first key of an app, and return the new app.

    The older keys end at ``ends_at`` (Unix seconds), or earlier if they have an earlier end. Without ``ends_at`` they
    stay until they are removed. Keys that have ended by ``now`` are removed. Raise as ``AppRegistry.change``.
    """
    return await registry.change(app_id, partial(_rotated, key, ends_at, now))


async def remove_key(registry: AppRegistry, app_id: str, key: str) -> App:
    """Remove one key of an app, and return the new app.

    Raise as ``AppRegistry.change``: NoSuchKey if the app does not have the key, and RegistryRefused if no other key of
    the app stays.
    """
    return await registry.change(app_id, partial(_without_key, key))


class NoSuchKey(RegistryRefused):
    """The app does not have this key."""


def _changed(values: Mapping[str, Any], app: App) -> App:
    try:
        return replace(app, **values)
    except (TypeError, ValueError) as fault:
        raise WrongValue(_of_field(fault)) from None


def _rotated(key: Key, ends_at: float | None, now: float, app: App) -> App:
    same = next((each for each in app.keys if each.key == key.key), None)
    if same is not None:
        ended = same.ends_at is not None and same.ends_at <= now
        raise RegistryRefused(
            f"the app already has this key{', whose end has passed: remove it first' if ended else ''}"
        )
    older = [_ending(each, ends_at) for each in app.keys]
    kept = [each for each in older if each.ends_at is None or each.ends_at > now]
    if len(kept) >= MOST_KEYS:
        raise RegistryRefused(f"the app has {len(kept)} keys: remove one of them first")
    return replace(app, keys=(key, *kept))


def _ending(key: Key, ends_at: float | None) -> Key:
    if ends_at is None or (key.ends_at is not None and key.ends_at <= ends_at):
        return key
    return replace(key, ends_at=ends_at)


def _without_key(key: str, app: App) -> App:
    kept = [each for each in app.keys if each.key != key]
    if len(kept) == len(app.keys):
        raise NoSuchKey("the app does not have this key")
    first = next((each for each in kept if each.ends_at is None), None)
    if first is None:  # a registry stores no end for the first key
        raise RegistryRefused("no other key of the app stays: rotate the keys first")
    return replace(app, keys=(first, *(each for each in kept if each is not first)))


def _of_field(fault: Exception) -> str:
    """Return the error of the constructor of App as that of a field."""
    return str(fault).removeprefix("App.")
