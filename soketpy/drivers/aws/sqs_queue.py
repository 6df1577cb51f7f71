"""A durable queue of deliveries in SQS. Several nodes may share it.

The queue of SQS is a FIFO queue. A lane is one of its message groups: SQS keeps their order, and returns no message of
a group while an earlier one is in flight. A message is invisible while this process holds it, and its time is extended
as long as the process lives. ``retry`` and ``postpone`` leave the head of a lane invisible for the pause, so that its
group waits.

SQS differs from the other queues in these points:

1. The attempts and the error of a delivery are in the memory of this process. After a restart, and on another node, the
   attempts are the number of times that SQS has returned the message.
2. The bound of an endpoint counts the deliveries that this process has put or received. An operator's command knows
   only the number of all messages, so it revives no letters beyond the bound for all endpoints together. Nodes that
   share a queue have no bound.
3. Pauses are whole seconds, and SQS ends a pause after 12 hours.
4. Dead letters are in a second queue (``sqs_dead``), for at most 14 days.
5. States are not stored.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from math import ceil
from typing import Any

from soketpy.core.aws_options import AwsOptions
from soketpy.core.containment import contain
from soketpy.core.deliveries import Delivery
from soketpy.core.grace import State
from soketpy.core.webhook_ports import FULL, DeadLetter, QueueLength, QueueUnavailable, Revival
from soketpy.drivers.aws.clients import Clients
from soketpy.drivers.aws.fifo import LONGEST_INVISIBLE, Fifo, Received
from soketpy.drivers.aws.sqs_dead import DeadLetters, Letter
from soketpy.drivers.aws.sqs_lanes import Held, Lanes
from soketpy.drivers.aws.sqs_messages import NotOurs, decode, entry_of, failed, renewed

log = logging.getLogger("soketpy.webhooks")

INVISIBLE = 30
"""Seconds after which other processes receive the messages of a process that has died."""

LONG_POLL = 20
"""Seconds for which SQS waits for a message, at most."""

STOP_TIMEOUT = 2.0
"""Seconds that SQS has to take the messages back when the server stops. Later it returns them by itself."""

PAUSE = 1.0
"""Seconds between two attempts to receive messages."""

MOST_HELD = 8 * 1024 * 1024
"""Bytes of bodies behind the heads of lanes. Beyond it, they are given back to SQS."""

GIVE_UP = 120.0
"""Seconds after which a message is released, if the end of its attempt cannot be stored."""

SUFFIX = ".fifo"

ALL = "(all)", "(all)"
"""All endpoints together, as an operator's command sees them."""


