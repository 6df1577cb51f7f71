"""Typed settings on their way to become Settings: what one source gives, and one source put over another."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache

from soketpy.config.app_rows import PAIR, app_rows, default_rows
from soketpy.config.errors import guess, quote
from soketpy.config.hints import hint, hint_of_app
from soketpy.config.rows import Row, rows
from soketpy.config.settings import DEFAULT_APP, Settings
from soketpy.config.soketi_names import WEBHOOKS
from soketpy.config.tree import Listing, Node, Place, Scalar, Table, kind
from soketpy.config.values import QUOTED, convert, is_quoted, split

APPS = "apps"
APP_DEFAULTS = "app_defaults"
NO_WEBHOOKS = (
    "soketpy cannot send webhooks yet, so it does not start with this setting: remove it to run without webhooks"
)
"""The error for a webhook, which would never be sent."""


@dataclass(frozen=True, slots=True)
class Found:
    """A typed value and where it was written."""

    value: object
    place: Place


@dataclass(slots=True)
class AppDraft:
    """What is known of one app so far; ``name`` is what its writer calls it. Its keys are pairs of key and secret."""

    name: str
    place: Place
    values: dict[str, Found] = field(default_factory=dict)

    def over(self, below: "AppDraft") -> "AppDraft":
        """Both apps' values, this one's where both have one. A whole key replaces a list of keys."""
        kept = dict(below.values)
        if "keys" in self.values or all(name in self.values for name in PAIR):
            for name in ("keys", *PAIR):
                kept.pop(name, None)
        return AppDraft(below.name, below.place, kept | self.values)


@dataclass(slots=True)
class Draft:
    """What some sources give: settings by path, all apps (None where they say nothing), and changes to single apps."""

    values: dict[str, Found] = field(default_factory=dict)
    apps: list[AppDraft] | None = None
    changes: dict[int, AppDraft] = field(default_factory=dict)

    def over(self, below: "Draft") -> "Draft":
        """What this one gives, and what the other gives where this one says nothing.

        Raises ConfigError for a change to an app that is not there.
        """
        apps = below.apps if self.apps is None else self.apps
        if self.changes:
            apps = [_default_app()] if apps is None else list(apps)
            for at, change in sorted(self.changes.items()):
                if at > len(apps):
                    raise change.place.error(change.name, "there is no app before it")
                apps[at:] = [change.over(apps[at]) if at < len(apps) else change, *apps[at + 1 :]]
        return Draft(below.values | self.values, apps)

    def put(self, path: tuple[str, ...], node: Node) -> None:
        """Take the value of the setting at this path, which is one of ``setting_rows``."""
        name = ".".join(path)
        if name == APPS:
            self.apps = list(_apps(node))
        else:
            self.values[name] = Found(convert(setting_rows()[name], node, name), node.place)

    def put_app(self, at: int, name: str, node: Node) -> None:
        """Take one value of the app at this position."""
        change = self.changes.setdefault(at, AppDraft(f"{APPS}[{at}]", Place(node.place.source, node.place.line)))
        change.values[name] = app_value(name, node, f"{APPS}[{at}].{name}")


@cache
def setting_rows() -> Mapping[str, Row]:
    """Every setting that has a value, by its dotted path; ``app_defaults`` with them."""
    return dict(_leaves(Settings, "")) | {f"{APP_DEFAULTS}.{name}": row for name, row in default_rows().items()}


def read_table(table: Table) -> Draft:
    """The draft of a file in this server's own names. Raises ConfigError for a name that is none."""
    draft = Draft()
    _read_group(draft, table, ())
    return draft


def read_app(table: Table, path: str) -> AppDraft:
    """The draft of one app."""
    app = AppDraft(path, table.place)
    for name, entry in table.entries.items():
        if name not in app_rows():
            problem = NO_WEBHOOKS if name == WEBHOOKS else f"no such setting of an app{hint_of_app(name)}"
            raise entry.place.error(f"{path}.{quote(name)}", problem)
        app.values[name] = app_value(name, entry.node, f"{path}.{name}")
    return app


