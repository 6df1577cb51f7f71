"""The queue in SQS, beyond the contract of all queues: several nodes, dead processes, faults, sizes, wrong queues."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any
from uuid import uuid4

import pytest
from aiobotocore.session import get_session

from soketpy.core.webhook_ports import QueueUnavailable, Revival
from soketpy.drivers.aws.fifo import SqsFault
from soketpy.drivers.aws.sqs_queue import SqsQueue, dead_url_of
from tests.aws import SECRET_KEY, TOKEN, Moto, client_arguments, create_queue, options
from tests.drivers.queues import after, delivery, ids, kill, stop_polling
from tests.patience import PATIENCE, attempts, until

Open = Callable[..., Any]


@pytest.fixture
async def url(sqs_server: Moto) -> str:
    return await create_queue(sqs_server.url, f"{uuid4()}.fifo")


@pytest.fixture
async def open_queue(sqs_server: Moto, url: str) -> AsyncIterator[Open]:
    """Return a function that opens the queue once more, as another node does."""
    async with AsyncExitStack() as stack:

        async def open_queue(**given: Any) -> SqsQueue:
            queue = SqsQueue(url, options(sqs_server.url), **{"long_poll": 1, "look_for_dead": 0, **given})
            stack.push_async_callback(queue.stop)
            await queue.start()
            return queue

        yield open_queue


async def take(queue: SqsQueue) -> list[Any]:
    async with asyncio.timeout(PATIENCE):
        return list(await queue.take())


async def test_nodes_share_a_queue_and_each_lane_has_one_delivery_in_flight(open_queue: Open) -> None:
    nodes = [await open_queue(bound=None) for _ in range(2)]
    deliveries = [delivery(str(number % 4)) for number in range(20)]
    await nodes[0].put(deliveries)
    taken: list[str] = []
    flying: set[str] = set()

    async def send(node: SqsQueue) -> None:
        for _ in attempts():
            for each in await node.take():
                assert each.lane not in flying
                flying.add(each.lane)
                await asyncio.sleep(0)
                taken.append(each.id)
                flying.remove(each.lane)
                await node.finish(each)

    running = [asyncio.create_task(send(node)) for node in nodes]
    await until(lambda: len(taken) == len(deliveries) or any(task.done() for task in running))
    for task in running:
        task.cancel()
    await asyncio.wait(running)
    assert all(task.cancelled() for task in running)
    for lane in range(4):
        assert [each for each in taken if each in ids(deliveries[lane::4])] == ids(deliveries[lane::4])


async def test_another_node_gets_the_deliveries_of_a_dead_node_when_their_time_is_over(
    sqs_server: Moto, open_queue: Open
) -> None:
    dead, other = await open_queue(), await open_queue()
    put = delivery()
    await dead.put([put])
    await take(dead)
    await kill(dead)
    marker = delivery("2")
    await other.put([marker])
    assert await take(other) == [marker]
    sqs_server.advance(31)
    assert await take(other) == [after(put, 1, "")]  # SQS has returned it once before


async def test_a_living_process_keeps_its_deliveries(sqs_server: Moto, open_queue: Open) -> None:
    living, other = await open_queue(invisible=1), await open_queue()
    extended: list[int] = []
    hide = living._queue.hide

    async def hide_and_count(receipts: list[str], seconds: int) -> list[str]:
        unknown: list[str] = await hide(receipts, seconds)
        extended.append(len(receipts))
        return unknown

    living._queue.hide = hide_and_count
    put = delivery()
    await living.put([put])
    assert await take(living) == [put]
    await stop_polling(living)
    for _ in range(3):
        sqs_server.advance(0.6)
        seen = len(extended)
        await until(lambda seen=seen: len(extended) > seen + 1)  # type: ignore[misc]
    marker = delivery("2")
    await other.put([marker])
    assert await take(other) == [marker]
    await living.finish(put)
    assert list(await living.lengths()) == []


async def test_a_stopped_process_gives_its_deliveries_back_at_once(open_queue: Open) -> None:
    first, second = await open_queue(), await open_queue()
    deliveries = [delivery() for _ in range(3)]
    await first.put(deliveries)
    await take(first)
    await stop_polling(first)
    await first.stop()
    for each in deliveries:
        (taken,) = await take(second)
        assert taken.id == each.id
        await second.finish(taken)


async def test_sqs_without_an_answer_does_not_keep_a_process_from_stopping(
    open_queue: Open, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    queue = await open_queue()
    await queue.put([delivery()])
    await take(queue)

    async def hang(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(queue._queue, "hide", hang)
    monkeypatch.setattr("soketpy.drivers.aws.sqs_queue.STOP_TIMEOUT", 0.0)
    await asyncio.wait_for(queue.stop(), PATIENCE)
    assert "The SQS queue is unavailable (SQS does not answer)" in caplog.text


async def test_bodies_beyond_the_limit_of_memory_go_back_to_sqs_and_keep_their_order(
    open_queue: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("soketpy.drivers.aws.sqs_queue.MOST_HELD", 2500)
    queue = await open_queue()
    deliveries = [delivery(size=1000) for _ in range(8)]
    await queue.put(deliveries)
    for each in deliveries:
        (taken,) = await take(queue)
        assert taken == each
        assert len(queue._lanes.held) <= 2
        await queue.finish(taken)


async def test_a_repeated_put_stores_nothing_twice(open_queue: Open) -> None:
    queue = await open_queue()
    deliveries = [delivery(), delivery()]
    for _ in range(2):
        await queue.put(deliveries)
    for each in deliveries:
        (taken,) = await take(queue)
        assert taken == each
        await queue.finish(taken)
    marker = delivery("2")
    await queue.put([marker])
    assert await take(queue) == [marker]


async def test_a_delivery_that_does_not_fit_is_lost_and_said_to_be(
    sqs_server: Moto, caplog: pytest.LogCaptureFixture
) -> None:
    url = await create_queue(sqs_server.url, f"{uuid4()}.fifo", MaximumMessageSize="2000")
    queue = SqsQueue(url, options(sqs_server.url), long_poll=1)
    try:
        await queue.start()
        fits = delivery()
        assert await queue.put([delivery(size=5000), fits]) == 1
        assert "App app: a webhook of 5025 bytes does not fit into SQS" in caplog.text
        assert await take(queue) == [fits]
        assert [each.length for each in await queue.lengths()] == [1]
    finally:
        await queue.stop()


async def test_a_message_that_is_not_ours_stays_and_is_logged_once(
    sqs_server: Moto, url: str, open_queue: Open, caplog: pytest.LogCaptureFixture
) -> None:
    async with get_session().create_client("sqs", **client_arguments(sqs_server.url)) as sqs:
        for body in ("{}", "soketi"):
            await sqs.send_message(
                QueueUrl=url, MessageBody=body, MessageGroupId=body[1], MessageDeduplicationId=body[1]
            )
    queue = await open_queue()
    put = delivery()
    await queue.put([put])
    assert await take(queue) == [put]
    assert caplog.text.count("messages that soketpy did not write") == 1
    attributes = await queue._queue.attributes()
    assert attributes["ApproximateNumberOfMessagesNotVisible"] == "3"


async def test_a_queue_with_a_redrive_policy_is_warned_of(sqs_server: Moto, caplog: pytest.LogCaptureFixture) -> None:
    await create_queue(sqs_server.url, "redrive-target.fifo")
    policy = '{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:123456789012:redrive-target.fifo","maxReceiveCount":3}'
    url = await create_queue(sqs_server.url, f"{uuid4()}.fifo", RedrivePolicy=policy)
    queue = SqsQueue(url, options(sqs_server.url))
    try:
        await queue.start()
        assert "redrive policy" in caplog.text
    finally:
        await queue.stop()


async def test_a_missing_or_a_standard_queue_is_refused(sqs_server: Moto) -> None:
    standard = await create_queue(sqs_server.url, f"standard-{uuid4()}")
    for url, said in (
        (f"{sqs_server.url}/123456789012/none.fifo", "there is no queue"),
        (standard, "not a FIFO queue"),
    ):
        queue = SqsQueue(url, options(sqs_server.url))
        with pytest.raises(QueueUnavailable, match=said):
            await queue.start()
        await queue.stop()


async def test_the_queue_of_dead_letters_is_created_with_their_time(
    sqs_server: Moto, url: str, open_queue: Open
) -> None:
    queue = await open_queue(keep_dead=86_400)
    attributes = await queue._dead.queue.attributes()
    assert queue._dead.queue.url == dead_url_of(url)
    assert (attributes["FifoQueue"], attributes["MessageRetentionPeriod"]) == ("true", "86400")


async def test_an_operator_gets_the_number_of_all_messages(open_queue: Open) -> None:
    server, operator = await open_queue(), await open_queue(owner=False)
    assert list(await operator.lengths()) == []
    await server.put([delivery("1"), delivery("2"), delivery("3")])
    await take(server)
    assert [(each.target, each.length) for each in await operator.lengths()] == [("sqs", 3)]


async def test_an_operator_revives_no_letters_beyond_the_bound_for_all_messages(open_queue: Open) -> None:
    server, operator = await open_queue(), await open_queue(owner=False, bound=4)
    for _ in range(3):
        await server.put([delivery()])
        await server.bury((await take(server))[0], "HTTP 500")
    await until_dead(operator, 3)
    await server.put([delivery("1"), delivery("2", webhook="other")])
    assert await operator.revive() == Revival(2, kept=1)
    await until_dead(operator, 1)
    assert [each.length for each in await operator.lengths()] == [4]


async def until_dead(queue: SqsQueue, number: int) -> None:
    async def are_listed() -> bool:
        return len(await queue.dead(10)) == number

    await until(are_listed)


# Faults


async def test_an_unreachable_sqs_is_a_queue_that_is_unavailable() -> None:
    queue = SqsQueue("http://127.0.0.1:1/1/webhooks.fifo", options("http://127.0.0.1:1"))
    with pytest.raises(QueueUnavailable) as raised:
        await queue.start()
    await queue.stop()
    assert str(raised.value).startswith("SQS: EndpointConnectionError: Could not connect")
    assert not any(secret in str(raised.value) for secret in (SECRET_KEY, TOKEN))


async def test_after_a_fault_take_works_again(open_queue: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("soketpy.drivers.aws.sqs_queue.PAUSE", 0)
    queue = await open_queue()
    receive, faults = queue._queue.receive, [SqsFault("SQS does not answer")]

    async def failing(**given: int) -> Any:
        if faults:
            raise faults.pop()
        return await receive(**given)

    queue._queue.receive = failing
    put = delivery()
    await queue.put([put])
    with pytest.raises(QueueUnavailable):
        await take(queue)
    assert await take(queue) == [put]


@pytest.mark.parametrize("end", ["finish", "retry", "postpone", "bury"])
async def test_the_end_of_an_attempt_may_be_repeated_after_a_fault(
    sqs_server: Moto, open_queue: Open, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    queue = await open_queue()
    first, second = delivery(), delivery()
    await queue.put([first, second])
    (taken,) = await take(queue)
    ends = {
        "finish": lambda: queue.finish(taken),
        "retry": lambda: queue.retry(taken, 5, "HTTP 500"),
        "postpone": lambda: queue.postpone(taken, 5),
        "bury": lambda: queue.bury(taken, "HTTP 410"),
    }

    async def unavailable(*_: object) -> list[str]:
        raise SqsFault("SQS does not answer")

    with monkeypatch.context() as patch:
        for name in ("delete", "hide"):
            patch.setattr(queue._queue, name, unavailable)
        with pytest.raises(QueueUnavailable):
            await ends[end]()
    await ends[end]()
    sqs_server.advance(6)
    (again,) = await take(queue)
    assert again == {"retry": after(first, 1, "HTTP 500"), "postpone": first}.get(end, second)
    assert len(await queue.dead(10)) == (end == "bury")
