"""The sender: isolation of endpoints, pauses, the log and the counters, and its stop."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from itertools import count

import pytest

from soketpy.core.app_registry import RegistryUnavailable
from soketpy.core.apps import App
from soketpy.core.deliveries import LANES, Delivery, form
from soketpy.core.webhook_ports import Outcome, QueueUnavailable
from soketpy.core.webhooks import Webhook
from soketpy.drivers.local.queue import MemoryQueue
from soketpy.protocol.webhooks import WebhookEvent
from soketpy.webhooks import endpoints, sender
from soketpy.webhooks.endpoints import Endpoints
from soketpy.webhooks.http import HttpTarget, HttpTimeouts
from soketpy.webhooks.sender import Sender
from soketpy.webhooks.statistics import Statistics
from tests import raw_receiver
from tests.conftest import Contained
from tests.fakes import APP
from tests.patience import PATIENCE, until
from tests.raw_receiver import RawReceiver, Script, accept, raw_receiving, status

FAST = 0.001
CHANNELS = [f"channel-{number}" for number in range(20)]


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("soketpy.core.retries.FIRST_PAUSE", FAST)
    monkeypatch.setattr("soketpy.core.retries.LONGEST_PAUSE", FAST)
    monkeypatch.setattr(endpoints, "SLACK", 0.0)
    monkeypatch.setattr(sender, "PAUSE", FAST)


@pytest.fixture
def one_failure_suffices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the first failure make an endpoint failing."""
    monkeypatch.setattr(endpoints, "FAILURES", 1)


class Line:
    """A queue, a sender and an HTTP target, and the webhooks of one app."""

    def __init__(
        self,
        *webhooks: Webhook,
        queue: MemoryQueue | None = None,
        retry_for: float = PATIENCE,
        known: Endpoints | None = None,
    ) -> None:
        self.app: App | None = replace(APP, webhooks=webhooks)
        self.registry_is_down = False
        self.lookups = 0
        self.queue = queue or MemoryQueue()
        self.statistics = Statistics()
        self.http = HttpTarget(timeouts=HttpTimeouts(PATIENCE, PATIENCE, PATIENCE))
        self.sender = Sender(
            self.queue,
            self.find_app,
            {"http": self.http},
            retry_for=retry_for,
            statistics=self.statistics,
            endpoints=known,
        )
        self._ids = map(str, count(1))

    async def find_app(self, app_id: str) -> App | None:
        self.lookups += 1
        if self.registry_is_down:
            raise RegistryUnavailable("down")
        return self.app

    def form(self, channels: Sequence[str], now: float | None = None) -> list[Delivery]:
        created = self.queue._clock() if now is None else now
        events = [WebhookEvent("app-id", "channel_occupied", channel) for channel in channels]
        return form(events, lambda _: self.app, created, lambda lane, positions: next(self._ids), batching=False)

    async def put(self, *channels: str, now: float | None = None) -> None:
        await self.queue.put(self.form(channels, now))

    async def length(self) -> int:
        return sum(each.length for each in await self.queue.lengths())

    async def until_length(self, length: int) -> None:
        async def has_length() -> bool:
            return await self.length() == length

        await until(has_length)

    def was_put_back(self) -> bool:
        """Return whether the head of every lane has been tried, or postponed."""
        lanes = [lane for lanes in self.queue._endpoints.values() for lane in lanes.values()]
        return bool(lanes) and all(not lane.taken and lane.due > 0 for lane in lanes)

    def queued(self) -> list[Delivery]:
        lanes = [lane for lanes in self.queue._endpoints.values() for lane in lanes.values()]
        return [delivery for lane in lanes for _, delivery in lane.deliveries]

    async def empty(self) -> None:
        await self.until_length(0)
        await until(lambda: not self.sender._tasks)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.sender.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])
            await self.sender.stop()
            await self.http.close()


def hook(receiver: RawReceiver, path: str = "/hook") -> Webhook:
    return Webhook(url=receiver.url(path), event_types=("channel_occupied",))


