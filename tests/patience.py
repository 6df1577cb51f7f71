"""The waits of tests: each waits for a condition, never for a time, and at most as long as one common limit."""

import asyncio
import inspect
import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

PATIENCE = 60.0
"""Seconds after which what a test waits for counts as missing: far more than a slow machine needs."""

UNHURRIED: dict[str, Any] = {"open_timeout": PATIENCE, "ping_interval": None}
"""Options of a client of python-websockets, which would otherwise give up after 10 s, and after a ping of its own."""

PAUSE = 0.01
"""Seconds between two looks at what other processes do."""

EAGER = 100
"""Looks without a pause, since most conditions hold after a few iterations of the event loop."""


def attempts() -> Iterator[int]:
    """Count the rounds of a loop that ends with ``break`` or ``return``. Raises TimeoutError after the patience."""
    end = time.monotonic() + PATIENCE
    for number in count():
        if time.monotonic() > end:
            raise TimeoutError(f"what the test waits for did not happen within {PATIENCE:g} s")
        yield number


async def until(condition: Callable[[], object]) -> None:
    """Wait until a condition holds, which may be a coroutine function. Raises TimeoutError after the patience."""
    async with asyncio.timeout(PATIENCE):  # for a condition that never returns
        for number in attempts():
            found = condition()
            if await found if inspect.isawaitable(found) else found:
                return
            await asyncio.sleep(0 if number < EAGER else PAUSE)


def wait_until(condition: Callable[[], object], pause: Callable[[float], object] = time.sleep) -> None:
    """Wait until a condition holds, outside of an event loop. Raises TimeoutError after the patience."""
    for _ in attempts():
        if condition():
            return
        pause(PAUSE)
