"""The states of tabs on one node, in the SQLite file of the logs. They survive a restart."""

import sqlite3
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, TypeVar

import msgspec

from soketpy.core.tabs import TabState, unsaved
from soketpy.drivers.local.tabs import KEPT, MOST
from soketpy.drivers.sqlite.kinds import Kind

CHECKED = 500
"""Claims of tabs between two checks of their number."""

_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(TabState).decode

T = TypeVar("T")


class Statements(Protocol):
    """A file in a transaction."""

    def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        """Run a statement."""


class Jobs(Protocol):
    """The thread that uses the file."""

    async def run(self, kind: Kind, job: Callable[[Statements], T]) -> T:
        """Return the result of a job. Raise Unavailable if the file cannot be used."""

    def run_if_open(self, kind: Kind, job: Callable[[Statements], None]) -> None:
        """Run a job that nobody awaits, if the file is open."""


class SqliteTabs:
    """The states of tabs, with the connection that may save each. ``clock`` returns the Unix time in seconds."""

    durable = True

    def __init__(self, jobs: Jobs, clock: Callable[[], float]) -> None:
        self._jobs = jobs
        self._clock = clock

    async def claim(self, app_id: str, tab_id: str, socket_id: str) -> TabState | None:
        """Return the state of a tab, and let only this connection save it. Raise Unavailable without the file."""
        job = partial(_claim, app_id=app_id, tab_id=tab_id, socket_id=socket_id, now=self._clock())
        state = await self._jobs.run(Kind.CHANGE, job)
        return None if state is None else _decode(state)

    def save(self, app_id: str, tab_id: str, socket_id: str, state: TabState, kept: float | None = None) -> None:
        """Save the state of a tab, unless another connection has claimed it. The file may be unusable now."""
        job = partial(_save, app_id=app_id, tab_id=tab_id, socket_id=socket_id, state=_encode(state), saved=state.saved)
        self._jobs.run_if_open(Kind.CHANGE, job)


def _claim(store: Statements, *, app_id: str, tab_id: str, socket_id: str, now: float) -> Any:
    found = store.execute("SELECT number, state FROM tabs WHERE app = ? AND tab = ?", app_id, tab_id).fetchone()
    if found is not None:
        store.execute("DELETE FROM tabs WHERE number = ?", found[0])
    columns = "INSERT INTO tabs (app, tab, owner, saved, state) VALUES (?, ?, ?, ?, ?)"
    number = store.execute(columns, app_id, tab_id, socket_id, now, found and found[1]).lastrowid
    if not (number or 0) % CHECKED:
        _remove_excess(store)
    if found is None:
        return None
    if found[1] is None:
        return _encode(unsaved(now))
    return found[1] if _decode(found[1]).saved > now - KEPT else None


def _remove_excess(store: Statements) -> None:
    """Remove the oldest tabs of the apps with the most tabs until there are not too many."""
    counts = Counter(dict(store.execute("SELECT app, count(*) FROM tabs GROUP BY app").fetchall()))
    while (excess := counts.total() - MOST) > 0:
        [(app_id, count), *second] = counts.most_common(2)
        number = min(excess, max(1, count - (second[0][1] if second else 0)))
        store.execute(
            "DELETE FROM tabs WHERE number IN (SELECT number FROM tabs WHERE app = ? ORDER BY number LIMIT ?)",
            app_id,
            number,
        )
        counts[app_id] -= number


def _save(store: Statements, *, app_id: str, tab_id: str, socket_id: str, state: bytes, saved: float) -> None:
    changes = "UPDATE tabs SET state = ?, saved = ? WHERE app = ? AND tab = ? AND owner = ?"
    if not store.execute(changes, state, saved, app_id, tab_id, socket_id).rowcount:
        # A connected tab may have been forgotten. A row with another owner stays.
        again = "INSERT OR IGNORE INTO tabs (app, tab, owner, saved, state) VALUES (?, ?, ?, ?, ?)"
        if store.execute(again, app_id, tab_id, socket_id, saved, state).rowcount:
            _remove_excess(store)
