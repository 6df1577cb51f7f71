"""The contract of every queue of webhooks. Another queue needs a kit in ``tests/drivers/queues.py``."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from soketpy.core.deliveries import Delivery
from soketpy.core.webhook_ports import FULL, Queue, Revival
from tests.drivers.queues import KINDS, Kit, after, delivery, ids, kit_of
from tests.patience import PATIENCE, until


@pytest.fixture(params=KINDS)
async def kit(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Kit]:
    kit = kit_of(request.param, request, tmp_path)
    yield kit
    await kit.close()


@pytest.fixture
async def queue(kit: Kit) -> Queue:
    return await kit.open()


async def take(queue: Queue, number: int = 1) -> list[Delivery]:
    """Take so many deliveries, in several calls if necessary."""
    taken: list[Delivery] = []
    async with asyncio.timeout(PATIENCE):
        while len(taken) < number:
            taken += await queue.take()
    assert len(taken) == number, taken
    return taken


async def assert_nothing_is_due(queue: Queue) -> None:
    """Assert that a delivery of another endpoint, put now, is the only one that is taken."""
    marker = delivery(webhook="marker")
    await queue.put([marker])
    assert await take(queue) == [marker]
    await queue.finish(marker)


async def length_of(queue: Queue) -> int:
    return sum(each.length for each in await queue.lengths())


async def test_a_delivery_is_taken_as_it_was_put(queue: Queue) -> None:
    put = delivery(created=12.5, size=100_000)
    await queue.put([put])
    assert await take(queue) == [put]


async def test_a_take_waits_for_a_put(queue: Queue) -> None:
    taking = asyncio.create_task(take(queue))
    await asyncio.sleep(0)
    put = delivery()
    await queue.put([put])
    assert await taking == [put]


async def test_a_lane_is_taken_in_order_and_one_at_a_time(queue: Queue) -> None:
    deliveries = [delivery() for _ in range(5)]
    await queue.put(deliveries[:2])
    await queue.put(deliveries[2:])
    for each in deliveries:
        assert await take(queue) == [each]
        await assert_nothing_is_due(queue)
        await queue.finish(each)
    assert await length_of(queue) == 0


async def test_lanes_do_not_wait_for_each_other(queue: Queue) -> None:
    first, second, other = delivery("1"), delivery("2"), delivery("1", webhook="other")
    await queue.put([first, second, other, delivery("1")])
    assert sorted(ids(await take(queue, 3))) == sorted(ids([first, second, other]))


async def test_a_retry_keeps_the_head_of_its_lane_and_counts_the_attempt(kit: Kit, queue: Queue) -> None:
    first, second = delivery(), delivery()
    await queue.put([first, second])
    for attempt in range(3):
        (taken,) = await take(queue)
        assert taken == after(first, attempt, "HTTP 500" if attempt else "")
        await queue.retry(taken, 1, "HTTP 500")
        await assert_nothing_is_due(queue)
        await kit.advance(1)
    await queue.finish((await take(queue))[0])
    assert await take(queue) == [second]


async def test_a_postponed_delivery_keeps_the_head_of_its_lane_and_its_attempts(kit: Kit, queue: Queue) -> None:
    first, second = delivery(), delivery()
    await queue.put([first, second])
    for expected in (first, after(first, 1, "HTTP 500")):
        (taken,) = await take(queue)
        await queue.postpone(taken, 1)
        await assert_nothing_is_due(queue)
        await kit.advance(1)
        (taken,) = await take(queue)
        assert taken == expected
        await queue.retry(taken, 1, "HTTP 500")
        await kit.advance(1)
    await queue.finish((await take(queue))[0])
    assert await take(queue) == [second]


async def test_a_buried_delivery_is_a_dead_letter_and_the_next_one_is_due(kit: Kit, queue: Queue) -> None:
    first, second = delivery(), delivery()
    await queue.put([first, second])
    (taken,) = await take(queue)
    await queue.bury(taken, "HTTP 410")
    assert await take(queue) == [second]
    (letter,) = await queue.dead(10)
    assert (letter.delivery, letter.reason) == (first, "HTTP 410")
    assert letter.died == pytest.approx(kit.now(), abs=PATIENCE)


async def test_a_full_endpoint_buries_its_oldest_deliveries_and_no_others(kit: Kit) -> None:
    queue = await kit.open(bound=3)
    deliveries = [delivery(str(number % 2)) for number in range(5)]
    other = delivery(webhook="other")
    assert await queue.put([other, *deliveries[:3]]) == 0
    assert await queue.put(deliveries[3:]) == 2
    letters = await queue.dead(10)
    assert ids([each.delivery for each in reversed(letters)]) == ids(deliveries[:2])
    assert {each.reason for each in letters} == {FULL}
    taken = await take(queue, 3)
    assert sorted(ids(taken)) == sorted(ids([other, *deliveries[2:4]]))


async def test_a_delivery_in_flight_makes_no_room(kit: Kit) -> None:
    queue = await kit.open(bound=2)
    deliveries = [delivery() for _ in range(3)]
    await queue.put(deliveries[:2])
    (taken,) = await take(queue)
    assert await queue.put(deliveries[2:]) == 1
    await dead_are(queue, 10, [deliveries[1].id])
    await queue.finish(taken)
    assert await take(queue) == [deliveries[2]]


async def test_lengths_are_those_of_each_endpoint(queue: Queue) -> None:
    assert list(await queue.lengths()) == []
    await queue.put([delivery("1", created=7), delivery("2", created=5), delivery(webhook="other", created=9)])
    await take(queue, 3)  # those in flight count
    found = {(each.app_id, each.webhook_id): each for each in await queue.lengths()}
    assert set(found) == {("app", "hook"), ("app", "other")}
    assert (found["app", "hook"].length, found["app", "hook"].oldest) == (2, 5)
    assert found["app", "other"].target == "http://other.example"


async def dead_are(queue: Queue, limit: int, expected: list[str]) -> None:
    """Wait until these dead letters are listed: a receive of SQS may miss messages, and find them the next time."""

    async def are_listed() -> bool:
        return ids([each.delivery for each in await queue.dead(limit)]) == expected

    await until(are_listed)


async def bury(queue: Queue, *deliveries: Delivery) -> None:
    for each in deliveries:
        await queue.put([each])
        await queue.bury((await take(queue))[0], "HTTP 500")


async def test_dead_letters_are_listed_the_newest_first_up_to_a_limit(queue: Queue) -> None:
    deliveries = [delivery() for _ in range(3)]
    await bury(queue, *deliveries)
    await dead_are(queue, 2, ids(deliveries[:0:-1]))


async def test_revived_letters_are_delivered_in_their_order_as_if_new(kit: Kit, queue: Queue) -> None:
    deliveries = [delivery() for _ in range(3)]
    await bury(queue, *deliveries)
    assert await queue.revive() == Revival(3)
    assert list(await queue.dead(10)) == []
    for each in deliveries:
        (taken,) = await take(queue)
        assert (taken.id, taken.body, taken.attempts, taken.error) == (each.id, each.body, 0, "")
        assert taken.created == pytest.approx(kit.now(), abs=PATIENCE)
        await queue.finish(taken)


async def test_letters_stay_dead_while_their_endpoint_has_no_room(kit: Kit) -> None:
    queue = await kit.open(bound=3)
    deliveries = [delivery(str(number % 2)) for number in range(4)]
    other = delivery(webhook="other")
    await bury(queue, *deliveries, other)
    waiting = delivery("3")
    await queue.put([waiting])
    await dead_are(queue, 10, ids([other, *deliveries[::-1]]))
    assert await queue.revive() == Revival(3, kept=2)
    await dead_are(queue, 10, ids(deliveries[:1:-1]))
    assert {each.webhook_id: each.length for each in await queue.lengths()} == {"hook": 3, "other": 1}
    assert await queue.revive(delivery_id=deliveries[2].id) == Revival(0, kept=1)
    taken = await take(queue, 4)
    assert sorted(ids(taken)) == sorted(ids([waiting, other, *deliveries[:2]]))
    for each in taken:
        await queue.finish(each)
    assert await queue.revive() == Revival(2)


@pytest.mark.parametrize("change", ["revive", "purge"])
async def test_one_letter_or_those_of_an_app_are_chosen(queue: Queue, change: str) -> None:
    deliveries = [delivery(app="a"), delivery(app="a"), delivery(app="b"), delivery(app="c")]
    await bury(queue, *deliveries)

    async def act(app_id: str | None = None, delivery_id: str | None = None) -> int:
        if change == "purge":
            return await queue.purge(app_id, delivery_id)
        revival = await queue.revive(app_id, delivery_id)
        assert revival.kept == 0
        return revival.queued

    assert await act(delivery_id="unknown") == 0
    assert await act(delivery_id=deliveries[0].id) == 1
    assert await act(app_id="b") == 1
    assert await act(app_id="b") == 0
    assert await act("c", deliveries[1].id) == 0
    await dead_are(queue, 10, [deliveries[3].id, deliveries[1].id])
    assert await act() == 2
    assert await length_of(queue) == (4 if change == "revive" else 0)


async def test_dead_letters_are_forgotten_after_their_time(kit: Kit) -> None:
    queue = await kit.open(keep_dead=10)
    await bury(queue, delivery())
    await kit.advance(6)
    kept = delivery()
    await bury(queue, kept)
    await kit.advance(6)
    await dead_are(queue, 10, [kept.id])
    assert await queue.revive() == Revival(1)


async def test_a_cancelled_take_loses_nothing(queue: Queue) -> None:
    taking = asyncio.create_task(take(queue))
    put = delivery()
    await queue.put([put])
    taking.cancel()
    await asyncio.wait([taking])
    if taking.cancelled():
        assert await take(queue) == [put]
    else:
        assert taking.result() == [put]


async def test_a_durable_queue_has_everything_after_a_crash(kit: Kit, queue: Queue) -> None:
    if not kit.durable:
        pytest.skip("not durable")
    deliveries = [delivery() for _ in range(4)]
    await queue.put(deliveries, {("channel_occupied", "app", "room", ""): True, ("a", "b", "c", "\ud800"): True})
    await queue.put([], {("a", "b", "c", "\ud800"): False, ("member_added", "app", "room", "\ud800"): True})
    await queue.finish((await take(queue))[0])
    await queue.bury((await take(queue))[0], "HTTP 410")
    await queue.retry((await take(queue))[0], 1, "HTTP 500")
    queue = await kit.crash(queue)
    known = {("channel_occupied", "app", "room", ""), ("member_added", "app", "room", "\ud800")}
    assert set(await queue.states()) == (known if kit.stores_states else set())
    await dead_are(queue, 10, [deliveries[1].id])
    await kit.advance(1)
    error = "HTTP 500" if kit.remembers_errors else ""
    assert await take(queue) == [after(deliveries[2], 1, error)]
    queue = await kit.crash(queue)  # the delivery in flight is taken again
    (again,) = await take(queue)
    attempts = 1 if kit.remembers_errors else 2  # the other queues count how often a delivery was taken
    assert again == after(deliveries[2], attempts, error)
