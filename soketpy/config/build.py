"""The step from a merged draft to Settings: rules between settings are checked, and defaults are filled in."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

from soketpy.config.addresses import Host, meet
from soketpy.config.draft import APP_DEFAULTS, APPS, DEFAULT_POSITION, AppDraft, Draft, Found, setting_fields
from soketpy.config.effects import warnings
from soketpy.config.environment import PREFIX as OWN_PREFIX
from soketpy.config.errors import ConfigError
from soketpy.config.problems import ANY, Problems
from soketpy.config.registry import CONFIG
from soketpy.config.settings import DEFAULT_APP, ONE_OF_BOTH, WHY_EXCLUDED, Settings
from soketpy.config.soketi.names import NAMES, PREFIX
from soketpy.config.tree import Position
from soketpy.core.apps import TABLES, App, Key, limit_fields
from soketpy.core.fields import Field, fields_of, shown

SOKETIS_DRIVER = "appManager.driver"

_NAMED = ("max_event_payload_in_kb", "max_presence_member_size_in_kb", "history")
"""Fields of apps that a warning may name."""


def build(draft: Draft, problems: Problems) -> Settings:
    """Return the settings of a draft. Defaults are in the place of values with mistakes.

    Note an app without an id, a key or a secret, two apps with the same id or key, an app while the apps are in a
    database, and a setting that needs or excludes another one.
    """
    written = {path: found.position for path, found in draft.values.items()}
    for app in draft.apps or ():
        named = f"{APPS}.{app.values['id'].value}" if "id" in app.values else ""
        written |= {f"{named}.{name}": app.values[name].position for name in _NAMED if name in app.values}
    limits = _limits(draft)
    settings: Settings = _group(
        Settings, "", draft, apps=_apps(draft, limits, problems), app_defaults=limits, positions=written
    )
    problems.join(_of_neighbours(settings, problems))
    if problems.is_sure("", "metrics", "admin"):
        with problems.noted(""):
            check_ports(settings)
    if problems.is_sure("admin", "registry"):
        with problems.noted("admin"):
            check_admin(settings)
    if problems.is_sure("", "tls"):
        with problems.noted(""):
            check_proxy_protocol(settings)
    return replace(settings, warnings=(*_unused_apps(draft), *warnings(settings)))


def check_neighbours(settings: Settings) -> None:
    """Raise ConfigError for a setting without the one that it needs, or next to one that it excludes.

    An empty value, 0 and None exclude nothing: with them, one source takes back the value of another.
    """
    _of_neighbours(settings, Problems()).check()


def _of_neighbours(settings: Settings, earlier: Problems) -> Problems:
    """Return the mistakes of ``check_neighbours``, without those in groups that earlier mistakes make unsure."""
    problems = Problems()
    for path, field in setting_fields().items():
        group = path.rpartition(".")[0]
        if group != APP_DEFAULTS and earlier.is_sure(group):
            with problems.noted(group):
                _check_neighbours_of(settings, path, field, group)
    return problems


def _check_neighbours_of(settings: Settings, path: str, field: Field, group: str) -> None:
    value, position = settings.value(path), settings.positions.get(path)
    if field.needs is not None and value is not None and settings.value(f"{group}.{field.needs}") is None:
        raise settings.mistake(path, f"has no effect without {_name_like(position, f'{group}.{field.needs}')}")
    for other in (f"{group}.{name}" for name in field.excludes):
        if value and settings.value(other):
            where = f" ({settings.positions[other]})" if other in settings.positions else ""
            raise settings.mistake(path, f"given next to {other}{where}; {WHY_EXCLUDED.get(other, ONE_OF_BOTH)}")


def check_ports(settings: Settings) -> None:
    """Raise ConfigError if two of the main port, the metrics port and the admin port are the same on one host."""
    ports: list[tuple[str, Host]] = [] if settings.unix_socket is not None else [("port", settings.host)]
    if settings.metrics.enabled:
        ports.append(("metrics.port", settings.metrics.host))
    if settings.admin.enabled:
        ports.append(("admin.port", settings.admin.host))
    for at, (path, host) in enumerate(ports):
        for earlier, other in ports[:at]:
            number = settings.value(path)
            if number and number == settings.value(earlier) and meet(host, other):
                written = earlier if earlier in settings.positions and path not in settings.positions else path
                problem = f"{earlier} and {path} are both {number}; give them different ports"
                raise settings.mistake(written, problem)


def check_proxy_protocol(settings: Settings) -> None:
    """Raise ConfigError for the PROXY protocol next to TLS in the server."""
    if settings.proxy_protocol and settings.tls.cert is not None:
        problem = "not possible with tls.cert: let the proxy end TLS, or turn one of both off"
        raise settings.mistake("proxy_protocol", problem)


def check_admin(settings: Settings) -> None:
    """Raise ConfigError if the admin API is on, and has no token or no database."""
    if settings.admin.enabled and settings.registry.driver == CONFIG:
        problem = "the admin API changes apps in a database, and registry.driver is config"
        raise settings.mistake("admin.enabled", problem)
    if settings.admin.enabled and not settings.admin.tokens:
        raise settings.mistake("admin.enabled", "the admin API needs a token: give admin.tokens")


def _group(of: type, prefix: str, draft: Draft, **given: object) -> Any:
    for name, field in fields_of(of).items():
        path = prefix + name
        if field.is_group:
            given[name] = _group(field.type, f"{path}.", draft)
        elif path in draft.values:
            given[name] = draft.values[path].value
    return of(**given)


def _name_like(position: Position | None, path: str) -> str:
    """Return the name of the setting at ``path`` in the form of another one: a path, a variable or soketi's name."""
    if position is None:
        return path
    if position.name == "" and position.source.startswith(OWN_PREFIX):
        return OWN_PREFIX + path.upper().replace(".", "_")
    soketis = next((each for each in NAMES if each.to == path), None)
    if soketis is None or position.name is None or position.name == path:
        return path
    return PREFIX + soketis.variable if position.name == "" and soketis.variable else soketis.path


