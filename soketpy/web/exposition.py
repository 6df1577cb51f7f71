"""The metrics as text for Prometheus, and as JSON in soketi's form, in time slices.

With 10,000 apps, a scrape has 100,000 samples. They are made one after the other while the text is written, and the
event loop serves others between two slices.
"""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from time import perf_counter
from typing import Literal

import msgspec

SLICE_SECONDS = 0.005
"""Time for which samples are written in one iteration of the event loop."""

SLICE_SIZE = 200
"""Samples between two looks at the clock: about a tenth of a millisecond."""

Kind = Literal["counter", "gauge", "histogram", "untyped"]

_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})

_json = msgspec.json.encode


class Labels:
    """The labels of a sample: their values, and their text in the format of Prometheus."""

    __slots__ = ("text", "values")

    def __init__(self, **values: str) -> None:
        self.values = values
        self.text = ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in sorted(values.items()))


NO_LABELS = Labels()

Sample = tuple[str, Labels, str, float]
"""A name, labels, the upper bound of a class of a histogram (or an empty text), and a value."""


@dataclass(frozen=True, slots=True)
class Family:
    """A metric and its samples, which are made while they are read."""

    name: str
    help: str
    kind: Kind
    samples: Iterable[Sample]


async def as_text(families: Iterable[Family]) -> bytes:
    """Return metrics in the text format of Prometheus (version 0.0.4)."""
    return await _in_slices(_lines(families))


async def as_json(families: Iterable[Family]) -> bytes:
    """Return metrics as soketi answers ``?json=1``, in prom-client's form, without metrics that have no samples."""
    return await _in_slices(_objects(families))


async def _in_slices(pieces: Iterator[str]) -> bytes:
    """Return the joined pieces. The event loop serves others after each ``SLICE_SECONDS``."""
    parts: list[bytes] = []
    until = perf_counter() + SLICE_SECONDS
    while part := "".join(islice(pieces, SLICE_SIZE)):
        parts.append(part.encode())
        if perf_counter() >= until:
            await asyncio.sleep(0)
            until = perf_counter() + SLICE_SECONDS
    return b"".join(parts)


def _lines(families: Iterable[Family]) -> Iterator[str]:
    for family in families:
        help_text = family.help.replace("\\", r"\\").replace("\n", r"\n")
        yield f"# HELP {family.name} {help_text}\n# TYPE {family.name} {family.kind}\n"
        for name, labels, bound, value in family.samples:
            if bound:
                yield f'{name}{{{labels.text},le="{bound}"}} {float(value)!r}\n'
            elif labels.text:
                yield f"{name}{{{labels.text}}} {float(value)!r}\n"
            else:
                yield f"{name} {float(value)!r}\n"


def _objects(families: Iterable[Family]) -> Iterator[str]:
    before = "["
    for family in families:
        separator = ""
        for name, labels, bound, value in family.samples:
            if not separator:
                kind = "gauge" if family.kind == "gauge" else "counter"
                head = _json({"help": family.help, "name": name, "type": kind, "aggregator": "sum"}).decode()
                yield f'{before}{head[:-1]},"values":['
                before = ","
            values = {**labels.values, "le": bound} if bound else labels.values
            yield separator + _json({"value": value, "labels": values}).decode()
            separator = ","
        if separator:
            yield "]}"
    yield "[]" if before == "[" else "]"
