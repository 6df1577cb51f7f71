"""Writes to the roster: done in their order, each once, with one batch in flight at a time.

A write is a list: the name of a command of ``roster.lua``, and the command's arguments. Some commands set an entry in
the node's ledger. Their first three arguments are the app, the channel or user, and on a presence channel the user.
"""

import logging
from collections.abc import Callable, Set
from itertools import islice
from typing import Any

import msgpack

from soketpy.core.containment import contain
from soketpy.core.steps import Future
from soketpy.drivers.redis.webhooks.flags import QUIET

log = logging.getLogger("soketpy.redis")

BATCH = 500
"""Writes in one batch, which take Redis some milliseconds."""

MOST_WAITING = 100_000
"""Entries whose writes wait until Redis is available again."""

Write = list[Any]

Entry = tuple[Any, ...]
"""The key of a ledger entry: its command, app, channel or user, and user."""

MOST_AGAIN = 500
"""Entries with a failed write that are written again at a time."""

_OF_ENTRIES = ("subscriptions", "member", "user", "connections")
"""The commands that set an entry."""

_FLAGS_AT = {"subscriptions": 5, "member": 8, "user": 6}
"""The positions of the flags in the writes that may have any: the events that the webhooks of the app want."""

_CONNECTION = "connection"
"""The command that adds or removes one connection of an app."""

_NOTHING: Write = ["nothing"]


class Lost(Exception):
    """The connection to Redis, or the lease, has ended."""


class Failed(Exception):
    """Redis is available, and could not do a write that changes an entry."""


