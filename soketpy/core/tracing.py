"""The port of traces: spans of the calls that this server serves, and of the requests that it makes.

A trace is the path of one operation through several programs, and a span is the part of one of them. The names of
attributes are those of OpenTelemetry's semantic conventions.
"""

from collections.abc import Mapping
from typing import Protocol

import msgspec

Attributes = Mapping[str, str | int | float]


class Served(msgspec.Struct, frozen=True):
    """A request that this server has answered.

    ``seconds`` is its duration, until now. ``headers`` are those of the request, with names in lower case.
    ``continues`` is true if the span becomes a part of the trace that the headers name; otherwise the span begins a
    trace of its own, with a link to the other one. ``error`` is empty, or the type of the fault of this server.
    ``published`` are the seconds, since the begin of the request, at which other nodes got its events and confirmed
    them. It is None if the request did not wait for this.
    """

    name: str
    attributes: Attributes
    seconds: float
    headers: Mapping[str, str]
    continues: bool
    error: str = ""
    published: tuple[float, float] | None = None


class Span(Protocol):
    """A request that this server makes now."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Return the headers that name the trace to the receiver."""

    def end(self, attributes: Attributes, error: str = "") -> None:
        """End the span. ``error`` is empty, or the type of the fault."""


class Tracer(Protocol):
    """Exports spans in the background. Its methods never wait; they drop spans that cannot be exported in time."""

    def served(self, request: Served) -> str | None:
        """Export the span of an answered request. Return the id of its trace, or None if the span is not exported."""

    def begin(self, name: str, attributes: Attributes) -> Span:
        """Begin the span of a request that this server makes."""

    async def stop(self) -> None:
        """Export the last spans, for some seconds."""
