"""The deliveries in an SQLite file, and the heads of their lanes in memory. Everything here is synchronous.

Memory has one small entry for each lane that is not empty. A delivery is read when it is taken.

1. All methods between ``begin`` and ``commit`` are one transaction. ``roll_back`` undoes also what they changed in
   memory.
2. A lane that is *taken* has one delivery in flight. Only this process knows which lanes are taken, so after a crash
   all deliveries are taken again.
3. Another process (the operator's command) may revive and remove dead letters. ``refresh`` notices it.
"""

import heapq
import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from soketpy.core.deliveries import Delivery
from soketpy.core.grace import State
from soketpy.core.webhook_ports import FULL, DeadLetter, QueueLength, QueueUnavailable
from soketpy.drivers.sqlite.file import connect, identity_of

MOST_TAKEN = 100
"""Deliveries that one call of ``take`` returns, at most."""

MOST_DEAD = 10_000
"""Dead letters of one endpoint, at most. If there are more, its oldest ones are removed."""

_DELIVERY = "d.id, e.app, e.webhook, e.target, d.lane, d.body, d.events, d.created, d.attempts, d.error"
"""The columns of a Delivery, in the order of its fields."""

_COPIED = "id, body, events, created, attempts, error"

_Key = tuple[int, str]
"""The id of an endpoint, and a lane of it."""


class _Lane:
    """The head of a lane, and the time at which it is due."""

    __slots__ = ("due", "head")

    def __init__(self, head: int, due: float) -> None:
        self.head = head
        self.due = due


