"""soketi's configuration, read with the meaning that soketi gives it: its files (dotted, nested or both) and variables.

soketi takes numbers and switches as text, milliseconds for most durations, and an empty text or null for "not given".
What this version cannot do and somebody asks for is an error; what has no effect is named in ``ignored``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from soketpy.config.draft import APPS, NO_WEBHOOKS, AppDraft, Draft, Found, app_value
from soketpy.config.environment import given, unknown
from soketpy.config.errors import ConfigError, either, guess, quote
from soketpy.config.json_tree import parse_json
from soketpy.config.soketi_names import APP_NAMES, APPS_PATH, BY_PATH, PREFIX, VARIABLES, WEBHOOKS, Name
from soketpy.config.tree import Entry, Listing, Node, Place, Scalar, Table, kind
from soketpy.config.values import QUOTED, is_quoted

_PREFIXES_IN_REDIS = ("database.redis.keyPrefix", "adapter.redis.prefix")
"""Of keys, and of topics."""

_PREFIXES = {path[:at] for path in (*BY_PATH, f"{APPS_PATH}.") for at, sign in enumerate(path) if sign == "."}


@dataclass(slots=True)
class SoketiDraft:
    """The draft that soketi's names give, and the names among them that have no effect here.

    ``soketi`` is whether a file is in soketi's names. ``prefixes`` has what is in front of names in Redis, which soketi
    gives by two settings and we by one.
    """

    draft: Draft = field(default_factory=Draft)
    soketi: bool = False
    ignored: list[str] = field(default_factory=list)
    prefixes: dict[str, str] = field(default_factory=dict)
    _seen: dict[str, Place] = field(default_factory=dict)

    def read_table(self, table: Table, prefix: str = "") -> None:
        """Take a file, or a table in it. Raises ConfigError for a name that is none of soketi's."""
        for key, entry in table.entries.items():
            path = f"{prefix}.{key}" if prefix else key
            if path == APPS_PATH:
                self._read_apps(entry.node)
            elif path in BY_PATH:
                self._take(path, entry)
            elif path == WEBHOOKS and isinstance(entry.node, Listing):
                raise entry.place.error(path, NO_WEBHOOKS)
            elif path in _PREFIXES:
                self.read_table(_table(entry.node, path), path)
            elif path.startswith(f"{APPS_PATH}."):
                self._read_app_change(path, entry)
            elif any(path.startswith(f"{name}.") and not BY_PATH[name].to for name in BY_PATH):
                self.ignored.append(quote(path))
            else:
                raise entry.place.error(quote(path), f"no such setting in soketi{guess(path, BY_PATH)}")

    def read_variable(self, name: str, text: str) -> None:
        """Take an environment variable. Raises ConfigError where soketi has none of this name."""
        path = VARIABLES.get(name)
        if path is None:
            raise unknown(name, PREFIX, VARIABLES)
        place = Place(name, name="")
        entry = Entry(place, _from_text(text, place))
        if path in BY_PATH:
            self._take(path, entry)
        else:
            self._read_app_change(path, entry)

    def _take(self, path: str, entry: Entry) -> None:
        name, place = BY_PATH[path], _named(entry.place, path)
        self._once(path, place)
        if name.has:
            _check_choice(name, entry.node, place)
        elif not name.to:
            if is_quoted(entry.node):
                raise place.error(path, QUOTED)
            self.ignored.append(path if entry.place.name is None else entry.place.source)
        if name.to and (not _is_nothing(entry.node) or name.to.startswith("tls.")):
            self.draft.put(tuple(name.to.split(".")), _ours(name, _loose(entry.node, place, path)))
            if path in _PREFIXES_IN_REDIS:
                self._join_prefixes(path, self.draft.values[name.to])

    def _join_prefixes(self, path: str, found: Found) -> None:
        """Let ours be both of soketi's, so that clusters stay apart that differ in one of them."""
        self.prefixes[path] = str(found.value)
        both = "".join(self.prefixes.get(each, "") for each in _PREFIXES_IN_REDIS)
        self.draft.values[BY_PATH[path].to] = Found(both, found.place)

    def _read_apps(self, node: Node) -> None:
        if isinstance(node, Table):
            self.read_table(node, APPS_PATH)
            return
        if not isinstance(node, Listing):
            raise node.place.error(APPS_PATH, f"must be a list, not {kind(node)}")
        self._once(APPS_PATH, node.place)
        self.draft.apps = []
        for at, item in enumerate(node.items):
            path = f"{APPS_PATH}.{at}"
            app = AppDraft(path, item.place)
            for key, entry in _table(item, path).entries.items():
                _put(app, key, entry, path)
            self.draft.apps.append(app)

    def _read_app_change(self, path: str, entry: Entry) -> None:
        number, _, key = path.removeprefix(f"{APPS_PATH}.").partition(".")
        if not (number.isascii() and number.isdigit() and len(number) < 6):
            raise entry.place.error(quote(path), "must have the number of an app after 'apps'")
        at, app_path = int(number), f"{APPS_PATH}.{int(number)}"
        app = self.draft.changes.setdefault(at, AppDraft(app_path, Place(entry.place.source, entry.place.line)))
        if key:
            _put(app, key, entry, app_path)
            return
        for name, each in _table(entry.node, path).entries.items():
            _put(app, name, each, app_path)

    def _once(self, path: str, place: Place) -> None:
        if path in self._seen:
            raise place.error(path, f"given twice, first at {self._seen[path]}")
        self._seen[path] = place


def read_soketi_file(table: Table) -> SoketiDraft:
    """What a file in soketi's names gives."""
    read = SoketiDraft(soketi=True)
    read.read_table(table)
    return read


