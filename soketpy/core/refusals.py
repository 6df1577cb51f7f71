"""Log lines and counters of refused and closed clients. Their number per second is limited."""

import logging
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import cast

from soketpy.core.containment import attempt
from soketpy.core.limits import Bucket, Pruned
from soketpy.core.steps import Later
from soketpy.protocol.forwarded import UNIX_PEER

log = logging.getLogger("soketpy.refusals")

LINES = 10
"""Lines per second and app at the level ``info``. Further lines have the level ``debug``."""

MOST_LINES = 100
"""Lines per second of all apps at the level ``info``."""

SUMMARY_INTERVAL = 1.0
"""Seconds between the first omitted line and the summary of omitted lines."""

NAMED = 5
"""Apps that one summary names: those with the most omitted lines."""

LONGEST = 300
"""Most characters that are logged of a reason, or of a text from a client."""


class Lines:
    """A limit of the log lines about clients. A summary line says how many lines were omitted."""

    def __init__(self, clock: Callable[[], float], later: Later) -> None:
        self._clock = clock
        self._later = later
        self._buckets = Pruned[str, Bucket](lambda bucket: bucket.full(clock()))
        self._all = Bucket(MOST_LINES, MOST_LINES, clock())
        self._left_out: Counter[str] = Counter()

    def level(self, whose: str) -> int:
        """Return the log level of a line about a client of the app ``whose``; 0 if the line must be omitted."""
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
        log.info(
            "Left out %(count)d lines like these (%(apps)s); log.level: debug shows all",
            {"event": "lines_left_out", "count": left_out.total(), "apps": ", ".join(named)},
        )


