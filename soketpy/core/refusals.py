"""Refused and closed clients: each is counted or leaves a line in the log, and a flood of them does no harm."""

import logging
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import cast

from soketpy.core.containment import attempt
from soketpy.core.limits import Bucket
from soketpy.core.steps import Later

log = logging.getLogger("soketpy.refusals")

LINES = 10
"""Lines a second and app at the level ``info``. Further lines have the level ``debug``."""

MOST_LINES = 100
"""Lines a second of all apps together at the level ``info``."""

SUMMARY_INTERVAL = 1.0
"""Seconds between a line that is left out and the line that says how many were."""

NAMED = 5
"""Apps that one summary names: those with the most lines that were left out."""

LONGEST = 300
"""Characters of a reason, or of anything that a client has sent, that are logged."""


class Lines:
    """A limit of the lines about clients: some a second for each app, and one that says how many were left out."""

    def __init__(self, clock: Callable[[], float], later: Later) -> None:
        self._clock = clock
        self._later = later
        self._buckets: dict[str, Bucket] = {}
        self._all = Bucket(MOST_LINES, MOST_LINES, clock())
        self._left_out: Counter[str] = Counter()

    def level(self, whose: str) -> int:
        """Return the level of a line about a client of ``whose``, an app; 0 if the line is to be left out."""
        bucket, now = self._buckets.get(whose), self._clock()
        if bucket is None:
            bucket = self._buckets[whose] = Bucket(LINES, LINES, now)
        if bucket.take(1, now) and self._all.take(1, now):
            return logging.INFO
        if log.isEnabledFor(logging.DEBUG):
            return logging.DEBUG
        if not self._left_out:
            self._later(SUMMARY_INTERVAL, partial(attempt, log, self._summarise))
        self._left_out[whose] += 1
        return 0

    def _summarise(self) -> None:
        left_out, self._left_out = self._left_out, Counter()
        named = [f"{whose} {number}" for whose, number in left_out.most_common(NAMED)]
        if len(left_out) > NAMED:
            named.append("…")
        log.info("Left out %d lines like these (%s); log.level: debug shows all", left_out.total(), ", ".join(named))


class Refusals:
    """The log of what one process has refused. ``connections`` counts refused handshakes by close code.

    No line has more than ``LONGEST`` characters of anything that a client has sent, nor a line end. Call the methods
    by ``containment.attempt``: a log that fails must not change an answer.
    """

    def __init__(self, clock: Callable[[], float], later: Later) -> None:
        self.connections: Counter[int] = Counter()
        self._lines = Lines(clock, later)

    def connection(self, peer: str, code: int, reason: str, app_id: str | None = None, asked: str = "") -> None:
        """Note a refused handshake of the client at the address ``peer``.

        ``app_id`` is None where the app does not exist. ``asked`` is what was refused, such as ``origin null``.
        """
        self.connections[code] += 1
        whose = _whose(app_id)
        if level := self._lines.level(whose):
            who = _client(peer, asked)
            log.log(level, "%s: refused a connection from %s: %d %s", whose, who, code, _shown(reason))

    def handshake(self, peer: str, status: int, reason: str, app_id: str | None = None, path: str = "") -> None:
        """Note a request that is answered with an HTTP error because of its head.

        ``app_id`` and ``path`` are those of a handshake; of what is not HTTP, nobody knows them.
        """
        whose = _whose(app_id)
        if level := self._lines.level(whose):
            who = _client(peer, f"path {path}" if path else "")
            log.log(level, "%s: refused a request from %s: %d %s", whose, who, status, _shown(reason))

    def tls(self, reason: str) -> None:
        """Note a TLS handshake that has failed, with the reason that OpenSSL gives."""
        whose = _whose(None)
        if level := self._lines.level(whose):
            log.log(level, "%s: a TLS handshake failed: %s", whose, _shown(reason))

    def closed(self, app_id: str, socket_id: str, peer: str, code: int, reason: str) -> None:
        """Note that the server closes an open connection because of what its client did, or failed to do."""
        whose = _whose(app_id)
        if level := self._lines.level(whose):
            who = one_line(peer)
            log.log(level, "%s: closed the connection %s from %s: %d %s", whose, socket_id, who, code, _shown(reason))

    def subscription(self, app_id: str, socket_id: str, channel: str, status: int, reason: str) -> None:
        """Note a refused subscription of the connection ``socket_id``."""
        whose = _whose(app_id)
        if level := self._lines.level(whose):
            what, text = _shown(channel), _shown(reason)
            log.log(
                level, "%s: refused a subscription of %s by connection %s: %d %s", whose, what, socket_id, status, text
            )

    def message(self, app_id: str, socket_id: str, code: int, reason: str, channel: str | None = None) -> None:
        """Note a refused message of the connection ``socket_id``, such as a client event."""
        whose = _whose(app_id)
        if level := self._lines.level(whose):
            what = "a message" if channel is None else f"a client event on {_shown(channel)}"
            log.log(level, "%s: refused %s by connection %s: %d %s", whose, what, socket_id, code, _shown(reason))

    def request(self, app_id: str | None, peer: str, method: str, path: str, status: int, reason: str) -> None:
        """Note a refused REST request of the client at ``peer``. ``app_id`` is None where the app does not exist."""
        whose = _whose(app_id)
        if level := self._lines.level(whose):
            what, who = (_shown(method), _shown(path)), one_line(peer)
            log.log(level, "%s: refused %s %s from %s: %d %s", whose, *what, who, status, _shown(reason))


def address(peer: object) -> str:
    """Return the address of a client for a line of the log; ``peer`` is the ``peername`` of its transport."""
    if isinstance(peer, tuple) and peer:
        # A socket that takes IPv6 and IPv4 shows IPv4 addresses in this form.
        return str(cast("tuple[object, ...]", peer)[0]).removeprefix("::ffff:")
    return "an unknown address" if peer is None else "a Unix socket"


def one_line(text: str) -> str:
    """Escape line ends and control characters, with which a stranger could forge a line of the log."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def _client(peer: str, asked: str) -> str:
    """Return the address of a client, and in parentheses what it has asked for."""
    return one_line(peer) + (f" ({_shown(asked)})" if asked else "")


def _whose(app_id: str | None) -> str:
    return "No app" if app_id is None else f"App {app_id}"


def _shown(text: str) -> str:
    return one_line(text if len(text) <= LONGEST else text[:LONGEST] + "…")
