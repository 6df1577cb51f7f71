"""The ports of a registry of apps: reading apps from a database, and changing them."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from soketpy.core.apps import App

DEFAULTS = "defaults"
"""The name of a list of fields beside the new values of an app: these fields have the defaults again."""

LONGEST_VALUE = 64 * 1024
"""Characters that one value of an app in a database may have."""

MOST_ITEMS = 100
"""Webhooks, keys or origins that one app in a database may have. The work for one app must not delay others."""

LATEST = 253_402_300_799
"""Unix seconds of the last moment of the year 9999: no key ends later, and no later date can be written."""


class RegistryUnavailable(Exception):
    """The registry cannot answer now. The text gives the reason, for people to read, and has no secret in it."""


class RegistryRefused(Exception):
    """The registry does not make a change. The text says why, for people to read. Nothing was changed."""


class ValueRefused(RegistryRefused):
    """A value that the registry cannot store, or could not read again. The text begins with the name of the field."""


class NoSuchApp(RegistryRefused):
    """There is no app with this id."""

    def __init__(self, app_id: str) -> None:
        super().__init__(f"there is no app with the id {app_id!r}")


@dataclass(frozen=True, slots=True)
class BrokenApp:
    """An entry of a registry that is no valid app. ``problem`` names the column and has no secret in it."""

    id: str
    keys: tuple[str, ...]
    problem: str


Found = Sequence[App | BrokenApp]

Changed = Callable[[str | None], None]
"""Is called with the id of an app that has changed, or with None if any app may have changed. Never raises."""


class AppSource(Protocol):
    """Reads apps. ``fetch`` raises RegistryUnavailable if the database does not answer within its time limit.

    A source reconnects by itself: after a fault, a later ``fetch`` works again as soon as the database does.
    """

    async def start(self, changed: Changed) -> None:
        """Open the database. ``changed`` is called for changes that the database reports; it may miss some.

        Raise RegistryUnavailable if the database does not answer, and RegistryRefused if it can never work, for example
        because the table does not exist. Call ``stop`` in any case.
        """

    async def stop(self) -> None:
        """Close all connections."""

    def look_again(self) -> None:
        """Look at the tables again with the next call: an operator may have replaced them. Never blocks or raises."""

    async def fetch(self, ids: Collection[str], keys: Collection[str]) -> Found:
        """Return the apps that have one of these ids or one of these keys, in any order, each of them once.

        Two apps with the same key are both returned. An entry that is no valid app is returned as a BrokenApp, and does
        not affect the others.
        """


class AppRegistry(AppSource, Protocol):
    """Reads and changes apps. Every method may raise RegistryUnavailable.

    A change is atomic, also if two operators make changes at the same moment. After a change, the registry notifies the
    other processes if the database can do that. ``writable`` is None if apps can be changed, or else the reason why
    not; then all changes raise RegistryRefused with this reason.

    A field of an app that is not stored has the default of each process that reads the app. A change stores only the
    fields that it changes, and those in ``given``: it never affects what is stored of other fields.
    """

    writable: str | None

    async def page(self, after: str = "", limit: int = 100, skip: int = 0) -> Found:
        """Return the apps whose ids are greater than ``after``, in ascending order of their ids, at most ``limit``.

        ``skip`` of them are left out first.
        """

    async def stored(self, app_id: str) -> Collection[str]:
        """Return the fields that the entry of an app has values of its own for; nothing if there is no such app."""

    async def add(self, app: App, given: Collection[str] = ()) -> None:
        """Add an app. Its fields in ``given`` are stored, and those that differ from the defaults of this process.

        Raise RegistryRefused if another app has its id or one of its keys, and ValueRefused.
        """

    async def change(
        self, app_id: str, change: Callable[[App], App], given: Collection[str] = (), unset: Collection[str] = ()
    ) -> App:
        """Replace an app by ``change(app)``, and return the new app. ``change`` may be called several times.

        The fields in ``given`` are stored, also if they do not differ. Those in ``unset`` are not stored any longer.

        The id stays the same. Raise NoSuchApp, ValueRefused, or RegistryRefused if the entry is no valid app or another
        app has one of the new keys. An exception of ``change`` passes through, and nothing is changed.
        """

    async def remove(self, app_id: str) -> None:
        """Remove an app, also if its entry is no valid app. Raise NoSuchApp."""

    async def initialise(self) -> Sequence[str]:
        """Create the tables that are missing, or bring older tables of soketpy to the newest version.

        Return what was done, a sentence each; nothing if all was there. Tables of others never change.
        """
