"""A cluster of one process."""

import time
from collections.abc import Callable

from soketpy.core.history import LogCounts
from soketpy.core.ports import Answers, Bus, Cache, EventLog, History, Links, RateLimiter, Roster
from soketpy.core.steps import Soon
from soketpy.core.tabs import Tabs
from soketpy.drivers.local.bus import LocalBus, LocalHistory
from soketpy.drivers.local.cache import LocalCache
from soketpy.drivers.local.history import MemoryHistory
from soketpy.drivers.local.limits import LocalRateLimiter
from soketpy.drivers.local.once import LocalAnswers, Recent
from soketpy.drivers.local.roster import LocalRoster
from soketpy.drivers.local.transitions import NO_WEBHOOKS, Transitions

HISTORY_SIZE = 64 * 1024 * 1024
"""The most bytes of all logs, by default."""


class LocalCluster:
    """A cluster of one. ``events`` takes the events for webhooks, and ``transitions`` those of the roster."""

    connected = True
    links = Links()

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        cache_ttl: float = 1800,
        cached_events: int = 100_000,
        events: EventLog = NO_WEBHOOKS,
        transitions: Transitions | None = None,
        history: LocalHistory | None = None,
        idempotency_window: float = 120,
    ) -> None:
        self.events = events
        cache = LocalCache(cache_ttl, cached_events, clock, events)
        if history is None:
            history = MemoryHistory(time.time, app_size=HISTORY_SIZE, size=HISTORY_SIZE)
        self._logs = history
        self.history: History = history
        self.tabs: Tabs = history.tabs
        self.answers: Answers = LocalAnswers(clock, idempotency_window)
        self.bus: Bus = LocalBus(cache, history, Recent(clock, idempotency_window))
        self.roster: Roster = LocalRoster(transitions)
        self.cache: Cache = cache
        self.limiter: RateLimiter = LocalRateLimiter(clock)

    def flush_soon(self, soon: Callable[..., object]) -> Soon:
        """Return ``soon``: nothing is ever in flight."""
        return soon

    @property
    def log_counts(self) -> LogCounts:
        """The counts of the logs, for metrics."""
        return self._logs.counts

    async def start(self) -> None:
        """Open the logs of channels with history."""
        await self._logs.start()

    async def stop(self) -> None:
        """Close the logs of channels with history."""
        await self._logs.stop()
