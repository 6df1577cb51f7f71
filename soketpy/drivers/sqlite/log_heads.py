"""The heads of the logs of a file, in memory: the limits of a log, and the order in which logs are dropped."""

from collections import OrderedDict

from soketpy.core.history import HistoryRule, new_epoch
from soketpy.drivers.local.history import LOG_SIZE, MOST_BEGUN
from soketpy.drivers.local.shares import Shares

Key = tuple[str, str]
"""The id of an app, and a channel."""


class Log:
    """The head of one log. ``kept`` is the serial of the oldest event in the file, and ``first`` that in the log."""

    __slots__ = ("epoch", "first", "kept", "last", "number", "oldest", "size", "until", "used")

    def __init__(self, number: int) -> None:
        self.number = number
        self.epoch = new_epoch()
        self.first = self.kept = 1
        self.last = 0
        self.size = LOG_SIZE
        self.oldest = 0
        self.used = 0  # the rank of the log by its newest event
        self.until = 0.0  # the Unix time after which the log may be forgotten, because nobody needs its epoch

    def exceeds(self, rule: HistoryRule, before: float) -> bool:
        """Return whether the log has too many events or bytes, or an event from ``before`` this time or earlier."""
        if self.first > self.last:
            return False
        too_many = self.last - self.first >= rule.events
        return too_many or self.size > rule.size + LOG_SIZE or self.oldest <= before


class LogHeads:
    """The heads of all logs of a file, by the time of their newest event, and the bytes of each app."""

    def __init__(self) -> None:
        self.logs: OrderedDict[Key, Log] = OrderedDict()  # the log with the newest event is the last one
        self.begun = Shares[Key, Log](MOST_BEGUN)  # logs that never had an event: only their epochs matter
        self.sizes: dict[str, int] = {}
        self.total = 0
        self._of_apps: dict[str, OrderedDict[str, Log]] = {}

    def find(self, key: Key) -> Log | None:
        """Return the log of a channel, also one that was only begun, or None."""
        return self.logs.get(key) or self.begun.get(key)

    def add(self, key: Key, log: Log) -> None:
        """Add a log as the one with the newest event."""
        self.logs[key] = log
        self._of_apps.setdefault(key[0], OrderedDict())[key[1]] = log
        self.grow(key[0], log.size)

    def renew(self, key: Key) -> None:
        """Note that a log has the newest event."""
        self.logs.move_to_end(key)
        self._of_apps[key[0]].move_to_end(key[1])

    def grow(self, app_id: str, size: int) -> None:
        """Count bytes of an app."""
        self.total += size
        self.sizes[app_id] = self.sizes.get(app_id, 0) + size

    def oldest_of(self, app_id: str) -> Key:
        """Return the log of an app without a new event for the longest time."""
        return app_id, next(iter(self._of_apps[app_id]))

    def remove(self, key: Key) -> Log:
        """Remove a log, and return it."""
        log = self.logs.pop(key)
        of_app = self._of_apps[key[0]]
        del of_app[key[1]]
        self.grow(key[0], -log.size)
        if not of_app:
            del self._of_apps[key[0]], self.sizes[key[0]]
        return log
