"""The holder of a partition: one node at a time, whose scripts have no effect once another node has taken over."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, cast
from uuid import uuid4

import pytest

from soketpy.core.app_registry import RegistryUnavailable
from soketpy.core.apps import App
from soketpy.core.deliveries import Delivery
from soketpy.core.webhooks import Webhook
from soketpy.drivers.redis.cluster import RedisCluster
from soketpy.drivers.redis.connect import Address, connector
from soketpy.drivers.redis.session import Session
from soketpy.drivers.redis.webhooks import forming
from soketpy.drivers.redis.webhooks.forming import Forming
from soketpy.drivers.redis.webhooks.holder import Holder, NotHolder, WebhookScript
from soketpy.drivers.redis.webhooks.queue import RedisQueue
from soketpy.process.server import cancel
from soketpy.protocol.event_types import EventType
from soketpy.protocol.webhooks import WebhookEvent
from tests.conftest import Contained
from tests.drivers.queues import delivery, ids
from tests.fakes import APP, NoNode
from tests.patience import PATIENCE, until
from tests.redis import LONG_LEASE

HOOKED = replace(APP, webhooks=(Webhook(url="http://receiver.example/", event_types=("client_event",)),))


class Node:
    """A node that tries to become the holder from ``run`` on."""

    def __init__(self, cluster: RedisCluster) -> None:
        [partition] = cluster.partitions
        self.cluster = cluster
        self.session: Session = partition.session
        self.script = WebhookScript(self.session)
        self.holder = Holder(self.session, partition.topics, self.script)
        self.queue = RedisQueue(self.holder)
        self.work: Any = _nothing
        self._running: asyncio.Task[None] | None = None

    def run(self) -> None:
        self._running = asyncio.create_task(self.holder.run(lambda: self.work()))

    async def hold(self) -> None:
        """Become the holder."""
        self.run()
        await asyncio.wait_for(self.holder.held.wait(), PATIENCE)

    async def end_lease(self) -> None:
        """Let the lease of this node end, without its knowledge."""
        await self.session.ask("ZADD", f"{self.session.prefix}leases", 1, self.session.id)

    async def stop(self) -> None:
        if self._running is not None:
            await cancel(self._running)
        await self.queue.stop()
        await self.holder.release()
        await self.cluster.stop()

    async def append(self, *events: WebhookEvent) -> None:
        for event in events:
            self.cluster.events.append(event)
        await until(lambda: not self.session.busy)


async def _nothing() -> None:
    pass


@pytest.fixture
async def nodes(redis: str) -> AsyncIterator[tuple[Node, Node]]:
    prefix, started = f"test-{uuid4()}", []
    for _ in range(2):
        cluster = RedisCluster(partial(connector, Address(unix_socket=redis)), prefix, lease=LONG_LEASE, advises=False)
        cluster.bus.attach(cast(Any, NoNode()))
        cluster.roster.attach(cast(Any, None))
        await cluster.start()
        started.append(Node(cluster))
    yield started[0], started[1]
    for node in started:
        await node.stop()


async def taken(node: Node) -> Sequence[Delivery]:
    return await asyncio.wait_for(node.queue.take(), PATIENCE)


async def test_a_holder_that_stops_is_replaced_at_once(nodes: tuple[Node, Node]) -> None:
    first, second = nodes
    await first.hold()
    second.run()
    await second.session.ask("PING")
    assert not second.holder.held.is_set()
    await first.stop()
    await asyncio.wait_for(second.holder.held.wait(), PATIENCE)


async def test_a_node_whose_lease_has_ended_is_replaced_and_changes_nothing_any_more(
    nodes: tuple[Node, Node],
) -> None:
    first, second = nodes
    await first.hold()
    put = delivery()
    await first.queue.put([put])
    [mine] = await taken(first)
    await first.end_lease()
    await second.hold()
    assert await taken(second) == [put]
    await first.queue.retry(mine, 0, "HTTP 500")  # no effect: the lane is taken
    for operation in ("read", "take"):
        with pytest.raises(NotHolder):
            await first.script.run(operation)
    with pytest.raises(NotHolder):
        await first.queue.move([delivery()], [b"1-1"])
    await second.queue.finish(put)
    assert list(await second.queue.lengths()) == []


async def test_a_former_holder_may_store_that_something_is_delivered(nodes: tuple[Node, Node]) -> None:
    first, second = nodes
    await first.hold()
    deliveries = [delivery(), delivery()]
    await first.queue.put(deliveries)
    [mine] = await taken(first)
    await first.end_lease()
    await second.hold()
    await first.queue.finish(mine)
    assert ids(await taken(second)) == [deliveries[1].id]


async def test_the_next_delivery_waits_for_the_new_holders_repeat(nodes: tuple[Node, Node]) -> None:
    first, second = nodes
    await first.hold()
    deliveries = [delivery(), delivery()]
    await first.queue.put(deliveries)
    [mine] = await taken(first)
    await first.end_lease()
    await second.hold()
    [repeat] = await taken(second)
    await first.queue.finish(mine)
    other = delivery("other")
    await second.queue.put([other])
    assert ids(await taken(second)) == [other.id], "the repeat is in flight"
    await second.queue.finish(repeat)
    assert ids(await taken(second)) == [deliveries[1].id]


async def test_a_node_that_becomes_the_holder_again_does_not_repeat_its_own_attempt(nodes: tuple[Node, Node]) -> None:
    node, _ = nodes
    await node.hold()
    first, second, other = delivery(), delivery(), delivery("other")
    await node.queue.put([first, second])
    [mine] = await taken(node)
    await node.session.ask("DEL", f"{node.session.prefix}holder")
    node.holder.lose()
    await until(node.holder.held.is_set)
    await node.queue.put([other])
    assert ids(await taken(node)) == [other.id]
    await node.queue.finish(mine)
    assert ids(await taken(node)) == [second.id]


async def test_deliveries_whose_take_was_not_answered_are_taken_again(nodes: tuple[Node, Node]) -> None:
    node, _ = nodes
    await node.hold()
    put = delivery()
    await node.queue.put([put])
    await node.script.run("take")  # as if the answer was lost
    assert node.session.wire is not None
    node.session.wire.close()
    assert await taken(node) == [put]


async def test_the_result_of_an_attempt_is_stored_when_redis_is_available_again(
    nodes: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("soketpy.drivers.redis.webhooks.queue.PAUSE", 0.01)
    node, _ = nodes
    await node.hold()
    put = delivery()
    await node.queue.put([put])
    await taken(node)
    assert node.session.wire is not None
    node.session.wire.close()
    await node.queue.finish(put)
    assert list(await node.queue.lengths()) == []


def event(number: int, channel: str = "private-news") -> WebhookEvent:
    return WebhookEvent(APP.id, EventType.CLIENT_EVENT, channel, event="client-said", data=b"%d" % number)


async def test_a_crash_between_storing_and_removing_forms_the_same_deliveries(nodes: tuple[Node, Node]) -> None:
    first, second = nodes
    stored: list[Delivery] = []

    async def store_and_die(deliveries: Sequence[Delivery], event_ids: Sequence[bytes]) -> int:
        stored.extend(deliveries)
        raise NotHolder

    async def store(deliveries: Sequence[Delivery], event_ids: Sequence[bytes]) -> int:
        stored.extend(deliveries)
        await second.script.run("remove", *event_ids)
        return 0

    await first.append(event(1), event(2))
    await first.hold()
    with pytest.raises(NotHolder):
        await Forming(first.holder, lambda _: HOOKED, store_and_die).work()
    await first.end_lease()
    await second.hold()
    await first.append(event(3))
    await Forming(second.holder, lambda _: HOOKED, store).work()
    assert ids(stored[:2]) == ids(stored[2:4])
    assert len(stored) == 5
    assert len(set(ids(stored))) == 3


async def test_many_events_of_batches_wait_once_and_are_formed_together(nodes: tuple[Node, Node]) -> None:
    node, _ = nodes
    sizes: list[int] = []

    async def store(deliveries: Sequence[Delivery], event_ids: Sequence[bytes]) -> int:
        sizes.append(len(event_ids))
        working._batch_duration = 10 * PATIENCE
        return await node.queue.move(deliveries, event_ids)

    await node.append(*(event(number) for number in range(forming.MOST_BATCHED + 10)))
    await node.hold()
    working = Forming(node.holder, lambda _: HOOKED, store, batching=True, batch_duration=0)
    await asyncio.wait_for(working.work(), PATIENCE)
    assert sizes == [forming.MOST_BATCHED, 10]


async def test_an_event_that_soketpy_has_not_written_is_dropped(nodes: tuple[Node, Node], contained: Contained) -> None:
    node, _ = nodes
    await node.hold()
    await node.session.ask("XADD", f"{node.session.prefix}events", "*", "e", "damaged")
    await node.append(event(1))
    await Forming(node.holder, lambda _: HOOKED, node.queue.move).work()
    [formed] = await taken(node)
    assert b"client-said" in formed.body
    assert contained.count == 1
    assert await node.session.ask("XLEN", f"{node.session.prefix}events") == 0


async def test_events_of_apps_without_webhooks_are_removed(nodes: tuple[Node, Node]) -> None:
    node, _ = nodes
    await node.hold()
    await node.append(event(1))
    await Forming(node.holder, lambda _: APP, node.queue.move).work()
    assert await node.session.ask("XLEN", f"{node.session.prefix}events") == 0
    assert list(await node.queue.lengths()) == []


async def test_events_wait_in_the_stream_until_their_app_is_loaded(
    nodes: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    node, _ = nodes
    monkeypatch.setattr(forming, "PAUSE", 0.0)
    loaded: dict[str, App] = {}
    asked: list[set[str]] = []

    async def load(ids: Iterable[str]) -> None:
        asked.append(set(ids))
        assert await node.session.ask("XLEN", f"{node.session.prefix}events") == 1
        if len(asked) < 3:
            raise RegistryUnavailable("down")
        loaded.update(dict.fromkeys(ids, HOOKED))

    await node.hold()
    await node.append(event(1))
    await Forming(node.holder, loaded.get, node.queue.move, load=load).work()
    assert asked[:3] == [{APP.id}] * 3
    assert [each.length for each in await node.queue.lengths()] == [1]


async def test_an_event_wakes_the_holder(nodes: tuple[Node, Node]) -> None:
    first, second = nodes
    worked = asyncio.Event()

    async def work() -> None:
        worked.set()

    first.work = work
    await first.hold()
    await until(worked.is_set)
    for number in range(3):
        worked.clear()
        await second.append(event(number))
        await asyncio.wait_for(worked.wait(), PATIENCE)
        await second.session.ask("XTRIM", f"{second.session.prefix}events", "MAXLEN", 0)


async def test_what_no_holder_reads_is_removed_after_some_days(nodes: tuple[Node, Node]) -> None:
    node, _ = nodes
    await node.append(event(1))
    week = 7 * 86_400_000
    assert week - 3_600_000 < await node.session.ask("PTTL", f"{node.session.prefix}events") <= week
