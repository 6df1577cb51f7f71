"""Counters of webhooks: the deliveries of each app to each host."""

from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from soketpy.core.unused import Unused

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

    def counters(self) -> tuple[int, ...]:
        """Return the values of all counters, without the sum of the durations."""
        return (self.sent, self.failed, self.retried, self.dead, self.dropped, *self.latencies)

    def copy(self) -> "WebhookTraffic":
        """Return the counters and gauges of this moment."""
        return replace(self, latencies=self.latencies.copy())

    def since(self, before: "WebhookTraffic") -> "WebhookTraffic":
        """Return the increments of the counters since an earlier moment, and the gauges as they are."""
        return WebhookTraffic(
            self.sent - before.sent,
            self.failed - before.failed,
            self.retried - before.retried,
            self.dead - before.dead,
            self.dropped - before.dropped,
            [now - then for now, then in zip(self.latencies, before.latencies, strict=True)],
            self.seconds - before.seconds,
            self.queued,
            self.oldest,
        )

    def ended(self) -> "WebhookTraffic":
        """Return the counts of a process that has ended: its counters, and no queue."""
        return replace(self, queued=0, oldest=0.0)


class WebhookTrafficByHost(dict[tuple[str, str], WebhookTraffic]):
    """The counters by the app's id and the host of the endpoint. The host of dropped events is empty."""

    def __init__(self, *given: Mapping[tuple[str, str], WebhookTraffic]) -> None:
        super().__init__(*given)
        self._unused = Unused[tuple[str, str]]()

    def forget_unused(self, in_use: Callable[[str, str], bool]) -> None:
        """Remove the counters of hosts that are not in use, have no queue, and did not change since the last call.

        Apps and the URLs of their webhooks come and go: their counters would fill the memory and the metrics.
        """
        for key in self._unused.since_last_call(
            {key: each.counters() for key, each in self.items() if not each.queued and not in_use(*key)}
        ):
            del self[key]

    def __missing__(self, key: tuple[str, str]) -> WebhookTraffic:
        traffic = self[key] = WebhookTraffic()
        return traffic
