"""History: the channels whose events are stored, positions in their logs, and pages of the logs.

A *log* has the last events of one channel. A *position* names one event of a log: the *epoch* of the log, which is new
whenever a log starts from nothing, and the *serial* of the event: 1, 2, 3, … in the order in which all subscribers get
the events.
"""

import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from soketpy.core.history_rules import KIB as KIB
from soketpy.core.history_rules import LONGEST as LONGEST
from soketpy.core.history_rules import MOST_READ as MOST_READ
from soketpy.core.history_rules import HistoryRule as HistoryRule
from soketpy.core.history_rules import pattern_problem as pattern_problem
from soketpy.core.history_rules import rule_of as rule_of
from soketpy.protocol.messages import Event

LARGEST_SERIAL = 2**53
"""Redis counts serials as doubles, which are exact up to this number."""

_POSITION = re.compile(r"([0-9a-f]{16}):(0|[1-9][0-9]{0,15})")


class Position(NamedTuple):
    """The place of one event in a log. Serial 0 is the place before the first event."""

    epoch: str
    serial: int

    def __str__(self) -> str:
        return f"{self.epoch}:{self.serial}"


def parse_position(text: str) -> Position:
    """Return the position that ``str`` has written. Raises ValueError for any other text."""
    found = _POSITION.fullmatch(text)
    if found is None or int(found[2]) > LARGEST_SERIAL:
        raise ValueError("not a position")
    return Position(found[1], int(found[2]))


def new_epoch() -> str:
    """Return a random epoch."""
    return secrets.token_hex(8)


RulesOf = Callable[[str], Sequence[HistoryRule] | None]
"""Returns the rules of an app by its id, None if they are unknown or have not changed."""


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One event of a log. ``time_ms`` is the Unix time at which it was stored, in milliseconds.

    ``exclude`` is the connection that must not get the event, its sender.
    """

    serial: int
    time_ms: int
    event: Event
    exclude: str | None = None


class Query(msgspec.Struct, frozen=True):
    """A part of a log: at most ``limit`` events and about ``size`` bytes, of the last ``seconds`` if that is given.

    The events are those after ``after`` and before ``before``. With ``backwards``, the events are the last ones of
    these, otherwise the first ones.
    """

    limit: int
    size: int = 512 * KIB
    after: Position | None = None
    before: Position | None = None
    backwards: bool = False
    seconds: float | None = None


class Page(msgspec.Struct, frozen=True):
    """The answer to a query: events in the order of their serials.

    ``first`` is the serial of the oldest event in the log, and ``last`` that of the newest one, also if it is no longer
    in the log. An empty log has ``first == last + 1``. ``epoch`` is empty for a channel without a log.

    ``complete`` is false if events between ``after`` or ``before`` and those of the page may be missing: they were
    dropped, or the position is of another log, or does not exist yet.
    """

    epoch: str
    first: int
    last: int
    entries: Sequence[Entry] = ()
    complete: bool = True

    @property
    def oldest(self) -> Position | None:
        """The position of the oldest event, or None if the log is empty."""
        return Position(self.epoch, self.first) if self.first <= self.last else None

    @property
    def end(self) -> Position | None:
        """The position of the newest event, or None if there is no log."""
        return Position(self.epoch, self.last) if self.epoch else None

    def is_whole_after(self, after: Position) -> bool:
        """Return whether the page has every event of the log after a position."""
        newest = self.entries[-1].serial if self.entries else after.serial
        return self.complete and newest == self.last


class Recovered(msgspec.Struct, frozen=True):
    """The message to a tab that has come back. ``complete`` is false if the tab may have missed events.

    ``start`` is the last position that the tab has acknowledged, None if that is unknown.
    """

    start: Position | None
    end: Position
    complete: bool


class Start(msgspec.Struct, frozen=True):
    """The beginning of a subscription to a channel with history.

    The subscriber gets ``events``, and then each event after ``position``. ``acknowledged`` is the position up to which
    it has all events already. ``has_last`` is true if it has the last event of the channel after that.
    """

    position: Position
    acknowledged: Position
    events: Sequence[Event] = ()
    recovered: Recovered | None = None
    has_last: bool = False


@dataclass(frozen=True, slots=True)
class LogCounts:
    """The logs that this process has, and what it has done with them since its start.

    ``size`` is bytes, about. ``dropped`` logs exceeded the limits of the bytes of all logs. Logs that all nodes share
    are not counted: only ``stored``, the events that this process has given to the store.
    """

    logs: int = 0
    size: int = 0
    stored: int = 0
    dropped: int = 0


def is_complete(query: Query, epoch: str, first: int, last: int) -> bool:
    """Return whether a log has every event between the positions of a query.

    The page of an ``after`` is complete if the log still has the next event, and ``after`` is not in the future.
    """
    after, before = query.after, query.before
    if after is not None and not (after.epoch == epoch and first - 1 <= after.serial <= last):
        return False
    return before is None or (before.epoch == epoch and first <= before.serial <= last + 1)
