"""From a whole draft to Settings: what belongs together is checked, and what nobody gave has its default."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, cast

from soketpy.config.addresses import meet
from soketpy.config.app_rows import PAIR, default_rows
from soketpy.config.draft import APP_DEFAULTS, APPS, AppDraft, Draft, Found, setting_rows
from soketpy.config.effects import warnings
from soketpy.config.environment import PREFIX as OWN_PREFIX
from soketpy.config.rows import rows
from soketpy.config.settings import DEFAULT_APP, ONE_OF_BOTH, WHY_EXCLUDED, Settings
from soketpy.config.soketi_names import NAMES, PREFIX
from soketpy.config.tree import Place
from soketpy.core.apps import App, Key


def build(draft: Draft) -> Settings:
    """The settings that a draft gives.

    Raises ConfigError for an app without an id, a key or a secret, two apps with the same id or key, and a setting
    that needs another one or excludes it.
    """
    _check_needs(draft)
    _check_excludes(draft)
    defaults = {
        name: draft.values[path].value for name in default_rows() if (path := f"{APP_DEFAULTS}.{name}") in draft.values
    }
    if draft.apps is None:
        apps: tuple[App, ...] = (App(id=DEFAULT_APP.id, keys=DEFAULT_APP.keys, **defaults),)  # type: ignore[arg-type]
    else:
        _check_distinct(draft.apps)
        apps = tuple(_app(app, defaults) for app in draft.apps)
    settings: Settings = _group(Settings, "", draft, apps=apps)
    written = {path: found.place for path, found in draft.values.items()} | dict(_places_of_apps(draft.apps or ()))
    settings = replace(settings, places=written)
    check_ports(settings)
    return replace(settings, warnings=tuple(warnings(settings)))


def _places_of_apps(apps: Iterable[AppDraft]) -> Iterator[tuple[str, Place]]:
    """Yield where the sizes of apps were written, of which there may be warnings: by ``apps``, id and field."""
    for app in apps:
        for name in ("max_event_payload_in_kb", "max_presence_member_size_in_kb"):
            if name in app.values:
                yield f"{APPS}.{app.values['id'].value}.{name}", app.values[name].place


def _group(of: type, prefix: str, draft: Draft, **given: object) -> Any:
    for name, row in rows(of).items():
        path = prefix + name
        if row.is_group:
            given[name] = _group(row.type, f"{path}.", draft)
        elif path in draft.values:
            given[name] = draft.values[path].value
    return of(**given)


def _check_needs(draft: Draft) -> None:
    for path, found in draft.values.items():
        needed = setting_rows()[path].needs
        if needed is None or found.value is None:
            continue
        other = path.rpartition(".")[0] + "." + needed
        if other not in draft.values or draft.values[other].value is None:
            raise found.place.error(path, f"has no effect without {_named_like(found.place, other)}")


def _named_like(place: Place, path: str) -> str:
    """Return what the setting at this path is called where another one was written."""
    soketis = next((each for each in NAMES if each.to == path), None)
    if place.name == "" and place.source.startswith(OWN_PREFIX):
        return OWN_PREFIX + path.upper().replace(".", "_")
    if soketis is None or place.name is None or place.name == path:
        return path
    return PREFIX + soketis.variable if place.name == "" and soketis.variable else soketis.path


def _check_excludes(draft: Draft) -> None:
    """What is none, 0 or empty excludes nothing: it takes back what another source gives."""
    given = {path: found for path, found in draft.values.items() if found.value}
    for path, found in given.items():
        for name in setting_rows()[path].excludes:
            other = f"{path.rpartition('.')[0]}.{name}"
            if other in given:
                raise found.place.error(
                    path, f"given next to {other} ({given[other].place}); {WHY_EXCLUDED.get(other, ONE_OF_BOTH)}"
                )


def check_ports(settings: Settings) -> None:
    """Raise ConfigError if the metrics port is the main port on the same host."""
    metrics = settings.metrics
    if not metrics.enabled or settings.unix_socket is not None or settings.port != metrics.port or metrics.port == 0:
        return
    if meet(settings.host, metrics.host):
        path = "port" if "port" in settings.places and "metrics.port" not in settings.places else "metrics.port"
        raise settings.mistake(path, f"port and metrics.port are both {metrics.port}; give them different ports")


def _app(app: AppDraft, defaults: dict[str, object]) -> App:
    values = {name: found.value for name, found in app.values.items() if name in default_rows()}
    app_id = app.values.get("id")
    if app_id is None:
        raise app.place.error(f"{app.name}.id", "missing")
    keys = tuple(Key(str(key.value), str(secret.value)) for key, secret in _keys(app))
    return App(id=str(app_id.value), keys=keys, **(defaults | values))  # type: ignore[arg-type]


def _keys(app: AppDraft) -> Iterator[tuple[Found, Found]]:
    several = app.values.get("keys")
    given = next((name for name in PAIR if name in app.values), None)
    if several is not None and given is not None:
        raise app.values[given].place.error(
            f"{app.name}.{given}", f"given next to keys ({several.place}); use one of both"
        )
    if several is not None:
        yield from cast(tuple[tuple[Found, Found], ...], several.value)
        return
    for name in PAIR:
        if name not in app.values:
            raise app.place.error(f"{app.name}.{name}", "missing")
    yield app.values["key"], app.values["secret"]


def _check_distinct(apps: list[AppDraft]) -> None:
    ids: dict[object, Place] = {}
    keys: dict[object, Place] = {}
    for app in apps:
        if "id" in app.values:
            _add(ids, app.values["id"], f"{app.name}.id")
        for key, _ in _keys(app):
            _add(keys, key, f"{app.name}.key")


def _add(seen: dict[object, Place], found: Found, path: str) -> None:
    if found.value in seen:
        raise found.place.error(path, f"{found.value!r} is already given at {seen[found.value]}")
    seen[found.value] = found.place
