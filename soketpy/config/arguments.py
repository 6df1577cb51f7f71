"""The settings that a program gives to ``Server``. They follow the rules of a file, and errors name the argument."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from soketpy.config.build import check_admin, check_neighbours, check_ports, check_proxy_protocol
from soketpy.config.errors import guess
from soketpy.config.registry import CONFIG
from soketpy.config.settings import DEFAULT_APP, Settings
from soketpy.config.tree import ConfigNode, Position
from soketpy.config.values import convert
from soketpy.core.apps import App, StaticApps, app_fields
from soketpy.core.fields import Field, fields_of

_NOWHERE = Position("")


def settings_of(settings: Settings | None, overrides: Mapping[str, Any]) -> Settings:
    """Return the settings with the overrides. A list in the place of a tuple becomes a tuple.

    Raise TypeError for an unknown name or a value of another type. Raise ConfigError, which is a ValueError, for a
    value that a file could not have either, and for several workers. Raise ValueError for two apps with one id or key.
    """
    if not isinstance(settings, Settings | None):
        raise TypeError(f"Server takes Settings, not {type(settings).__name__}")
    names = [each.name for each in fields(Settings)]
    for name in overrides:
        if name not in names:
            raise TypeError(f"Server has no setting {name!r}{guess(name, names)}")
    given = replace(settings or Settings(), **overrides)
    checked: Settings = replace(_checked(given, ""), apps=_apps(given.apps))
    if checked.registry.driver != CONFIG:
        if checked.apps not in ((), (DEFAULT_APP,)):
            raise checked.mistake("apps", f"given while registry.driver is {checked.registry.driver}")
        checked = replace(checked, apps=())
    check_neighbours(replace(checked, positions={}))
    check_ports(checked)
    check_admin(checked)
    check_proxy_protocol(checked)
    if checked.workers != 1:
        raise checked.mistake("workers", "a Server is one process; `soketpy start` starts several workers")
    return checked


def _checked(group: Any, prefix: str) -> Any:
    """Return a group of settings, each with the type of its field."""
    values: dict[str, object] = {}
    of: type = type(group)
    for name, field in fields_of(of).items():
        value, path = getattr(group, name), prefix + name
        if field.is_group:
            if not isinstance(value, field.type):
                raise TypeError(f"{path} must be a {field.type.__name__}, not {type(value).__name__}")
            values[name] = _checked(value, f"{path}.")
        elif field.type is not App and (value != field.default or type(value) is not type(field.default)):
            values[name] = _value(field, value, path)
    return replace(group, **values) if values else group


def _value(field: Field, value: object, path: str) -> object:
    if field.auto is not None and type(value) is int and value == field.auto:
        return value
    if not (field.many or field.one_or_many) and not isinstance(value, bool | int | float | str | None):
        raise TypeError(f"{path} must be {field.describe()}, not {type(value).__name__}")
    return convert(field, _node(value, path), path)


def _node(value: object, path: str) -> ConfigNode:
    if isinstance(value, list | tuple):
        return ConfigNode([_node(each, path) for each in value], _NOWHERE)
    if not isinstance(value, bool | int | float | str | None):
        raise TypeError(f"{path} must not have a {type(value).__name__} in it")
    return ConfigNode(value, _NOWHERE)


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
    convert(app_fields()["id"], ConfigNode(app.id, _NOWHERE), f"{path}.id")
    for at, pair in enumerate(app.keys):
        for name in ("key", "secret"):
            convert(app_fields()[name], ConfigNode(getattr(pair, name), _NOWHERE), f"{path}.keys[{at}].{name}")
