"""The checked values of one source, and how one source overrides another."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache

from soketpy.config.errors import guess, quote_name
from soketpy.config.hints import hint, hint_of_app
from soketpy.config.history_rules import read_history
from soketpy.config.problems import Problems
from soketpy.config.settings import DEFAULT_APP, Settings
from soketpy.config.tree import ConfigNode, Position
from soketpy.config.values import convert, items_of
from soketpy.config.webhooks import read_webhooks
from soketpy.core.apps import TABLES, Key, app_fields, limit_fields
from soketpy.core.fields import Field, fields_of, kind

APPS = "apps"
APP_DEFAULTS = "app_defaults"
WEBHOOKS = "webhooks"
HISTORY = "history"
DEFAULT_POSITION = Position("the default app")


@dataclass(frozen=True, slots=True)
class Found:
    """A value with its type, and the position where it was written."""

    value: object
    position: Position


@dataclass(slots=True)
class AppDraft:
    """The known values of one app. ``name`` is the writer's name for the app. Its keys are pairs of key and secret.

    If ``broken`` is true, values are missing because of mistakes.
    """

    name: str
    position: Position
    values: dict[str, Found] = field(default_factory=dict)
    broken: bool = False

    def over(self, below: "AppDraft") -> "AppDraft":
        """Return the values of both apps; those of this one win. A key with its secret replaces a list of keys."""
        inherited = dict(below.values)
        if "keys" in self.values or all(name in self.values for name in fields_of(Key)):
            for name in ("keys", *fields_of(Key)):
                inherited.pop(name, None)
        return AppDraft(below.name, below.position, inherited | self.values, self.broken or below.broken)


@dataclass(slots=True)
class Draft:
    """Settings by path, all apps (None if the source has no list of apps), and changes to single apps.

    ``problems`` are the mistakes of this source. What they concern has no value in the draft.
    """

    values: dict[str, Found] = field(default_factory=dict)
    apps: list[AppDraft] | None = None
    changes: dict[int, AppDraft] = field(default_factory=dict)
    problems: Problems = field(default_factory=Problems)

    def over(self, below: "Draft") -> "Draft":
        """Return what both drafts give; this one wins.

        Raise ConfigError for a change to an app that does not exist.
        """
        apps = below.apps if self.apps is None else self.apps
        if self.changes:
            apps = [default_app()] if apps is None else list(apps)
            for at, change in sorted(self.changes.items()):
                if at > len(apps):
                    raise change.position.error(change.name, "there is no app before it")
                apps[at:] = [change.over(apps[at]) if at < len(apps) else change, *apps[at + 1 :]]
        return Draft(below.values | self.values, apps)

    def put(self, path: str, node: ConfigNode) -> None:
        """Check and store the value of a setting. ``path`` is one of ``setting_fields``.

        Raise ConfigError for a wrong value, but note mistakes within single apps.
        """
        if path == APPS:
            self.apps = list(_apps(node, self.problems))
        else:
            self.values[path] = Found(convert(setting_fields()[path], node, path), node.position)

    def put_app(self, at: int, name: str, node: ConfigNode) -> None:
        """Check and store one value of the app at this position in the list."""
        position = Position(node.position.source, node.position.line)
        change = self.changes.setdefault(at, AppDraft(f"{APPS}[{at}]", position))
        broken = change.broken
        change.broken = True  # until the value has been checked
        change.values[name] = app_value(name, node, f"{change.name}.{name}")
        change.broken = broken


@cache
def setting_fields() -> Mapping[str, Field]:
    """Return the field of every setting by its dotted path, with those of ``app_defaults``."""
    defaults = {f"{APP_DEFAULTS}.{name}": each for name, each in limit_fields().items()}
    return dict(_fields_by_path(Settings, "")) | defaults


def read_table(table: dict[str, ConfigNode]) -> Draft:
    """Return the draft of a file in soketpy's own names, with its mistakes."""
    draft = Draft()
    _read_group(draft, table, ())
    return draft


