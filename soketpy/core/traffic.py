"""Counters: the traffic of each app, and the queries for apps."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from soketpy.core.unused import Unused


class Traffic:
    """Counters of one app since the start; bytes are those of messages and bodies, without framing and headers."""

    __slots__ = (
        "bytes_received",
        "bytes_sent",
        "connections",
        "disconnections",
        "http_bytes_received",
        "http_bytes_sent",
        "http_calls",
        "messages_received",
        "messages_sent",
    )

    def __init__(self) -> None:
        self.connections = 0
        self.disconnections = 0
        self.bytes_received = 0
        self.bytes_sent = 0
        self.messages_received = 0
        self.messages_sent = 0
        self.http_bytes_received = 0
        self.http_bytes_sent = 0
        self.http_calls = 0

    def counters(self) -> tuple[int, ...]:
        """Return the values of all counters."""
        return tuple(getattr(self, name) for name in self.__slots__)

    def add(self, increments: Iterable[int]) -> None:
        """Add to all counters, in the order of ``counters``."""
        for name, increment in zip(self.__slots__, increments, strict=True):
            setattr(self, name, getattr(self, name) + increment)

    def sent(self, number: int, size: int) -> None:
        """Count messages to clients; ``size`` is the sum of their bytes."""
        self.messages_sent += number
        self.bytes_sent += size

    def received(self, size: int) -> None:
        """Count a message of ``size`` bytes from a client."""
        self.messages_received += 1
        self.bytes_received += size

    def answered(self, received: int, sent: int) -> None:
        """Count a REST call by the bytes of its body and of the answer's body."""
        self.http_calls += 1
        self.http_bytes_received += received
        self.http_bytes_sent += sent


class TrafficByApp(dict[str, Traffic]):
    """The counters of every app with traffic, by app id."""

    def __init__(self) -> None:
        super().__init__()
        self._unused = Unused[str]()

    def forget_unused(self, in_use: Callable[[str], bool]) -> None:
        """Remove the counters of apps that are not in use, and had no traffic since the last call of this method.

        Apps of a database come and go for years: their counters would fill the memory and the metrics.
        """
        for app_id in self._unused.since_last_call(
            {app_id: traffic.counters() for app_id, traffic in self.items() if not in_use(app_id)}
        ):
            del self[app_id]

    def __missing__(self, app_id: str) -> Traffic:
        traffic = self[app_id] = Traffic()
        return traffic


@dataclass(slots=True)
class RegistryCounts:
    """Counters of the cache of apps in a database since the start of a process, and gauges of the moment.

    ``waits`` counts the lookups that waited for a query. ``in_use`` is 1 if the apps are in a database, and
    ``available`` is 1 while this database answers.
    """

    queries: int = 0
    waits: int = 0
    cached: int = 0
    in_use: int = 0
    available: int = 0
