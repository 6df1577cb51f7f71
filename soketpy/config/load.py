"""Where settings come from, and which source wins: flags, SOKETPY_*, SOKETI_*, the file, the defaults."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from soketpy.config.build import build
from soketpy.config.draft import APP_DEFAULTS, APPS, NO_WEBHOOKS, Draft, read_table, setting_rows
from soketpy.config.environment import check_path, read_environment
from soketpy.config.errors import ConfigError, quote
from soketpy.config.files import read_file
from soketpy.config.settings import Settings
from soketpy.config.soketi import SoketiDraft, read_soketi_environment, read_soketi_file
from soketpy.config.soketi_names import APPS_PATH, BY_PATH, WEBHOOKS
from soketpy.config.tree import Entry, Place, Scalar, Table


def load(path: str | None, environ: Mapping[str, str], flags: Mapping[str, object]) -> Settings:
    """The settings that a file (if any), environment variables and flags give together.

    ``flags`` has dotted paths for names. Every source is read and checked as a whole before one is put over another,
    so a mistake counts even where something else wins. Raises ConfigError: one line with the place and the setting.
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


def is_soketi(table: Table) -> bool:
    """Whether a file is in soketi's names.

    It is as soon as it has a name that only soketi has, or one with dots. Names that both have (host, port, and most
    of cors and metrics) say nothing: a file of these alone means the same in both. Raises ConfigError for a file with
    names of both.
    """
    ours, theirs = _prefixes(setting_rows()), _prefixes((*BY_PATH, APPS_PATH))
    own: tuple[str, Entry] | None = None
    soketis: tuple[str, Entry] | None = None
    for name, entry in table.entries.items():
        for path, each in _first_names(name, entry):
            if path in theirs and (path not in ours or "." in name):
                soketis = soketis or (name if "." in name else path, each)
            elif path in ours and path not in theirs:
                own = own or (path, each)
    if own and soketis:
        raise _mixed(*own, *soketis)
    return soketis is not None


def _mixed(own: str, owns: Entry, soketis: str, entry: Entry) -> ConfigError:
    """Return the error for a file with names of both, which says what to write instead of soketi's name."""
    if soketis == WEBHOOKS:
        return entry.place.error(WEBHOOKS, NO_WEBHOOKS)
    path, node = soketis, entry.node
    while path not in BY_PATH and path != APPS_PATH and isinstance(node, Table) and node.entries:
        name, inner = next(iter(node.entries.items()))
        path, node = f"{path}.{name}", inner.node
    ours = APPS if path == APPS_PATH else BY_PATH[path].to if path in BY_PATH else ""
    instead = f"write {ours} instead of {quote(path)}" if ours else f"leave out {quote(path)}"
    kinds = f"{quote(path)} is a name of soketi's, and {own} ({owns.place}) is one of soketpy's"
    return entry.place.error("", f"{kinds}; a file has names of one kind: {instead}")


def _first_names(name: str, entry: Entry) -> Iterator[tuple[str, Entry]]:
    if "." in name:
        yield name.partition(".")[0], entry
        return
    yield name, entry
    if isinstance(entry.node, Table):
        for inner, each in entry.node.entries.items():
            yield f"{name}.{inner}", each


def _prefixes(paths: Iterable[str]) -> set[str]:
    parts = [path.split(".") for path in paths]
    return {part[0] for part in parts} | {".".join(part[:2]) for part in parts}


def _read_file(path: str) -> SoketiDraft:
    table = read_file(path)
    return read_soketi_file(table) if is_soketi(table) else SoketiDraft(read_table(table))


def _defaults_of_soketi() -> Draft:
    """What soketi does where neither its names nor ours say anything; all that is given goes over it."""
    draft = Draft()
    draft.put((APP_DEFAULTS, "numeric_ids"), Scalar(True, Place("soketi's defaults")))
    return draft


def _read_flags(flags: Mapping[str, object]) -> Draft:
    draft = Draft()
    for path, value in flags.items():
        place = Place("--" + path.replace("_", "-").replace(".", "-"), name="")
        if path not in setting_rows() or not isinstance(value, bool | int | float | str | None):
            raise place.error("", "no such flag")
        draft.put(tuple(path.split(".")), Scalar(value, place, loose=True))
    return draft
