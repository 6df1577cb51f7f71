"""Times in a histogram of fixed precision: millions of them need little memory."""

import math
from collections import Counter

GROWTH = 1.02
"""The ratio of the bounds of two neighbouring buckets: quantiles are exact to 2 %."""

LEAST = 1e-6
"""Seconds of the first bucket."""


class Latencies:
    """Seconds of many operations."""

    def __init__(self) -> None:
        self._buckets: Counter[int] = Counter()
        self.count = 0
        self.longest = 0.0

    def add(self, seconds: float) -> None:
        """Add one time. A negative one counts as 0."""
        self._buckets[math.ceil(math.log(max(seconds, LEAST) / LEAST, GROWTH))] += 1
        self.count += 1
        self.longest = max(self.longest, seconds)

    def quantile(self, share: float) -> float:
        """Return the time that this share of the operations did not exceed, or 0 without operations."""
        wanted, seen = math.ceil(share * self.count), 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= wanted:
                return float(min(LEAST * GROWTH**bucket, self.longest))
        return 0.0

    def milliseconds(self) -> dict[str, float]:
        """Return the median, the 99th percentile and the maximum."""
        times = {"p50": self.quantile(0.5), "p99": self.quantile(0.99), "max": self.longest}
        return {name: round(1000 * seconds, 3) for name, seconds in times.items()}