def app_value(name: str, node: Node, path: str) -> Found:
    """The typed value of one field of an app."""
    if name == "keys":
        return Found(tuple(_keys(node, path)), node.place)
    return Found(convert(app_rows()[name], node, path), node.place)


def _read_group(draft: Draft, table: Table, path: tuple[str, ...]) -> None:
    known = _names_in(path)
    for name, entry in table.entries.items():
        here = (*path, name)
        if name not in known:
            shown = ".".join((*path, quote(name)))
            raise entry.place.error(shown, _unknown(name, path))
        if ".".join(here) in setting_rows():
            draft.put(here, entry.node)
        elif isinstance(entry.node, Table):
            _read_group(draft, entry.node, here)
        elif not (isinstance(entry.node, Scalar) and entry.node.value is None):
            raise entry.node.place.error(".".join(here), f"must be a table of settings, not {kind(entry.node)}")


def _unknown(name: str, path: tuple[str, ...]) -> str:
    """Return what is wrong with a name that no setting of the group at ``path`` has."""
    if name == WEBHOOKS:
        return NO_WEBHOOKS
    return f"no such setting{hint(name, path, setting_rows(), _names_in(path))}"


@cache
def _names_in(path: tuple[str, ...]) -> tuple[str, ...]:
    paths = [tuple(name.split(".")) for name in setting_rows()]
    return tuple(dict.fromkeys(each[len(path)] for each in paths if each[: len(path)] == path))


def _apps(node: Node) -> Iterator[AppDraft]:
    for at, item in enumerate(_items(node, APPS)):
        path = f"{APPS}[{at}]"
        if not isinstance(item, Table):
            raise item.place.error(path, f"must be a table with an id, a key and a secret, not {kind(item)}")
        yield read_app(item, path)


def _keys(node: Node, path: str) -> Iterator[tuple[Found, Found]]:
    items = _items(node, path)
    if not items:
        raise node.place.error(path, "must have a key and a secret in it")
    for at, item in enumerate(items):
        here = f"{path}[{at}]"
        if not isinstance(item, Table):
            raise item.place.error(here, f"must be a table of key and secret, not {kind(item)}")
        for name, entry in item.entries.items():
            if name not in PAIR:
                raise entry.place.error(f"{here}.{quote(name)}", f"no such setting of a key{guess(name, PAIR)}")
        missing = next((name for name in PAIR if name not in item.entries), None)
        if missing is not None:
            raise item.place.error(f"{here}.{missing}", "missing")
        key, secret = (app_value(name, item.entries[name].node, f"{here}.{name}") for name in PAIR)
        yield key, secret


def _items(node: Node, path: str) -> tuple[Node, ...]:
    if isinstance(node, Scalar) and node.loose:
        text = str(node.value).lstrip()
        if text.startswith("["):
            node = split(node)
        elif not is_quoted(node):
            found = "a table" if text.startswith("{") else "text" if text else "empty"
            raise node.place.error("", f"must be a list as JSON, such as [{{…}}], not {found}")
        else:
            path = ""
    if not isinstance(node, Listing):
        raise node.place.error(path, QUOTED if is_quoted(node) else f"must be a list, not {kind(node)}")
    return node.items


def _leaves(of: type, prefix: str) -> Iterator[tuple[str, Row]]:
    for name, row in rows(of).items():
        if row.is_group:
            yield from _leaves(row.type, f"{prefix}{name}.")
        else:
            yield prefix + name, row


def _default_app() -> AppDraft:
    place = Place("the default app")
    given = {"id": DEFAULT_APP.id, "key": DEFAULT_APP.key, "secret": DEFAULT_APP.keys[0].secret}
    return AppDraft(f"{APPS}[0]", place, {name: Found(value, place) for name, value in given.items()})