async def test_hanging_endpoints_delay_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    channels = [f"channel-{number}" for number in range(100)]
    async with AsyncExitStack() as stack:
        hanging = [await stack.enter_async_context(raw_receiving(raw_receiver.hang)) for _ in range(20)]
        healthy = await stack.enter_async_context(raw_receiving(accept))
        line = Line(*map(hook, hanging), hook(healthy))
        async with line.running():
            await line.put(*channels)
            await until(lambda: len(healthy.requests) == len(channels))
            await until(lambda: all(len(each.requests) == LANES for each in hanging))
            await line.until_length(20 * len(channels))
            monkeypatch.setattr(sender, "STOP_TIMEOUT", 0.0)


async def test_hanging_endpoints_of_one_host_delay_no_other_endpoint_of_this_host() -> None:
    async def script(peer: raw_receiver.Peer, request: bytes) -> None:
        await (raw_receiver.hang if b"/hang" in request.split(b"\r\n")[0] else accept)(peer, request)

    async with raw_receiving(script) as receiver:
        line = Line(*(hook(receiver, f"/hang/{number}") for number in range(50)), hook(receiver, "/healthy"))
        async with line.running():
            deliveries = line.form([f"channel-{number}" for number in range(20)])
            lanes = len({each.lane for each in deliveries}) // 51
            await line.queue.put(deliveries)
            await until(lambda: sum(b"/healthy" in request for request in receiver.requests) == 20)
            await until(lambda: receiver.open >= 50 * lanes)
            assert receiver.open <= 51 * lanes
            for task in line.sender._tasks:
                task.cancel()


@pytest.mark.usefixtures("one_failure_suffices")
@pytest.mark.parametrize("script", [raw_receiver.close, raw_receiver.reset, status(500), status(302)])
async def test_a_failing_endpoint_is_tried_by_one_delivery_at_a_time(script: Script) -> None:
    at_once = []

    async def fail(peer: raw_receiver.Peer, request: bytes) -> None:
        at_once.append(receiver.open)
        await script(peer, request)
        peer.writer.close()

    async with raw_receiving(fail) as receiver:
        line = Line(hook(receiver))
        async with line.running():
            await line.put("one")
            await until(lambda: len(at_once) > 1)
            await line.put(*(f"channel-{number}" for number in range(20)))
            seen = len(at_once)
            await until(lambda: len(at_once) > seen + 20)
            receiver.script = accept
            await line.empty()
        assert max(at_once) == 1


async def test_a_retry_after_pauses_the_whole_endpoint_and_no_other() -> None:
    async with raw_receiving(status(429, "Retry-After: 3600")) as full, raw_receiving(accept) as free:
        line = Line(hook(full), hook(free))
        async with line.running():
            await line.put("first")
            await until(lambda: len(full.requests) == 1)
            await until(lambda: not line.sender._tasks)
            await line.put(*(f"channel-{number}" for number in range(50)))
            await until(lambda: len(free.requests) == 51)
            await until(lambda: not line.sender._tasks)
            assert len(full.requests) == 1
            assert await line.length() == 51


async def test_a_delivery_that_waits_for_a_paused_endpoint_has_no_failed_attempt() -> None:
    async with raw_receiving(status(429, "Retry-After: 3600")) as receiver:
        line = Line(hook(receiver))
        async with line.running():
            await line.put("first")
            await until(line.was_put_back)
            await line.put(*CHANNELS)
            await until(line.was_put_back)
        assert len(receiver.requests) == 1
        [tried] = [each for each in line.queued() if each.attempts or each.error]
        assert (tried.id, tried.attempts, tried.error) == ("1", 1, "HTTP 429")


async def test_a_pause_holds_for_all_queues_of_a_process() -> None:
    known = Endpoints()
    async with raw_receiving(status(429, "Retry-After: 3600")) as receiver:
        first, second = (Line(hook(receiver), known=known) for _ in range(2))
        async with first.running(), second.running():
            await first.put(*CHANNELS)
            await until(first.was_put_back)
            requests = len(receiver.requests)
            await second.put(*CHANNELS)
            await until(second.was_put_back)
            assert len(receiver.requests) == requests <= LANES