def _limits(draft: Draft) -> dict[str, Any]:
    return {
        name: draft.values[path].value for name in limit_fields() if (path := f"{APP_DEFAULTS}.{name}") in draft.values
    }


def _apps(draft: Draft, limits: dict[str, Any], problems: Problems) -> tuple[App, ...]:
    if (driver := _database(draft)) is not None:
        if not _is_soketis(driver.position):
            with problems.noted(APPS):
                _check_none(draft.apps or [], driver)
        return ()
    if draft.apps is None:
        return (replace(DEFAULT_APP, **limits),)
    ids: dict[object, Position] = {}
    keys: dict[object, Position] = {}
    apps: list[App] = []
    for app in draft.apps:
        with problems.noted(APPS):
            if "id" in app.values:
                _check_first(ids, app.values["id"], f"{app.name}.id")
        if app.broken or ANY in problems.unsure:
            continue  # what is missing may be what has a mistake
        with problems.noted(APPS):
            for key, _ in _keys(app):
                _check_first(keys, key, f"{app.name}.key")
        with problems.noted(APPS):
            apps.append(_app(app, limits))
    return tuple(apps)


def _database(draft: Draft) -> Found | None:
    """Return the driver of the registry if the apps are in a database."""
    driver = draft.values.get("registry.driver")
    return None if driver is None or driver.value == CONFIG else driver


def _is_soketis(position: Position) -> bool:
    return position.source.startswith(PREFIX) or position.name == SOKETIS_DRIVER


def _unused_apps(draft: Draft) -> Iterator[str]:
    """Yield lines about apps next to a database that was chosen in soketi's names: soketi ignores such apps.

    There is a line for each variable of the first app, or one for the apps of the file.
    """
    driver = _database(draft)
    if driver is not None and draft.apps and _is_soketis(driver.position):
        app = draft.apps[0]
        variables = {each.position.source: each.position for each in app.values.values() if each.position.name == ""}
        for position in variables.values() or [app.position]:
            problem = f"has no effect while the apps are in a database ({driver.position})"
            yield str(position.error(app.name, problem))


def _check_none(apps: list[AppDraft], driver: Found) -> None:
    """Raise ConfigError for an app of the configuration while the apps are in a database."""
    for app in apps:
        changed = (each.position for each in app.values.values() if each.position != app.position)
        position = next(changed, app.position) if app.position.source == DEFAULT_POSITION.source else app.position
        problem = f"given while registry.driver is {driver.value} ({driver.position}), whose database has the apps"
        raise position.error(app.name, problem)


def _app(app: AppDraft, limits: dict[str, Any]) -> App:
    own = {name: found.value for name, found in app.values.items() if name in limit_fields()}
    if "id" not in app.values:
        raise app.position.error(f"{app.name}.id", "missing")
    keys = tuple(Key(str(key.value), str(secret.value)) for key, secret in _keys(app))
    tables: dict[str, Any] = {name: app.values[name].value for name in TABLES if name in app.values}
    return App(id=str(app.values["id"].value), keys=keys, **tables, **(limits | own))


def _keys(app: AppDraft) -> Iterator[tuple[Found, Found]]:
    several = app.values.get("keys")
    if several is None:
        missing = [name for name in fields_of(Key) if name not in app.values]
        if missing:
            raise ConfigError.of_several([app.position.error(f"{app.name}.{name}", "missing") for name in missing])
        yield app.values["key"], app.values["secret"]
        return
    for name in fields_of(Key):
        if name in app.values:
            problem = f"given next to keys ({several.position}); {ONE_OF_BOTH}"
            raise app.values[name].position.error(f"{app.name}.{name}", problem)
    yield from cast(tuple[tuple[Found, Found], ...], several.value)


def _check_first(seen: dict[object, Position], found: Found, path: str) -> None:
    if found.value in seen:
        raise found.position.error(path, f"{shown(found.value)} is already given at {seen[found.value]}")
    seen[found.value] = found.position
