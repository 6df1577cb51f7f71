"""The metrics of a server: those of soketi with soketi's names, and soketpy's own."""

from collections.abc import Callable, Iterator, Mapping

from soketpy.core.measures import Measures
from soketpy.core.traffic import Traffic
from soketpy.core.webhook_traffic import WebhookTraffic
from soketpy.web import process_metrics, webhook_metrics
from soketpy.web.exposition import Family, Kind, Labels, Sample

ByHost = Mapping[tuple[str, str], WebhookTraffic]
"""The counters of webhooks, by the id of the app and the host of the endpoint."""

# The name in soketi, the counter with its value, and its help.
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


class Metrics:
    """Reads the counters of all apps, and computes the gauges, whenever Prometheus asks."""

    def __init__(
        self,
        prefix: str,
        port: int,
        traffic: Mapping[str, Traffic],
        connected: Callable[[str], int],
        measures: Callable[[], Measures] = Measures,
        webhooks: Callable[[], ByHost] = dict,
    ) -> None:
        self._webhooks = webhooks
        self._measures = measures
        self._prefix = prefix
        self._port = str(port)
        self._traffic = traffic
        self._connected = connected

    def families(self) -> Iterator[Family]:
        """Yield every metric with soketi's name and soketi's labels ``app_id`` and ``port``.

        Counters may change, and apps may come and go, between two samples.
        """
        apps: list[tuple[Labels, Traffic]] = []
        # This metric is the first: its samples also make the labels of the apps, which the others use again.
        yield Family(f"{self._prefix}connected", "WebSocket connections that are open now.", "gauge", self._gauge(apps))
        for name, attribute, help_text in _COUNTERS:
            # soketi's byte counters do not end in _total, so they are not counters by the rules of Prometheus.
            kind: Kind = "counter" if name.endswith("_total") else "untyped"
            yield Family(f"{self._prefix}{name}", help_text, kind, _counters(f"{self._prefix}{name}", attribute, apps))
        yield from process_metrics.families(self._port, self._measures())
        yield from webhook_metrics.families(self._port, self._webhooks())

    def _gauge(self, apps: list[tuple[Labels, Traffic]]) -> Iterator[Sample]:
        for app_id, traffic in list(self._traffic.items()):
            labels = Labels(app_id=app_id, port=self._port)
            apps.append((labels, traffic))
            yield f"{self._prefix}connected", labels, "", self._connected(app_id)


def _counters(name: str, attribute: str, apps: list[tuple[Labels, Traffic]]) -> Iterator[Sample]:
    for labels, traffic in apps:
        yield name, labels, "", getattr(traffic, attribute)
