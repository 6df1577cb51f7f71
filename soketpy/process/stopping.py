"""The time limit for the parts of a server that stops: it holds whatever a database, a queue or a program does."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

log = logging.getLogger("soketpy")

STOP_TIMEOUT = 10.0
"""Seconds that all parts of a server together have to stop, after its clients are closed."""

LEAST = 1.0
"""Seconds that a part has if the parts before it have used all the time, and that it has to end after its time."""


class Deadline:
    """The time by which the parts of one server must have stopped. It is set when the first part stops."""

    def __init__(self) -> None:
        self._ends: float | None = None

    async def stop(self, part: str, stop: Callable[[], Awaitable[None]]) -> None:
        """Stop a part. If it does not stop in time, cancel its stop, log this and return.

        Raise what ``stop`` raises in time.
        """
        loop = asyncio.get_running_loop()
        if self._ends is None:
            self._ends = loop.time() + STOP_TIMEOUT
        stopping = asyncio.ensure_future(stop())
        try:
            await asyncio.wait([stopping], timeout=max(LEAST, self._ends - loop.time()))
        finally:
            late = stopping.cancel()
        if not late:
            stopping.result()
            return
        log.error(
            "%(part)s did not stop in time: the server stops without waiting any longer",
            {"event": "stop_too_slow", "part": part},
        )
        await asyncio.wait([stopping], timeout=LEAST)
        if stopping.done() and not stopping.cancelled():
            stopping.exception()  # it is marked as retrieved: the line above is the report
