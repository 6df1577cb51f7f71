"""Settings that a program gives to ``Server``: they are held to the rules of a file, and errors name the argument."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from soketpy.config.app_rows import ID, KEY, SECRET
from soketpy.config.build import check_ports
from soketpy.config.errors import guess
from soketpy.config.rows import Row, rows
from soketpy.config.settings import ONE_OF_BOTH, WHY_EXCLUDED, Settings
from soketpy.config.tree import Listing, Node, Place, Scalar
from soketpy.config.values import convert, describe
from soketpy.core.apps import App, StaticApps

_PLACE = Place("", name=None)


def settings_of(settings: Settings | None, overrides: Mapping[str, Any]) -> Settings:
    """Return the settings with the overrides in them. A list in the place of a tuple becomes a tuple.

    Raise TypeError for an unknown name or a value of another type, and ConfigError, which is a ValueError, for a value
    that a file could not have either, and for several workers. Raise ValueError for two apps with one id or key.
    """
    if not isinstance(settings, Settings | None):
        raise TypeError(f"Server takes Settings, not {type(settings).__name__}")
    names = [each.name for each in fields(Settings)]
    for name in overrides:
        if name not in names:
            raise TypeError(f"Server has no setting {name!r}{guess(name, names)}")
    given = replace(settings or Settings(), **overrides)
    checked: Settings = replace(_checked(given, ""), apps=_apps(given.apps))
    check_ports(checked)
    if checked.workers != 1:
        raise checked.mistake("workers", "a Server is one process; `soketpy start` starts several workers")
    return checked


def _checked(group: Any, prefix: str) -> Any:
    """Return a group of settings, each as its row has it."""
    values: dict[str, object] = {}
    of: type = type(group)
    for name, row in rows(of).items():
        value, path = getattr(group, name), prefix + name
        if row.is_group:
            if not isinstance(value, row.type):
                raise TypeError(f"{path} must be a {row.type.__name__}, not {type(value).__name__}")
            values[name] = _checked(value, f"{path}.")
        elif row.type is not App and (value != row.default or type(value) is not type(row.default)):
            values[name] = _value(row, value, path)
    checked = replace(group, **values) if values else group
    for name, row in rows(of).items():
        _check_neighbours(checked, name, row, prefix)
    return checked


def _check_neighbours(group: Any, name: str, row: Row, prefix: str) -> None:
    """Raise ConfigError for a setting without the one that it needs, or next to one that it excludes."""
    value = getattr(group, name)
    if row.needs is not None and value is not None and getattr(group, row.needs) is None:
        raise _PLACE.error(prefix + name, f"has no effect without {prefix}{row.needs}")
    for other in row.excludes:
        if value and getattr(group, other):
            why = WHY_EXCLUDED.get(prefix + other, ONE_OF_BOTH)
            raise _PLACE.error(prefix + name, f"given next to {prefix}{other}; {why}")


def _value(row: Row, value: object, path: str) -> object:
    if row.auto is not None and type(value) is int and value == row.auto:
        return value
    if not (row.many or row.some) and not isinstance(value, bool | int | float | str | None):
        raise TypeError(f"{path} must be {describe(row)}, not {type(value).__name__}")
    return convert(row, _node(value, path), path)


def _node(value: object, path: str) -> Node:
    if isinstance(value, list | tuple):
        return Listing(tuple(_node(each, path) for each in value), _PLACE)
    if not isinstance(value, bool | int | float | str | None):
        raise TypeError(f"{path} must not have a {type(value).__name__} in it")
    return Scalar(value, _PLACE)


def _apps(apps: object) -> tuple[App, ...]:
    if not isinstance(apps, list | tuple):
        raise TypeError(f"apps must be a list or tuple of App, not {type(apps).__name__}")
    for app in apps:
        if not isinstance(app, App):
            raise TypeError(f"apps must be a list or tuple of App, not of {type(app).__name__}")
    for at, app in enumerate(apps):
        _check_credentials(app, f"apps[{at}]")
    StaticApps(apps)
    return tuple(apps)


def _check_credentials(app: App, path: str) -> None:
    """Raise ConfigError for an id, a key or a secret that a file could not have."""
    convert(ID, Scalar(app.id, _PLACE), f"{path}.id")
    for at, pair in enumerate(app.keys):
        convert(KEY, Scalar(pair.key, _PLACE), f"{path}.keys[{at}].key")
        convert(SECRET, Scalar(pair.secret, _PLACE), f"{path}.keys[{at}].secret")