class SqsQueue:
    """Queues deliveries in a FIFO queue of SQS. ``bound`` is None for nodes that share the queue.

    ``dead_url`` is the queue of dead letters. It is created if it does not exist. ``owner`` is true for a server, and
    false for an operator's command.
    """

    def __init__(
        self,
        url: str,
        options: AwsOptions,
        *,
        dead_url: str | None = None,
        bound: int | None = 10_000,
        keep_dead: float = 7 * 86_400,
        owner: bool = True,
        clock: Callable[[], float] = time.time,
        invisible: int = INVISIBLE,
        long_poll: int | None = None,
        look_for_dead: int = 1,
    ) -> None:
        self._long_poll = int(LONG_POLL if long_poll is None else long_poll)
        self._clients = Clients(connect_timeout=5, read_timeout=self._long_poll + 10, attempts=3)
        self._queue = Fifo(self._clients, url, options)
        dead = Fifo(self._clients, dead_url or dead_url_of(url), options)
        self._dead = DeadLetters(dead, keep=keep_dead, wait=look_for_dead, clock=clock)
        self._lanes = Lanes(counts=bound is not None)
        self._bound = bound
        self._owner = owner
        self._clock = clock
        self._invisible = invisible
        self._most_bytes = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._changed = asyncio.Event()
        self._fault: QueueUnavailable | None = None
        self._foreign = 0
        self._unfinished: set[str] = set()
        self._buried = 0
        self._looked = 0.0

    async def start(self) -> None:
        """Look at the queues. Create that of dead letters if it does not exist. Raise QueueUnavailable."""
        self._most_bytes = await self._queue.check()
        await self._dead.open()

    async def stop(self) -> None:
        """Give the messages back that this process holds, the last one of each lane first."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._tasks.clear()
        held = self._lanes.held[::-1]
        try:
            async with asyncio.timeout(STOP_TIMEOUT):
                await self._queue.hide([each.receipt for each in held], 0)
        except (QueueUnavailable, TimeoutError) as fault:
            reason = str(fault) or "SQS does not answer"
            log.warning(
                "The SQS queue is unavailable (%(reason)s): deliveries wait for %(seconds)d s",
                {"event": "sqs_not_returned", "reason": reason, "seconds": self._invisible},
            )
        for each in held:
            self._lanes.release(each)
        await self._clients.close()

    # Put

    async def put(self, deliveries: Sequence[Delivery], states: Mapping[State, bool] | None = None) -> int:
        """Send deliveries. Return the number of those that became dead letters. The states are not stored.

        Repeat the same call after QueueUnavailable: SQS does not store a delivery twice within five minutes.
        """
        entries = [entry_of(each) for each in deliveries]
        for each in deliveries:
            if each.id not in self._unfinished:  # else it may be delivered already
                self._lanes.note(each)
        self._unfinished = {each.id for each in deliveries}
        lost = set(await self._queue.send_all(entries, self._most_bytes))
        self._unfinished.clear()
        for each, entry in zip(deliveries, entries, strict=True):
            if entry in lost:
                self._lanes.forget(each)
                log.error(
                    "App %(app)s: a webhook of %(bytes)d bytes does not fit into SQS, and is lost:"
                    " raise MaximumMessageSize",
                    {"event": "sqs_webhook_too_large", "app": each.app_id, "bytes": len(each.body)},
                )
        try:
            for endpoint in dict.fromkeys(each.endpoint for each in deliveries):
                self._buried += await self._make_room(endpoint)
        except QueueUnavailable as fault:
            log.warning(
                "The oldest webhooks of a full queue could not be removed (%(reason)s): trying again",
                {"event": "sqs_not_trimmed", "reason": fault},
            )
        buried, self._buried = self._buried, 0
        return buried + len(lost)

    async def _make_room(self, endpoint: tuple[str, str]) -> int:
        """Bury the oldest deliveries of an endpoint that has too many. Return the number of buried deliveries.

        Those that SQS has not returned yet are buried when it does.
        """
        buried = 0
        while self._bound is not None and self._lanes.length(endpoint) > self._bound:
            now = asyncio.get_running_loop().time()
            oldest = self._lanes.oldest(endpoint, now + 1)
            if oldest is not None:
                await self._bury(oldest, FULL)
                buried += 1
            elif now >= self._looked + PAUSE:
                self._looked = now
                await self._store(await self._queue.receive(wait=0, invisible=self._invisible))
            else:
                break
        return buried

    async def states(self) -> Collection[State]:
        """Return nothing: SQS does not store states."""
        return ()

    # Take

    async def take(self) -> Sequence[Delivery]:
        """Wait until deliveries are due, and return them."""
        if not self._tasks:
            self._tasks = [asyncio.create_task(run()) for run in (self._poll, self._extend)]
        while True:
            self._changed.clear()
            if taken := self._lanes.take():
                return taken
            fault, self._fault = self._fault, None
            if fault is not None:
                raise fault
            await self._changed.wait()

    async def _poll(self) -> None:
        """Receive messages until the task is cancelled."""
        while True:
            try:
                await self._accept(await self._queue.receive(wait=self._long_poll, invisible=self._invisible))
                continue
            except QueueUnavailable as fault:
                self._fault = fault
                self._changed.set()
            except Exception as fault:
                contain(log, fault, "Messages of SQS could not be received")
            await asyncio.sleep(PAUSE)

    async def _accept(self, messages: Sequence[Received]) -> None:
        """Store received messages in their lanes. Bury the oldest ones of endpoints that have too many."""
        for endpoint in await self._store(messages):
            self._buried += await self._make_room(endpoint)

    async def _store(self, messages: Sequence[Received]) -> Collection[tuple[str, str]]:
        """Store received messages in their lanes, and give back those above ``MOST_HELD``. Return their endpoints."""
        until = asyncio.get_running_loop().time() + self._invisible
        surplus = []
        endpoints: dict[tuple[str, str], None] = {}
        for each in messages:
            try:
                delivery = decode(each.body, Delivery)
            except NotOurs:
                self._note_foreign()
                continue
            endpoints[delivery.endpoint] = None
            held = self._lanes.add(each, delivery, until)
            if held is not None and self._lanes.size > MOST_HELD and not self._lanes.is_head(held):
                surplus.append(held)
        self._changed.set()
        await self._give_back(surplus[::-1])
        return endpoints

    def _note_foreign(self) -> None:
        self._foreign += 1
        if self._foreign == 1:
            log.error(
                "The SQS queue has messages that soketpy did not write: use a queue for soketpy alone",
                {"event": "sqs_foreign_messages"},
            )

    async def _extend(self) -> None:
        """Extend the time of all messages that this process holds, until the task is cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._invisible / 3)
            held = self._lanes.held
            try:
                until = loop.time() + self._invisible
                unknown = set(await self._queue.hide([each.receipt for each in held], self._invisible))
                for each in held:
                    if each.receipt not in unknown:
                        each.until = until
            except QueueUnavailable as fault:
                log.warning(
                    "Messages of SQS could not be kept (%(reason)s): trying again",
                    {"event": "sqs_not_kept", "reason": fault},
                )
            except Exception as fault:
                contain(log, fault, "Messages of SQS could not be kept")
            for each in self._lanes.held:
                is_over = each.until <= loop.time() and not each.is_taken
                if is_over or (each.failed is not None and each.failed + GIVE_UP < loop.time()):
                    self._lanes.release(each)

    # The end of an attempt

    async def finish(self, delivery: Delivery) -> None:
        """Delete a delivery."""
        held = self._lanes.head(delivery)
        if held is not None:
            await self._end(held, self._queue.delete([held.receipt]))

    async def retry(self, delivery: Delivery, pause: float, error: str) -> None:
        """Make a delivery due again after ``pause`` seconds, with one more failed attempt."""
        await self._put_back(failed(delivery, error), pause)

    async def postpone(self, delivery: Delivery, pause: float) -> None:
        """Make a delivery due again after ``pause`` seconds, without a failed attempt."""
        await self._put_back(delivery, pause)

    async def _put_back(self, delivery: Delivery, pause: float) -> None:
        """Make a delivery due again after ``pause`` seconds, rounded up. SQS has its lane until then."""
        held = self._lanes.head(delivery)
        if held is None:
            return
        tail = self._lanes.tail(held)
        try:
            await self._queue.hide([each.receipt for each in tail], 0)
        except QueueUnavailable:
            self._note_failure(held)
            raise
        for each in tail:
            self._lanes.release(each)
        seconds = min(ceil(pause), LONGEST_INVISIBLE - self._invisible)
        self._lanes.pause(held, delivery, asyncio.get_running_loop().time() + seconds)
        try:
            await self._queue.hide([held.receipt], seconds)
        except QueueUnavailable:
            self._lanes.restore(held)
            self._note_failure(held)
            raise

    async def bury(self, delivery: Delivery, reason: str) -> None:
        """Make a delivery a dead letter."""
        held = self._lanes.head(delivery)
        if held is not None:
            await self._bury(held, reason)

    async def _bury(self, held: Held, reason: str) -> None:
        letter = DeadLetter(held.delivery, self._clock(), reason)

        async def move() -> None:
            await self._dead.store(letter, held.id)
            await self._queue.delete([held.receipt])

        await self._end(held, move())

    async def _end(self, held: Held, change: Coroutine[Any, Any, None]) -> None:
        """Make the last change of a message. If it fails, it can be repeated."""
        try:
            await change
        except QueueUnavailable:
            self._note_failure(held)
            raise
        self._lanes.end(held)
        self._changed.set()

    def _note_failure(self, held: Held) -> None:
        if held.failed is None:
            held.failed = asyncio.get_running_loop().time()

    async def _give_back(self, held: Sequence[Held]) -> None:
        """Make messages visible that were not tried. Their lane waits while its head is in flight."""
        for each in held:
            self._lanes.release(each)
        await self._queue.hide([each.receipt for each in held], 0)

    # For operators

    async def lengths(self) -> Sequence[QueueLength]:
        """Return the number of deliveries of each endpoint that this process knows.

        An operator's command knows none: it gets the number of all messages in SQS, which is approximate.
        """
        if self._owner and self._bound is not None:
            return self._lanes.lengths()
        attributes = await self._queue.attributes()
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        length = sum(int(attributes.get(name, 0)) for name in names)
        return [QueueLength(*ALL, "sqs", length, self._clock())] if length else []

    async def dead(self, limit: int) -> Sequence[DeadLetter]:
        """Return dead letters, the newest first."""
        return await self._dead.newest(limit)

    async def revive(self, app_id: str | None = None, delivery_id: str | None = None) -> Revival:
        """Queue dead letters again: one, those of an app, or all. A full endpoint keeps its newest letters dead."""
        found = await self._dead.take(app_id, delivery_id)
        letters, kept = await self._divide(found)
        await self._dead.give_back(kept)
        now = self._clock()
        revived = [renewed(each.letter.delivery, now) for each in letters]
        entries = [entry_of(new, again=each.id) for new, each in zip(revived, letters, strict=True)]
        await self._queue.send_all(entries, self._most_bytes)
        await self._dead.delete(letters)
        for each in revived:
            self._lanes.note(each)
        return Revival(len(letters), len(kept))

    async def _divide(self, letters: Sequence[Letter]) -> tuple[Sequence[Letter], Sequence[Letter]]:
        """Return the letters that their endpoints have room for, and the others."""
        if self._bound is None:
            return letters, ()
        others = 0 if self._owner else sum(each.length for each in await self.lengths())
        lengths: Counter[tuple[str, str]] = Counter()
        fitting: list[Letter] = []
        kept: list[Letter] = []
        for each in letters:
            endpoint = each.letter.delivery.endpoint if self._owner else ALL
            is_full = others + self._lanes.length(endpoint) + lengths[endpoint] >= self._bound
            (kept if is_full else fitting).append(each)
            lengths[endpoint] += not is_full
        return fitting, kept

    async def purge(self, app_id: str | None = None, delivery_id: str | None = None) -> int:
        """Remove dead letters: one, those of an app, or all. Return their number."""
        letters = await self._dead.take(app_id, delivery_id)
        await self._dead.delete(letters)
        return len(letters)


def dead_url_of(url: str) -> str:
    """Return the URL of the queue for the dead letters of another queue."""
    return f"{url.removesuffix(SUFFIX)}-dead{SUFFIX}"
