"""The ledger of ``tests.clients.chaos``: what clients heard, compared with the logs of the channels."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.clients.javascript import Report

SUBSCRIBED = "pusher:subscription_succeeded"
RECOVERED = "soketpy:recovered"
NUMBERED = "numbered"

FAULTS = (
    "lost",
    "out of order",
    "repeated outside of a recovered range",
    "complete with a hole",
    "reported as incomplete",
    "accepted and not in the log",
    "in the log twice",
)
"""Kinds of faults; all are 0 in a good run."""


@dataclass
class Ledger:
    """Counts of events. ``repeated`` are events that came again in a recovered range, as after a crash."""

    faults: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(FAULTS, 0)))
    delivered: int = 0
    replayed: int = 0
    repeated: int = 0
    recoveries: int = 0
    details: list[str] = field(default_factory=list)

    def fault(self, kind: str, detail: str) -> None:
        """Count a fault, and keep what is known of the first ones."""
        self.faults[kind] += 1
        if len(self.details) < 20:
            self.details.append(f"{kind}: {detail}")

    def check_log(self, channel: str, stored: Sequence[int], accepted: Iterable[int]) -> None:
        """Compare the log of a channel with the events that were answered with 200."""
        times = Counter(stored)
        for number in accepted:
            if number not in times:
                self.fault("accepted and not in the log", f"{channel} {number}")
        for number, count in times.items():
            if count > 1:
                self.fault("in the log twice", f"{channel} {number}")

    def check_client(self, name: str, channel: str, stored: Sequence[int], heard: Iterable[Report]) -> None:
        """Compare the events that a client got on a channel with the log, which has no event twice."""
        index = {number: place for place, number in enumerate(stored)}
        seen, first, replaying = -1, True, False
        expected: int | None = None
        for report in heard:
            where = f"{name} on {channel}, after event {seen + 1} of {len(stored)}: {report.event} {report.data}"
            if report.event == SUBSCRIBED:
                replaying, first, expected = not first, False, None
            elif report.event == RECOVERED:
                replaying = False
                self.recoveries += 1
                if not report.data["complete"]:
                    self.fault("reported as incomplete", where)
                elif serial_of(report.data["to"]) != seen + 1:
                    self.fault("complete with a hole", where)
            elif report.event == NUMBERED:
                self.delivered += 1
                self.replayed += replaying
                place = index[report.data]
                if replaying and expected is not None and place != expected:
                    self.fault("out of order", where)
                expected = place + 1
                if place > seen + 1:
                    self.fault("lost", f"{where}; {place - seen - 1} events")
                elif place <= seen and replaying:
                    self.repeated += 1
                elif place <= seen:
                    self.fault("repeated outside of a recovered range", where)
                seen = max(seen, place)
        if seen != len(stored) - 1:
            self.fault("lost", f"{name} on {channel}: the last {len(stored) - 1 - seen} events")

    def rows(self) -> Mapping[str, int]:
        """Return all counts for people to read."""
        return {
            "events delivered": self.delivered,
            "of these replayed": self.replayed,
            "recovered ranges": self.recoveries,
            "repeated in a recovered range": self.repeated,
            **self.faults,
        }


def serial_of(position: Any) -> int:
    """Return the serial of a position."""
    return int(position.rpartition(":")[2])
