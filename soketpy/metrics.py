"""What is counted, per app, and how Prometheus reads it."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from prometheus_client import Metric
from prometheus_client.registry import Collector


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
        """So many messages, of so many bytes together, went to clients."""
        self.messages_sent += number
        self.bytes_sent += size

    def received(self, size: int) -> None:
        """A client sent a message of so many bytes."""
        self.messages_received += 1
        self.bytes_received += size

    def answered(self, received: int, sent: int) -> None:
        """A REST call was answered, with so many bytes in its body and in the answer's."""
        self.http_calls += 1
        self.http_bytes_received += received
        self.http_bytes_sent += sent


class TrafficByApp(dict[str, Traffic]):
    """The counters of every app that has had any traffic."""

    def __missing__(self, app_id: str) -> Traffic:
        traffic = self[app_id] = Traffic()
        return traffic


@dataclass(slots=True)
class Totals:
    """Counters of whole processes since their start, whatever the app; and gauges of their links to Redis.

    ``refused`` counts refused handshakes by close code. ``links`` are the connections to Redis that there should be,
    one for each partition; ``links_up`` are those that work now.
    """

    failures: int = 0
    slow_readers: int = 0
    refused: Counter[int] = field(default_factory=Counter)
    links: int = 0
    links_up: int = 0

    def __add__(self, other: "Totals") -> "Totals":
        return Totals(
            self.failures + other.failures,
            self.slow_readers + other.slow_readers,
            self.refused + other.refused,
            self.links + other.links,
            self.links_up + other.links_up,
        )

    def ended(self) -> "Totals":
        """Return what stays of a process that has ended: its counters, but no links."""
        return replace(self, links=0, links_up=0)


@dataclass(slots=True)
class Counted:
    """The counts of one process. ``apps`` has by app how many are connected, and the counters of its traffic."""

    apps: dict[str, tuple[int, dict[str, int]]] = field(default_factory=dict)
    totals: Totals = field(default_factory=Totals)

    def __add__(self, other: "Counted") -> "Counted":
        apps = dict(self.apps)
        for app_id, (connected, counters) in other.apps.items():
            before, counted = apps.get(app_id, (0, {}))
            apps[app_id] = (
                before + connected,
                {name: counted.get(name, 0) + value for name, value in counters.items()},
            )
        return Counted(apps, self.totals + other.totals)

    def ended(self) -> "Counted":
        """Return what stays of a process that has ended: its counters, but no connections."""
        return Counted({app_id: (0, counters) for app_id, (_, counters) in self.apps.items()}, self.totals.ended())


# soketi's name, the counter that it shows, and its help.
_COUNTERS = (
    ("new_connections_total", "connections", "WebSocket connections that were accepted."),
    ("new_disconnections_total", "disconnections", "WebSocket connections that ended."),
    ("socket_received_bytes", "bytes_received", "Bytes of the messages that clients sent."),
    ("socket_transmitted_bytes", "bytes_sent", "Bytes of the messages that were sent to clients."),
    ("ws_messages_received_total", "messages_received", "Messages that clients sent."),
    ("ws_messages_sent_total", "messages_sent", "Messages that were sent to clients."),
    ("http_received_bytes", "http_bytes_received", "Bytes of the bodies of REST requests."),
    ("http_transmitted_bytes", "http_bytes_sent", "Bytes of the bodies of REST answers."),
    ("http_calls_received_total", "http_calls", "REST requests with a valid signature."),
)


class TrafficCollector(Collector):
    """Shows the counters of all apps, and gauges that are computed from the live sets whenever Prometheus asks."""

    def __init__(
        self,
        prefix: str,
        port: int,
        traffic: Mapping[str, Traffic],
        connected: Callable[[str], int],
        totals: Callable[[], Totals] = Totals,
    ) -> None:
        self._totals = totals
        self._prefix = prefix
        self._port = str(port)
        self._traffic = traffic
        self._connected = connected

    def collect(self) -> Iterator[Metric]:
        """Give every metric under soketi's name, with soketi's labels ``app_id`` and ``port``."""
        gauge = Metric(f"{self._prefix}connected", "WebSocket connections that are open now.", "gauge")
        for app_id in self._traffic:
            gauge.add_sample(gauge.name, self._labels(app_id), self._connected(app_id))
        yield gauge
        for name, attribute, help_text in _COUNTERS:
            # soketi's byte counters do not end in _total, which Prometheus' own counter type would add.
            kind = "counter" if name.endswith("_total") else "unknown"
            metric = Metric(f"{self._prefix}{name.removesuffix('_total')}", help_text, kind)
            for app_id, traffic in self._traffic.items():
                metric.add_sample(f"{self._prefix}{name}", self._labels(app_id), getattr(traffic, attribute))
            yield metric
        yield from self._collect_totals()

    def _collect_totals(self) -> Iterator[Metric]:
        """Give the metrics of the whole process, which soketi has not."""
        totals = self._totals()
        yield self._total("failures", "Faults of the server that were contained; each one is a bug.", totals.failures)
        slow = "Connections that were closed with 4100 because the client read too slowly."
        yield self._total("slow_readers_closed", slow, totals.slow_readers)
        by_code = "WebSocket connections that were refused, by close code."
        refused = Metric(f"{self._prefix}refused_connections", by_code, "counter")
        for code, number in sorted(totals.refused.items()):
            refused.add_sample(f"{refused.name}_total", {"code": str(int(code)), "port": self._port}, number)
        yield refused
        for name, help_text, value in (
            ("redis_links", "Connections to Redis that there should be; 0 without Redis.", totals.links),
            ("redis_links_up", "Connections to Redis that work now.", totals.links_up),
        ):
            gauge = Metric(f"{self._prefix}{name}", help_text, "gauge")
            gauge.add_sample(gauge.name, {"port": self._port}, value)
            yield gauge

    def _total(self, name: str, help_text: str, value: int) -> Metric:
        metric = Metric(f"{self._prefix}{name}", help_text, "counter")
        metric.add_sample(f"{metric.name}_total", {"port": self._port}, value)
        return metric

    def _labels(self, app_id: str) -> dict[str, str]:
        return {"app_id": app_id, "port": self._port}
