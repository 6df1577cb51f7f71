"""A reader of soketi's configuration: its files (dotted, nested or both) and its variables, with soketi's meaning.

soketi takes numbers and switches as text, milliseconds for most durations, and an empty text or null for "not given".
A setting for a feature that this version does not have is an error. Names without effect are listed in ``ignored``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from soketpy.config.draft import APPS, AppDraft, Draft, Found, app_value
from soketpy.config.environment import given, unknown
from soketpy.config.errors import ConfigError, guess, quote
from soketpy.config.json_tree import parse_json
from soketpy.config.soketi.names import APP_NAMES, APPS_PATH, BY_PATH, PREFIX, VARIABLES, WEBHOOKS, SoketiName
from soketpy.config.soketi.webhooks import soketis_webhooks
from soketpy.config.tree import ConfigNode, Position
from soketpy.config.values import QUOTED, is_quoted
from soketpy.config.webhooks import client_options
from soketpy.core.aws_options import AwsOptions
from soketpy.core.fields import either, fields_of, kind

_PREFIXES_IN_REDIS = ("database.redis.keyPrefix", "adapter.redis.prefix")
"""The prefix of keys and the prefix of topics."""

_PREFIXES = {path[:at] for path in (*BY_PATH, f"{APPS_PATH}.") for at, sign in enumerate(path) if sign == "."}


@dataclass(slots=True)
class SoketiDraft:
    """The draft of settings in soketi's names, and the names that have no effect here.

    ``soketi`` is true if a file is in soketi's names. ``prefixes`` has the prefixes of names in Redis: soketi has two
    settings for them, soketpy has one.
    """

    draft: Draft = field(default_factory=Draft)
    soketi: bool = False
    ignored: list[str] = field(default_factory=list)
    prefixes: dict[str, str] = field(default_factory=dict)
    _seen: dict[str, Position] = field(default_factory=dict)

    def read_table(self, table: dict[str, ConfigNode], prefix: str = "") -> None:
        """Read a file, or a table in it. Raise ConfigError for a name that soketi does not have."""
        for key, node in table.items():
            path = f"{prefix}.{key}" if prefix else key
            if path == APPS_PATH:
                self._read_apps(node)
            elif path in BY_PATH:
                self._take(path, node)
            elif path in _PREFIXES:
                self.read_table(_table(node, path), path)
            elif path.startswith(f"{APPS_PATH}."):
                self._read_app_change(path, node)
            elif any(path.startswith(f"{name}.") and not BY_PATH[name].to for name in BY_PATH):
                self.ignored.append(quote(path))
            else:
                raise node.at.error(quote(path), f"no such setting in soketi{guess(path, BY_PATH)}")

    def read_variable(self, name: str, text: str) -> None:
        """Read an environment variable. Raise ConfigError for a name that soketi does not have."""
        path = VARIABLES.get(name)
        if path is None:
            raise unknown(name, PREFIX, VARIABLES)
        node = _from_text(text, Position(name, name=""))
        if path in BY_PATH:
            self._take(path, node)
        else:
            self._read_app_change(path, node)

    def _take(self, path: str, node: ConfigNode) -> None:
        name, position = BY_PATH[path], _named(node.at, path)
        self._check_first(path, position)
        if name.has:
            _check_choice(name, node, position)
        elif path == _CLIENT_OPTIONS:
            self._take_client_options(path, node, position)
        elif not name.to:
            if is_quoted(node):
                raise position.error(path, QUOTED)
            self.ignored.append(path if node.at.name is None else node.at.source)
        if name.to and (not _is_nothing(node) or name.to.startswith("tls.")):
            self.draft.put(name.to, _ours(name, _loose(node, position, path)))
            if path in _PREFIXES_IN_REDIS:
                self._join_prefixes(path, self.draft.values[name.to])

    def _take_client_options(self, path: str, node: ConfigNode, position: Position) -> None:
        """Read the options of the client of SQS: a table, or its JSON in a variable."""
        if is_quoted(node):
            raise position.error(path, QUOTED)
        if isinstance(node.value, str) and node.value.strip():
            node = parse_json(node.value, position.source, lines=False)
        if _is_nothing(node):
            return
        found = client_options(replace(node, position=position, name_position=None), path)
        for name in fields_of(AwsOptions):
            if (value := getattr(found, name)) is not None:
                self.draft.values[f"sqs.{name}"] = Found(value, position)

    def _join_prefixes(self, path: str, found: Found) -> None:
        """Set our prefix to both of soketi's, so that clusters that differ in one of them do not meet."""
        self.prefixes[path] = str(found.value)
        both = "".join(self.prefixes.get(each, "") for each in _PREFIXES_IN_REDIS)
        self.draft.values[BY_PATH[path].to] = Found(both, found.position)

    def _read_apps(self, node: ConfigNode) -> None:
        if isinstance(node.value, dict):
            self.read_table(node.value, APPS_PATH)
            return
        if not isinstance(node.value, list):
            raise node.position.error(APPS_PATH, f"must be a list, not {kind(node.value)}")
        self._check_first(APPS_PATH, node.position)
        self.draft.apps = []
        for at, item in enumerate(node.value):
            app = AppDraft(f"{APPS_PATH}.{at}", item.position)
            for key, each in _table(item, app.name).items():
                self._put(app, key, each)
            self.draft.apps.append(app)

    def _read_app_change(self, path: str, node: ConfigNode) -> None:
        number, _, key = path.removeprefix(f"{APPS_PATH}.").partition(".")
        if not (number.isascii() and number.isdigit() and len(number) < 6):
            raise node.at.error(quote(path), "must have the number of an app after 'apps'")
        at, position = int(number), Position(node.at.source, node.at.line)
        app = self.draft.changes.setdefault(at, AppDraft(f"{APPS_PATH}.{at}", position))
        for name, each in {key: node}.items() if key else _table(node, path).items():
            self._put(app, name, each)

    def _put(self, app: AppDraft, key: str, node: ConfigNode) -> None:
        """Store one field of an app. Raise ConfigError for an unknown one, and for a wrong value."""
        name = APP_NAMES.get(key)
        path = f"{app.name}.{key}"
        position = _named(node.at, path)
        if name is None:
            known = guess(key, APP_NAMES)
            raise node.at.error(f"{app.name}.{quote(key)}", f"no such field of an app in soketi{known}")
        if _is_nothing(node):
            return
        if name in app.values:
            raise position.error(path, f"given twice, first at {app.values[name].position}")
        if name == WEBHOOKS:
            node = soketis_webhooks(node, position, path, self.ignored)
        else:
            node = _loose(node, position, path)
        if name == "max_connections" and str(node.value).strip() == "0":
            node = replace(node, value=-1)  # soketi takes 0 for no limit
        app.values[name] = Found(app_value(name, node, f"{APPS}.{name}").value, position)

    def _check_first(self, path: str, position: Position) -> None:
        if path in self._seen:
            raise position.error(path, f"given twice, first at {self._seen[path]}")
        self._seen[path] = position


