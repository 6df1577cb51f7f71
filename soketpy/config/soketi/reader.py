"""A reader of soketi's configuration: its files (dotted, nested or both) and its variables, with soketi's meaning.

soketi takes numbers and switches as text, milliseconds for most durations, and an empty text or null for "not given".
A setting for a feature that this version does not have is an error. Names without effect are listed in ``ignored``,
with the reason.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from soketpy.config.draft import APPS, AppDraft, Draft, Found, app_value
from soketpy.config.environment import given, unknown
from soketpy.config.errors import guess, quote_name
from soketpy.config.json_tree import parse_json
from soketpy.config.problems import ANY
from soketpy.config.registry import CONFIG
from soketpy.config.soketi.names import (
    APP_NAMES,
    APPS_PATH,
    BY_PATH,
    COMPUTED,
    PREFIX,
    VARIABLES,
    WEBHOOKS,
    SoketiName,
)
from soketpy.config.soketi.options import READERS
from soketpy.config.soketi.values import check_choice, from_text, is_none, is_nothing, is_value, loose, named, ours
from soketpy.config.soketi.webhooks import soketis_webhooks
from soketpy.config.tree import ConfigNode, Position
from soketpy.config.values import QUOTED, convert, is_quoted
from soketpy.core.fields import Field, kind

_PREFIXES_IN_REDIS = ("database.redis.keyPrefix", "adapter.redis.prefix")
"""The prefix of keys and the prefix of topics."""

_STORES = ("cache.driver", "rateLimiter.driver")
"""The choices between the process and Redis that follow the adapter in soketpy."""

_PREFIXES = {path[:at] for path in (*BY_PATH, f"{APPS_PATH}.") for at, sign in enumerate(path) if sign == "."}


@dataclass(slots=True)
class SoketiDraft:
    """The draft of settings in soketi's names, and the names that have no effect here.

    ``soketi`` is true if a file is in soketi's names. ``prefixes`` has the prefixes of names in Redis: soketi has two
    settings for them, soketpy has one. ``settle`` reads the names whose meaning depends on the settings of all sources.
    """

    draft: Draft = field(default_factory=Draft)
    soketi: bool = False
    ignored: list[str] = field(default_factory=list)
    prefixes: dict[str, str] = field(default_factory=dict)
    _seen: dict[str, Position] = field(default_factory=dict)
    _unsettled: list[Callable[[Draft], None]] = field(default_factory=list)

    def read_table(self, table: dict[str, ConfigNode], prefix: str = "") -> None:
        """Read a file, or a table in it. Note the mistakes in the draft."""
        for key, node in table.items():
            with self.draft.problems.noted():
                self._read(f"{prefix}.{key}" if prefix else key, node)

    def _read(self, path: str, node: ConfigNode) -> None:
        if path == APPS_PATH:
            self._read_apps(node)
        elif path in BY_PATH:
            self._take(path, node)
        elif path in _PREFIXES:
            self.read_table(_table(node, path), path)
        elif path.startswith(f"{APPS_PATH}."):
            self._read_app_change(path, node)
        elif (whole := _with_options(path)) is not None:
            self._take(whole, _wrapped(path.removeprefix(f"{whole}."), node), path)
        else:
            raise node.at.error(quote_name(path), _unknown(path))

    def settle(self, merged: Draft) -> None:
        """Read the names whose meaning depends on other settings. ``merged`` has the settings of all sources."""
        for read in self._unsettled:
            with self.draft.problems.noted():
                read(merged)
        self._unsettled.clear()

    def read_variable(self, name: str, text: str) -> None:
        """Read an environment variable. Raise ConfigError for a name that soketi does not have."""
        path = VARIABLES.get(name)
        if path is None:
            raise unknown(name, PREFIX, VARIABLES)
        node = from_text(text, Position(name, name=""))
        if path in BY_PATH:
            self._take(path, node)
        else:
            self._read_app_change(path, node)

    def _take(self, path: str, node: ConfigNode, seen: str | None = None) -> None:
        """Read the value of a name. ``seen`` is the dotted path in the file if it leads into the value."""
        name, position = BY_PATH[path], named(node.at, quote_name(seen or path))
        self._check_first(seen or path, position)
        if is_quoted(node) and (not name.to or path in READERS):
            raise position.error(path, QUOTED)
        if path in READERS:
            self._take_options(path, node, position)
            return
        if name.has:
            check_choice(name, node, position)
            self._note_choice(name, node, position)
        if name.refused or name.does:
            self._take_other(name, node, position)
        elif name.chosen:
            self._choose_later(name, node, position)
        elif name.needs:
            self._check_later(name, node, position)
        elif name.to and (not is_nothing(node) or name.to.startswith("tls.")) and not is_none(name, node):
            self.draft.put(name.to, ours(name, loose(node, position, path)))
            if path in _PREFIXES_IN_REDIS:
                self._join_prefixes(path, self.draft.values[name.to])

    def _take_options(self, path: str, node: ConfigNode, position: Position) -> None:
        """Read a table of options, or its JSON in a variable."""
        if isinstance(node.value, str) and node.value.strip() and position.name == "":
            node = parse_json(node.value, position.source, lines=False)
        if not is_nothing(node):
            for to, value in READERS[path](node, position, path):
                self.draft.values[to] = Found(value, position)

    def _take_other(self, name: SoketiName, node: ConfigNode, position: Position) -> None:
        """Refuse a value of a name without a setting, or accept it and note the reason."""
        if is_nothing(node) or is_value(node, name.accepts):
            return
        if name.refused:
            raise position.error(name.path, name.refused)
        self._note(name, position, name.does)

    def _choose_later(self, name: SoketiName, node: ConfigNode, position: Position) -> None:
        """Check the value now, and store it when the driver of the registry is known."""
        if is_nothing(node):
            return
        checked = Draft()
        for _, to in name.chosen:
            checked.put(to, loose(node, position, name.path))

        def choose(merged: Draft) -> None:
            driver = str(_value(merged, "registry.driver", CONFIG))
            if to := dict(name.chosen).get(driver):
                self.draft.values[to] = checked.values[to]
            elif not is_value(node, name.accepts):
                self._note(name, position, f"registry.driver is {driver}")

        self._unsettled.append(choose)

    def _check_later(self, name: SoketiName, node: ConfigNode, position: Position) -> None:
        """Check when all settings are known that a switch which is on has the setting that it needs."""
        switch = Field(name=name.path, type=bool, help="")
        if is_nothing(node) or not convert(switch, loose(node, position, name.path), name.path):
            return
        needed = next(each for each in BY_PATH.values() if each.to == name.needs)

        def check(merged: Draft) -> None:
            if _value(merged, "cluster", "local") == "local":
                self._note(name, position, "adapter.driver is not redis")
            elif not _value(merged, name.needs, ()):
                raise position.error(name.path, f"needs {needed.path} ({PREFIX}{needed.variable})")

        self._unsettled.append(check)

    def _note_choice(self, name: SoketiName, node: ConfigNode, position: Position) -> None:
        """Note a value of a choice that does not mean the same as in soketi."""
        chosen = str(node.value).strip().lower()
        if reason := dict(name.notes).get(chosen):
            self._note(name, position, reason)
        if name.path not in _STORES or is_nothing(node):
            return

        def compare(merged: Draft) -> None:
            cluster = _value(merged, "cluster", "local")
            if (chosen == "redis") != (cluster == "redis"):
                self._note(name, position, f"adapter.driver is {cluster} and decides")

        self._unsettled.append(compare)

    def _note(self, name: SoketiName, position: Position, reason: str) -> None:
        written = position.source if position.name == "" else name.path
        self.ignored.append(f"{written} ({reason})")

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
            self.draft.apps.append(app)
            with self.draft.problems.noted():
                self._put_all(app, _table(item, app.name))

    def _read_app_change(self, path: str, node: ConfigNode) -> None:
        number, _, key = path.removeprefix(f"{APPS_PATH}.").partition(".")
        if not (number.isascii() and number.isdigit() and len(number) < 6):
            raise node.at.error(quote_name(path), "must have the number of an app after 'apps'")
        at, position = int(number), Position(node.at.source, node.at.line)
        app = self.draft.changes.setdefault(at, AppDraft(f"{APPS_PATH}.{at}", position))
        self._put_all(app, {key: node} if key else _table(node, path))

    def _put_all(self, app: AppDraft, table: dict[str, ConfigNode]) -> None:
        """Store the fields of an app, and note the mistakes."""
        for name, each in table.items():
            with self.draft.problems.noted():
                self._put(app, name, each)

    def _put(self, app: AppDraft, key: str, node: ConfigNode) -> None:
        """Store one field of an app. Raise ConfigError for an unknown one, and for a wrong value."""
        name = APP_NAMES.get(key)
        path = f"{app.name}.{key}"
        position = named(node.at, path)
        if key in COMPUTED:
            raise position.error(path, "soketi computes this field from the webhooks of the app: leave it out")
        if name is None:
            known = guess(key, APP_NAMES)
            raise node.at.error(f"{app.name}.{quote_name(key)}", f"no such field of an app in soketi{known}")
        if is_nothing(node):
            return
        if name in app.values:
            raise position.error(path, f"given twice, first at {app.values[name].position}")
        is_list = name == WEBHOOKS
        node = soketis_webhooks(node, position, path, self.ignored) if is_list else loose(node, position, path)
        if name == "max_connections" and str(node.value).strip() == "0":
            node = replace(node, value=-1)  # soketi takes 0 for no limit
        app.values[name] = Found(app_value(name, node, f"{APPS}.{name}").value, position)

    def _check_first(self, path: str, position: Position) -> None:
        if path in self._seen:
            raise position.error(path, f"given twice, first at {self._seen[path]}")
        self._seen[path] = position


def read_soketi_file(table: dict[str, ConfigNode]) -> SoketiDraft:
    """Return what a file in soketi's names gives, with its mistakes."""
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
            read.draft.problems.add(unknown(name, PREFIX, VARIABLES))
            read.draft.problems.unsure.add(ANY)
        elif text:
            with read.draft.problems.noted():
                read.read_variable(name, text)
            count += 1
    return read, count


