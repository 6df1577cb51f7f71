"""The key and secret with which a command signs."""

import argparse
from typing import TYPE_CHECKING, NamedTuple

from soketpy.cli.app_lookup import apps_of, place_of
from soketpy.cli.faults import Mistake

if TYPE_CHECKING:
    from soketpy import App
    from soketpy.config import Settings


class Credentials(NamedTuple):
    """One app's id, one of its keys and the secret of that key. The secret is never shown."""

    app_id: str
    key: str
    secret: str

    def __repr__(self) -> str:
        return f"Credentials(app_id={self.app_id!r}, key={self.key!r})"


def add_credentials(parser: argparse.ArgumentParser) -> None:
    """Add ``--app-id``, ``--key`` and ``--secret``."""
    parser.add_argument("--app-id", metavar="ID", help="id of the app (default: the configuration's first app)")
    parser.add_argument("--key", help="key of the app (default: its first key)")
    parser.add_argument("--secret", help="secret of the key (default: that of the configuration or of its database)")


def pick(settings: "Settings", app_id: str | None, key: str | None, secret: str | None) -> Credentials:
    """Complete the given values from the configuration, or from its database.

    Raise Mistake if there is no such app or key, and Failure if the database cannot be used.
    """
    if app_id is not None and key is not None and secret is not None:
        return Credentials(app_id, key, secret)
    app = _find(settings, app_id, key, known=secret is not None)
    key = app.key if key is None else key
    if secret is None:
        secret = app.secret_of(key)
    if secret is None:
        raise Mistake(f"app {app.id} has no key {key} {place_of(settings)}; give --secret too")
    return Credentials(app.id if app_id is None else app_id, key, secret)


def _find(settings: "Settings", app_id: str | None, key: str | None, *, known: bool) -> "App":
    """Return the app. If the secret is ``known``, the key need not be a key of the app."""
    apps = [app for app in apps_of(settings, app_id, key) if app_id in (None, app.id)]
    if not apps:
        what = "no app" if app_id is None else f"no app with the id {app_id}"
        raise Mistake(f"{what} {place_of(settings)}; give --app-id, --key and --secret")
    if key is None:
        return apps[0]
    holder = next((app for app in apps if app.secret_of(key) is not None), None)
    if holder is None and not known:
        raise Mistake(f"no app with the key {key} {place_of(settings)}; give --secret too")
    return holder or apps[0]
