"""The logs of channels with history, in the memory of this process. A restart loses them."""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from itertools import islice

from soketpy.core.history import (
    Entry,
    HistoryRule,
    LogCounts,
    Page,
    Position,
    Query,
    RulesOf,
    is_complete,
    new_epoch,
    rule_of,
)
from soketpy.core.idempotency import KeyReused, Once
from soketpy.core.tabs import Tabs
from soketpy.drivers.local.once import Recent
from soketpy.drivers.local.shares import Shares
from soketpy.drivers.local.tabs import LocalTabs
from soketpy.protocol.messages import Event

ENTRY_SIZE = 400
"""Bytes of an entry besides its texts, about."""

LOG_SIZE = 800
"""Bytes of an empty log, about."""

MOST_BEGUN = 10_000
"""Logs that subscribers have begun and that never had an event. Beyond it, the oldest one of the app with the most
such logs is forgotten."""

KEPT_EMPTY = 86_400.0
"""Seconds after its last event for which an empty log keeps its epoch, at least."""


class _Log:
    """The last events of one channel. ``last`` is the serial of the newest event, also if it was dropped."""

    __slots__ = ("entries", "epoch", "last", "sizes", "total", "until")

    def __init__(self) -> None:
        self.epoch = new_epoch()
        self.last = 0
        self.entries: deque[Entry] = deque()
        self.sizes: deque[int] = deque()
        self.total = LOG_SIZE
        self.until = 0.0  # the Unix time after which the log may be forgotten, because nobody needs its epoch

    @property
    def first(self) -> int:
        """The serial of the oldest event, or the next serial if the log is empty."""
        return self.last - len(self.entries) + 1

    def append(self, entry: Entry, size: int) -> None:
        self.entries.append(entry)
        self.sizes.append(size)
        self.last = entry.serial
        self.total += size

    def drop_oldest(self) -> None:
        self.entries.popleft()
        self.total -= self.sizes.popleft()

    def trim(self, rule: HistoryRule, now: float) -> None:
        """Drop the events that exceed the limits of the log."""
        entries, most = self.entries, rule.size + LOG_SIZE
        oldest = (now - rule.seconds) * 1000
        while entries and (len(entries) > rule.events or self.total > most or entries[0].time_ms <= oldest):
            self.drop_oldest()


