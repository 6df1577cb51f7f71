"""The sources of settings and their precedence: flags, SOKETPY_*, SOKETI_*, the file, the defaults."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from soketpy.config.build import build
from soketpy.config.draft import APP_DEFAULTS, Draft, default_app, read_table, setting_fields
from soketpy.config.environment import check_path, read_environment
from soketpy.config.errors import ConfigError
from soketpy.config.files import check_is_file, read_file
from soketpy.config.problems import Problems
from soketpy.config.registry import CONFIG
from soketpy.config.settings import Settings
from soketpy.config.soketi.detection import is_soketi
from soketpy.config.soketi.names import DATABASE_DEFAULTS, ID_OF_DEFAULT_APP
from soketpy.config.soketi.reader import SoketiDraft, read_soketi_environment, read_soketi_file
from soketpy.config.tree import ConfigNode, Position


def load(path: str | None, environ: Mapping[str, str], flags: Mapping[str, object]) -> Settings:
    """Return the settings of a file (if any), environment variables and flags.

    The names in ``flags`` are dotted paths. Every source is read and checked before they are merged, so that a mistake
    is an error even if another source wins. Raise ConfigError, with the position and the setting of each mistake.
    """
    reading = read(path, environ, flags)
    reading.problems.check()
    return reading.settings


@dataclass(frozen=True, slots=True)
class Reading:
    """The settings, what they were built from, and the mistakes, in whose places the settings have defaults."""

    settings: Settings
    draft: Draft
    problems: Problems


def read(path: str | None, environ: Mapping[str, str], flags: Mapping[str, object]) -> Reading:
    """Return what the sources give, as ``load`` does, with the mistakes.

    Raise ConfigError with all mistakes if the file cannot be read, or is not YAML or JSON.
    """
    problems, unread = Problems(), Problems()
    with problems.noted():
        check_path(environ)
    file = SoketiDraft()
    with unread.noted():
        file = file if path is None else _read_file(path)
    sources = [] if path is None else [path]
    soketi, soketi_count = read_soketi_environment(environ, file)
    own, own_count = read_environment(environ)
    layers = (file.draft, soketi.draft, own, _read_flags(flags))
    problems.join(unread)
    for layer in layers:
        problems.join(layer.problems)
    if unread.found:
        problems.check()
    merged = _merge(Draft(), layers, problems)
    is_sure = problems.is_sure()
    for each in (file, soketi):
        each.settle(merged)
        if is_sure:
            problems.join(each.draft.problems)
    defaults = _defaults_of_soketi(merged) if file.soketi or soketi_count else Draft()
    draft, ignored = _merge(defaults, layers, problems), (*file.ignored, *soketi.ignored)
    if count := soketi_count + own_count:
        sources.append(f"{count} environment variable{'s' if count > 1 else ''}")
    if flags:
        sources.append("flags")
    apps_in_file = bool(file.draft.apps or file.draft.changes)
    settings = replace(build(draft, problems), sources=tuple(sources), ignored=ignored, apps_in_file=apps_in_file)
    return Reading(settings, draft, problems)


def log_format(path: str | None, environ: Mapping[str, str]) -> str | None:
    """Return the written ``log.format``, also of a configuration with mistakes in other settings. Never raises."""
    if (given := environ.get("SOKETPY_LOG_FORMAT")) is not None:
        return given
    try:
        check_is_file(path)
        group = None if path is None else read_file(path).get("log")
    except ConfigError:
        return None
    if group is None or not isinstance(group.value, dict) or "format" not in group.value:
        return None
    return str(group.value["format"].value)


def _read_file(path: str) -> SoketiDraft:
    table = read_file(path)
    return read_soketi_file(table) if is_soketi(table) else SoketiDraft(read_table(table))


def _merge(lowest: Draft, layers: Sequence[Draft], problems: Problems) -> Draft:
    for layer in layers:
        with problems.noted():
            lowest = layer.over(lowest)
    return lowest


def _defaults_of_soketi(merged: Draft) -> Draft:
    """Return the defaults in which soketi differs. Every other source overrides them."""
    defaults: dict[str, bool | str] = {f"{APP_DEFAULTS}.numeric_ids": True}
    driver = merged.values.get("registry.driver")
    if driver is not None and driver.value in DATABASE_DEFAULTS:
        defaults |= {f"{driver.value}.{name}": text for name, text in DATABASE_DEFAULTS[str(driver.value)].items()}
    draft = Draft()
    for path, value in defaults.items():
        draft.put(path, ConfigNode(value, Position("soketi's defaults")))
    if driver is None or driver.value == CONFIG:
        draft.apps = [default_app(id=ID_OF_DEFAULT_APP)]
    return draft


def _read_flags(flags: Mapping[str, object]) -> Draft:
    draft = Draft()
    for path, value in flags.items():
        position = Position("--" + path.replace("_", "-").replace(".", "-"), name="")
        with draft.problems.noted(path.rpartition(".")[0]):
            if path not in setting_fields() or not isinstance(value, bool | int | float | str | None):
                raise position.error("", "no such flag")
            draft.put(path, ConfigNode(value, position, loose=True))
    return draft
