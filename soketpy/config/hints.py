"""Hints for unknown names: the group of a setting, or soketpy's name for a setting of soketi."""

from collections.abc import Iterator, Mapping

from soketpy.config.errors import guess
from soketpy.config.soketi.names import APP_NAMES, APP_VARIABLES
from soketpy.core.apps import app_fields, limit_fields
from soketpy.core.fields import Field, either

URL = "; write {host} and {port} instead of a URL; tls, username, password and {database} are settings of their own"
DATABASES = {"redis": "db", "postgres": "database", "mysql": "database"}
"""The groups of servers that are often given as a URL, and the setting that names the database."""


def hint(name: str, path: tuple[str, ...], settings: Mapping[str, Field], known: tuple[str, ...]) -> str:
    """Return the end of the error for an unknown name in the group at ``path``.

    ``settings`` are all settings by their dotted paths, and ``known`` the names of the group.
    """
    flat = {each.replace(".", "_"): each for each in settings if "." in each}
    if not path and (meant := flat.get(name.replace(".", "_"))):
        group, _, inner = meant.partition(".")
        return f"; write {inner} under {group}:"
    group, _, last = "_".join((*path, name)).replace(".", "_").rpartition("_")
    if last == "url" and group in DATABASES:
        where = "" if path else f" under {group}:"
        return URL.format(host="host", port=f"port{where}", database=DATABASES[group])
    ours = APP_NAMES.get(name, name)
    places = list(_places(ours, path, settings))
    return f"; write {ours} {either(places)}" if places else guess(name, known)


def hint_of_app(name: str) -> str:
    """Return the end of the error for an unknown name of an app's field."""
    ours = APP_NAMES.get(name)
    return f"; did you mean {ours}?" if ours is not None else guess(name, app_fields())


def hint_of_variable(rest: str, known: Mapping[str, str], prefix: str) -> str | None:
    """Return the end of the error for an unknown variable: a group, a URL or a field of soketi's app. None for others.

    ``rest`` is the name without the prefix. ``known`` has the path of each variable.
    """
    group = rest.removesuffix("_URL").lower()
    if rest.endswith("_URL") and group in DATABASES:
        names = {name: f"{prefix}{group.upper()}_{name.upper()}" for name in ("host", "port")}
        return URL.format(**names, database=DATABASES[group])
    if field := APP_NAMES.get(APP_VARIABLES.get(f"DEFAULT_{rest}", "")):
        return f"; did you mean {prefix}APP_{field.upper()}?"
    if f"{prefix}APP_{rest}" in known:
        return f"; did you mean {prefix}APP_{rest}?"
    inner = [name for name, path in known.items() if path.partition(".")[0] == rest.lower() and "." in path]
    enabled = f"{prefix}{rest}_ENABLED"
    if not inner or rest == "APPS":
        return None
    return f"; did you mean {enabled}?" if enabled in inner else f"; write a setting of it, such as {inner[0]}"


def _places(name: str, path: tuple[str, ...], settings: Mapping[str, Field]) -> Iterator[str]:
    """Yield each group that has a setting of this name, for the error."""
    if name in limit_fields():
        yield "under app_defaults:"
    elif name in app_fields():
        yield "in an item of apps:"
    for each in settings:
        group, _, inner = each.rpartition(".")
        if inner == name and group not in ("app_defaults", ".".join(path)):
            yield f"under {group}:" if group else "at the top of the file"