class MemoryHistory:
    """The logs of this process.

    ``app_size`` is the most bytes of all logs of one app, ``size`` those of all apps. Beyond them, the logs without a
    new event for the longest time are dropped. A log that starts again has a new epoch, so its readers see the loss.
    ``clock`` returns the Unix time in seconds. ``once_for`` is for how many seconds an idempotency key is remembered.
    """

    def __init__(self, clock: Callable[[], float], *, app_size: int, size: int, once_for: float = 120) -> None:
        self._clock = clock
        self._app_size = app_size
        self._size = size
        self._logs: OrderedDict[tuple[str, str], _Log] = OrderedDict()  # the log with the newest event is the last one
        self._of_apps: dict[str, OrderedDict[str, _Log]] = {}
        self._begun = Shares[tuple[str, str], _Log](MOST_BEGUN)  # only their epochs matter
        self._totals: dict[str, int] = {}  # bytes by app
        self.tabs: Tabs = LocalTabs(clock)
        self._recent = Recent[tuple[str, str, str], str](clock, once_for)
        self._stored = self._dropped = 0  # events, and logs beyond the limits of bytes
        self.total = 0
        """The bytes of all logs, about."""

    touch = None

    full = frozenset[str]()

    async def room(self, app_id: str) -> None:
        """Return at once: there is always room."""

    async def start(self) -> None:
        """Do nothing."""

    async def stop(self) -> None:
        """Do nothing."""

    @property
    def counts(self) -> LogCounts:
        """The counts of the logs, for metrics."""
        return LogCounts(len(self._logs), self.total, self._stored, self._dropped)

    def __len__(self) -> int:
        return len(self._logs)

    def append(
        self, app_id: str, channel: str, event: Event, rule: HistoryRule, exclude: str | None = None
    ) -> Position:
        """Store an event. Return its position."""
        now = self._clock()
        log = self._log(app_id, channel)
        before = log.total
        size = ENTRY_SIZE + len(event.name) + len(event.data)
        log.append(Entry(log.last + 1, int(now * 1000), event, exclude), size)
        log.trim(rule, now)
        log.until = now + max(rule.seconds, KEPT_EMPTY)
        self._grow(app_id, log.total - before)
        self._stored += 1
        position = Position(log.epoch, log.last)
        self._drop_above_limits(app_id, now)
        return position

    def publish(
        self,
        app_id: str,
        channel: str,
        event: Event,
        rule: HistoryRule,
        exclude: str | None,
        deliver: Callable[[Position], None],
        once: Once | None = None,
    ) -> None:
        """Store an event, and deliver it, unless one with the same key was stored lately.

        Raise KeyReused if that was another event.
        """
        if once is not None:
            former = self._recent.get((app_id, channel, once.key))
            if former is not None and former != once.digest:
                raise KeyReused
            if former is not None:
                return
            self._recent.put((app_id, channel, once.key), once.digest)
        deliver(self.append(app_id, channel, event, rule, exclude))

    async def read(self, app_id: str, channel: str, rule: HistoryRule, query: Query, *, begin: bool = False) -> Page:
        """Return a page of a log. With ``begin``, begin the log if there is none."""
        log = self._logs.get((app_id, channel)) or self._begun.get((app_id, channel))
        if log is None and not begin:
            return Page("", 1, 0, (), query.after is None and query.before is None)
        if log is None:
            log = _Log()
            self._begun.put((app_id, channel), log)
        now, before = self._clock(), log.total
        log.trim(rule, now)
        if before != log.total:
            self._grow(app_id, log.total - before)
        complete = is_complete(query, log.epoch, log.first, log.last)
        return Page(log.epoch, log.first, log.last, _select(log, query, now), complete)

    def drop_unruled(self, rules: RulesOf) -> None:
        """Drop the logs of channels that no longer have a rule."""
        for app_id, channel in [*self._logs, *self._begun.keys()]:
            found = rules(app_id)
            if found is None or rule_of(found, channel) is not None:
                continue
            if self._begun.pop((app_id, channel)) is None:
                self._drop(app_id, channel)

    def _log(self, app_id: str, channel: str) -> _Log:
        """Return the log of a channel as the one with the newest event."""
        log = self._logs.get((app_id, channel))
        if log is None:
            log = self._logs[app_id, channel] = self._begin(app_id, channel)
            self._of_apps.setdefault(app_id, OrderedDict())[channel] = log
            self._grow(app_id, log.total)
        else:
            self._logs.move_to_end((app_id, channel))
            self._of_apps[app_id].move_to_end(channel)
        return log

    def _begin(self, app_id: str, channel: str) -> _Log:
        """Return the log that a subscriber has begun, or a new one."""
        return self._begun.pop((app_id, channel)) or _Log()

    def _grow(self, app_id: str, size: int) -> None:
        self.total += size
        self._totals[app_id] = self._totals.get(app_id, 0) + size

    def _drop_above_limits(self, app_id: str, now: float) -> None:
        """Drop the logs that exceed the limits of bytes, and one that nobody needs."""
        while self._totals.get(app_id, 0) > self._app_size:
            self._drop(app_id, next(iter(self._of_apps[app_id])))
            self._dropped += 1
        while self.total > self._size:
            self._drop(*next(iter(self._logs)))
            self._dropped += 1
        if self._logs:
            oldest = next(iter(self._logs))
            if self._logs[oldest].until <= now:
                self._drop(*oldest)

    def _drop(self, app_id: str, channel: str) -> None:
        log = self._logs.pop((app_id, channel))
        of_app = self._of_apps[app_id]
        del of_app[channel]
        self._grow(app_id, -log.total)
        if not of_app:
            del self._of_apps[app_id], self._totals[app_id]


def _select(log: _Log, query: Query, now: float) -> tuple[Entry, ...]:
    """Return the events of a query, oldest first."""
    start, end = log.first, log.last + 1
    if query.after is not None and query.after.epoch == log.epoch:
        start = max(start, query.after.serial + 1)
    if query.before is not None and query.before.epoch == log.epoch:
        end = min(end, query.before.serial)
    if start >= end:  # such as after a position that does not exist yet
        return ()
    entries = _newest_first(log, start, end) if query.backwards else islice(log.entries, start - log.first, None)
    oldest = None if query.seconds is None else (now - query.seconds) * 1000
    found, size = list[Entry](), 0
    for entry in entries:
        if len(found) == query.limit or not start <= entry.serial < end:
            break
        if oldest is not None and entry.time_ms <= oldest:
            if query.backwards:
                break
            continue
        size += len(entry.event.data)
        if found and size > query.size:
            break
        found.append(entry)
    return tuple(reversed(found) if query.backwards else found)


def _newest_first(log: _Log, start: int, end: int) -> Iterator[Entry]:
    return islice(reversed(log.entries), log.last + 1 - end, log.last + 1 - start)