def app_value(name: str, node: ConfigNode, path: str) -> Found:
    """Return the value of one field of an app. Raise ConfigError for a wrong one."""
    if name == "keys":
        return Found(tuple(_keys(node, path)), node.position)
    if name == WEBHOOKS:
        return Found(read_webhooks(node, path), node.position)
    if name == HISTORY:
        return Found(read_history(node, path), node.position)
    return Found(convert(app_fields()[name], node, path), node.position)


def _read_group(draft: Draft, table: dict[str, ConfigNode], group: tuple[str, ...]) -> None:
    known = _names_in(group)
    for name, node in table.items():
        with draft.problems.noted(".".join(group)):
            _read_setting(draft, name, node, group, known)


def _read_setting(draft: Draft, name: str, node: ConfigNode, group: tuple[str, ...], known: tuple[str, ...]) -> None:
    path = ".".join((*group, name))
    if name not in known:
        problem = f"no such setting{hint(name, group, setting_fields(), known)}"
        raise node.at.error(".".join((*group, quote_name(name))), problem)
    if path in setting_fields():
        draft.put(path, node)
    elif isinstance(node.value, dict):
        _read_group(draft, node.value, (*group, name))
    elif node.value is not None:
        instead = f"; write the {path} of an app in an item of apps:" if path in TABLES else ""
        raise node.position.error(path, f"must be a table of settings, not {kind(node.value)}{instead}")


@cache
def _names_in(group: tuple[str, ...]) -> tuple[str, ...]:
    paths = [tuple(name.split(".")) for name in setting_fields()]
    return tuple(dict.fromkeys(each[len(group)] for each in paths if each[: len(group)] == group))


def _apps(node: ConfigNode, problems: Problems) -> Iterator[AppDraft]:
    for at, item in enumerate(items_of(node, APPS)):
        app, mistakes = AppDraft(f"{APPS}[{at}]", item.position), Problems()
        with mistakes.noted(APPS):
            _read_app(app, item, mistakes)
        app.broken = bool(mistakes.found)
        problems.join(mistakes)
        yield app


def _read_app(app: AppDraft, item: ConfigNode, mistakes: Problems) -> None:
    if not isinstance(item.value, dict):
        problem = f"must be a table with an id, a key and a secret, not {kind(item.value)}"
        raise item.position.error(app.name, problem)
    for name, each in item.value.items():
        with mistakes.noted(APPS):
            if name not in app_fields():
                raise each.at.error(f"{app.name}.{quote_name(name)}", f"no such setting of an app{hint_of_app(name)}")
            app.values[name] = app_value(name, each, f"{app.name}.{name}")


def _keys(node: ConfigNode, path: str) -> list[tuple[Found, Found]]:
    items, problems, keys = items_of(node, path), Problems(), list[tuple[Found, Found]]()
    if not items:
        raise node.position.error(path, "must have a key and a secret in it")
    for at, item in enumerate(items):
        with problems.noted():
            keys.append(_key(item, f"{path}[{at}]"))
    problems.check()
    return keys


def _key(item: ConfigNode, path: str) -> tuple[Found, Found]:
    pair = fields_of(Key)
    if not isinstance(item.value, dict):
        raise item.position.error(path, f"must be a table of key and secret, not {kind(item.value)}")
    for name, each in item.value.items():
        if name not in pair:
            raise each.at.error(f"{path}.{quote_name(name)}", f"no such setting of a key{guess(name, pair)}")
    for name in pair:
        if name not in item.value:
            raise item.position.error(f"{path}.{name}", "missing")
    key, secret = (app_value(name, item.value[name], f"{path}.{name}") for name in pair)
    return key, secret


def _fields_by_path(of: type, prefix: str) -> Iterator[tuple[str, Field]]:
    for name, each in fields_of(of).items():
        if each.is_group:
            yield from _fields_by_path(each.type, f"{prefix}{name}.")
        else:
            yield prefix + name, each


def default_app(id: str = DEFAULT_APP.id) -> AppDraft:
    """Return the draft of the default app, perhaps with another id."""
    position = DEFAULT_POSITION
    given = {"id": id, "key": DEFAULT_APP.key, "secret": DEFAULT_APP.keys[0].secret}
    return AppDraft(f"{APPS}[0]", position, {name: Found(value, position) for name, value in given.items()})
