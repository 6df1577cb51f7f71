"""The result of ``soketpy bench``, for people and as JSON."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from soketpy.cli.latencies import Latencies

BUSY = 0.9
"""The share of one CPU core above which the load generator itself is the limit."""

TOO_SLOW = 0.95
"""The share of the planned events below which the publishers were too slow."""


@dataclass(frozen=True, slots=True)
class Result:
    """The measurements of a test.

    ``refusals`` are the reasons for which the server refused events, and ``failures`` those for which other events got
    no answer, or one of status 500 and above. ``cpu`` is the share of one core that the generator used during the load.
    """

    connections: int
    connect_seconds: float
    connect_times: Latencies
    planned: int
    seconds: float
    published: int
    refusals: Sequence[str]
    failures: Sequence[str]
    answer_times: Latencies
    latencies: Latencies
    delivered: int
    lost: int
    duplicated: int
    reordered: int
    closes: Sequence[str]
    cpu: float

    @property
    def rate(self) -> float:
        """Return the accepted events a second."""
        return self.published / self.seconds

    @property
    def refused(self) -> int:
        """Return the number of events that were not accepted."""
        return len(self.refusals) + len(self.failures)

    @property
    def faults(self) -> list[str]:
        """Return what the server did wrong."""
        return [
            *([f"{self.lost:,} events were lost"] if self.lost else []),
            *([f"{self.duplicated:,} events arrived twice"] if self.duplicated else []),
            *([f"{len(self.failures):,} requests failed: {self.failures[0]}"] if self.failures else []),
            *([f"{len(self.closes):,} connections were closed: {self.closes[0]}"] if self.closes else []),
        ]

    @property
    def notes(self) -> list[str]:
        """Return what the reader must know about the numbers."""
        notes = []
        if self.refusals:
            notes.append(f"{len(self.refusals):,} events were not accepted: {self.refusals[0]}")
        if (sent := self.published + self.refused) + 1 < TOO_SLOW * self.planned:
            notes.append(
                f"the publishers sent {sent:,} of {self.planned:,} events: "
                "each waits for the answer before its next event, so give more --publishers"
            )
        if self.cpu > BUSY:
            notes.append(
                f"this generator used {self.cpu:.0%} of a core, so it is the limit, not the server: "
                "lower the load, or run several generators on other machines"
            )
        return notes


def print_result(result: Result, *, as_json: bool) -> None:
    """Print a result on standard output."""
    print(json.dumps(document_of(result), indent=2) if as_json else "\n".join(lines_of(result)))


def document_of(result: Result) -> dict[str, object]:
    """Return a result as a document. Times are in milliseconds if their name says so, else in seconds."""
    return {
        "connections": result.connections,
        "connect_seconds": round(result.connect_seconds, 3),
        "connect_ms": result.connect_times.milliseconds(),
        "seconds": round(result.seconds, 3),
        "published": result.published,
        "refused": result.refused,
        "events_per_second": round(result.rate, 1),
        "answer_ms": result.answer_times.milliseconds(),
        "deliveries": result.delivered,
        "deliveries_per_second": round(result.delivered / result.seconds, 1),
        "latency_ms": result.latencies.milliseconds(),
        "lost": result.lost,
        "duplicated": result.duplicated,
        "reordered": result.reordered,
        "closed": len(result.closes),
        "generator_cpu": round(result.cpu, 3),
        "notes": result.notes,
    }


def lines_of(result: Result) -> list[str]:
    """Return a result as lines for people."""
    return [
        f"connections  {result.connections:,} in {result.connect_seconds:.2f} s; each: {_times(result.connect_times)}",
        f"events       {result.published:,} in {result.seconds:.1f} s ({result.rate:,.1f} a second); "
        f"answer: {_times(result.answer_times)}",
        f"deliveries   {result.delivered:,} ({result.delivered / result.seconds:,.0f} a second)",
        f"latency      {_times(result.latencies)}",
        f"lost         {result.lost:,}; arrived twice: {result.duplicated:,}; out of order: {result.reordered:,}",
        f"generator    {result.cpu:.0%} of one CPU core",
        *(f"note: {note}" for note in result.notes),
    ]


def _times(times: Latencies) -> str:
    return ", ".join(f"{name} {number:.1f} ms" for name, number in times.milliseconds().items())
