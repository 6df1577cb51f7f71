"""The collector: events wait while their queue is unavailable, within a bound, and are stored once."""

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import pytest

from soketpy.core.app_registry import RegistryUnavailable
from soketpy.core.apps import App
from soketpy.core.deliveries import Delivery
from soketpy.core.grace import State
from soketpy.core.webhook_ports import QueueUnavailable
from soketpy.core.webhooks import Webhook
from soketpy.drivers.local.queue import MemoryQueue
from soketpy.protocol.event_types import EVENT_TYPES
from soketpy.protocol.webhooks import WebhookEvent
from soketpy.webhooks import collector, waiting
from soketpy.webhooks.collector import Collector
from tests.conftest import Contained
from tests.fakes import APP
from tests.patience import until

HOOKED = replace(APP, webhooks=(Webhook(url="http://127.0.0.1/hook", event_types=EVENT_TYPES),))


class Stubborn(MemoryQueue):
    """A queue that is unavailable until it is told otherwise. It remembers what it was asked to store."""

    def __init__(self) -> None:
        super().__init__()
        self.available = False
        self.asked: list[list[str]] = []
        self.stored: list[Delivery] = []
        self.known: dict[State, bool] = {}

    async def put(self, deliveries: Sequence[Delivery], states: Mapping[State, bool] | None = None) -> int:
        self.asked.append([each.id for each in deliveries])
        if not self.available:
            raise QueueUnavailable("no disk")
        self.stored += deliveries
        self.known.update(states or {})
        return 0


def collecting(queue: MemoryQueue) -> Collector:
    return Collector(queue, {HOOKED.id: HOOKED}.get)


def miss(number: int) -> WebhookEvent:
    return WebhookEvent("app-id", "cache_miss", f"cache-{number}")


async def test_events_wait_until_their_app_is_loaded() -> None:
    loaded: dict[str, App] = {}
    registry_is_down = True

    async def load(ids: Iterable[str]) -> None:
        if registry_is_down:
            raise RegistryUnavailable("down")
        loaded.update(dict.fromkeys(ids, HOOKED))

    queue = MemoryQueue()
    collected = Collector(queue, loaded.get, load=load)
    collected.append(miss(1))
    for _ in range(2):
        with pytest.raises(QueueUnavailable, match="the apps cannot be read: down"):
            await collected.flush()
    registry_is_down = False
    collected.append(miss(2))
    await collected.flush()
    assert [each.length for each in await queue.lengths()] == [2]


async def test_the_same_deliveries_are_stored_when_the_queue_is_available_again() -> None:
    queue = Stubborn()
    collected = collecting(queue)
    collected.append(miss(1))
    for _ in range(2):
        with pytest.raises(QueueUnavailable):
            await collected.flush()
    queue.available = True
    collected.append(miss(2))
    await collected.flush()
    assert queue.asked[0] == queue.asked[1] == queue.asked[2]
    assert [b"cache-1" in each.body for each in queue.stored] == [True, False]


async def test_the_task_tries_again_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collector, "PAUSE", 0.01)
    queue = Stubborn()
    collected = collecting(queue)
    running = asyncio.create_task(collected.run())
    collected.append(miss(1))
    await until(lambda: len(queue.asked) >= 2)
    queue.available = True
    await until(lambda: queue.stored)
    running.cancel()


async def test_events_beyond_the_bound_are_dropped_and_counted_but_never_states(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(waiting, "MOST", 3)
    queue = Stubborn()
    collected = collecting(queue)
    for number in range(5):
        collected.append(miss(number))
    state = ("channel_occupied", "app-id", "news", "")
    collected.record(WebhookEvent("app-id", "channel_occupied", "news"), state, True)
    queue.available = True
    await collected.flush()
    assert [each.body.count(b"cache_miss") for each in queue.stored] == [1, 1, 1, 0]
    assert queue.known == {state: True}
    assert collected.dropped == 2
    assert [record.levelname for record in caplog.records] == ["ERROR"]


async def test_many_events_are_stored_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collector, "MOST_AT_ONCE", 2)
    queue = Stubborn()
    queue.available = True
    collected = collecting(queue)
    for number in range(5):
        collected.append(miss(number))
    await collected.flush()
    assert [len(ids) for ids in queue.asked] == [2, 2, 1]


