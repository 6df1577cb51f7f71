"""The decision whether a file is in soketi's names or in soketpy's."""

from collections.abc import Iterable, Iterator

from soketpy.config.draft import APPS, setting_fields
from soketpy.config.errors import ConfigError, quote_name
from soketpy.config.soketi.names import APPS_PATH, BY_PATH
from soketpy.config.tree import ConfigNode

_TABLES = {path.rpartition(".")[0] for path in BY_PATH}
"""Names of tables of soketi's. ``webhooks.batching`` is a table of soketi's and a single setting of ours."""


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
            only_ours = only_soketis = False
            if path in setting_fields() and path in _TABLES:
                only_soketis = isinstance(each.value, dict)
                only_ours = not only_soketis
            if path in theirs and (path not in ours or "." in name or only_soketis):
                soketis = soketis or (name if "." in name else path, each)
            elif path in ours and (path not in theirs or only_ours):
                own = own or (path, each)
    if own and soketis:
        raise _mixed(*own, *soketis)
    return soketis is not None


def _mixed(own: str, own_node: ConfigNode, soketis: str, node: ConfigNode) -> ConfigError:
    """Return the error for a file with names of both. The error names what to write instead of soketi's name."""
    at = node.at
    path = soketis
    while path not in BY_PATH and path != APPS_PATH and isinstance(node.value, dict) and node.value:
        name, node = next(iter(node.value.items()))
        path = f"{path}.{name}"
    ours = APPS if path == APPS_PATH else BY_PATH[path].target if path in BY_PATH else ""
    instead = f"write {ours} instead of {quote_name(path)}" if ours else f"leave out {quote_name(path)}"
    kinds = f"{quote_name(path)} is a name of soketi's, and {own} ({own_node.at}) is one of soketpy's"
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
