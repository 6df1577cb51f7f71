"""Writes to the roster: in their order, one batch on its way at a time, and each done once.

A write is a list: what it is about (a kind, an app, a channel or user, and on a presence channel the user), and then
what ``roster.lua`` needs to do it.
"""

import logging
from collections.abc import Callable, Set
from itertools import islice
from typing import Any

import msgpack

from soketpy.core.containment import contain
from soketpy.core.steps import Future

log = logging.getLogger("soketpy.redis")

BATCH = 500
"""Writes that go together: some milliseconds of Redis' time."""

MOST_WAITING = 100_000
"""Leaves whose writes wait for Redis to come back."""

Write = list[Any]

Leaf = tuple[Any, ...]
"""What a write is about."""

MOST_AGAIN = 500
"""Leaves whose writes have failed that are written again at a time."""

_OF_LEAVES = ("s", "m", "u", "k")

_CONNECTION = "a"
"""A connection more or less."""

_NOTHING: Write = ["n"]


class Lost(Exception):
    """The connection to Redis, or the lease, is gone."""


class Failed(Exception):
    """Redis is there, and could not do a write that changes what this node has."""


class Writes:
    """What waits to be written. ``done`` is told of each write that has been, with its answer.

    The queue is bounded, although nothing here counts it: a connection that joins or signs in is not read until its
    write is done, what leaves has joined before, and publications have their window.
    """

    def __init__(self, done: Callable[[Write, Any], None]) -> None:
        self.number = 0  # of the last batch that was sent
        self.forgot = False  # whether more would have waited than may
        self._done = done
        self._queue: list[tuple[Write, Future[Any] | None]] = []
        self._on_its_way: list[tuple[Write, Future[Any] | None]] = []
        self._kept: dict[Leaf, Write] = {}  # for when Redis is back; of each leaf the last one
        self._failed: dict[Leaf, None] = {}  # leaves whose last write Redis could not do
        self._known: set[Leaf] = set()  # leaves that are written anew, and of which ``done`` has been told before

    @property
    def under_way(self) -> bool:
        """Whether the last batch has had no answer."""
        return bool(self._on_its_way)

    def __len__(self) -> int:
        return len(self._kept) + len(self._queue) + len(self._on_its_way)

    def add(self, write: Write) -> Future[Any]:
        """Let a write wait for its turn."""
        future: Future[Any] = Future()
        self._take_kept()
        self._queue.append((write, future))
        return future

    def keep(self, write: Write) -> None:
        """Let a write wait that changes what this node has, in the place of any before it: until Redis is there.

        Drop a write of another kind. If too many wait, they are forgotten: the node has to write all that it has anew.
        """
        if write[0] in _OF_LEAVES:
            self._kept.pop(leaf_of(write), None)
            self._kept[leaf_of(write)] = write
        if len(self._kept) > MOST_WAITING:
            self._kept.clear()
            self.forgot = True

    def failed(self) -> list[Leaf]:
        """Return some leaves whose last write Redis could not do; at the next call others, if there are more."""
        some = list(islice(self._failed, MOST_AGAIN))
        for leaf in some:
            del self._failed[leaf]
            self._failed[leaf] = None
        return some

    def next(self) -> bytes | None:
        """The next batch, packed; None while one is on its way, or nothing waits."""
        if self._on_its_way:
            return None
        self._take_kept()
        if not self._queue:
            return None
        self._on_its_way, self._queue = self._queue[:BATCH], self._queue[BATCH:]
        self.number += 1
        return self.again()

    def _take_kept(self) -> None:
        """Let those that were kept wait with the others: behind leaves that are written anew, which are older."""
        if self._kept:
            self._queue += [(write, None) for write in self._kept.values()]
            self._kept.clear()

    def again(self) -> bytes | None:
        """The batch that is on its way, to be sent once more; None if none is."""
        if not self._on_its_way:
            return None
        try:
            return _pack([write for write, _ in self._on_its_way])
        except Exception:  # whatever it is, it concerns single writes
            self._leave_out_unpackable()
            return _pack([write for write, _ in self._on_its_way])

    def _leave_out_unpackable(self) -> None:
        """Fail the writes that cannot be encoded, so that the others of their batch are sent."""
        for index, (write, future) in enumerate(self._on_its_way):
            try:
                _pack(write)
            except Exception as fault:
                contain(log, fault, "A write of kind %s of app %s could not be encoded", *write[:2])
                self._on_its_way[index] = (_NOTHING, None)
                if future is not None:
                    _settle(future.set_exception, fault)

    def answered(self, packed: bytes) -> None:
        """Take the answers to the batch that is on its way.

        Each write is settled on its own: an exception of ``done``, or of the operation that waits for a write, is
        contained. Raises ValueError, with the batch still on its way, where these are not the answers to it.
        """
        answers = msgpack.unpackb(packed, raw=True, strict_map_key=False)  # an odd answer concerns its write alone
        if not isinstance(answers, list) or len(answers) != len(self._on_its_way):
            raise ValueError(f"Redis has not answered a batch of {len(self._on_its_way)} writes")
        batch, self._on_its_way = self._on_its_way, []
        for (write, future), answer in zip(batch, answers, strict=True):
            if type(answer) is dict:
                self._fail(write, future, answer)
                continue
            if self._failed and write[0] in _OF_LEAVES:
                self._failed.pop(leaf_of(write), None)
            if self._known and write[0] in _OF_LEAVES and leaf_of(write) in self._known:
                self._known.discard(leaf_of(write))
            else:
                try:
                    self._done(write, answer)
                except Exception as fault:
                    contain(log, fault, "A write of kind %s of app %s could not be reported", *write[:2])
            if future is not None:
                _settle(future.set_result, answer)

    def _fail(self, write: Write, future: Future[Any] | None, answer: dict[object, object]) -> None:
        """Fail one write that the script could not do. If an operation does not wait for it, log its leaf once."""
        kind = Failed if write[0] in _OF_LEAVES or write[0] == _CONNECTION else Lost
        why = answer.get(b"err")
        fault = kind(why.decode(errors="replace") if isinstance(why, bytes) else "the reply has an unknown form")
        about = ", ".join(each for each in write[1:3] if isinstance(each, str) and each)  # app, and channel or user
        if future is not None or leaf_of(write) not in self._failed:
            contain(log, fault, "Redis could not do a write of kind %s (%s): %s", write[0], about, fault)
        if write[0] in _OF_LEAVES:
            self._failed[leaf_of(write)] = None
        if len(self._failed) > MOST_WAITING:
            self._failed.clear()
            self.forgot = True
        if future is not None:
            _settle(future.set_exception, fault)

    def restart(self, leaves: list[Write], known: Set[Leaf] = frozenset()) -> None:
        """Begin the numbers anew, with these in the place of all that waited; of ``known`` ones nobody is told."""
        self.number, self.forgot = 0, False
        self._kept.clear()
        self._failed.clear()
        self._known = {leaf_of(write) for write in leaves} & known
        self._on_its_way, self._queue = [], [(write, None) for write in leaves]

    def abandon(self) -> None:
        """Let those who wait go on without an answer; what changes leaves, and nothing else, is still to be written.

        Whoever published was told that it failed: a batch that Redis may not have got does not publish when it is sent
        again. If Redis has got it, the answer that it kept is that to the batch as it was.
        """
        self._take_kept()  # so that an older write in the queue does not take the place of one that was kept
        waiting = [future for _, future in (*self._on_its_way, *self._queue) if future is not None]
        self._on_its_way = [(write if write[0] in _OF_LEAVES else _NOTHING, None) for write, _ in self._on_its_way]
        queue, self._queue = self._queue, []
        for write, _ in queue:
            try:
                self.keep(write)
            except Exception as fault:
                contain(log, fault, "A write of kind %s could not be kept for when Redis is back", *write[:1])
        for future in waiting:
            _settle(future.set_exception, Lost())


def _pack(value: Write) -> bytes:
    packed: bytes = msgpack.packb(value, use_bin_type=False)
    return packed


def _settle(settle: Callable[[Any], None], outcome: Any) -> None:
    """Let the operation that waits for a promise continue."""
    try:
        settle(outcome)
    except Exception as fault:
        contain(log, fault, "An operation failed after Redis had answered it")


def leaf_of(write: Write) -> Leaf:
    """What a write is about."""
    return tuple(write[:4])
