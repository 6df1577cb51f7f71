"""SIGHUP and SIGUSR2 at the begin of a start. The system holds them until the server has handlers for them.

Without a handler, each of the two ends the process, and reading a large configuration takes a second.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

HELD = ("SIGHUP", "SIGUSR2")


@contextmanager
def held_signals() -> Iterator[None]:
    """Hold the signals until ``release`` or the end of the block."""
    if not hasattr(signal, "pthread_sigmask"):  # the server does not run on this system
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _numbers())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def release() -> None:
    """Deliver the signals that are held, and hold no more."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _numbers())


def _numbers() -> list[signal.Signals]:
    return [signal.Signals[name] for name in HELD]
