"""The webhooks of a node over Redis: the holder of each partition forms deliveries and sends them."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from functools import partial

from soketpy.config import Settings
from soketpy.core.apps import App, Apps
from soketpy.core.deliveries import Delivery
from soketpy.core.webhook_ports import Queue
from soketpy.drivers.redis.cluster import RedisCluster
from soketpy.drivers.redis.webhooks.forming import Forming, Store
from soketpy.drivers.redis.webhooks.holder import Holder, WebhookScript
from soketpy.drivers.redis.webhooks.queue import RedisQueue
from soketpy.process.webhooks import Webhooks
from soketpy.webhooks.callback import Callback


class ClusterWebhooks(Webhooks):
    """The webhooks of a node over Redis.

    ``queue`` is None for the queue in Redis. Another queue gets the deliveries that this node forms as a holder.
    """

    def __init__(
        self,
        settings: Settings,
        apps: Apps,
        cluster: RedisCluster,
        queue: Queue | None = None,
        callback: Callback | None = None,
    ) -> None:
        super().__init__(settings, apps, callback)
        self._cluster = cluster
        self._queue = queue

    def _is_needed(self, apps: Iterable[App]) -> bool:
        """Return whether an app may have webhooks, or the program wants events: the holder reads both from Redis."""
        return self._callback is not None or super()._is_needed(apps)

    async def _open(self, stack: AsyncExitStack, *, late: bool) -> None:
        given = self._settings.webhooks
        targets = self._targets(stack)
        if self._queue is not None:
            stack.push_async_callback(self._queue.stop)
            await self._queue.start()
            self._send(stack, self._queue, targets)
        partitions: list[AsyncExitStack] = []
        stack.push_async_callback(_close_together, partitions)
        for partition in self._cluster.partitions:
            own = AsyncExitStack()
            partitions.append(own)
            script = WebhookScript(partition.session, given.grace)
            holder = Holder(partition.session, partition.topics, script)
            own.push_async_callback(holder.release)
            store: Store
            if self._queue is None:
                queue = RedisQueue(holder, bound=given.queue_size, keep_dead=given.keep_dead_letters)
                own.push_async_callback(queue.stop)
                self._send(own, queue, targets, holder.held.is_set)
                store = partial(self._move, queue)
            else:
                store = partial(self._store, self._queue, script)
            forming = Forming(
                holder,
                self._apps.by_id,
                store,
                load=self._apps.load,
                batching=given.batching,
                batch_duration=given.batch_duration,
                heard=None if self._callback is None else self._callback.offer,
            )
            self._run(own, partial(holder.run, forming.work))

    async def _move(self, queue: RedisQueue, deliveries: Sequence[Delivery], ids: Sequence[bytes]) -> int:
        """Store deliveries in Redis, and remove the events with these ids in the same step."""
        return await self._count(queue, deliveries, await queue.move(deliveries, ids))

    async def _store(
        self, queue: Queue, script: WebhookScript, deliveries: Sequence[Delivery], ids: Sequence[bytes]
    ) -> int:
        """Store deliveries in a queue outside of Redis, and then remove the events with these ids."""
        buried = await queue.put(deliveries)
        await script.run("remove", *ids)
        return await self._count(queue, deliveries, buried)

    async def _count(self, queue: Queue, deliveries: Sequence[Delivery], buried: int) -> int:
        if buried:
            await self.statistics.overflowed(queue, deliveries, buried)
        return buried


async def _close_together(stacks: Iterable[AsyncExitStack]) -> None:
    """Close the stacks of all partitions at the same time, since each may have to wait for its requests in flight."""
    await asyncio.gather(*(each.aclose() for each in stacks))