class Store:
    """The queue in one file. ``open`` comes first. Methods raise sqlite3.Error if the file cannot be used.

    ``owner`` is true for the server, which creates the file and obeys the bound, and false for an operator's command.
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
        self._endpoints: dict[tuple[str, str], int] = {}
        self._lanes: dict[int, dict[str, _Lane]] = {}
        self._lengths: dict[int, int] = {}
        self._dead: dict[int, int] = {}
        self._heap: list[tuple[float, int, _Key]] = []  # due, head, lane; void if the lane has changed since then
        self._taken: dict[_Key, int] = {}
        self._undo: list[tuple[_Key, int | None]] = []

    # The file

    def open(self) -> None:
        """Open the file if it is not open, and read the heads of the lanes. Raise QueueUnavailable.

        If the file was removed or replaced, raise QueueUnavailable once: the next call opens the new file.
        """
        if self._file is None:
            self._file = connect(self._path, create=self._owner)
            self._identity = identity_of(self._path)
            self._version = -1
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

        What is not durable are the results of attempts: without them, a delivery is repeated.
        """
        self._undo.clear()
        self._run(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        self._run("BEGIN IMMEDIATE" if write else "BEGIN")

    def commit(self) -> None:
        """End a transaction. Its changes are then in the file."""
        self._run("COMMIT")
        self._undo.clear()

    def roll_back(self) -> None:
        """Undo a transaction, and close the file: ``open`` reads the state that the file has now."""
        for key, number in reversed(self._undo):
            if number is None:
                self._taken.pop(key, None)
            else:
                self._taken[key] = number
        self._undo.clear()
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
        for key, number in list(self._taken.items()):
            if self._one("SELECT 1 FROM deliveries WHERE number = ?", number) is None:
                del self._taken[key]

    def _set_head(self, key: _Key, head: int, due: float) -> None:
        endpoint, lane = key
        self._lanes.setdefault(endpoint, {})[lane] = _Lane(head, due)
        if key not in self._taken:
            heapq.heappush(self._heap, (due, head, key))

    def _find_head(self, key: _Key) -> None:
        """Find the delivery at the head of a lane whose head was removed or has changed."""
        endpoint, lane = key
        found = self._one(
            "SELECT number, due FROM deliveries WHERE endpoint = ? AND lane = ? ORDER BY number LIMIT 1", *key
        )
        if found is not None:
            self._set_head(key, *found)
        elif (lanes := self._lanes.get(endpoint)) is not None:
            lanes.pop(lane, None)
            if not lanes:
                del self._lanes[endpoint]

    def _take(self, key: _Key, number: int | None) -> None:
        """Note which delivery of a lane is in flight, or that none is."""
        self._undo.append((key, self._taken.get(key)))
        if number is None:
            self._taken.pop(key, None)
        else:
            self._taken[key] = number

    # The operations of the port

    def put(self, deliveries: Sequence[Delivery], states: Mapping[State, bool]) -> int:
        """Append deliveries and note states. Return the number of deliveries that made room for them."""
        buried = 0
        for each in deliveries:
            endpoint = self._endpoint(each)
            number = self._run(
                f"INSERT INTO deliveries (endpoint, lane, {_COPIED}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
                *(endpoint, each.lane, each.id, each.body, each.events, each.created, each.attempts, each.error),
            ).lastrowid
            assert number is not None  # noqa: S101 - an INSERT has one
            self._lengths[endpoint] = self._lengths.get(endpoint, 0) + 1
            if each.lane not in self._lanes.get(endpoint, ()):
                self._set_head((endpoint, each.lane), number, 0.0)
            buried += self._bury_oldest(endpoint)
        for state, is_on in states.items():
            change = "INSERT OR IGNORE INTO states VALUES (?)" if is_on else "DELETE FROM states WHERE state = ?"
            self._run(change, json.dumps(state))
        return buried

    def _endpoint(self, delivery: Delivery) -> int:
        found = self._endpoints.get(delivery.endpoint)
        if found is None:
            found = self._run(
                "INSERT INTO endpoints (app, webhook, target) VALUES (?, ?, ?)", *delivery.endpoint, delivery.target
            ).lastrowid
            assert found is not None  # noqa: S101 - an INSERT has one
            self._endpoints[delivery.endpoint] = found
        return found

    def _bury_oldest(self, endpoint: int) -> int:
        """Bury the oldest deliveries of an endpoint that has too many. Those in flight stay. Return their number."""
        buried = 0
        while self._owner and self._lengths.get(endpoint, 0) > self._bound:
            waiting = [
                (number, lane) for lane in self._lanes[endpoint] if (number := self._first_waiting(endpoint, lane))
            ]
            if not waiting:
                break
            number, lane = min(waiting)
            self._bury((endpoint, lane), number, FULL)
            buried += 1
        return buried

    def _first_waiting(self, endpoint: int, lane: str) -> int | None:
        """Return the oldest delivery of a lane that is not in flight."""
        taken = self._taken.get((endpoint, lane))
        if taken is None:
            return self._lanes[endpoint][lane].head
        of_lane = "SELECT min(number) FROM deliveries WHERE endpoint = ? AND lane = ? AND number != ?"
        number: int | None = self._one(of_lane, endpoint, lane, taken)[0]
        return number

    def states(self) -> list[State]:
        """Return the states that receivers know as on."""
        return [tuple(json.loads(text)) for (text,) in self._run("SELECT state FROM states")]

    def take(self) -> tuple[list[Delivery], float | None]:
        """Take the deliveries that are due. Return them, and the time at which the next ones are."""
        now = self._clock()
        found: list[Delivery] = []
        while self._heap and len(found) < MOST_TAKEN:
            due, head, key = self._heap[0]
            endpoint, name = key
            lane = self._lanes.get(endpoint, {}).get(name)
            if lane is None or (lane.head, lane.due) != (head, due) or key in self._taken:
                heapq.heappop(self._heap)
            elif due > now:
                return found, due
            else:
                heapq.heappop(self._heap)
                self._take(key, head)
                found.append(self._delivery(head))
        return found, None

    def _delivery(self, number: int) -> Delivery:
        joined = "FROM deliveries d JOIN endpoints e ON e.id = d.endpoint WHERE d.number = ?"
        return Delivery(*self._one(f"SELECT {_DELIVERY} {joined}", number))

    def release(self, deliveries: Sequence[Delivery]) -> None:
        """Take deliveries back that nobody got."""
        for each in deliveries:
            if (found := self._in_flight(each)) is not None:
                self._take(found[0], None)
                self._find_head(found[0])

    def _in_flight(self, delivery: Delivery) -> tuple[_Key, int] | None:
        """Return the lane and number of a delivery, or None if it is not the one of its lane that is in flight."""
        endpoint = self._endpoints.get(delivery.endpoint)
        number = None if endpoint is None else self._taken.get((endpoint, delivery.lane))
        if endpoint is None or number is None:
            return None
        found = self._one("SELECT id FROM deliveries WHERE number = ?", number)
        return ((endpoint, delivery.lane), number) if found == (delivery.id,) else None

    def finish(self, delivery: Delivery) -> None:
        """Remove a delivery that is in flight."""
        if (found := self._in_flight(delivery)) is not None:
            self._remove(*found)

    def _remove(self, key: _Key, number: int) -> None:
        self._run("DELETE FROM deliveries WHERE number = ?", number)
        endpoint, lane = key
        self._lengths[endpoint] -= 1
        if not self._lengths[endpoint]:
            del self._lengths[endpoint]
        if self._taken.get(key) == number:
            self._take(key, None)
        if self._lanes[endpoint][lane].head == number:
            self._find_head(key)

    def retry(self, delivery: Delivery, due: float, error: str) -> None:
        """Make a delivery that is in flight due again at a time, with one more failed attempt."""
        if (found := self._in_flight(delivery)) is not None:
            key, number = found
            change = "UPDATE deliveries SET due = ?, attempts = attempts + 1, error = ? WHERE number = ?"
            self._run(change, due, _printable(error), number)
            self._take(key, None)
            self._find_head(key)

    def bury(self, delivery: Delivery, reason: str) -> None:
        """Make a delivery that is in flight a dead letter."""
        if (found := self._in_flight(delivery)) is not None:
            self._bury(*found, reason)

    def _bury(self, key: _Key, number: int, reason: str) -> None:
        copied = f"SELECT endpoint, lane, ?, ?, {_COPIED} FROM deliveries WHERE number = ?"  # noqa: S608 - constants
        into = f"INSERT INTO dead (endpoint, lane, died, reason, {_COPIED}) {copied}"
        self._run(into, self._clock(), _printable(reason), number)
        self._remove(key, number)
        endpoint = key[0]
        self._dead[endpoint] = self._dead.get(endpoint, 0) + 1
        if self._dead[endpoint] > MOST_DEAD:
            oldest = "(SELECT min(number) FROM dead WHERE endpoint = ?)"
            self._run(f"DELETE FROM dead WHERE number = {oldest}", endpoint)  # noqa: S608 - constants
            self._dead[endpoint] -= 1

    # For operators

    def lengths(self) -> list[QueueLength]:
        """Return the number of deliveries of each endpoint that has any."""
        found = []
        for endpoint, length in self._lengths.items():
            app, webhook, target = self._one("SELECT app, webhook, target FROM endpoints WHERE id = ?", endpoint)
            oldest = min(
                self._one("SELECT created FROM deliveries WHERE number = ?", lane.head)[0]
                for lane in self._lanes[endpoint].values()
            )
            found.append(QueueLength(app, webhook, target, length, oldest))
        return found

    def dead(self, limit: int) -> list[DeadLetter]:
        """Return dead letters, the newest first."""
        joined = "FROM dead d JOIN endpoints e ON e.id = d.endpoint WHERE d.died >= ? ORDER BY d.number DESC LIMIT ?"
        end = self._clock() - self._keep_dead
        rows = self._run(f"SELECT d.died, d.reason, {_DELIVERY} {joined}", end, limit)
        return [DeadLetter(Delivery(*fields), died, reason) for died, reason, *fields in rows]

    def forget(self) -> None:
        """Remove the dead letters that are too old."""
        end = self._clock() - self._keep_dead
        if self._one("SELECT 1 FROM dead WHERE died < ? LIMIT 1", end) is not None:
            self._run("DELETE FROM dead WHERE died < ?", end)
            self._read_lanes()

    def revive(self, app_id: str | None, delivery_id: str | None) -> int:
        """Queue dead letters again, the oldest first. Return their number."""
        self.forget()
        chosen, values = _chosen(app_id, delivery_id)
        columns = f"endpoint, lane, id, body, events, ?, 0, '' FROM dead WHERE {chosen} ORDER BY number"
        into = "INSERT INTO deliveries (endpoint, lane, id, body, events, created, attempts, error)"
        revived = self._run(f"{into} SELECT {columns}", self._clock(), *values).rowcount
        self._run(f"DELETE FROM dead WHERE {chosen}", *values)  # noqa: S608 - constants
        self._read_lanes()
        for endpoint in list(self._lengths):
            self._bury_oldest(endpoint)
        return revived

    def purge(self, app_id: str | None, delivery_id: str | None) -> int:
        """Remove dead letters. Return their number."""
        chosen, values = _chosen(app_id, delivery_id)
        removed = self._run(f"DELETE FROM dead WHERE {chosen}", *values).rowcount  # noqa: S608 - constants
        self._read_lanes()
        return removed


def _chosen(app_id: str | None, delivery_id: str | None) -> tuple[str, tuple[str, ...]]:
    """Return the condition for dead letters of an app or with an id, and its values."""
    conditions = {
        "endpoint IN (SELECT id FROM endpoints WHERE app = ?)": app_id,
        "id = ?": delivery_id,
    }
    given = {text: value for text, value in conditions.items() if value is not None}
    return " AND ".join(given) or "1", tuple(given.values())


def _printable(text: str) -> str:
    """Return a text without halves of surrogate pairs, which SQLite does not store."""
    return text.encode("utf-8", "backslashreplace").decode()
