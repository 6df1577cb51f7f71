"""Counters of webhooks: the deliveries of each app to each host."""

from bisect import bisect_left
from dataclasses import dataclass, field, replace

LATENCIES = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds, in seconds, of the classes that the durations of requests are counted in. One more has no bound."""


@dataclass(slots=True)
class WebhookTraffic:
    """Counters since the start, and two gauges: the number of queued deliveries and the age of the oldest in seconds.

    ``sent`` and ``dead`` count deliveries; ``failed`` and ``retried`` count attempts. ``dropped`` counts events that no
    queue could store. ``latencies`` has the number of requests in each class of ``LATENCIES``, and ``seconds`` is the
    sum of their durations.
    """

    sent: int = 0
    failed: int = 0
    retried: int = 0
    dead: int = 0
    dropped: int = 0
    latencies: list[int] = field(default_factory=lambda: [0] * (len(LATENCIES) + 1))
    seconds: float = 0.0
    queued: int = 0
    oldest: float = 0.0

    def requested(self, seconds: float) -> None:
        """Count a request that took some seconds, with any result."""
        self.latencies[bisect_left(LATENCIES, seconds)] += 1
        self.seconds += seconds

    def __add__(self, other: "WebhookTraffic") -> "WebhookTraffic":
        return WebhookTraffic(
            self.sent + other.sent,
            self.failed + other.failed,
            self.retried + other.retried,
            self.dead + other.dead,
            self.dropped + other.dropped,
            [ours + theirs for ours, theirs in zip(self.latencies, other.latencies, strict=True)],
            self.seconds + other.seconds,
            self.queued + other.queued,
            max(self.oldest, other.oldest),
        )

    def ended(self) -> "WebhookTraffic":
        """Return the counts of a process that has ended: its counters, and no queue."""
        return replace(self, queued=0, oldest=0.0)


class WebhookTrafficByHost(dict[tuple[str, str], WebhookTraffic]):
    """The counters by the app's id and the host of the endpoint. The host of dropped events is empty."""

    def __missing__(self, key: tuple[str, str]) -> WebhookTraffic:
        traffic = self[key] = WebhookTraffic()
        return traffic

    def add(self, other: dict[tuple[str, str], WebhookTraffic]) -> "WebhookTrafficByHost":
        """Return the sum of two processes."""
        total = WebhookTrafficByHost(self)
        for key, traffic in other.items():
            total[key] = total.get(key, WebhookTraffic()) + traffic
        return total