async def test_a_channel_keeps_its_order_through_failures() -> None:
    left = [500, 429, 302, 503]

    async def script(peer: raw_receiver.Peer, request: bytes) -> None:
        await (status(left.pop(), "Retry-After: 0") if left else accept)(peer, request)

    async with raw_receiving(script) as receiver:
        line = Line(hook(receiver))
        async with line.running():
            for _ in range(20):
                await line.put("one", "two", "three")
            await line.empty()
        ids = [int(request.split(b"X-Soketpy-Delivery: ")[1].split(b"\r\n")[0]) for request in receiver.requests]
        for channel in range(3):
            of_one = [number for number in ids if number % 3 == channel]
            assert of_one == sorted(of_one)
        assert set(ids) == set(range(1, 61))
        assert len(ids) == 64


async def test_a_gone_receiver_ends_each_delivery_with_its_first_attempt() -> None:
    async with raw_receiving(status(410)) as receiver:
        line = Line(hook(receiver))
        async with line.running():
            await line.put(*(f"channel-{number}" for number in range(30)))
            await line.empty()
        dead = await line.queue.dead(100)
        assert len(dead) == len(receiver.requests) == 30
        assert {each.reason for each in dead} == {"HTTP 410"}


@pytest.mark.usefixtures("one_failure_suffices")
async def test_the_line_about_a_gone_receiver_promises_no_further_attempt(caplog: pytest.LogCaptureFixture) -> None:
    async with raw_receiving(status(410)) as receiver:
        line = Line(hook(receiver))
        async with line.running():
            await line.put("channel")
            await line.empty()
        host = f"127.0.0.1:{receiver.port}"
        said = f"App app-id: webhooks to {host} fail: HTTP 410; each of them becomes a dead letter"
        assert [each.getMessage() for each in caplog.records if each.name == "soketpy.webhooks"] == [said]


async def test_a_delivery_is_given_up_after_the_time_of_retries() -> None:
    async with raw_receiving(status(500)) as receiver:
        line = Line(hook(receiver), retry_for=300)
        async with line.running():
            await line.put("old", now=line.queue._clock() - 301)
            await line.empty()
        [dead] = await line.queue.dead(10)
        assert (dead.reason, len(receiver.requests)) == ("HTTP 500", 1)


async def test_an_endpoint_that_is_dead_for_the_time_of_retries_keeps_no_old_deliveries() -> None:
    async with raw_receiving(status(500)) as receiver:
        line = Line(hook(receiver), retry_for=0)
        async with line.running():
            await line.put(*(f"channel-{number}" for number in range(1000)))
            await line.empty()
        dead = await line.queue.dead(2000)
        assert len(dead) == 1000
        assert {each.reason for each in dead} == {"HTTP 500"}
        assert line.statistics.traffic["app-id", f"127.0.0.1:{receiver.port}"].dead == 1000


async def test_deliveries_of_a_removed_webhook_become_dead_letters_without_a_request() -> None:
    async with raw_receiving(accept) as receiver:
        line = Line(hook(receiver))
        await line.put("one", "two")
        line.app = None
        async with line.running():
            await line.empty()
        assert {each.reason for each in await line.queue.dead(10)} == {sender.REMOVED}
        assert receiver.requests == []


async def test_deliveries_wait_while_their_app_cannot_be_looked_up() -> None:
    async with raw_receiving(accept) as receiver:
        line = Line(hook(receiver))
        line.registry_is_down = True
        await line.put("one", "two")
        async with line.running():
            await until(lambda: line.lookups >= 10)
            assert receiver.requests == []
            line.registry_is_down = False
            await line.empty()
        assert len(receiver.requests) == 2
        assert await line.queue.dead(10) == []


