"""The SQLite file of a queue, its transactions, and the heads of its lanes in memory. Everything here is synchronous.

Memory has one small entry for each lane that is not empty. A delivery is read when it is taken.

1. All methods between ``begin`` and ``commit`` are one transaction. ``roll_back`` undoes also what they changed in
   memory.
2. A lane that is *taken* has one delivery in flight. Only this process knows which lanes are taken, so after a crash
   all deliveries are taken again.
3. A busy event loop may delay this thread at each statement. So statements are for many deliveries if possible: those
   that a transaction finishes are removed together.
4. Another process (the operator's command) may revive and remove dead letters. ``refresh`` notices it.
"""

import heapq
import json
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from soketpy.core.retries import LONGEST_RETRY_AFTER
from soketpy.core.webhook_ports import QueueUnavailable
from soketpy.drivers.sqlite.file import connect, identity_of
from soketpy.drivers.sqlite.queue_format import QUEUE

_HEADS = """SELECT json_group_array(json_array(w.endpoint, w.lane, d.number, d.due))
FROM (SELECT json_extract(value, '$[0]') AS endpoint, json_extract(value, '$[1]') AS lane FROM json_each(?)) w
LEFT JOIN deliveries d
ON d.number = (SELECT min(number) FROM deliveries WHERE endpoint = w.endpoint AND lane = w.lane)"""
"""The heads of some lanes, as one row: a busy event loop may delay this thread at each row that SQLite returns."""

SET_BACK = 1.0
"""Seconds by which the clock may go back without an effect."""

Key = tuple[int, str]
"""The id of an endpoint, and a lane of it."""

_InFlight = tuple[int, str]
"""The number and the id of the delivery of a lane that is in flight."""


class _Lane:
    """The head of a lane, and the time at which it is due."""

    __slots__ = ("due", "head")

    def __init__(self, head: int, due: float) -> None:
        self.head = head
        self.due = due