def read_soketi_file(table: dict[str, ConfigNode]) -> SoketiDraft:
    """Return what a file in soketi's names gives. Raise ConfigError for a mistake in it."""
    read = SoketiDraft(soketi=True)
    read.read_table(table)
    return read


def read_soketi_environment(environ: Mapping[str, str], file: SoketiDraft) -> tuple[SoketiDraft, int]:
    """Return what the ``SOKETI_`` variables give, and how many variables there are; soketi skips empty ones.

    Two of soketi's settings are one setting here. If the variables give one of the two, the file may give the other.
    """
    read, count = SoketiDraft(prefixes=dict(file.prefixes)), 0
    for name, text in given(environ, PREFIX):
        if name not in VARIABLES:
            raise unknown(name, PREFIX, VARIABLES)
        if text:
            read.read_variable(name, text)
            count += 1
    return read, count


def _ours(name: SoketiName, node: ConfigNode) -> ConfigNode:
    """Return the value as soketpy has it: addresses, lower-case choices, log levels and seconds."""
    if name.to in _PORTS:
        return _addresses(node, _PORTS[name.to])
    if isinstance(node.value, list | dict):
        return node
    text = str(node.value).strip().lower()
    if name.has:
        return replace(node, value=dict(name.means).get(text, text))
    if name.to == "log.level":
        level = {"true": "debug", "1": "debug", "false": "info", "0": "info"}.get(text)
        if level is None:
            problem = QUOTED if is_quoted(node) else f"must be true or false, not {str(node.value)[:60]!r}"
            raise node.position.error(name.path, problem)
        return replace(node, value=level)
    if name.per != 1:
        try:
            return replace(node, value=float(text) / name.per)
        except ValueError:
            return node
    return node