class Refusals:
    """The log lines and counters of one process about refused clients.

    ``connections`` counts refused handshakes by close code, ``subscriptions`` refused ones by type and status, and
    ``limits`` what the rate limits of apps have refused, by the name of the limit. ``tls_handshakes`` is the number of
    failed ones.

    A line contains at most ``LONGEST`` characters of a text from a client, and no line end. Call the methods through
    ``containment.attempt``: a log that fails must not change an answer.
    """

    def __init__(self, clock: Callable[[], float], later: Later) -> None:
        self.connections: Counter[int] = Counter()
        self.subscriptions: Counter[tuple[str, int]] = Counter()
        self.limits: Counter[str] = Counter()
        self.tls_handshakes = 0
        self._lines = Lines(clock, later)

    def connection(self, peer: str, code: int, reason: str, app_id: str | None = None, asked: str = "") -> None:
        """Log a refused handshake of the client at the address ``peer``.

        ``app_id`` is None if the app does not exist. ``asked`` is the refused value, such as ``origin null``.
        """
        self.connections[code] += 1
        whose = _whose(app_id)
        if level := self._lines.level(whose):
            who = _client(peer, asked)
            log.log(
                level,
                "%(whose)s: refused a connection from %(who)s: %(code)d %(reason)s",
                {
                    "event": "connection_refused",
                    "whose": whose,
                    "who": who,
                    "code": code,
                    "reason": shown(reason),
                    "app": app_id,
                    "ip": ip_of(peer),
                },
            )

    def handshake(self, peer: str, status: int, reason: str, app_id: str | None = None, path: str = "") -> None:
        """Log a request that gets an HTTP error because of its head.

        ``app_id`` and ``path`` are None and empty if the request is not HTTP.
        """
        whose = _whose(app_id)
        if level := self._lines.level(whose):
            who = _client(peer, f"path {path}" if path else "")
            log.log(
                level,
                "%(whose)s: refused a request from %(who)s: %(status)d %(reason)s",
                {
                    "event": "request_refused",
                    "whose": whose,
                    "who": who,
                    "status": status,
                    "reason": shown(reason),
                    "app": app_id,
                    "ip": ip_of(peer),
                    "path": shown(path) or None,
                },
            )

    def tls(self, reason: str) -> None:
        """Log a failed TLS handshake with OpenSSL's reason."""
        self.tls_handshakes += 1
        whose = _whose(None)
        if level := self._lines.level(whose):
            log.log(
                level,
                "%(whose)s: a TLS handshake failed: %(reason)s",
                {"event": "tls_handshake_failed", "whose": whose, "reason": shown(reason)},
            )

    def closed(self, app_id: str, socket_id: str, peer: str, code: int, reason: str) -> None:
        """Log that the server closes an open connection because of its client."""
        whose = _whose(app_id)
        if level := self._lines.level(whose):
            who = one_line(peer)
            log.log(
                level,
                "%(whose)s: closed the connection %(socket_id)s from %(who)s: %(code)d %(reason)s",
                {
                    "event": "connection_closed",
                    "whose": whose,
                    "socket_id": socket_id,
                    "who": who,
                    "code": code,
                    "reason": shown(reason),
                    "app": app_id,
                    "ip": ip_of(peer),
                },
            )

    def subscription(self, app_id: str, socket_id: str, channel: str, status: int, reason: str) -> None:
        """Log a refused subscription of the connection ``socket_id``."""
        whose = _whose(app_id)
        if level := self._lines.level(whose):
            what, text = shown(channel), shown(reason)
            log.log(
                level,
                "%(whose)s: refused a subscription of %(channel)s by connection %(socket_id)s: %(status)d %(reason)s",
                {
                    "event": "subscription_refused",
                    "whose": whose,
                    "channel": what,
                    "socket_id": socket_id,
                    "status": status,
                    "reason": text,
                    "app": app_id,
                },
            )

    def message(self, app_id: str, socket_id: str, code: int, reason: str, channel: str | None = None) -> None:
        """Log a refused message of the connection ``socket_id``, such as a client event."""
        whose = _whose(app_id)
        if level := self._lines.level(whose):
            what = "a message" if channel is None else f"a client event on {shown(channel)}"
            log.log(
                level,
                "%(whose)s: refused %(what)s by connection %(socket_id)s: %(code)d %(reason)s",
                {
                    "event": "message_refused",
                    "whose": whose,
                    "what": what,
                    "socket_id": socket_id,
                    "code": code,
                    "reason": shown(reason),
                    "app": app_id,
                    "channel": None if channel is None else shown(channel),
                },
            )

    def request(self, app_id: str | None, peer: str, method: str, path: str, status: int, reason: str) -> None:
        """Log a refused REST request of the client at ``peer``. ``app_id`` is None if the app does not exist."""
        whose = _whose(app_id)
        if level := self._lines.level(whose):
            log.log(
                level,
                "%(whose)s: refused %(method)s %(path)s from %(who)s: %(status)d %(reason)s",
                {
                    "event": "call_refused",
                    "app": app_id,
                    "whose": whose,
                    "ip": ip_of(peer),
                    "who": one_line(peer),
                    "method": shown(method),
                    "path": shown(path),
                    "status": status,
                    "reason": shown(reason),
                },
            )


def address(peer: object) -> str:
    """Return the address of a client for a log line. ``peer`` is the ``peername`` of the client's transport."""
    if isinstance(peer, tuple) and peer:
        # A socket for both IPv6 and IPv4 shows an IPv4 address in this form.
        return str(cast("tuple[object, ...]", peer)[0]).removeprefix("::ffff:")
    return "an unknown address" if peer is None else UNIX_PEER


def ip_of(peer: str) -> str | None:
    """Return the IP address in a text of ``address``, or None if the text names none."""
    return None if " " in peer else one_line(peer)


def one_line(text: str) -> str:
    """Escape line ends and control characters: with them, a client could forge a log line."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def _client(peer: str, asked: str) -> str:
    """Return the address of a client, followed by the value that it asked for in parentheses."""
    return one_line(peer) + (f" ({shown(asked)})" if asked else "")


def _whose(app_id: str | None) -> str:
    return "No app" if app_id is None else f"App {app_id}"


def shown(text: str) -> str:
    """Return a text from a client for a log line: without line ends, and with at most ``LONGEST`` characters."""
    return one_line(text if len(text) <= LONGEST else text[:LONGEST] + "…")