class Lanes:
    """The lanes of the queue in one file. ``open`` comes first. Methods may raise sqlite3.Error.

    ``owner`` is true for the server, which creates the file, and false for an operator's command.
    """

    def __init__(
        self, path: str, *, bound: int, keep_dead: float, clock: Callable[[], float], owner: bool = True
    ) -> None:
        self._path = path
        self._bound = bound
        self._keep_dead = keep_dead
        self._clock = clock
        self._owner = owner
        self._file: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._version = -1
        self._durable: bool | None = None
        self._endpoints: dict[tuple[str, str], int] = {}
        self._lanes: dict[int, dict[str, _Lane]] = {}
        self._lengths: dict[int, int] = {}
        self._dead: dict[int, int] = {}
        self._heap: list[tuple[float, int, Key]] = []  # due, head, lane; obsolete if the lane has changed since
        self._taken: dict[Key, _InFlight] = {}
        self._finished: dict[Key, int] = {}  # deliveries that are in flight, and that this transaction removes
        self._undo: list[tuple[Key, _InFlight | None]] = []
        self._latest = 0.0  # the time of the last ``take``

    # The file

    def open(self) -> None:
        """Open the file if it is not open, and read the heads of the lanes. Raise QueueUnavailable.

        If the file was removed or replaced, raise QueueUnavailable once: the next call opens the new file.
        """
        if self._file is None:
            self._file = connect(self._path, QUEUE, create=self._owner)
            self._identity = identity_of(self._path)
            self._version, self._durable = -1, None
        elif identity_of(self._path) != self._identity:
            raise QueueUnavailable(f"{self._path} was removed or replaced")
        self.refresh()

    def close(self) -> None:
        """Close the file. The deliveries that are in flight stay taken."""
        opened, self._file = self._file, None
        if opened is not None:
            opened.close()

    def refresh(self) -> None:
        """Read the heads of the lanes again if another process has changed the file."""
        version = self._one("PRAGMA data_version")[0]
        if version != self._version:
            self._read_lanes()
            self._version = version

    def begin(self, *, write: bool, durable: bool) -> None:
        """Begin a transaction. A ``durable`` one survives also a crash of the machine, others a crash of the process.

        The result of an attempt need not be durable: if the result is lost, the delivery is sent again.
        """
        self._undo.clear()
        if durable != self._durable:
            self._run(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._durable = durable
        self._run("BEGIN IMMEDIATE" if write else "BEGIN")

    def commit(self) -> None:
        """End a transaction. Its changes are then in the file."""
        self._remove_finished()
        self._run("COMMIT")
        self._undo.clear()

    def roll_back(self) -> None:
        """Undo a transaction, and close the file: ``open`` reads the state that the file has now."""
        for key, flying in reversed(self._undo):
            if flying is None:
                self._taken.pop(key, None)
            else:
                self._taken[key] = flying
        self._undo.clear()
        self._finished.clear()
        self.close()

    def _run(self, statement: str, *values: Any) -> sqlite3.Cursor:
        if self._file is None:
            raise sqlite3.OperationalError("the file is not open")
        return self._file.execute(statement, values)

    def _one(self, statement: str, *values: Any) -> Any:
        return self._run(statement, *values).fetchone()

    # The lanes in memory

    def _read_lanes(self) -> None:
        self._endpoints = {
            (app, webhook): id for id, app, webhook in self._run("SELECT id, app, webhook FROM endpoints")
        }
        self._lanes, self._lengths, self._heap = {}, {}, []
        heads = "SELECT endpoint, lane, count(*), min(number) FROM deliveries GROUP BY endpoint, lane"
        for endpoint, lane, length, head in self._run(heads).fetchall():
            self._lengths[endpoint] = self._lengths.get(endpoint, 0) + length
            self._set_head((endpoint, lane), head, self._one("SELECT due FROM deliveries WHERE number = ?", head)[0])
        self._dead = dict(self._run("SELECT endpoint, count(*) FROM dead GROUP BY endpoint").fetchall())
        for key, (number, _) in list(self._taken.items()):
            if self._one("SELECT 1 FROM deliveries WHERE number = ?", number) is None:
                del self._taken[key]

    def _set_head(self, key: Key, head: int, due: float) -> None:
        endpoint, lane = key
        due = min(due, self._clock() + LONGEST_RETRY_AFTER)  # the file may be from before the clock was set back
        self._lanes.setdefault(endpoint, {})[lane] = _Lane(head, due)
        if key not in self._taken:
            heapq.heappush(self._heap, (due, head, key))

    def _now(self) -> float:
        """Return the time. If the clock of the machine was set back, make all lanes due that wait for a later time."""
        now, before = self._clock(), self._latest
        self._latest = now
        if now < before - SET_BACK:
            for endpoint, lanes in self._lanes.items():
                for name, lane in list(lanes.items()):
                    if lane.due > now:
                        self._set_head((endpoint, name), lane.head, now)
        return now

    def _find_head(self, key: Key) -> None:
        """Find the delivery at the head of a lane whose head was removed or has changed."""
        self._find_heads([key])

    def _find_heads(self, keys: Sequence[Key]) -> None:
        for endpoint, lane, head, due in json.loads(self._one(_HEADS, json.dumps(keys))[0]):
            if head is not None:
                self._set_head((endpoint, lane), head, due)
            elif (lanes := self._lanes.get(endpoint)) is not None:
                lanes.pop(lane, None)
                if not lanes:
                    del self._lanes[endpoint]

    def _take(self, key: Key, flying: _InFlight | None) -> None:
        """Note which delivery of a lane is in flight, or that none is."""
        self._undo.append((key, self._taken.get(key)))
        if flying is None:
            self._taken.pop(key, None)
        else:
            self._taken[key] = flying

    def _remove_finished(self) -> None:
        """Remove the deliveries that were finished. All operations but ``finish`` begin with this."""
        if not self._finished:
            return
        finished = dict(self._finished)
        self._finished.clear()
        numbers = json.dumps(list(finished.values()))
        self._run("DELETE FROM deliveries WHERE number IN (SELECT value FROM json_each(?))", numbers)
        for key in finished:
            self._count_removed(key[0])
            self._take(key, None)
        self._find_heads(list(finished))

    def _count_removed(self, endpoint: int) -> None:
        self._lengths[endpoint] -= 1
        if not self._lengths[endpoint]:
            del self._lengths[endpoint]
