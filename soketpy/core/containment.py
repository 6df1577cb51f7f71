"""Contained faults: an exception in one operation is logged and counted, and all other operations continue.

Catch an exception around each independent piece of work (one operation, one subscriber of a fan-out, one callback).
Call ``contain`` with the exception. Then end the operation: answer the request or close the connection.
"""

import logging
import time
from collections.abc import Callable

from soketpy.core.limits import Bucket

TRACEBACKS = 20
"""Logged tracebacks per second. Further faults are only counted, so that a fan-out cannot flood the log."""


class Failures:
    """The number of faults that this process has contained since its start; ``/metrics`` exports it."""

    def __init__(self) -> None:
        self.count = 0
        self._tracebacks = Bucket(TRACEBACKS, TRACEBACKS, time.monotonic())

    def note(self) -> bool:
        """Count one fault. Return whether its traceback may be logged."""
        self.count += 1
        return self._tracebacks.take(1, time.monotonic())


failures = Failures()


def contain(log: logging.Logger, fault: BaseException, what: str, *details: object) -> None:
    """Log a fault with its traceback, under the text ``what % details``, and count it. Never raises."""
    if failures.note():
        try:
            log.error(what, *details, exc_info=fault)
        except Exception:
            failures.count += 1  # the log itself fails: the counter is all that is left


def attempt(log: logging.Logger, note: Callable[..., object], *details: object) -> None:
    """Call a function that logs or counts, and contain its exceptions. Never raises."""
    try:
        note(*details)
    except Exception as fault:
        contain(log, fault, "%s failed", getattr(note, "__qualname__", note))