def _with_options(path: str) -> str | None:
    """Return the name whose value is a table and of which a dotted path names an inner value, or None."""
    whole = next((name for name in BY_PATH if path.startswith(f"{name}.")), None)
    return whole if whole in READERS or (whole is not None and not BY_PATH[whole].to) else None


def _wrapped(path: str, node: ConfigNode) -> ConfigNode:
    """Return the table that has a value at a dotted path."""
    for name in reversed(path.split(".")):
        node = ConfigNode({name: node}, node.position, node.at)
    return node


def _unknown(path: str) -> str:
    """Return the problem of a name that soketi does not have, or that only a library of soketi's has."""
    group = ".".join(path.split(".")[:2])
    if group not in ("database.redis", "database.mysql", "database.postgres"):
        return f"no such setting in soketi{guess(path, BY_PATH)}"
    known = [name for name in BY_PATH if name.startswith(f"{group}.")]
    return f"soketpy has no such option of a connection{guess(path, known)}"


def _value(merged: Draft, path: str, default: object) -> object:
    return merged.values[path].value if path in merged.values else default


def _table(node: ConfigNode, path: str) -> dict[str, ConfigNode]:
    if not isinstance(node.value, dict):
        raise node.position.error(path, f"must be a table, not {kind(node.value)}")
    return node.value
