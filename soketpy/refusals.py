"""Refused connections, subscriptions, messages and requests: each is counted and leaves a line in the log."""

import logging
from collections import Counter
from collections.abc import Callable

from soketpy.limits import Bucket

log = logging.getLogger("soketpy.refusals")

LINES = 10
"""Lines a second and app at the level ``info``. Further lines have the level ``debug``."""

LONGEST = 300
"""Characters of a reason that are logged."""


class Refusals:
    """What one process has refused. ``connections`` counts refused handshakes by close code."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.connections: Counter[int] = Counter()
        self._clock = clock
        self._lines: dict[str | None, Bucket] = {}

    def connection(self, peer: str, code: int, reason: str) -> None:
        """Note a refused handshake of the client at the address ``peer``."""
        self.connections[code] += 1
        self._log(None, "Refused a connection from %s: %d %s", one_line(peer), code, _shown(reason))

    def subscription(self, app_id: str, channel: str, status: int, reason: str) -> None:
        """Note a refused subscription."""
        self._log(
            app_id, "App %s: refused a subscription of %s: %d %s", app_id, _shown(channel), status, _shown(reason)
        )

    def message(self, app_id: str, code: int, reason: str, channel: str | None = None) -> None:
        """Note a refused message of a client, such as a client event or a sign-in."""
        what = "a message" if channel is None else f"a client event on {_shown(channel)}"
        self._log(app_id, "App %s: refused %s: %d %s", app_id, what, code, _shown(reason))

    def request(self, app_id: str | None, method: str, path: str, status: int, reason: str) -> None:
        """Note a refused REST request. ``app_id`` is None where the app does not exist."""
        app = "No app" if app_id is None else f"App {app_id}"
        self._log(app_id, "%s: refused %s %s: %d %s", app, method, _shown(path), status, _shown(reason))

    def _log(self, app_id: str | None, text: str, *details: object) -> None:
        lines, now = self._lines.get(app_id), self._clock()
        if lines is None:
            lines = self._lines[app_id] = Bucket(LINES, LINES, now)
        log.log(logging.INFO if lines.take(1, now) else logging.DEBUG, text, *details)


def one_line(text: str) -> str:
    """Escape line ends and control characters, with which a stranger could forge a line of the log."""
    return text if text.isprintable() else text.encode("unicode_escape").decode()


def _shown(text: str) -> str:
    return one_line(text if len(text) <= LONGEST else text[:LONGEST] + "…")
