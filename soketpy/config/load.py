"""The sources of settings and their precedence: flags, SOKETPY_*, SOKETI_*, the file, the defaults."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from soketpy.config.build import build
from soketpy.config.draft import APP_DEFAULTS, APPS, NO_WEBHOOKS, Draft, read_table, setting_fields
from soketpy.config.environment import check_path, read_environment
from soketpy.config.errors import ConfigError, quote
from soketpy.config.files import read_file
from soketpy.config.settings import Settings
from soketpy.config.soketi import SoketiDraft, read_soketi_environment, read_soketi_file
from soketpy.config.soketi_names import APPS_PATH, BY_PATH, WEBHOOKS
from soketpy.config.tree import ConfigNode, Position


def load(path: str | None, environ: Mapping[str, str], flags: Mapping[str, object]) -> Settings:
    """Return the settings of a file (if any), environment variables and flags.

    The names in ``flags`` are dotted paths. Every source is read and checked before they are merged, so that a mistake
    is an error even if another source wins. Raise ConfigError: one line with the position and the setting.
    """
    check_path(environ)
    file = SoketiDraft() if path is None else _read_file(path)
    sources = [] if path is None else [path]
    soketi, soketi_count = read_soketi_environment(environ, file)
    own, own_count = read_environment(environ)
    ignored = (*file.ignored, *soketi.ignored)
    draft = _defaults_of_soketi() if file.soketi or soketi_count else Draft()
    for layer in (file.draft, soketi.draft, own, _read_flags(flags)):
        draft = layer.over(draft)
    if count := soketi_count + own_count:
        sources.append(f"{count} environment variable{'s' if count > 1 else ''}")
    if flags:
        sources.append("flags")
    apps_in_file = bool(file.draft.apps or file.draft.changes)
    return replace(build(draft), sources=tuple(sources), ignored=ignored, apps_in_file=apps_in_file)


def is_soketi(table: dict[str, ConfigNode]) -> bool:
    """Return whether a file is in soketi's names.

    It is if it has a name that only soketi has, or a name with dots. Names that both have (host, port, and most of cors
    and metrics) decide nothing: a file with only these names has the same meaning in both. Raise ConfigError for a file
    with names of both.
    """
    ours, theirs = _prefixes(setting_fields()), _prefixes((*BY_PATH, APPS_PATH))
    own: tuple[str, ConfigNode] | None = None
    soketis: tuple[str, ConfigNode] | None = None
    for name, node in table.items():
        for path, each in _first_names(name, node):
            if path in theirs and (path not in ours or "." in name):
                soketis = soketis or (name if "." in name else path, each)
            elif path in ours and path not in theirs:
                own = own or (path, each)
    if own and soketis:
        raise _mixed(*own, *soketis)
    return soketis is not None


def _mixed(own: str, own_node: ConfigNode, soketis: str, node: ConfigNode) -> ConfigError:
    """Return the error for a file with names of both. The error names what to write instead of soketi's name."""
    at = node.at
    if soketis == WEBHOOKS:
        return at.error(WEBHOOKS, NO_WEBHOOKS)
    path = soketis
    while path not in BY_PATH and path != APPS_PATH and isinstance(node.value, dict) and node.value:
        name, node = next(iter(node.value.items()))
        path = f"{path}.{name}"
    ours = APPS if path == APPS_PATH else BY_PATH[path].to if path in BY_PATH else ""
    instead = f"write {ours} instead of {quote(path)}" if ours else f"leave out {quote(path)}"
    kinds = f"{quote(path)} is a name of soketi's, and {own} ({own_node.at}) is one of soketpy's"
    return at.error("", f"{kinds}; a file has names of one kind: {instead}")


def _first_names(name: str, node: ConfigNode) -> Iterator[tuple[str, ConfigNode]]:
    if "." in name:
        yield name.partition(".")[0], node
        return
    yield name, node
    if isinstance(node.value, dict):
        for inner, each in node.value.items():
            yield f"{name}.{inner}", each


def _prefixes(paths: Iterable[str]) -> set[str]:
    parts = [path.split(".") for path in paths]
    return {part[0] for part in parts} | {".".join(part[:2]) for part in parts}


def _read_file(path: str) -> SoketiDraft:
    table = read_file(path)
    return read_soketi_file(table) if is_soketi(table) else SoketiDraft(read_table(table))


def _defaults_of_soketi() -> Draft:
    """Return the defaults in which soketi differs. Every other source overrides them."""
    draft = Draft()
    draft.put(f"{APP_DEFAULTS}.numeric_ids", ConfigNode(True, Position("soketi's defaults")))
    return draft


def _read_flags(flags: Mapping[str, object]) -> Draft:
    draft = Draft()
    for path, value in flags.items():
        position = Position("--" + path.replace("_", "-").replace(".", "-"), name="")
        if path not in setting_fields() or not isinstance(value, bool | int | float | str | None):
            raise position.error("", "no such flag")
        draft.put(path, ConfigNode(value, position, loose=True))
    return draft