async def test_events_that_arrive_while_others_are_stored_wait_for_the_next_batch() -> None:
    class Busy(Stubborn):
        async def put(self, deliveries: Sequence[Delivery], states: Mapping[State, bool] | None = None) -> int:
            if not self.asked:
                collected.append(miss(1))
                asyncio.get_running_loop().call_soon(collected.append, miss(2))
            return await super().put(deliveries, states)

    queue = Busy()
    queue.available = True
    collected = collecting(queue)
    running = asyncio.create_task(collected.run())
    collected.append(miss(0))
    await until(lambda: len(queue.stored) == 3)
    running.cancel()
    assert [len(ids) for ids in queue.asked] == [1, 2]


async def test_the_waiting_events_are_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "MOST_BYTES", 1000)
    queue = Stubborn()
    collected = collecting(queue)
    for number in range(20):
        collected.append(WebhookEvent("app-id", "client_event", f"private-{number}", data=b"1" * 100))
    assert collected.dropped == 10
    queue.available = True
    await collected.flush()
    collected.append(WebhookEvent("app-id", "client_event", "private-later", data=b"1" * 900))
    assert collected.dropped == 10
    await collected.flush()
    assert len(queue.stored) == 11


async def test_states_that_come_and_go_are_bounded_and_still_alternate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "MOST", 3)
    queue = Stubborn()
    collected = collecting(queue)

    def turn(channel: str, is_on: bool) -> None:
        name = "channel_occupied" if is_on else "channel_vacated"
        collected.record(WebhookEvent("app-id", name, channel), ("channel_occupied", "app-id", channel, ""), is_on)

    turn("known", False)
    turn("stays", True)
    for number in range(1000):
        turn(f"short-{number}", True)
        turn(f"short-{number}", False)
        turn("known", True)
        turn("known", False)
    assert len(collected._events) <= 5
    queue.available = True
    await collected.flush()
    events = [json.loads(each.body)["events"][0] for each in queue.stored]
    reported = [each["name"] for each in events if each["channel"] == "known"]
    assert reported[::2] == ["channel_vacated"] * len(reported[::2])
    assert reported[1::2] == ["channel_occupied"] * len(reported[1::2])
    assert reported[-1] == "channel_vacated"
    assert [each["name"] for each in events if each["channel"] == "stays"] == ["channel_occupied"]
    assert {state[2]: is_on for state, is_on in queue.known.items()} | {"known": False, "stays": True} == {
        state[2]: is_on for state, is_on in queue.known.items()
    }


def test_a_flood_of_one_app_neither_delays_nor_displaces_the_events_of_another_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(waiting, "MOST", 100)
    events = waiting.Waiting()
    lost = sum(events.add(WebhookEvent("loud", "client_event", "private-a", number=number)) for number in range(1000))
    assert lost == 900
    assert sum(events.add(WebhookEvent("calm", "client_event", "private-a", number=number)) for number in range(5)) == 0
    taken = events.take(20).events
    assert [each.number for each in taken if each.app_id == "calm"] == list(range(5))
    assert [each.number for each in taken if each.app_id == "loud"] == list(range(15))
    rest = events.take(1000).events
    assert [each.number for each in rest] == list(range(15, 100))
    assert (len(events), events.take(1)) == (0, waiting.Taken())


def test_events_that_are_taken_in_parts_make_room_for_as_many_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "MOST_BYTES", 1000)
    events = waiting.Waiting()
    event = WebhookEvent("app-id", "client_event", "private-a", data=b"1" * 100)
    assert sum(events.add(event) for _ in range(11)) == 1
    for _ in range(5):
        assert len(events.take(3).events) == 3
        assert sum(events.add(event) for _ in range(4)) == 1
    assert len(events.take(11).events) == 10


def test_states_are_taken_with_their_events_and_the_last_of_a_state_holds() -> None:
    events = waiting.Waiting()
    one, two = ("channel_occupied", "app-id", "one", ""), ("channel_occupied", "app-id", "two", "")
    for state, is_on in ((one, True), (two, True), (one, False), (one, True)):
        events.add(miss(1), state, is_on)
    assert events.take(3).states == {one: False, two: True}
    assert events.take(3).states == {one: True}
    assert events.take(3) == waiting.Taken()


async def test_an_event_that_cannot_be_formed_costs_no_other_event(contained: Contained) -> None:
    queue = Stubborn()
    queue.available = True
    collected = collecting(queue)
    for event in (miss(1), WebhookEvent("app-id", "client_event", "private-a", data=b"\xff"), miss(2)):
        collected.append(event)
    await collected.flush()
    assert [b"cache_miss" in each.body for each in queue.stored] == [True, True]
    assert contained.count == 1
