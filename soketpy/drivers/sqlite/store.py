"""The operations of a queue on its SQLite file. Everything here is synchronous."""

import heapq
import json
from collections.abc import Mapping, Sequence

from soketpy.core.deliveries import Delivery
from soketpy.core.grace import State
from soketpy.core.webhook_ports import FULL, DeadLetter, QueueLength, Revival
from soketpy.drivers.sqlite.lanes import Key, Lanes

MOST_TAKEN = 100
"""Deliveries that one call of ``take`` returns, at most."""

MOST_DEAD = 10_000
"""Dead letters of one endpoint, at most. If there are more, its oldest ones are removed."""

_DELIVERY = "d.id, e.app, e.webhook, e.target, d.lane, d.body, d.events, d.created, d.attempts, d.error"
"""The columns of a Delivery, in the order of its fields."""

_COPIED = "id, body, events, created, attempts, error"


class Store(Lanes):
    """The queue in one file. Each method is a part of a transaction, and may raise sqlite3.Error."""

    # The operations of the port

    def put(self, deliveries: Sequence[Delivery], states: Mapping[State, bool]) -> int:
        """Append deliveries and note states. Return the number of older deliveries that became dead letters."""
        self._remove_finished()
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
        buried = sum(self._bury_oldest(self._endpoint(each)) for each in _of_endpoints(deliveries))
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
        """Bury the oldest deliveries of an endpoint that has too many. Those in flight stay. Return their number.

        This is one change for all of them: a flood of one endpoint must not delay the others.
        """
        excess = self._lengths.get(endpoint, 0) - self._bound
        if excess <= 0:
            return 0
        waiting: list[tuple[int, str]] = []
        for lane in self._lanes[endpoint]:
            flying = self._taken.get((endpoint, lane), (0, ""))
            oldest = (
                "SELECT number FROM deliveries WHERE endpoint = ? AND lane = ? AND number != ? ORDER BY number LIMIT ?"
            )
            waiting += ((number, lane) for (number,) in self._run(oldest, endpoint, lane, flying[0], excess))
        chosen = sorted(waiting)[:excess]
        if chosen:
            self._bury_all(endpoint, [number for number, _ in chosen], FULL)
            self._find_heads([(endpoint, lane) for lane in {lane for _, lane in chosen}])
        return len(chosen)

    def _bury_all(self, endpoint: int, numbers: Sequence[int], reason: str) -> None:
        """Make deliveries of an endpoint dead letters. The caller finds the new heads of their lanes."""
        listed = json.dumps(numbers)
        chosen = "number IN (SELECT value FROM json_each(?))"
        copied = f"SELECT endpoint, lane, ?, ?, {_COPIED} FROM deliveries WHERE {chosen} ORDER BY number"  # noqa: S608
        into = f"INSERT INTO dead (endpoint, lane, died, reason, {_COPIED}) {copied}"
        self._run(into, self._clock(), _printable(reason), listed)
        self._run(f"DELETE FROM deliveries WHERE {chosen}", listed)  # noqa: S608 - constants
        for _ in numbers:
            self._count_removed(endpoint)
        self._dead[endpoint] = self._dead.get(endpoint, 0) + len(numbers)
        if (excess := self._dead[endpoint] - MOST_DEAD) > 0:
            oldest = "(SELECT number FROM dead WHERE endpoint = ? ORDER BY number LIMIT ?)"
            self._run(f"DELETE FROM dead WHERE number IN {oldest}", endpoint, excess)  # noqa: S608 - constants
            self._dead[endpoint] -= excess

    def states(self) -> list[State]:
        """Return the states that receivers know as on."""
        return [tuple(json.loads(text)) for (text,) in self._run("SELECT state FROM states")]

    def take(self) -> tuple[list[Delivery], float | None]:
        """Take the deliveries that are due. Return them, and the time at which the next ones are."""
        self._remove_finished()
        now, next_due = self._now(), None
        taken: dict[int, Key] = {}
        while self._heap and len(taken) < MOST_TAKEN:
            due, head, key = self._heap[0]
            endpoint, name = key
            lane = self._lanes.get(endpoint, {}).get(name)
            if lane is None or (lane.head, lane.due) != (head, due) or key in self._taken:
                heapq.heappop(self._heap)
            elif due > now:
                next_due = due
                break
            else:
                heapq.heappop(self._heap)
                taken[head] = key
        if self._heap and len(taken) == MOST_TAKEN:
            next_due = now
        return self._load(taken) if taken else [], next_due

    def _load(self, taken: Mapping[int, Key]) -> list[Delivery]:
        """Read deliveries, and note that they are in flight."""
        joined = "deliveries d JOIN endpoints e ON e.id = d.endpoint WHERE d.number IN (SELECT value FROM json_each(?))"
        found = []
        select = f"SELECT d.number, {_DELIVERY} FROM {joined}"  # noqa: S608 - constants
        for number, *fields in self._run(select, json.dumps(list(taken))):
            found.append(Delivery(*fields))
            self._take(taken[number], (number, found[-1].id))
        return found

    def release(self, deliveries: Sequence[Delivery]) -> None:
        """Make deliveries due again that no caller of ``take`` has received."""
        self._remove_finished()
        for each in deliveries:
            if (found := self._in_flight(each)) is not None:
                self._take(found[0], None)
                self._find_head(found[0])

    def _in_flight(self, delivery: Delivery) -> tuple[Key, int] | None:
        """Return the lane and number of a delivery, or None if it is not the one of its lane that is in flight."""
        endpoint = self._endpoints.get(delivery.endpoint)
        key = endpoint or 0, delivery.lane
        flying = self._taken.get(key)
        return (key, flying[0]) if flying is not None and flying[1] == delivery.id else None

    def finish(self, delivery: Delivery) -> None:
        """Remove a delivery that is in flight."""
        if (found := self._in_flight(delivery)) is not None:
            key, number = found
            self._finished[key] = number

    def retry(self, delivery: Delivery, due: float, error: str) -> None:
        """Make a delivery that is in flight due again at a time, with one more failed attempt."""
        self._put_back(delivery, "due = ?, attempts = attempts + 1, error = ?", due, _printable(error))

    def postpone(self, delivery: Delivery, due: float) -> None:
        """Make a delivery that is in flight due again at a time, without a failed attempt."""
        self._put_back(delivery, "due = ?", due)

    def _put_back(self, delivery: Delivery, changes: str, *values: float | str) -> None:
        self._remove_finished()
        if (found := self._in_flight(delivery)) is not None:
            key, number = found
            self._run(f"UPDATE deliveries SET {changes} WHERE number = ?", *values, number)  # noqa: S608 - constants
            self._take(key, None)
            self._find_head(key)

    def bury(self, delivery: Delivery, reason: str) -> None:
        """Make a delivery that is in flight a dead letter."""
        self._remove_finished()
        if (found := self._in_flight(delivery)) is not None:
            self._bury(*found, reason)

    def _bury(self, key: Key, number: int, reason: str) -> None:
        """Make the delivery of a lane that is in flight a dead letter."""
        self._bury_all(key[0], [number], reason)
        self._take(key, None)
        self._find_head(key)

    # For operators

    def lengths(self) -> list[QueueLength]:
        """Return the number of deliveries of each endpoint that has any."""
        self._remove_finished()
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
        self._remove_finished()
        end = self._clock() - self._keep_dead
        if self._one("SELECT 1 FROM dead WHERE died < ? LIMIT 1", end) is not None:
            self._run("DELETE FROM dead WHERE died < ?", end)
            self._read_lanes()

    def revive(self, app_id: str | None, delivery_id: str | None) -> Revival:
        """Queue the oldest dead letters of each endpoint again, as many as the endpoint has room for."""
        self._remove_finished()
        self.forget()
        chosen, values = _chosen(app_id, delivery_id)
        letters = f"SELECT endpoint, count(*) FROM dead WHERE {chosen} GROUP BY endpoint"  # noqa: S608 - constants
        queued = kept = 0
        for endpoint, number in self._run(letters, *values).fetchall():
            # The server may have put deliveries since an operator's command has read the lengths.
            length = self._one("SELECT count(*) FROM deliveries WHERE endpoint = ?", endpoint)[0]
            fitting = min(number, max(0, self._bound - length))
            self._revive_oldest(f"{chosen} AND endpoint = ?", (*values, endpoint), fitting)
            queued, kept = queued + fitting, kept + number - fitting
        self._read_lanes()
        return Revival(queued, kept)

    def _revive_oldest(self, chosen: str, values: Sequence[str | int], number: int) -> None:
        oldest = f"number IN (SELECT number FROM dead WHERE {chosen} ORDER BY number LIMIT ?)"  # noqa: S608 - constants
        columns = f"endpoint, lane, id, body, events, ?, 0, '' FROM dead WHERE {oldest} ORDER BY number"
        into = "INSERT INTO deliveries (endpoint, lane, id, body, events, created, attempts, error)"
        self._run(f"{into} SELECT {columns}", self._clock(), *values, number)
        self._run(f"DELETE FROM dead WHERE {oldest}", *values, number)  # noqa: S608 - constants

    def purge(self, app_id: str | None, delivery_id: str | None) -> int:
        """Remove dead letters. Return their number."""
        self._remove_finished()
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


def _of_endpoints(deliveries: Sequence[Delivery]) -> list[Delivery]:
    """Return one delivery of each endpoint."""
    return list({each.endpoint: each for each in deliveries}.values())


def _printable(text: str) -> str:
    """Return a text without halves of surrogate pairs, which SQLite does not store."""
    return text.encode("utf-8", "backslashreplace").decode()
