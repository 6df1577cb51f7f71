"""Writes to the roster: in their order, one batch on its way at a time, and each done once.

A write is a list: what it is about (a kind, an app, a channel or user, and on a presence channel the user), and then
what ``roster.lua`` needs to do it.
"""

from collections.abc import Callable, Set
from typing import Any

import msgpack

from soketpy.steps import Promise

BATCH = 500
"""Writes that go together: some milliseconds of Redis' time."""

MOST_WAITING = 100_000
"""Leaves whose writes wait for Redis to come back."""

Write = list[Any]

Leaf = tuple[Any, ...]
"""What a write is about."""

_OF_LEAVES = ("s", "m", "u", "k")

_NOTHING: Write = ["n"]


class Lost(Exception):
    """The connection to Redis, or the lease, is gone."""


class Writes:
    """What waits to be written. ``done`` is told of each write that has been, with its answer."""

    def __init__(self, done: Callable[[Write, Any], None]) -> None:
        self.number = 0  # of the last batch that was sent
        self.forgot = False  # whether more would have waited than may
        self._done = done
        self._queue: list[tuple[Write, Promise[Any] | None]] = []
        self._on_its_way: list[tuple[Write, Promise[Any] | None]] = []
        self._kept: dict[Leaf, Write] = {}  # for when Redis is back; of each leaf the last one
        self._known: set[Leaf] = set()  # leaves that are written anew, and of which ``done`` has been told before

    @property
    def under_way(self) -> bool:
        """Whether the last batch has had no answer."""
        return bool(self._on_its_way)

    def __len__(self) -> int:
        return len(self._kept) + len(self._queue) + len(self._on_its_way)

    def add(self, write: Write) -> Promise[Any]:
        """Let a write wait for its turn."""
        promise: Promise[Any] = Promise()
        self._take_kept()
        self._queue.append((write, promise))
        return promise

    def keep(self, write: Write) -> None:
        """Let a write wait for Redis to come back, if it changes what this node has, in the place of any before it.

        If too many do, they are forgotten: the node has to write all that it has anew.
        """
        if write[0] in _OF_LEAVES:
            self._kept.pop(leaf_of(write), None)
            self._kept[leaf_of(write)] = write
        if len(self._kept) > MOST_WAITING:
            self._kept.clear()
            self.forgot = True

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
        packed: bytes = msgpack.packb([write for write, _ in self._on_its_way], use_bin_type=False)
        return packed

    def answered(self, packed: bytes) -> None:
        """The batch has been done."""
        batch, self._on_its_way = self._on_its_way, []
        for (write, promise), answer in zip(batch, msgpack.unpackb(packed, raw=True), strict=True):
            if self._known and write[0] in _OF_LEAVES and leaf_of(write) in self._known:
                self._known.discard(leaf_of(write))
            else:
                self._done(write, answer)
            if promise is not None:
                promise.keep(answer)

    def restart(self, leaves: list[Write], known: Set[Leaf] = frozenset()) -> None:
        """Begin the numbers anew, with these in the place of all that waited; of ``known`` ones nobody is told."""
        self.number, self.forgot = 0, False
        self._kept.clear()
        self._known = {leaf_of(write) for write in leaves} & known
        self._on_its_way, self._queue = [], [(write, None) for write in leaves]

    def abandon(self) -> None:
        """Let those who wait go on without an answer; what changes leaves, and nothing else, is still to be written.

        Whoever published was told that it failed: a batch that Redis may not have got does not publish when it is sent
        again. If Redis has got it, the answer that it kept is that to the batch as it was.
        """
        waiting = [promise for _, promise in (*self._on_its_way, *self._queue) if promise is not None]
        self._on_its_way = [(write if write[0] in _OF_LEAVES else _NOTHING, None) for write, _ in self._on_its_way]
        queue, self._queue = self._queue, []
        for write, _ in queue:
            self.keep(write)
        for promise in waiting:
            promise.fail(Lost())


def leaf_of(write: Write) -> Leaf:
    """What a write is about."""
    return tuple(write[:4])
