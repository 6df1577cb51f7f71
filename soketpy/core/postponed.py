"""Subscriptions that began while the log of their channel could not be read.

Such a client gets no events, since they would come without those that it may have missed before. When the log can be
read again, the client is closed, so that it connects and subscribes again, and gets what it has missed.
"""

import logging
from collections.abc import Callable

from soketpy.core import steps
from soketpy.core.connection import Connection
from soketpy.core.containment import contain
from soketpy.core.history import HistoryRule, Query
from soketpy.core.ports import History, Unavailable
from soketpy.core.slices import in_slices
from soketpy.core.steps import Later
from soketpy.protocol.errors import Code

log = logging.getLogger("soketpy.history")

INTERVAL = 2.0
"""Seconds between two attempts to read a log."""

REASON = "The history of a channel can be read again; please reconnect."

Key = tuple[str, str]
"""An app and a channel."""


class Postponed:
    """The connections that wait for the log of a channel."""

    def __init__(self, history: History, later: Later) -> None:
        self._history = history
        self._later = later
        self._waiting: dict[Key, tuple[HistoryRule, dict[Connection, None]]] = {}

    def add(self, connection: Connection, channel: str, rule: HistoryRule) -> None:
        """Close the connection when the log of the channel can be read, if it is still on the channel."""
        if not self._waiting:
            self._later(INTERVAL, self._try_again)
        self._waiting.setdefault((connection.app.id, channel), (rule, {}))[1][connection] = None

    def _try_again(self) -> None:
        in_slices(list(self._waiting), lambda key: steps.begin(self._read(key)), self._soon)
        if self._waiting:
            self._later(INTERVAL, self._try_again)

    async def _read(self, key: Key) -> None:
        """Try to read a log, and close the connections that wait for it; a coroutine for ``steps``."""
        rule, connections = self._waiting.get(key, (None, {}))
        if rule is None:  # an earlier attempt has taken long, and has closed the connections
            return
        for connection in [each for each in connections if key[1] not in each.channels]:
            del connections[connection]
        if connections:
            try:
                await self._history.read(*key, rule, Query(1))
            except Unavailable:
                return
            except Exception as fault:
                contain(log, fault, "App %s: the log of %s could not be read", *key)
                return
        if self._waiting.pop(key, None) is not None:
            in_slices(connections, lambda each: _close(each, key[1]), self._soon)

    def _soon(self, callback: Callable[[], None]) -> None:
        self._later(0, callback)


def _close(connection: Connection, channel: str) -> None:
    if connection.open and channel in connection.channels:
        connection.refuse(Code.RECONNECT, REASON)