async def test_a_failure_and_a_recovery_have_one_line_each(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with raw_receiving(status(500)) as receiver:
        line = Line(hook(receiver, "/s3cret?token=s3cret"))
        host = f"127.0.0.1:{receiver.port}"
        async with line.running():
            await line.put(*(f"channel-{number}" for number in range(10)))
            await until(lambda: len(receiver.requests) > 10)
            receiver.script = accept
            await line.empty()
        traffic = line.statistics.traffic["app-id", host]
        assert (traffic.sent, traffic.dead) == (10, 0)
        assert traffic.failed == traffic.retried == len(receiver.requests) - 10
        assert sum(traffic.latencies) == len(receiver.requests)
        lines = [each.getMessage() for each in caplog.records if each.name == "soketpy.webhooks"]
        assert len(lines) == 2
        assert lines[0].startswith(f"App app-id: webhooks to {host} fail: HTTP 500; 10 deliveries are queued")
        assert lines[1].startswith(f"App app-id: webhooks to {host} work again, after 0 s; ")
        assert "s3cret" not in caplog.text


async def test_a_receiver_that_sometimes_fails_gets_the_other_deliveries_without_a_pause(
    caplog: pytest.LogCaptureFixture,
) -> None:
    codes = [200, 200, 500] * 20

    async def script(peer: raw_receiver.Peer, request: bytes) -> None:
        await status(codes.pop(0) if codes else 200)(peer, request)

    caplog.set_level(logging.INFO)
    async with raw_receiving(script) as receiver:
        line = Line(hook(receiver))
        async with line.running():
            await line.put(*CHANNELS * 2)
            await line.empty()
        assert len(receiver.requests) == 60 - 1  # 40 deliveries, and a repeat of each one that failed
        assert " fail: " not in caplog.text


@pytest.mark.usefixtures("one_failure_suffices")
async def test_an_endpoint_that_fails_again_and_again_has_few_lines(caplog: pytest.LogCaptureFixture) -> None:
    codes = [500, 200] * 20

    async def script(peer: raw_receiver.Peer, request: bytes) -> None:
        await status(codes.pop(0) if codes else 200)(peer, request)

    caplog.set_level(logging.INFO)
    async with raw_receiving(script) as receiver:
        line = Line(hook(receiver))
        async with line.running():
            await line.put(*["one"] * 20)
            await line.empty()
        assert len(receiver.requests) == 40
        assert caplog.text.count(" fail: ") == 1


async def test_a_full_queue_is_bounded_logged_once_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    async with raw_receiving(raw_receiver.hang) as receiver, raw_receiving(accept) as other:
        line = Line(hook(receiver), hook(other), queue=MemoryQueue(bound=100))
        dead, free = f"127.0.0.1:{receiver.port}", f"127.0.0.1:{other.port}"
        async with line.running():
            for number in range(0, 10_000, 100):
                deliveries = line.form([f"channel-{each}" for each in range(number, number + 100)])
                buried = await line.queue.put(deliveries)
                if buried:
                    await line.statistics.overflowed(line.queue, deliveries, buried)
                await line.until_length(100)
            await line.statistics.measure([line.queue])
            traffic = line.statistics.traffic
            assert (traffic["app-id", dead].queued, traffic["app-id", dead].dead) == (100, 9_900)
            assert (traffic["app-id", free].dead, traffic["app-id", free].sent) == (0, 10_000)
            assert traffic["app-id", dead].oldest > 0
            assert len(receiver.requests) <= LANES
            assert len(line.sender._tasks) <= 2 * LANES
            for task in line.sender._tasks:
                task.cancel()
        assert caplog.text.count(f"the queue of webhooks to {dead} is full") == 1


async def test_a_stop_waits_for_requests_in_flight_and_loses_and_doubles_none() -> None:
    held = asyncio.Event()

    async def script(peer: raw_receiver.Peer, request: bytes) -> None:
        await held.wait()
        await accept(peer, request)

    before = asyncio.all_tasks()
    async with raw_receiving(script) as receiver:
        line = Line(hook(receiver))
        task = asyncio.create_task(line.sender.run())
        await line.put(*(f"channel-{number}" for number in range(40)))
        await until(lambda: len(receiver.requests) == LANES)
        task.cancel()
        await asyncio.wait([task])
        stopping = asyncio.create_task(line.sender.stop())
        await asyncio.sleep(0)
        held.set()
        await stopping
        await line.http.close()
        assert len(receiver.requests) == LANES
        assert await line.length() == 40 - LANES
    assert asyncio.all_tasks() == before


async def test_a_stop_cancels_requests_that_hang_and_the_queue_keeps_their_deliveries(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sender, "STOP_TIMEOUT", 0.0)
    before = asyncio.all_tasks()
    async with raw_receiving(raw_receiver.hang) as receiver:
        line = Line(hook(receiver))
        async with line.running():
            await line.put(*(f"channel-{number}" for number in range(40)))
            await until(lambda: len(receiver.requests) == LANES)
        assert await line.length() == 40
        assert not line.sender._tasks
        await until(lambda: receiver.open == 0)
    assert asyncio.all_tasks() == before


class SlowQueue(MemoryQueue):
    """A queue whose ``finish`` takes a while, as that of a file does."""

    def __init__(self) -> None:
        super().__init__()
        self.finishing = asyncio.Event()
        self.may_finish = asyncio.Event()

    async def finish(self, delivery: Delivery) -> None:
        self.finishing.set()
        await self.may_finish.wait()
        await super().finish(delivery)


async def test_a_result_is_stored_although_the_stop_cancels_its_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "STOP_TIMEOUT", 0.0)
    monkeypatch.setattr(sender, "STORE_TIMEOUT", PATIENCE)
    queue = SlowQueue()
    async with raw_receiving(accept) as receiver:
        line = Line(hook(receiver), queue=queue)
        async with line.running():
            await line.put("one")
            await queue.finishing.wait()
            stopping = asyncio.create_task(line.sender.stop())
            for _ in range(10):
                await asyncio.sleep(0)
            queue.may_finish.set()
            await stopping
            assert await line.length() == 0


