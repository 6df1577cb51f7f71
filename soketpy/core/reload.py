"""The effect of a changed configuration on open connections."""

import logging
from collections.abc import Callable, Iterable, Mapping

from soketpy.core.apps import App
from soketpy.core.connection import Connection
from soketpy.core.containment import attempt
from soketpy.core.ports import Roster
from soketpy.core.slices import in_slices
from soketpy.core.steps import Soon
from soketpy.protocol.errors import Code

log = logging.getLogger("soketpy.node")


def update_connections(
    connections: Mapping[str, Mapping[str, Connection]],
    apps: Callable[[str], App | None],
    roster: Roster,
    soon: Soon,
) -> int:
    """Apply changed apps to ``connections`` (by app id and socket id). Return the number of connections to be closed.

    New limits and switches apply at once. If an app now has ``max_connections``, the roster begins to count its
    connections on this node, because each node compares the limit with the count of the whole cluster. The connections
    of a removed app (4001), of a disabled app (4003) and of a removed key (4009, if the app closes them) are closed in
    slices.
    """
    closing: list[tuple[Connection, Code, str]] = []
    for app_id, of_app in connections.items():
        app = apps(app_id)
        if app is None:
            closing += _closing(of_app.values(), Code.NO_SUCH_APP, "The app was removed.")
            continue
        for connection in of_app.values():
            connection.app = app
        attempt(log, roster.limit, app_id, len(of_app), app.max_connections)
        if not app.enabled:
            closing += _closing(of_app.values(), Code.APP_DISABLED, "The app is disabled.")
        elif app.close_connections_of_removed_keys:
            keys = {pair.key for pair in app.keys}
            removed = (each for each in of_app.values() if each.key not in keys)
            closing += _closing(removed, Code.UNAUTHORIZED, "The key of the connection was removed from the app.")
    in_slices(closing, lambda each: each[0].refuse(*each[1:]), soon)
    return len(closing)


def _closing(connections: Iterable[Connection], code: Code, reason: str) -> list[tuple[Connection, Code, str]]:
    return [(connection, code, reason) for connection in connections]