class Writes:
    """The writes that wait or are in flight. ``done`` is called with each write that Redis has done, and its answer.

    The queue is bounded, although this class does not count its writes: the server does not read from a connection
    until its join or sign-in is done, each leave follows a join, and ``Window`` limits the publications.
    """

    def __init__(self, done: Callable[[Write, Any], None]) -> None:
        self.number = 0  # of the last batch that was sent
        self.overflowed = False  # whether writes were dropped because too many waited
        self._done = done
        self._queue: list[tuple[Write, Future[Any] | None]] = []
        self._unanswered: list[tuple[Write, Future[Any] | None]] = []
        self._deferred: dict[Entry, Write] = {}  # for the next connection; the last write of each entry
        self._failed: dict[Entry, None] = {}  # entries whose last write Redis could not do
        self._known: set[Entry] = set()  # entries that are written again, and that ``done`` got before

    @property
    def in_flight(self) -> bool:
        """Return whether the last batch is unanswered."""
        return bool(self._unanswered)

    def __len__(self) -> int:
        return len(self._deferred) + len(self._queue) + len(self._unanswered)

    def add(self, write: Write) -> Future[Any]:
        """Append a write to the queue. Return its future answer."""
        future: Future[Any] = Future()
        self._take_deferred()
        self._queue.append((write, future))
        return future

    def defer(self, write: Write) -> None:
        """Store the write of an entry until Redis is available, instead of an older write of the same entry.

        Drop a write of another command. If too many are stored, forget them all: the node must write all its entries
        again.
        """
        if write[0] in _OF_ENTRIES:
            self._deferred.pop(entry_of(write), None)
            self._deferred[entry_of(write)] = write
        if len(self._deferred) > MOST_WAITING:
            self._deferred.clear()
            self.overflowed = True

    def failed(self) -> list[Entry]:
        """Return some entries whose last write Redis could not do, and others at the next call if there are more."""
        some = list(islice(self._failed, MOST_AGAIN))
        for entry in some:
            del self._failed[entry]
            self._failed[entry] = None
        return some

    def next(self) -> bytes | None:
        """Return the next batch, packed, or None while one is in flight or nothing waits."""
        if self._unanswered:
            return None
        self._take_deferred()
        if not self._queue:
            return None
        self._unanswered, self._queue = self._queue[:BATCH], self._queue[BATCH:]
        self.number += 1
        return self.again()

    def _take_deferred(self) -> None:
        """Append the stored writes to the queue: after entries that are written again, which are older."""
        if self._deferred:
            self._queue += [(write, None) for write in self._deferred.values()]
            self._deferred.clear()

    def again(self) -> bytes | None:
        """Return the batch in flight, packed, to send it once more, or None if there is none."""
        if not self._unanswered:
            return None
        try:
            return _pack([write for write, _ in self._unanswered])
        except Exception:  # every fault concerns single writes, not the batch
            self._leave_out_unpackable()
            return _pack([write for write, _ in self._unanswered])

    def _leave_out_unpackable(self) -> None:
        """Fail the writes that cannot be encoded, so that the others of their batch are sent."""
        for index, (write, future) in enumerate(self._unanswered):
            try:
                _pack(write)
            except Exception as fault:
                contain(log, fault, "A write of kind %s of app %s could not be encoded", *write[:2])
                self._unanswered[index] = (_NOTHING, None)
                if future is not None:
                    _settle(future.set_exception, fault)

    def answered(self, packed: bytes) -> None:
        """Process the answers to the batch in flight.

        Each write is settled on its own: an exception of ``done``, or of the operation that awaits a write, is
        contained. Raise ValueError, with the batch still in flight, if these are not its answers.
        """
        answers = msgpack.unpackb(packed, raw=True, strict_map_key=False)  # a wrong answer affects its own write only
        if not isinstance(answers, list) or len(answers) != len(self._unanswered):
            raise ValueError(f"Redis has not answered a batch of {len(self._unanswered)} writes")
        batch, self._unanswered = self._unanswered, []
        for (write, future), answer in zip(batch, answers, strict=True):
            if type(answer) is dict:
                self._fail(write, future, answer)
                continue
            if self._failed and write[0] in _OF_ENTRIES:
                self._failed.pop(entry_of(write), None)
            if self._known and write[0] in _OF_ENTRIES and entry_of(write) in self._known:
                self._known.discard(entry_of(write))
            else:
                try:
                    self._done(write, answer)
                except Exception as fault:
                    contain(log, fault, "A write of kind %s of app %s could not be reported", *write[:2])
            if future is not None:
                _settle(future.set_result, answer)

    def _fail(self, write: Write, future: Future[Any] | None, answer: dict[object, object]) -> None:
        """Fail one write that the script could not do. If no operation awaits the write, log its entry once."""
        kind = Failed if write[0] in _OF_ENTRIES or write[0] == _CONNECTION else Lost
        why = answer.get(b"err")
        fault = kind(why.decode(errors="replace") if isinstance(why, bytes) else "the reply has an unknown form")
        about = ", ".join(each for each in write[1:3] if isinstance(each, str) and each)  # app, and channel or user
        if future is not None or entry_of(write) not in self._failed:
            contain(log, fault, "Redis could not do a write of kind %s (%s): %s", write[0], about, fault)
        if write[0] in _OF_ENTRIES:
            self._failed[entry_of(write)] = None
        if len(self._failed) > MOST_WAITING:
            self._failed.clear()
            self.overflowed = True
        if future is not None:
            _settle(future.set_exception, fault)

    def restart(self, entries: list[Write], known: Set[Entry] = frozenset()) -> None:
        """Restart the batch numbers at 1, and replace all waiting writes by these entries.

        ``done`` is not called for the entries in ``known``, and the receivers of webhooks know them too.
        """
        self.number, self.overflowed = 0, False
        self._deferred.clear()
        self._failed.clear()
        self._known = {entry_of(write) for write in entries} & known
        self._unanswered = []
        self._queue = [(_quiet(write) if entry_of(write) in self._known else write, None) for write in entries]

    def abandon(self) -> None:
        """Fail all writes that operations await. Store the writes of entries, and drop the others.

        Their publishers get an error, so the batch in flight does not publish if it is sent again. If Redis already ran
        this batch, it returns the stored answers to the original batch.
        """
        self._take_deferred()  # so that an older write in the queue does not replace one that was stored later
        waiting = [future for _, future in (*self._unanswered, *self._queue) if future is not None]
        self._unanswered = [(write if write[0] in _OF_ENTRIES else _NOTHING, None) for write, _ in self._unanswered]
        queue, self._queue = self._queue, []
        for write, _ in queue:
            try:
                self.defer(write)
            except Exception as fault:
                contain(log, fault, "A write of kind %s could not be stored until Redis is available", *write[:1])
        for future in waiting:
            _settle(future.set_exception, Lost())


def _pack(value: Write) -> bytes:
    packed: bytes = msgpack.packb(value, use_bin_type=False)
    return packed


def _settle(settle: Callable[[Any], None], outcome: Any) -> None:
    """Settle a future. Contain an exception of the operation that resumes."""
    try:
        settle(outcome)
    except Exception as fault:
        contain(log, fault, "An operation failed after Redis had answered its write")


def _quiet(write: Write) -> Write:
    """Return a write that appends no event, though it turns something on."""
    position = _FLAGS_AT.get(write[0])
    if position is None or len(write) <= position:
        return write
    return [*write[:position], write[position] | QUIET]


def entry_of(write: Write) -> Entry:
    """Return the key of the entry that a write sets."""
    return tuple(write[:4])
