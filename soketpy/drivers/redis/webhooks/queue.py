"""The queue of deliveries in Redis: one for each partition. ``queue.lua`` makes all changes to it."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgpack

from soketpy.core.deliveries import Delivery
from soketpy.core.grace import State
from soketpy.core.webhook_ports import DeadLetter, QueueLength, QueueUnavailable, Revival
from soketpy.drivers.redis.webhooks.holder import PAUSE, Holder, NotHolder, WebhookScript, wait
from soketpy.drivers.redis.writes import Lost


class StoredQueue:
    """The queue of a partition, for any program: it appends deliveries, and answers operators."""

    def __init__(self, script: WebhookScript, *, bound: int = 10_000, keep_dead: float = 7 * 86_400) -> None:
        self._script = script
        self._bound = bound
        self._keep_dead = round(1000 * keep_dead)

    async def _run(self, operation: str, *arguments: Any) -> Any:
        try:
            return await self._script.run(operation, *arguments)
        except Lost as fault:
            raise QueueUnavailable(str(fault) or "Redis is unavailable") from None

    async def put(self, deliveries: Sequence[Delivery], states: Mapping[State, bool] | None = None) -> int:
        """Append deliveries. Return the number of those that became dead letters. The states are in the roster."""
        if not deliveries:
            return 0
        return int(await self._run("put", self._bound, self._keep_dead, _pack(deliveries)))

    async def lengths(self) -> Sequence[QueueLength]:
        """Return the number of deliveries of each endpoint that has any."""
        return [QueueLength(*_unpack(each)) for each in await self._run("lengths")]

    async def dead(self, limit: int) -> Sequence[DeadLetter]:
        """Return dead letters, the newest first."""
        letters = []
        found = await self._run("dead", self._keep_dead, limit)
        for delivery_id, letter, body in zip(found[::3], found[1::3], found[2::3], strict=True):
            meta, died, reason = msgpack.unpackb(letter, raw=True)
            letters.append(DeadLetter(_delivery(delivery_id, meta, body), died / 1000, reason.decode(errors="replace")))
        return letters

    async def revive(self, app_id: str | None = None, delivery_id: str | None = None) -> Revival:
        """Queue dead letters again: one, those of an app, or all. A full endpoint keeps its newest letters dead."""
        chosen = app_id or "", delivery_id or ""
        return Revival(*await self._run("revive", self._keep_dead, *chosen, self._bound))

    async def purge(self, app_id: str | None = None, delivery_id: str | None = None) -> int:
        """Remove dead letters: one, those of an app, or all. Return their number."""
        return int(await self._run("purge", self._keep_dead, app_id or "", delivery_id or ""))


class RedisQueue(StoredQueue):
    """The queue of a partition, for a node. Only the holder takes deliveries: ``take`` waits on the other nodes.

    The result of an attempt is stored when Redis is available again. Until then its lane has no other attempt.
    """

    def __init__(self, holder: Holder, *, bound: int = 10_000, keep_dead: float = 7 * 86_400) -> None:
        super().__init__(holder.script, bound=bound, keep_dead=keep_dead)
        self._holder = holder
        self._in_flight: set[str] = set()  # the lanes of this node's attempts, which may outlast its time as the holder
        self._taking: asyncio.Task[Sequence[Delivery]] | None = None

    async def start(self) -> None:
        """Do nothing: the holder connects."""

    async def stop(self) -> None:
        """End a take whose caller was cancelled. The holder gives back what is taken."""
        if self._taking is not None:
            self._taking.cancel()
            await asyncio.wait([self._taking])

    async def states(self) -> Collection[State]:
        """Return nothing: the roster of the cluster has the states."""
        return ()

    async def put(self, deliveries: Sequence[Delivery], states: Mapping[State, bool] | None = None) -> int:
        """Append deliveries. Return the number of those that became dead letters. The states are in the roster."""
        buried = await super().put(deliveries, states)
        self._holder.queue_changed.set()
        return buried

    async def move(self, deliveries: Sequence[Delivery], event_ids: Sequence[bytes]) -> int:
        """Append deliveries, and remove the events that they were formed from, in one step. Raises Lost, NotHolder."""
        arguments = self._bound, self._keep_dead, _pack(deliveries)
        buried = int(await self._script.run("move", *arguments, *event_ids))
        self._holder.queue_changed.set()
        return buried

    async def take(self) -> Sequence[Delivery]:
        """Wait until this node is the holder and deliveries are due, and return them.

        If the caller is cancelled, the next call returns the deliveries that Redis returns for the cancelled call.
        """
        if self._taking is None:
            self._taking = asyncio.create_task(self._take())
        taking = self._taking
        await asyncio.wait([taking])
        self._taking = None
        return taking.result()

    async def _take(self) -> Sequence[Delivery]:
        changed = self._holder.queue_changed
        while True:
            await self._holder.held.wait()
            changed.clear()
            try:
                pause, *found = await self._script.run("take")
            except NotHolder:
                self._holder.lose()
                continue
            except Lost:  # Redis may have given out deliveries: as the holder again, this node gets them back
                self._holder.lose()
                await asyncio.sleep(PAUSE)
                continue
            deliveries = [
                _delivery(delivery_id, msgpack.unpackb(meta, raw=True), body)
                for delivery_id, meta, body in zip(found[::3], found[1::3], found[2::3], strict=True)
            ]
            new = [each for each in deliveries if each.lane not in self._in_flight]
            if new:
                self._in_flight.update(each.lane for each in new)
                return new
            await wait(changed, None if pause < 0 else pause / 1000)

    async def finish(self, delivery: Delivery) -> None:
        """Remove a delivered delivery."""
        await self._settle("finish", delivery)

    async def retry(self, delivery: Delivery, pause: float, error: str) -> None:
        """Make a delivery due again after ``pause`` seconds, with one more failed attempt."""
        await self._settle("retry", delivery, round(1000 * pause), _text(error))

    async def postpone(self, delivery: Delivery, pause: float) -> None:
        """Make a delivery due again after ``pause`` seconds, without a failed attempt."""
        await self._settle("postpone", delivery, round(1000 * pause))

    async def bury(self, delivery: Delivery, reason: str) -> None:
        """Make a delivery a dead letter."""
        await self._settle("bury", delivery, _text(reason), self._keep_dead)

    async def _settle(self, operation: str, delivery: Delivery, *arguments: Any) -> None:
        """Store the result of an attempt, when Redis is available."""
        try:
            while True:
                try:
                    await self._script.run(operation, delivery.id, delivery.lane, *arguments)
                except NotHolder:  # the holder makes the next attempt
                    return
                except Lost:
                    await asyncio.sleep(PAUSE)
                    await self._holder.connected.wait()
                else:
                    return
        finally:
            self._in_flight.discard(delivery.lane)
            self._holder.queue_changed.set()


def _pack(deliveries: Sequence[Delivery]) -> bytes:
    """Encode deliveries for ``queue.lua``."""
    fields = [
        (each.id, each.app_id, each.webhook_id, each.lane, each.target, each.events, each.created, each.body)
        for each in deliveries
    ]
    packed: bytes = msgpack.packb(fields, use_bin_type=False, unicode_errors="surrogatepass")
    return packed


def _unpack(packed: bytes) -> Any:
    return msgpack.unpackb(packed, unicode_errors="surrogatepass")


def _text(text: str) -> bytes:
    return text.encode(errors="replace")


def _delivery(delivery_id: bytes, meta: Any, body: bytes) -> Delivery:
    """Return a delivery from its description in Redis."""
    fields = msgpack.unpackb(meta, raw=True) if isinstance(meta, bytes) else meta
    _, attempts, error, created, app_id, webhook_id, lane, target, events = fields
    return Delivery(
        id=delivery_id.decode(),
        app_id=app_id.decode(),
        webhook_id=webhook_id.decode(),
        target=target.decode("utf-8", "surrogatepass"),
        lane=lane.decode(),
        body=body,
        events=events,
        created=created,
        attempts=attempts,
        error=error.decode(errors="replace"),
    )
