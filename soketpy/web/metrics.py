"""The metrics for Prometheus: those of soketi with soketi's names, and soketpy's own."""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import Metric
from prometheus_client.registry import Collector

from soketpy.core.measures import Measures
from soketpy.core.traffic import Traffic
from soketpy.core.webhook_traffic import WebhookTraffic
from soketpy.web import process_metrics, webhook_metrics

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


class TrafficCollector(Collector):
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

    def collect(self) -> Iterator[Metric]:
        """Yield every metric with soketi's name and soketi's labels ``app_id`` and ``port``."""
        gauge = Metric(f"{self._prefix}connected", "WebSocket connections that are open now.", "gauge")
        for app_id in self._traffic:
            gauge.add_sample(gauge.name, self._labels(app_id), self._connected(app_id))
        yield gauge
        for name, attribute, help_text in _COUNTERS:
            # soketi's byte counters do not end in _total, which the counter type of Prometheus would add.
            kind = "counter" if name.endswith("_total") else "unknown"
            metric = Metric(f"{self._prefix}{name.removesuffix('_total')}", help_text, kind)
            for app_id, traffic in self._traffic.items():
                metric.add_sample(f"{self._prefix}{name}", self._labels(app_id), getattr(traffic, attribute))
            yield metric
        yield from process_metrics.collect(self._port, self._measures())
        yield from webhook_metrics.collect(self._port, self._webhooks())

    def _labels(self, app_id: str) -> dict[str, str]:
        return {"app_id": app_id, "port": self._port}