def read_soketi_environment(environ: Mapping[str, str], file: SoketiDraft) -> tuple[SoketiDraft, int]:
    """What the ``SOKETI_`` variables give, and how many of them give something; soketi skips empty ones.

    Where they give one of two settings that are one here, the other is that of the file.
    """
    read, count = SoketiDraft(prefixes=dict(file.prefixes)), 0
    for name, text in given(environ, PREFIX):
        if name not in VARIABLES:
            raise unknown(name, PREFIX, VARIABLES)
        if text:
            read.read_variable(name, text)
            count += 1
    return read, count


def _put(app: AppDraft, key: str, entry: Entry, path: str) -> None:
    name = APP_NAMES.get(key)
    shown = f"{path}.{key}"
    place = _named(entry.place, shown)
    if name is None:
        raise entry.place.error(f"{path}.{quote(key)}", f"no such field of an app in soketi{guess(key, APP_NAMES)}")
    if name == WEBHOOKS:
        _check_no_webhooks(entry.node, place)
    elif not _is_nothing(entry.node):
        if name in app.values:
            raise place.error(shown, f"given twice, first at {app.values[name].place}")
        node = _loose(entry.node, place, shown)
        if name == "max_connections" and isinstance(node, Scalar) and str(node.value).strip() == "0":
            node = replace(node, value=-1)  # soketi takes 0 for no limit
        app.values[name] = Found(app_value(name, node, f"{APPS}.{name}").value, place)


def _ours(name: Name, node: Node) -> Node:
    if name.to in _PORTS:
        return _addresses(node, _PORTS[name.to])
    if not isinstance(node, Scalar):
        return node
    if name.has:
        return replace(node, value=str(node.value).strip().lower())
    if name.to == "log.level":
        text = str(node.value).strip().lower()
        level = {"true": "debug", "1": "debug", "false": "info", "0": "info"}.get(text)
        if level is None:
            problem = QUOTED if is_quoted(node) else f"must be true or false, not {str(node.value)[:60]!r}"
            raise node.place.error(name.path, problem)
        return replace(node, value=level)
    if name.per != 1:
        try:
            return replace(node, value=float(str(node.value)) / name.per)
        except ValueError:
            return node
    return node


_PORTS = {"redis.sentinels": 26379, "redis.cluster_nodes": 6379}
"""Lists of addresses, with the port where none is given."""


def _addresses(node: Node, port: int) -> Node:
    """``host:port`` for each of soketi's tables of both."""
    return (
        replace(node, items=tuple(_address(item, port) for item in node.items)) if isinstance(node, Listing) else node
    )


def _address(node: Node, port: int) -> Node:
    if not isinstance(node, Table):
        return node
    given = {name: entry.node.value for name, entry in node.entries.items() if isinstance(entry.node, Scalar)}
    host = str(given.get("host", ""))
    return Scalar(f"{f'[{host}]' if ':' in host else host}:{given.get('port', port)}", node.place)


def _check_choice(name: Name, node: Node, place: Place) -> None:
    if _is_nothing(node):
        return
    if not isinstance(node, Scalar):
        raise place.error(name.path, f"must be {either(name.has)}, not {kind(node)}")
    text = str(node.value).strip().lower()
    if "true" in name.later:
        text = {"1": "true", "0": "false"}.get(text, text)
    if text in name.has:
        return
    has = f"(this version has: {', '.join(name.has)})"
    if name.path.startswith(f"{WEBHOOKS}.") and text in name.later:
        raise place.error(name.path, NO_WEBHOOKS)
    if text in name.later:
        raise place.error(name.path, f"{text} is not built yet in soketpy {has}")
    raise place.error(name.path, QUOTED if is_quoted(node) else f"there is no {quote(text)} {has}")


def _check_no_webhooks(node: Node, place: Place) -> None:
    if is_quoted(node):
        raise place.error(WEBHOOKS, QUOTED)
    if isinstance(node, Scalar) and isinstance(node.value, str) and node.value.strip():
        node = parse_json(node.value, place.source, lines=False)
    if isinstance(node, Listing) and not node.items:
        return
    if not _is_nothing(node):
        raise place.error(WEBHOOKS, NO_WEBHOOKS)


def _from_text(text: str, place: Place) -> Node:
    """What soketi makes of a variable: what its JSON says, or else its text."""
    if text.lstrip().startswith(('"', "[")):
        try:
            return _placed(parse_json(text, place.source, lines=False), place)
        except ConfigError:
            return Scalar(text, place, loose=True)
    return Scalar(text, place, loose=True)


def _placed(node: Node, place: Place) -> Node:
    return replace(node, place=place)


def _loose(node: Node, place: Place, path: str) -> Node:
    """Return a value with the name that soketi's file has for it; each item of a list has one of its own."""
    if isinstance(node, Scalar):
        return Scalar(node.value, place, loose=True)
    if isinstance(node, Listing):
        names = (f"[{at}]" if place.name == "" else f"{path}.{at}" for at in range(len(node.items)))
        places = (replace(item.place, name=name) for item, name in zip(node.items, names, strict=True))
        node = replace(node, items=tuple(map(_placed, node.items, places)))
    return replace(node, place=place)


def _named(place: Place, name: str | None) -> Place:
    """The place with soketi's name for the setting; a variable names it itself."""
    return Place(place.source, place.line, place.name if place.name == "" and name is not None else name)


def _table(node: Node, path: str) -> Table:
    if not isinstance(node, Table):
        raise node.place.error(path, f"must be a table, not {kind(node)}")
    return node


def _is_nothing(node: Node) -> bool:
    return isinstance(node, Scalar) and node.value in (None, "")
