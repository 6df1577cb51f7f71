"""A registry of apps in memory, for tests of what uses a registry."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from soketpy.core.app_registry import BrokenApp, Changed, Found, NoSuchApp, RegistryRefused, RegistryUnavailable
from soketpy.core.apps import App
from soketpy.drivers.entries import fields_to_store


class MemoryRegistry:
    """A registry in memory. While ``down`` is a text, every method raises RegistryUnavailable with this text."""

    def __init__(self, *apps: App | BrokenApp) -> None:
        self.writable: str | None = None
        self.down: str | None = None
        self.initialised = True
        self.entries: dict[str, App | BrokenApp] = {app.id: app for app in apps}
        self.fetches: list[tuple[Collection[str], Collection[str]]] = []
        self._changed: Changed = lambda _: None

    def app(self, app_id: str) -> App:
        """Return the app with this id. Raise TypeError if the entry is no valid app."""
        entry = self.entries[app_id]
        if not isinstance(entry, App):
            raise TypeError(entry)
        return entry

    async def start(self, changed: Changed) -> None:
        self._check()
        if not self.initialised:
            raise RegistryRefused("the table apps does not exist: run soketpy apps init")
        self._changed = changed

    async def stop(self) -> None:
        self._changed = lambda _: None

    def look_again(self) -> None:
        pass

    async def fetch(self, ids: Collection[str], keys: Collection[str]) -> Found:
        self._check()
        self.fetches.append((ids, keys))
        return [app for app in self.entries.values() if app.id in ids or not set(keys).isdisjoint(keys_of(app))]

    async def page(self, after: str = "", limit: int = 100, skip: int = 0) -> Found:
        self._check()
        return [app for app_id, app in sorted(self.entries.items()) if app_id > after][skip : skip + limit]

    async def stored(self, app_id: str) -> Collection[str]:
        self._check()
        entry = self.entries.get(app_id)
        if not isinstance(entry, App):
            return ()
        return fields_to_store(App(id=app_id, keys=entry.keys), entry, ())

    async def add(self, app: App, given: Collection[str] = ()) -> None:
        self._check_writable()
        if app.id in self.entries:
            raise RegistryRefused(f"there is an app with the id {app.id!r} already")
        self._put(app)

    async def change(
        self, app_id: str, change: Callable[[App], App], given: Collection[str] = (), unset: Collection[str] = ()
    ) -> App:
        self._check_writable()
        former = self.entries.get(app_id)
        if former is None:
            raise NoSuchApp(app_id)
        if not isinstance(former, App):
            raise RegistryRefused(f"the app {app_id!r} is not valid: {former.problem}")
        defaults = App(id=app_id, keys=former.keys)
        self._put(app := replace(change(former), **{name: getattr(defaults, name) for name in unset}))
        return app

    async def remove(self, app_id: str) -> None:
        self._check_writable()
        if self.entries.pop(app_id, None) is None:
            raise NoSuchApp(app_id)
        self._changed(app_id)

    async def initialise(self) -> Sequence[str]:
        self._check_writable()
        done = [] if self.initialised else ["Created the table apps."]
        self.initialised = True
        return done

    def _put(self, app: App) -> None:
        taken = {key for each in self.entries.values() if each.id != app.id for key in keys_of(each)}
        if found := taken & keys_of(app):
            raise RegistryRefused(f"another app has the key {min(found)!r}")
        self.entries[app.id] = app
        self._changed(app.id)

    def _check(self) -> None:
        if self.down is not None:
            raise RegistryUnavailable(self.down)

    def _check_writable(self) -> None:
        self._check()
        if self.writable is not None:
            raise RegistryRefused(self.writable)


def keys_of(app: App | BrokenApp) -> set[str]:
    """Return the keys of an app or a broken entry."""
    return set(app.keys) if isinstance(app, BrokenApp) else {key.key for key in app.keys}
