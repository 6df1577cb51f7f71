"""Rate limits over Redis: what an app does counts on whichever node it happens."""

from collections import deque
from typing import NamedTuple

from soketpy.core import steps
from soketpy.core.limits import Clock, Pruned
from soketpy.core.ports import Allowance, Unavailable
from soketpy.core.steps import Future
from soketpy.drivers.redis.commands import Commands
from soketpy.drivers.redis.writes import Lost

SHARE = 10
"""A node keeps at most this part of a limit, a tenth, for later."""

BRIEF = 0.1
"""Seconds. A node that needs points again within this time takes twice as many as before, otherwise half as many."""

PAUSE = 0.05
"""Seconds for which a node refuses without asking Redis, at least, if the bucket was empty."""

KEPT = 1.0
"""Seconds for which a node keeps points that it has taken. Then they are lost, as in a bucket that is full."""


class Stock:
    """The points that this node has taken from one bucket and not yet used, and the operations that wait for more."""

    __slots__ = ("asked_at", "asking", "empty_until", "kept_until", "limit", "points", "size", "waiting")

    def __init__(self, limit: int) -> None:
        self.waiting: deque[Future[Allowance]] = deque()
        self.asking = False
        self.asked_at = 0.0
        self.size = 1  # of the last request
        self.change(limit)

    def change(self, limit: int) -> None:
        """Apply a changed limit: forget the points, and the refusal."""
        self.limit = limit
        self.points = 0
        self.kept_until = self.empty_until = 0.0

    def known(self, now: float) -> Allowance | None:
        """Use a point, or return the refusal that still holds. Return None if Redis must be asked."""
        if self.points and now < self.kept_until:
            self.points -= 1
            return Allowance(True, self.limit, self.points, 0.0)
        if now < self.empty_until:
            return Allowance(False, self.limit, 0, self.empty_until - now)
        return None

    def add(self, points: int, wait: float, now: float) -> None:
        """Keep points that were taken. If there were none, refuse for ``wait`` seconds."""
        self.points, self.kept_until = points, now + KEPT
        self.empty_until = now + wait

    def settle(self, now: float) -> None:
        """Answer the operations that wait, as far as Redis need not be asked."""
        while self.waiting and (known := self.known(now)) is not None:
            self.waiting.popleft().set_result(known)

    def fail(self, fault: Exception) -> None:
        """Raise an exception in the operations that wait."""
        waiting, self.waiting = self.waiting, deque()
        for future in waiting:
            future.set_exception(fault)

    def next_size(self, now: float) -> int:
        """Return how many points to request now."""
        self.size = 2 * self.size if now - self.asked_at < BRIEF else self.size // 2
        self.size = max(1, min(max(self.size, len(self.waiting)), self.limit // SHARE))
        self.asked_at = now
        return self.size


class Refusal(NamedTuple):
    """A refused call: its cost, and the points that its bucket had. Until a time no call of this cost can succeed."""

    limit: int
    cost: int
    remaining: int
    until: float

    def holds(self, cost: int, limit: int, now: float) -> bool:
        """Return whether a call would be refused too."""
        return cost >= self.cost and limit == self.limit and now < self.until


class RedisRateLimiter:
    """Token buckets from which all nodes take. A refusal holds on its node, without Redis, while it cannot change."""

    def __init__(self, commands: Commands, clock: Clock) -> None:
        self._commands = commands
        self._clock = clock
        self._stocks = Pruned[tuple[str, str], Stock](self._idle)
        self._refusals = Pruned[tuple[str, str], Refusal](lambda refusal: clock() >= refusal.until)

    def _idle(self, stock: Stock) -> bool:
        return not stock.asking and self._clock() >= max(stock.kept_until, stock.empty_until)

    async def take(self, app_id: str, what: str, cost: int, limit: int) -> Allowance:
        """Take ``cost`` points of the ``limit`` that an app has each second for ``what``. Raises Unavailable."""
        refusal, now = self._refusals.get((app_id, what)), self._clock()
        if refusal is not None and refusal.holds(cost, limit, now):
            return Allowance(False, limit, refusal.remaining, refusal.until - now)
        taken, tokens = await self._take(app_id, what, cost, cost, limit)
        if taken >= cost:
            return Allowance(True, limit, int(tokens), 0.0)
        wait = _wait(cost, tokens, limit)
        self._refusals[app_id, what] = Refusal(limit, cost, int(tokens), self._clock() + wait)
        return Allowance(False, limit, int(tokens), wait)

    async def take_one(self, app_id: str, what: str, limit: int) -> Allowance:
        """Take one point, from those that this node has taken before if there are any. Raises Unavailable."""
        stock = self._stocks.get((app_id, what))
        if stock is None:
            stock = self._stocks[app_id, what] = Stock(limit)
        elif stock.limit != limit:
            stock.change(limit)
        known = stock.known(self._clock())
        if known is not None:
            return known
        future: Future[Allowance] = Future()
        stock.waiting.append(future)
        if not stock.asking:
            stock.asking = True
            steps.begin(self._fill(app_id, what, stock))
        return await future

    async def _fill(self, app_id: str, what: str, stock: Stock) -> None:
        """Take points from the bucket until no operation waits."""
        while stock.waiting:
            limit = stock.limit
            try:
                taken, tokens = await self._take(app_id, what, 1, stock.next_size(self._clock()), limit)
            except Exception as fault:
                stock.fail(fault)
                continue
            if limit == stock.limit:
                now = self._clock()
                stock.add(taken, 0.0 if taken else max(PAUSE, _wait(1, tokens, limit)), now)
                stock.settle(now)
        stock.asking = False

    async def _take(self, app_id: str, what: str, least: int, most: int, limit: int) -> tuple[int, float]:
        """Take points from a bucket: ``most``, or at least ``least``, or 0. Return their number, and those left."""
        try:
            taken, left = await self._commands.write(["take", app_id, what, least, most, limit])
        except Lost:
            raise Unavailable from None
        return taken, float(left)


def _wait(cost: int, tokens: float, limit: int) -> float:
    """Return the seconds until a bucket has the points for a cost, or is full; 60 if it never gets any."""
    return max(0.0, (min(cost, limit) - tokens) / limit) if limit else 60.0
