"""Counters: the traffic of each app, and the totals of a process."""

from collections import Counter
from dataclasses import dataclass, field, fields, replace

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

    def __add__(self, other: "RegistryCounts") -> "RegistryCounts":
        return RegistryCounts(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    def ended(self) -> "RegistryCounts":
        """Return the counts of a process that has ended."""
        return RegistryCounts(self.queries, self.waits)


@dataclass(slots=True)
class Totals:
    """Counters of all apps since the start of a process, and gauges of its connections to Redis.

    ``refused`` counts refused handshakes by close code. ``links`` is the number of connections to Redis that the
    process needs, one for each partition; ``links_up`` is the number of working ones.
    """

    failures: int = 0
    slow_readers: int = 0
    refused: Counter[int] = field(default_factory=Counter)
    links: int = 0
    links_up: int = 0
    registry: RegistryCounts = field(default_factory=RegistryCounts)

    def __add__(self, other: "Totals") -> "Totals":
        return Totals(
            self.failures + other.failures,
            self.slow_readers + other.slow_readers,
            self.refused + other.refused,
            self.links + other.links,
            self.links_up + other.links_up,
            self.registry + other.registry,
        )

    def ended(self) -> "Totals":
        """Return the totals of a process that has ended: its counters, and no connections to Redis."""
        return replace(self, links=0, links_up=0, registry=self.registry.ended())


@dataclass(slots=True)
class Counted:
    """The counts of one process. ``apps`` maps an app id to its number of connections and its traffic counters.

    ``webhooks`` maps an app id and a host to the counters of webhooks.
    """

    apps: dict[str, tuple[int, dict[str, int]]] = field(default_factory=dict)
    totals: Totals = field(default_factory=Totals)
    webhooks: WebhookTrafficByHost = field(default_factory=WebhookTrafficByHost)

    def __add__(self, other: "Counted") -> "Counted":
        apps = dict(self.apps)
        for app_id, (connected, counters) in other.apps.items():
            before, counted = apps.get(app_id, (0, {}))
            apps[app_id] = (
                before + connected,
                {name: counted.get(name, 0) + value for name, value in counters.items()},
            )
        return Counted(apps, self.totals + other.totals, self.webhooks.add(other.webhooks))

    def ended(self) -> "Counted":
        """Return the counts of a process that has ended: its counters, and no connections."""
        apps = {app_id: (0, counters) for app_id, (_, counters) in self.apps.items()}
        webhooks = WebhookTrafficByHost({key: traffic.ended() for key, traffic in self.webhooks.items()})
        return Counted(apps, self.totals.ended(), webhooks)
