"""The logs of channels with history in an SQLite file, and their heads in memory. Everything here is synchronous.

1. All methods between ``begin`` and ``commit`` are one transaction. After ``roll_back``, ``open`` reads the file again.
2. A busy event loop may delay this thread at each statement. So statements are for many events and logs if possible:
   those of a transaction are written together at its end, or before a read.
3. A read changes only memory, so it works on a full disk. The next transaction that writes removes the events that the
   read has dropped.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

from soketpy.core.history import Entry, HistoryRule, Page, Position, Query, RulesOf, is_complete, rule_of
from soketpy.core.idempotency import KeyReused, Once
from soketpy.core.ports import HistoryUnavailable
from soketpy.drivers.local.history import ENTRY_SIZE, KEPT_EMPTY, LOG_SIZE
from soketpy.drivers.sqlite.file import connect, identity_of
from soketpy.drivers.sqlite.log_heads import Key, Log, LogHeads
from soketpy.drivers.sqlite.logs_format import LOGS
from soketpy.protocol.ids import NumericId
from soketpy.protocol.messages import Event

READ_AT_ONCE = 100
"""Events that one query of a read returns, at most."""

SHARE = 8
"""Dropped events stay in the file until they are more than an eighth of the log: then one statement deletes many."""

UNKNOWN = -(2**62)
"""Stands for the time of the oldest event until the event is read. The time is earlier than any other."""

ROWS = 100
"""Most rows of one INSERT. Older versions of SQLite allow 999 values in a statement."""

LOOKED_AT = 200
"""Oldest events of a log that one query reads."""

_OLDEST = """SELECT json_group_array(json_array(serial, time_ms, size)) FROM
(SELECT serial, time_ms, size FROM events WHERE log = ? AND serial >= ? ORDER BY serial LIMIT ?)"""
"""The oldest events of a log as one row: a busy event loop may delay this thread at each row that SQLite returns."""

_EVENTS = """SELECT json_group_array(json_array(serial, time_ms, exclude, hex(user), numeric, hex(name), hex(data)))
FROM events WHERE log = ? AND serial >= ? AND serial < ?"""
"""Some events of a log as one row. Blobs are hexadecimal, because JSON has none; no user is an empty text."""


class LogStore:
    """The logs in one file. ``open`` comes first. Methods may raise sqlite3.Error.

    ``app_size`` is the most bytes of all logs of one app, ``size`` those of all apps. Beyond them, the logs without a
    new event for the longest time are dropped. ``clock`` returns the Unix time in seconds.
    """

    def __init__(
        self, path: str, clock: Callable[[], float], *, app_size: int, size: int, once_for: float = 120
    ) -> None:
        self._path = path
        self._clock = clock
        self._app_size = app_size
        self._size = size
        self._once_for = once_for
        self._file: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._durable: bool | None = None
        self._heads = LogHeads()
        self._numbers = 0  # the highest number of a log
        self._used = 0  # the highest rank of a log by its newest event
        self._new: list[Sequence[object]] = []  # events that the transaction has not yet written
        self._changed: dict[Key, HistoryRule | None] = {}  # logs whose heads in the file are old
        self._dropped: list[Log] = []  # logs that are still in the file
        self._writes = False
        self._heads_are_old = True
        self.dropped = 0
        """The number of logs that were dropped because of the limits of bytes."""

    @property
    def counts(self) -> tuple[int, int, int]:
        """The number of logs, their bytes, and the number of dropped logs."""
        return len(self._heads.logs), self._heads.total, self.dropped

    # The file

    def open(self) -> None:
        """Open the file if it is not open, and read the heads of the logs. Raise HistoryUnavailable.

        If the file was removed or replaced, raise HistoryUnavailable once: the next call opens the new file.
        """
        if self._file is None:
            self._file = connect(self._path, LOGS, create=True)
            self._identity = identity_of(self._path)
            self._durable, self._heads_are_old = None, True
        elif identity_of(self._path) != self._identity:
            self._close()
            raise HistoryUnavailable(f"{self._path} was removed or replaced")
        if self._heads_are_old:
            self._read_heads()
            self._heads_are_old = False

    def _read_heads(self) -> None:
        self._heads = LogHeads()
        self._new.clear()
        self._changed.clear()
        self._dropped.clear()
        columns = "number, app, channel, epoch, first, last, size, oldest, until, used"
        rows = self.execute(f"SELECT {columns} FROM logs ORDER BY used, number").fetchall()  # noqa: S608 - constants
        for number, app_id, channel, epoch, first, last, size, oldest, until, used in rows:
            log, key = Log(number), (app_id, channel)
            log.epoch, log.first, log.kept, log.last = epoch, first, first, last
            log.size, log.oldest, log.until, log.used = size, oldest, until, used
            self._numbers, self._used = max(self._numbers, number), used
            if last:
                self._heads.add(key, log)
            else:
                self._heads.begun.put(key, log)

    def close(self) -> None:
        """Write the logs that were only begun, and close the file."""
        if self._file is not None and self._changed:
            with suppress(sqlite3.Error):
                self.begin(write=True, durable=True)
                self.commit()
        self._close()

    def _close(self) -> None:
        opened, self._file = self._file, None
        if opened is not None:
            opened.close()

    def begin(self, *, write: bool, durable: bool) -> None:
        """Begin a transaction. A ``durable`` one survives a crash of the machine."""
        if durable != self._durable:
            self.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._durable = durable
        self._writes = write
        self.execute("BEGIN IMMEDIATE" if write else "BEGIN")

    def commit(self) -> None:
        """End a transaction. Its events are then in the file."""
        if self._writes:
            self._write_events()
            self._write_logs()
        self.execute("COMMIT")
        if self._writes:
            self._dropped.clear()
            self._changed.clear()

    def roll_back(self) -> None:
        """Undo a transaction: ``open`` reads the state that the file has now.

        The file stays open, because a file on a full disk could not be opened again, and reads still work.
        """
        self._new.clear()
        self._changed.clear()
        self._heads_are_old = True
        try:
            if self._file is not None and self._file.in_transaction:
                self.execute("ROLLBACK")
        except sqlite3.Error:
            self._close()

    def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        """Run a statement of the transaction."""
        if self._file is None:
            raise sqlite3.OperationalError("the file is not open")
        return self._file.execute(statement, values)

    # Events

    def append(
        self,
        app_id: str,
        channel: str,
        event: Event,
        rule: HistoryRule,
        exclude: str | None = None,
        once: Once | None = None,
    ) -> Position | KeyReused | None:
        """Store an event. Return its position, or None if an event with the same key ``once`` was stored lately.

        If it was another event, return KeyReused: an exception would end the transaction of other events.
        """
        now, key = self._clock(), (app_id, channel)
        if once is not None and (former := self._used_by(app_id, channel, once, now)) is not None:
            return None if former == once.digest else KeyReused()
        time_ms = int(now * 1000)
        log = self._log(key)
        size = ENTRY_SIZE + len(event.name) + len(event.data)
        log.last += 1
        self._used += 1
        log.used = self._used
        if log.first == log.last:
            log.oldest = time_ms
        log.size += size
        log.until = now + max(rule.seconds, KEPT_EMPTY)
        self._heads.grow(app_id, size)
        self._changed[key] = rule
        user_id = event.user_id
        user = None if user_id is None else user_id.encode("utf-8", "surrogatepass")
        name = event.name.encode("utf-8", "surrogatepass")
        row = log.number, log.last, time_ms, size, exclude, user, isinstance(user_id, NumericId), name, event.data
        self._new.append(row)
        return Position(log.epoch, log.last)

    def _used_by(self, app_id: str, channel: str, once: Once, now: float) -> str | None:
        """Return the digest of the event that has used a key on a channel lately, or None. Note a first use.

        Forget some old keys.
        """
        key = app_id, channel, once.key
        found = self.execute(
            "SELECT until, digest FROM keys WHERE app = ? AND channel = ? AND key = ?", *key
        ).fetchone()
        if found is not None and found[0] > now:
            return str(found[1])
        self.execute("DELETE FROM keys WHERE app = ? AND channel = ? AND key = ?", *key)
        row = *key, now + self._once_for, once.digest
        self.execute("INSERT INTO keys (app, channel, key, until, digest) VALUES (?, ?, ?, ?, ?)", *row)
        self.execute(
            "DELETE FROM keys WHERE number IN (SELECT number FROM keys ORDER BY number LIMIT 10) AND until <= ?", now
        )
        return None

    def _log(self, key: Key) -> Log:
        """Return the log of a channel as the one with the newest event."""
        if key in self._heads.logs:
            self._heads.renew(key)
            return self._heads.logs[key]
        log = self._heads.begun.pop(key) or self._begin(key)
        self._heads.add(key, log)
        return log

    def _begin(self, key: Key) -> Log:
        self._numbers += 1
        return Log(self._numbers)

    def read(self, app_id: str, channel: str, rule: HistoryRule, query: Query, *, begin: bool = False) -> Page:
        """Return a page of a log. With ``begin``, begin the log if there is none."""
        key = app_id, channel
        log = self._heads.find(key)
        if log is None and not begin:
            return Page("", 1, 0, (), query.after is None and query.before is None)
        if log is None:
            log = self._begin(key)
            self._changed[key] = None
            forgotten = self._heads.begun.put(key, log)
            if forgotten is not None:
                self._dropped.append(forgotten)
        self._write_events()
        now = self._clock()
        self._trim(key, log, rule, now)
        complete = is_complete(query, log.epoch, log.first, log.last)
        return Page(log.epoch, log.first, log.last, self._select(log, query, now), complete)

    def _select(self, log: Log, query: Query, now: float) -> tuple[Entry, ...]:
        """Return the events of a query, oldest first."""
        start, end = log.first, log.last + 1
        if query.after is not None and query.after.epoch == log.epoch:
            start = max(start, query.after.serial + 1)
        if query.before is not None and query.before.epoch == log.epoch:
            end = min(end, query.before.serial)
        oldest = None if query.seconds is None else (now - query.seconds) * 1000
        found, size = list[Entry](), 0
        for serial, time_ms, exclude, user, numeric, name, data in self._events(log, start, end, query):
            if oldest is not None and time_ms <= oldest:
                if query.backwards:
                    break
                continue
            size += len(data) // 2
            if len(found) == query.limit or (found and size > query.size):
                break
            event = Event(_text(name), bytes.fromhex(data), _user_id(user, numeric))
            found.append(Entry(serial, time_ms, event, exclude))
        return tuple(reversed(found) if query.backwards else found)

    def _events(self, log: Log, start: int, end: int, query: Query) -> Iterator[list[Any]]:
        """Yield the events from a serial to another one in the order of a query."""
        while start < end:
            low, high = start, end
            if query.backwards:
                low = end = max(start, end - READ_AT_ONCE)
            else:
                high = start = min(end, start + READ_AT_ONCE)
            rows = json.loads(self.execute(_EVENTS, log.number, low, high).fetchone()[0])
            yield from sorted(rows, reverse=query.backwards)

    def _trim(self, key: Key, log: Log, rule: HistoryRule, now: float) -> None:
        """Drop the events that exceed the limits of the log. They stay in the file until a transaction writes."""
        before, size = (now - rule.seconds) * 1000, log.size
        while log.exceeds(rule, before):
            number = max(LOOKED_AT, log.last - log.first - rule.events + 2)
            rows = json.loads(self.execute(_OLDEST, log.number, log.first, number).fetchone()[0])
            if not rows:  # the file is damaged: readers see that the events are missing
                log.first = log.last + 1
            for serial, time_ms, event_size in sorted(rows):
                log.oldest = time_ms
                if not log.exceeds(rule, before):
                    break
                log.first, log.oldest = serial + 1, UNKNOWN
                log.size -= event_size
        if log.first > log.last:
            log.size = LOG_SIZE
        if log.size != size and key in self._heads.logs:
            self._heads.grow(key[0], log.size - size)
            self._changed.setdefault(key, None)

    # The end of a transaction

    def _write_events(self) -> None:
        self._insert("events", self._new)
        self._new.clear()

    def _insert(self, table: str, rows: Iterable[Sequence[object]]) -> None:
        """Insert rows, or replace those with the same keys."""
        given = iter(rows)
        while some := list(islice(given, ROWS)):
            marks = f"({', '.join('?' * len(some[0]))})"
            listed = ", ".join([marks] * len(some))
            statement = f"INSERT OR REPLACE INTO {table} VALUES {listed}"  # noqa: S608 - constants
            self.execute(statement, *(value for row in some for value in row))

    def _write_logs(self) -> None:
        """Apply all limits, and write the heads of the logs that have changed."""
        now = self._clock()
        for key, rule in list(self._changed.items()):
            if rule is not None:
                self._trim(key, self._heads.logs[key], rule, now)
        self._drop_above_limits(now)
        for log in self._dropped:
            self.execute("DELETE FROM events WHERE log = ?", log.number)
            self.execute("DELETE FROM logs WHERE number = ?", log.number)
        rows = list[Sequence[object]]()
        for key in self._changed:
            if (found := self._heads.find(key)) is not None:
                if (found.first - found.kept) * SHARE > found.last - found.first:
                    self.execute("DELETE FROM events WHERE log = ? AND serial < ?", found.number, found.first)
                    found.kept = found.first
                head = found.epoch, found.first, found.last, found.size, found.oldest, found.until, found.used
                rows.append((found.number, *key, *head))
        self._insert("logs", rows)

    def _drop_above_limits(self, now: float) -> None:
        """Drop the logs that exceed the limits of bytes, and some that nobody needs."""
        heads = self._heads
        for app_id in {key[0] for key in self._changed}:
            while heads.sizes.get(app_id, 0) > self._app_size:
                self._drop(heads.oldest_of(app_id))
        while heads.total > self._size:
            self._drop(next(iter(heads.logs)))
        for key in list(islice(heads.logs, len(self._changed))):
            if heads.logs[key].until <= now:
                self._dropped.append(heads.remove(key))

    def drop_unruled(self, rules: RulesOf) -> None:
        """Drop the logs of channels that no longer have a rule."""
        self._write_events()
        for key in [*self._heads.logs, *self._heads.begun.keys()]:
            found = rules(key[0])
            if found is None or rule_of(found, key[1]) is not None:
                continue
            self._dropped.append(self._heads.begun.pop(key) or self._heads.remove(key))
            self._changed.pop(key, None)

    def _drop(self, key: Key) -> None:
        self._dropped.append(self._heads.remove(key))
        self.dropped += 1


def _text(hexadecimal: str) -> str:
    return bytes.fromhex(hexadecimal).decode("utf-8", "surrogatepass")


def _user_id(user: str, numeric: int) -> str | None:
    if not user:
        return None
    return NumericId(_text(user)) if numeric else _text(user)
