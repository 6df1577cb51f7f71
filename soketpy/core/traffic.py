"""Counters: the traffic of each app, and all counts of a process."""

from collections.abc import Callable
from dataclasses import dataclass, field

from soketpy.core.measures import Measures
from soketpy.core.webhook_traffic import WebhookTrafficByHost


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
        self._last: dict[str, tuple[int, ...]] = {}  # the counters of apps that were not in use at the last call

    def forget_unused(self, in_use: Callable[[str], bool]) -> None:
        """Remove the counters of apps that are not in use, and had no traffic since the last call of this method.

        Apps of a database come and go for years: their counters would fill the memory and the metrics.
        """
        unused = {app_id: traffic.counters() for app_id, traffic in self.items() if not in_use(app_id)}
        gone = {app_id for app_id, counters in unused.items() if self._last.get(app_id) == counters}
        for app_id in gone:
            del self[app_id]
        self._last = {app_id: counters for app_id, counters in unused.items() if app_id not in gone}

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


@dataclass(slots=True)
class Counted:
    """The counts of one process. ``apps`` maps an app id to its number of connections and its traffic counters.

    ``webhooks`` maps an app id and a host to the counters of webhooks.
    """

    apps: dict[str, tuple[int, dict[str, int]]] = field(default_factory=dict)
    measures: Measures = field(default_factory=Measures)
    webhooks: WebhookTrafficByHost = field(default_factory=WebhookTrafficByHost)

    def __add__(self, other: "Counted") -> "Counted":
        apps = dict(self.apps)
        for app_id, (connected, counters) in other.apps.items():
            before, counted = apps.get(app_id, (0, {}))
            apps[app_id] = (
                before + connected,
                {name: counted.get(name, 0) + value for name, value in counters.items()},
            )
        return Counted(apps, self.measures + other.measures, self.webhooks.add(other.webhooks))

    def ended(self) -> "Counted":
        """Return the counts of a process that has ended: its counters, and no connections."""
        apps = {app_id: (0, counters) for app_id, (_, counters) in self.apps.items()}
        webhooks = WebhookTrafficByHost({key: traffic.ended() for key, traffic in self.webhooks.items()})
        return Counted(apps, self.measures.ended(), webhooks)
