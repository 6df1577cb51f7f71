"""The health of endpoints: a failing one is paused, and tried by one delivery at a time.

Each lane of an endpoint retries its own delivery. Without the pause, 16 lanes would send 16 requests to a dead
endpoint, where one is enough. A receiver that asks for a pause (``Retry-After``) would still get the requests
of the other lanes.

1. An endpoint is failing after ``FAILURES`` failed attempts without an accepted one in between, or at once if the
   receiver asks for a pause or the server blocks its address. All of its lanes are then paused. The pause doubles
   with each further failure, and is never shorter than the ``Retry-After`` of the receiver. Before that, a failed
   attempt pauses only its own lane: a receiver that sometimes fails gets the other deliveries without delay.
2. After the pause, one delivery is tried. The others wait for its result.
3. An accepted delivery ends the failing state, and all lanes continue at once.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from soketpy.core.retries import pause_after
from soketpy.core.webhook_ports import Outcome

FAILURES = 5
"""Failed attempts in a row that make an endpoint failing."""

SLACK = 0.05
"""Seconds by which a delivery may come before the end of the pause, because the queue uses another clock."""


class Endpoint:
    """One endpoint. ``row`` counts the failed attempts since the last accepted delivery."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.failing_since: float | None = None
        self.error = ""
        self.users = 0
        self.row = 0
        self._row_since = 0.0
        self._clock = clock
        self._failures = 0
        self._next = 0.0
        self._probing = False
        self._probed = asyncio.Event()

    @property
    def pause(self) -> float:
        """Return the seconds until the next attempt: 0 or less if there may be one now."""
        return 0.0 if self.failing_since is None else self._next - self._clock()

    @property
    def failing_for(self) -> float:
        """Return for how many seconds the endpoint has been failing."""
        return 0.0 if self.failing_since is None else self._clock() - self.failing_since

    @asynccontextmanager
    async def attempt(self) -> AsyncIterator[float]:
        """Wait for the probe of a failing endpoint. Return 0 if an attempt may begin, or the seconds of the pause."""
        while self._probing:
            self._probed.clear()
            await self._probed.wait()
        pause = self.pause
        if pause > SLACK:
            yield pause
        elif self.failing_since is None:
            yield 0.0
        else:
            self._probing = True
            try:
                yield 0.0
            finally:
                self._probing = False
                self._probed.set()

    def succeed(self) -> float | None:
        """Note an accepted delivery. If the endpoint was failing, return for how many seconds, else None."""
        since, self.failing_since = self.failing_since, None
        self._failures = self.row = 0
        return None if since is None else self._clock() - since

    def fail(self, outcome: Outcome) -> bool:
        """Note a failed attempt. Return whether the endpoint has just begun to fail.

        A receiver that answers 410 is not paused: all its deliveries end with their first attempt. Nor does 410 count
        for the pause of a later failure.
        """
        now = self._clock()
        self.row += 1
        if self.row == 1:
            self._row_since = now
        at_once = outcome.blocked or outcome.retry_after is not None
        if self.failing_since is None and self.row < FAILURES and not at_once:
            return False
        began = self.failing_since is None
        if began:
            self.failing_since = self._row_since
        if (began or self._probing) and not outcome.gone:
            self._failures += 1
        self.error = outcome.error
        pause = 0.0 if outcome.gone else pause_after(self._failures, outcome.retry_after, random.random)
        self._next = now + pause if began or self._probing else max(self._next, now + (outcome.retry_after or 0.0))
        return began


class Endpoints:
    """The endpoints that have a delivery in flight or that fail. The others need no memory."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[tuple[str, str], Endpoint] = {}

    def __len__(self) -> int:
        return len(self._known)

    @contextmanager
    def use(self, key: tuple[str, str]) -> Iterator[Endpoint]:
        """Return an endpoint for the duration of one attempt."""
        endpoint = self._known.get(key)
        if endpoint is None:
            endpoint = self._known[key] = Endpoint(self._clock)
        endpoint.users += 1
        try:
            yield endpoint
        finally:
            endpoint.users -= 1
            if not endpoint.users and not endpoint.row:
                self._known.pop(key, None)

    def forget(self, key: tuple[str, str]) -> None:
        """Forget an endpoint that has been removed."""
        self._known.pop(key, None)