async def test_a_queue_that_hangs_does_not_keep_the_sender_from_stopping(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sender, "STOP_TIMEOUT", 0.0)
    monkeypatch.setattr(sender, "STORE_TIMEOUT", 0.0)
    queue, before = SlowQueue(), asyncio.all_tasks()
    async with raw_receiving(accept) as receiver:
        line = Line(hook(receiver), queue=queue)
        async with line.running():
            await line.put("one")
            await queue.finishing.wait()
        assert await line.length() == 1
    assert "The results of 1 webhooks could not be stored before the stop: they may be sent again" in caplog.text
    assert asyncio.all_tasks() == before


class BrokenQueue(MemoryQueue):
    """A queue that is unavailable some times."""

    left = 3

    async def finish(self, delivery: Delivery) -> None:
        if self.left:
            self.left -= 1
            raise QueueUnavailable("the disk is full")
        await super().finish(delivery)


async def test_a_result_that_cannot_be_stored_is_stored_later_and_nothing_is_sent_twice() -> None:
    async with raw_receiving(accept) as receiver:
        line = Line(hook(receiver), queue=BrokenQueue())
        async with line.running():
            await line.put("one")
            await line.empty()
        assert len(receiver.requests) == 1


async def test_a_stop_gives_up_a_result_that_the_queue_refuses_again_and_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sender, "STOP_TIMEOUT", 0.0)
    monkeypatch.setattr(sender, "PAUSE", PATIENCE)
    queue = BrokenQueue()
    async with raw_receiving(accept) as receiver:
        line = Line(hook(receiver), queue=queue)
        async with line.running():
            await line.put("one")
            await until(lambda: "trying again" in caplog.text)
        assert queue.left == 2
    assert "The results of 1 webhooks could not be stored before the stop: they may be sent again" in caplog.text


async def test_a_fault_of_a_target_is_contained_and_tried_again(
    contained: Contained, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = HttpTarget.send

    async def fail_once(self: HttpTarget, delivery: Delivery, app: App, webhook: Webhook) -> Outcome:
        if contained.count == 0:
            raise RuntimeError("s3cret")
        return await send(self, delivery, app, webhook)

    monkeypatch.setattr(HttpTarget, "send", fail_once)
    async with raw_receiving(accept) as receiver:
        line = Line(hook(receiver))
        async with line.running():
            await line.put("one")
            await line.empty()
        assert len(receiver.requests) == 1
    assert contained.count == 1
    assert "s3cret" not in str(await line.queue.dead(1))
