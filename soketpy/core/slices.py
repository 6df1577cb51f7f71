"""Work on very many items that leaves the event loop free for others: a slice of items in each iteration."""

import logging
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

from soketpy.core.containment import contain
from soketpy.core.steps import Soon

log = logging.getLogger("soketpy.slices")

T = TypeVar("T")

SLICE_SIZE = 100
"""Items that are worked on in one iteration of the event loop: some milliseconds where each closes a connection."""


def in_slices(items: Iterable[T], act: Callable[[T], object], soon: Soon, size: int = SLICE_SIZE) -> None:
    """Call ``act`` with each item: the first ``size`` of them now, the others in later iterations of the event loop.

    Never raises. A call that raises is contained, and the next item follows.
    """
    _next_slice(iter(items), act, soon, size)


def _next_slice(items: Iterator[T], act: Callable[[T], object], soon: Soon, size: int) -> None:
    done = 0
    for item in islice(items, size):
        done += 1
        try:
            act(item)
        except Exception as fault:
            contain(log, fault, "One of many could not be served: %r", item)
    if done == size:
        soon(lambda: _next_slice(items, act, soon, size))
