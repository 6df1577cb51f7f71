"""Work on very many items, a slice in each event loop iteration, so that other work can run in between."""

import logging
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

from soketpy.core.containment import contain
from soketpy.core.steps import Soon

log = logging.getLogger("soketpy.slices")

T = TypeVar("T")

SLICE_SIZE = 100
"""Items per event loop iteration: some milliseconds if each closes a connection."""


def in_slices(items: Iterable[T], act: Callable[[T], object], soon: Soon, size: int = SLICE_SIZE) -> None:
    """Call ``act`` with each item: with ``size`` items now, and with the others in later event loop iterations.

    Never raises. An exception of a call is contained, and the next item follows.
    """
    _next_slice(iter(items), act, soon, size)


def _next_slice(items: Iterator[T], act: Callable[[T], object], soon: Soon, size: int) -> None:
    done = 0
    for item in islice(items, size):
        done += 1
        try:
            act(item)
        except Exception as fault:
            contain(log, fault, "One item of a slice could not be processed: %r", item)
    if done == size:
        soon(lambda: _next_slice(items, act, soon, size))
