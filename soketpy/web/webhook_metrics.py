"""The metrics of webhooks for Prometheus: by app and by the host of the endpoint."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate

from soketpy.core.webhook_traffic import LATENCIES, WebhookTraffic
from soketpy.web.exposition import Family, Kind, Labels, Sample
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

_Labelled = Sequence[tuple[Labels, WebhookTraffic]]


def families(port: str, traffic: Mapping[tuple[str, str], WebhookTraffic]) -> Iterator[Family]:
    """Yield the metrics of webhooks. Nothing is yielded before the first delivery."""
    if not traffic:
        return
    labelled: list[tuple[Labels, WebhookTraffic]] = []
    name = f"{PREFIX}webhook_request_seconds"
    # This metric is the first: its samples also make the labels, which the others use again.
    yield Family(name, "Durations of the requests of webhooks.", "histogram", _durations(name, port, traffic, labelled))
    kinds: tuple[tuple[Kind, tuple[tuple[str, str, str], ...], str], ...]
    kinds = (("counter", _COUNTERS, "_total"), ("gauge", _GAUGES, ""))
    for kind, metrics, suffix in kinds:
        for short, attribute, help_text in metrics:
            name = f"{PREFIX}{short}{suffix}"
            yield Family(name, help_text, kind, _values(name, attribute, labelled))


def _durations(
    name: str,
    port: str,
    traffic: Mapping[tuple[str, str], WebhookTraffic],
    labelled: list[tuple[Labels, WebhookTraffic]],
) -> Iterator[Sample]:
    for (app_id, host), each in list(traffic.items()):
        labels = Labels(app_id=app_id, host=host, port=port)
        labelled.append((labels, each))
        numbers, seconds = tuple(accumulate(each.latencies)), each.seconds  # at one moment
        for bound, number in zip(_BOUNDS, numbers, strict=True):
            yield f"{name}_bucket", labels, bound, number
        yield f"{name}_sum", labels, "", seconds
        yield f"{name}_count", labels, "", numbers[-1]


def _values(name: str, attribute: str, labelled: _Labelled) -> Iterator[Sample]:
    for labels, each in labelled:
        yield name, labels, "", getattr(each, attribute)
