"""The metrics of webhooks for Prometheus: by app and by the host of the endpoint."""

from collections.abc import Iterator, Mapping
from itertools import accumulate

from prometheus_client import Metric

from soketpy.core.webhook_traffic import LATENCIES, WebhookTraffic
from soketpy.web.process_metrics import PREFIX

# The name, the attribute, and the help.
_COUNTERS = (
    ("webhook_sent", "sent", "Deliveries of webhooks that their receivers have accepted."),
    ("webhook_failed", "failed", "Attempts to deliver a webhook that have failed."),
    ("webhook_retried", "retried", "Failed attempts after which the delivery is tried again."),
    ("webhook_dead", "dead", "Deliveries that have become dead letters."),
    ("webhook_dropped", "dropped", "Events that no queue could store; their host is empty."),
)
_GAUGES = (
    ("webhook_queued", "queued", "Deliveries that wait or are in flight now."),
    ("webhook_oldest_seconds", "oldest", "Age of the oldest of these deliveries."),
)
_BOUNDS = (*(f"{bound:g}" for bound in LATENCIES), "+Inf")


def collect(port: str, traffic: Mapping[tuple[str, str], WebhookTraffic]) -> Iterator[Metric]:
    """Yield the metrics of webhooks. Nothing is yielded before the first delivery."""
    if not traffic:
        return
    by_labels = [({"app_id": app_id, "host": host, "port": port}, each) for (app_id, host), each in traffic.items()]
    for kind, metrics, suffix in (("counter", _COUNTERS, "_total"), ("gauge", _GAUGES, "")):
        for name, attribute, help_text in metrics:
            metric = Metric(f"{PREFIX}{name}", help_text, kind)
            for labels, each in by_labels:
                metric.add_sample(f"{PREFIX}{name}{suffix}", labels, getattr(each, attribute))
            yield metric
    latency = Metric(f"{PREFIX}webhook_request_seconds", "Durations of the requests of webhooks.", "histogram")
    for labels, each in by_labels:
        for bound, number in zip(_BOUNDS, accumulate(each.latencies), strict=True):
            latency.add_sample(f"{latency.name}_bucket", {**labels, "le": bound}, number)
        latency.add_sample(f"{latency.name}_sum", labels, each.seconds)
        latency.add_sample(f"{latency.name}_count", labels, sum(each.latencies))
    yield latency
