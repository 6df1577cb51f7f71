"""The callback of a Python program that gets the events of all apps."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace

from soketpy.core.apps import App
from soketpy.core.containment import contain
from soketpy.protocol.event_types import EVENT_TYPES
from soketpy.protocol.webhooks import WebhookEvent

log = logging.getLogger("soketpy.webhooks")

MOST_WAITING = 10_000
"""Events that wait for the callback, at most. Beyond it the oldest ones are dropped."""

MOST_BYTES = 32 * 1024 * 1024
"""Bytes of data of the events that wait, at most. Client events may have 100 KB each."""

QUIET = 60.0
"""Seconds between two log lines about dropped events."""

STOP_TIMEOUT = 3.0
"""Seconds that the callback has for the last events when the server stops."""

OnEvent = Callable[[WebhookEvent], Awaitable[object]]
"""An async function of the program."""


class Callback:
    """Calls an async function with each event, one after the other, in a task of its own.

    A slow function delays neither the server nor webhooks: events wait in a bounded buffer. An exception ends only the
    call that raised it, also a CancelledError that does not come from ``stop``.
    """

    def __init__(
        self, on_event: OnEvent, *, most: int = MOST_WAITING, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.dropped = 0
        self._on_event = on_event
        self._most = most
        self._clock = clock
        self._events: deque[WebhookEvent] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._logged: float | None = None
        self._unlogged = 0
        self._task: asyncio.Task[None] | None = None

    def offer(self, events: Iterable[WebhookEvent]) -> None:
        """Take events. Never blocks and never raises. If too many wait, the oldest ones are dropped."""
        for event in events:
            self._events.append(event)
            self._bytes += len(event.data)
        excess = 0
        while len(self._events) > self._most or self._bytes > MOST_BYTES:
            self._next()
            excess += 1
        if excess:
            self._drop(excess)
        if self._events:
            self._idle.clear()
            self._wake.set()

    def _next(self) -> WebhookEvent:
        """Remove the oldest event from the buffer."""
        event = self._events.popleft()
        self._bytes -= len(event.data)
        return event

    def _drop(self, number: int) -> None:
        self.dropped += number
        self._unlogged += number
        now = self._clock()
        if self._logged is None or now - self._logged >= QUIET:
            log.warning(
                "on_event is too slow: dropped %(count)d events, since more than %(most)d waited",
                {"event": "on_event_too_slow", "count": self._unlogged, "most": self._most},
            )
            self._logged, self._unlogged = now, 0

    def start(self) -> None:
        """Call the function from now on."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Wait until the function has had all events, for some seconds. Then cancel its call.

        A call that goes on after that is left alone, and is the last one.
        """
        if self._task is None:
            return
        try:
            async with asyncio.timeout(STOP_TIMEOUT):
                await self._idle.wait()
        except TimeoutError:
            log.warning(
                "on_event did not end in time: %(count)d events are lost",
                {"event": "on_event_not_ended", "count": len(self._events)},
            )
        self._task.cancel()
        await asyncio.wait([self._task], timeout=STOP_TIMEOUT)

    async def _run(self) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - ``start`` creates one
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._events:
                event = self._next()
                try:
                    await self._on_event(event)
                except asyncio.CancelledError as fault:  # of this task, or of another one that the function waited for
                    if task.cancelling():
                        raise
                    contain(log, fault, "App %s: on_event failed for %s", event.app_id, event.name)
                except Exception as fault:
                    contain(log, fault, "App %s: on_event failed for %s", event.app_id, event.name)
                if task.cancelling():  # and the function has hidden it
                    return
                await asyncio.sleep(0)  # a function that never waits must not block the event loop
            self._idle.set()


def with_all_events(apps: Iterable[App]) -> tuple[App, ...]:
    """Return copies of apps whose events are all wanted, also without webhooks.

    The node and the roster look at ``App.webhook_types`` only, so a server without a callback pays nothing for it.
    """
    copies = tuple(replace(app) for app in apps)
    for copy in copies:
        object.__setattr__(copy, "webhook_types", frozenset(EVENT_TYPES))
    return copies