_CLIENT_OPTIONS = "queue.sqs.clientOptions"

_PORTS = {"redis.sentinels": 26379, "redis.cluster_nodes": 6379}
"""Lists of addresses, with the port of an address that has none."""


def _addresses(node: ConfigNode, port: int) -> ConfigNode:
    """Return a list with ``host:port`` for each of soketi's tables of host and port."""
    if not isinstance(node.value, list):
        return node
    return replace(node, value=[_address(item, port) for item in node.value])


def _address(node: ConfigNode, port: int) -> ConfigNode:
    if not isinstance(node.value, dict):
        return node
    given = {name: each.value for name, each in node.value.items() if not isinstance(each.value, list | dict)}
    host = str(given.get("host", ""))
    return ConfigNode(f"{f'[{host}]' if ':' in host else host}:{given.get('port', port)}", node.position)


def _check_choice(name: SoketiName, node: ConfigNode, position: Position) -> None:
    if _is_nothing(node):
        return
    if isinstance(node.value, list | dict):
        raise position.error(name.path, f"must be {either(name.has)}, not {kind(node.value)}")
    text = str(node.value).strip().lower()
    if text in name.has:
        return
    has = f"(this version has: {', '.join(name.has)})"
    if text in name.later:
        raise position.error(name.path, f"{text} is not built yet in soketpy {has}")
    raise position.error(name.path, QUOTED if is_quoted(node) else f"there is no {quote(text)} {has}")


def _from_text(text: str, position: Position) -> ConfigNode:
    """Return the value of a variable as soketi reads it: its JSON, or else its text."""
    if text.lstrip().startswith(('"', "[")):
        try:
            return replace(parse_json(text, position.source, lines=False), position=position)
        except ConfigError:
            pass  # soketi takes a variable that is not JSON as text
    return ConfigNode(text, position, loose=True)


def _loose(node: ConfigNode, position: Position, path: str) -> ConfigNode:
    """Return a value with its name in soketi's file; each item of a list gets a name of its own."""
    if not isinstance(node.value, list):
        return replace(node, position=position, loose=not isinstance(node.value, dict))
    names = (f"[{at}]" if position.name == "" else f"{path}.{at}" for at in range(len(node.value)))
    items = [
        replace(item, position=replace(item.position, name=name)) for item, name in zip(node.value, names, strict=True)
    ]
    return replace(node, value=items, position=position)


def _named(position: Position, name: str) -> Position:
    """Return the position with soketi's name for the setting; a variable keeps its own name."""
    return Position(position.source, position.line, position.name if position.name == "" else name)


def _table(node: ConfigNode, path: str) -> dict[str, ConfigNode]:
    if not isinstance(node.value, dict):
        raise node.position.error(path, f"must be a table, not {kind(node.value)}")
    return node.value


def _is_nothing(node: ConfigNode) -> bool:
    return node.value in (None, "")
