"""The timeouts and the limits of one process."""

from dataclasses import dataclass

from soketpy.core.fields import setting

LONGEST = 10 * 365 * 86_400
"""Seconds. Redis refuses a duration whose end overflows its clock in milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Timeouts, in seconds."""

    activity: float = setting(
        120, "Idle time after which either side sends a ping. Clients get it as activity_timeout."
    )
    pong: float = setting(30, "How long a client may take to answer a ping. Then it is closed with 4201.")
    handshake: float = setting(10, "How long a new TCP connection may take to send its first request.")
    authorization: float = setting(
        30, "How long a client may take to authorize itself, in apps with authorized_connections."
    )
    drain: float = setting(
        0,
        "How long /ready answers 503 while all else is still served, before the server stops and closes clients.",
        least=0,
        most=LONGEST,
    )
    shutdown: float = setting(3, "How long closing all clients (with 4200) may take when the server stops.", least=0)
    worker: float = setting(
        30, "How long one of several workers may not answer. Then it is killed and replaced. 0 for no limit.", least=0
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Limits of one process, over all apps together."""

    max_connections: int | None = setting(None, "Most WebSocket connections; null for no limit.")
    max_http_connections: int | None = setting(
        None,
        "Most connections that are not (yet) WebSockets; null for max_connections, up to a quarter of open files.",
        null="the default",
    )
    message_size_in_kb: float = setting(
        256, "Largest WebSocket message from a client. A larger one closes the connection with 1009."
    )
    unread_in_kb: float = setting(
        1024, "Largest backlog of a client that reads too slowly. Beyond it the client is closed with 4100."
    )
    bad_messages: int = setting(
        20, "Most malformed messages from a client in one minute. Beyond it the client is closed with 4009."
    )
    request_size_in_mb: float = setting(100, "Largest body of a REST request. A larger one is refused with 413.")
    memory_percent: float = setting(
        85,
        "/accept-traffic answers 503 when the process uses more than this percentage of its available memory.",
        least=1,
        most=100,
    )
    cached_events: int = setting(
        100_000,
        "Most cache channels whose last event one process keeps, without Redis. Beyond it the oldest event is dropped.",
    )

    def http_connections(self, files: int) -> int:
        """Return the limit of HTTP connections. ``files`` is the number of files that the process may have open."""
        if self.max_http_connections is not None:
            return self.max_http_connections
        quarter = max(1, files // 4)
        return quarter if self.max_connections is None else min(quarter, self.max_connections)
