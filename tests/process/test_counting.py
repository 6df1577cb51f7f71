"""The counters of several workers together, against a model: random traffic, reports, deaths, and forgotten apps."""

import asyncio
import pickle
from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from soketpy.core.traffic import Traffic, TrafficByApp
from soketpy.core.webhook_traffic import WebhookTraffic, WebhookTrafficByHost
from soketpy.process import counting
from soketpy.process.counting import UNUSED_AFTER, Latest, Report, Reporter, Totals

APPS = ("one", "other")
WORKERS = 3


@dataclass
class Worker:
    """The counters in a worker, and the part of them that it has not reported."""

    latest: Latest
    traffic: TrafficByApp = field(default_factory=TrafficByApp)
    webhooks: WebhookTrafficByHost = field(default_factory=WebhookTrafficByHost)
    connected: dict[str, int] = field(default_factory=dict)
    unreported: dict[str, int] = field(default_factory=dict)
    reported: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.reporter = Reporter(self.traffic, lambda app_id: self.connected.get(app_id, 0), self.webhooks)

    def report(self) -> Report:
        sent: Report = pickle.loads(pickle.dumps(asyncio.run(self.reporter.report())))
        return sent


def host(app_id: str) -> tuple[str, str]:
    return app_id, "example.com"


class Counting(RuleBasedStateMachine):
    """Each app has one webhook, whose deliveries are as many as the messages of the app."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.totals = Totals(lambda: self.now)
        self.workers = [Worker(self.totals.open()) for _ in range(WORKERS)]
        self.expected: dict[str, int] = {}  # messages of each app that were reported
        self.unused: dict[str, float] = {}

    apps, numbers = st.sampled_from(APPS), st.integers(0, WORKERS - 1)

    @rule(number=numbers, app_id=apps, messages=st.integers(1, 5))
    def send(self, number: int, app_id: str, messages: int) -> None:
        worker = self.workers[number]
        worker.traffic[app_id].sent(messages, 10 * messages)
        worker.webhooks[host(app_id)].sent += messages
        worker.webhooks[host(app_id)].requested(0.1)
        worker.unreported[app_id] = worker.unreported.get(app_id, 0) + messages

    @rule(number=numbers, app_id=apps, connections=st.integers(0, 5))
    def connect(self, number: int, app_id: str, connections: int) -> None:
        if app_id in self.workers[number].traffic:
            self.workers[number].connected[app_id] = connections

    @rule(number=numbers, app_id=apps)
    def forget(self, number: int, app_id: str) -> None:
        """A worker forgets only apps without connections, some minutes after their last traffic: it has reported it."""
        worker = self.workers[number]
        if not worker.unreported.get(app_id) and not worker.connected.get(app_id):
            worker.traffic.pop(app_id, None)
            worker.webhooks.pop(host(app_id), None)

    @rule(number=numbers)
    def report(self, number: int) -> None:
        worker = self.workers[number]
        self.totals.add(worker.latest, worker.report())
        for app_id, messages in worker.unreported.items():
            self.expected[app_id] = self.expected.get(app_id, 0) + messages
        worker.unreported.clear()
        worker.reported = set(worker.traffic)

    @rule(number=numbers)
    def die(self, number: int) -> None:
        self.totals.close(self.workers[number].latest)
        self.workers[number] = Worker(self.totals.open())

    @rule(seconds=st.sampled_from((1.0, UNUSED_AFTER)))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.totals.forget_unused()
        for app_id in list(self.expected):
            if any(app_id in worker.reported for worker in self.workers):
                self.unused.pop(app_id, None)
            elif self.now - self.unused.setdefault(app_id, self.now) >= UNUSED_AFTER:
                del self.expected[app_id], self.unused[app_id]

    @invariant()
    def totals_are_all_that_was_reported(self) -> None:
        found = {app_id: traffic.messages_sent for app_id, traffic in self.totals.traffic.items()}
        assert {app_id: number for app_id, number in found.items() if number} == self.expected
        assert all(traffic.bytes_sent == 10 * traffic.messages_sent for traffic in self.totals.traffic.values())
        webhooks = {app_id: traffic.sent for (app_id, _), traffic in self.totals.webhooks().items()}
        assert {app_id: number for app_id, number in webhooks.items() if number} == self.expected


TestCounting = Counting.TestCase
TestCounting.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_connections_and_queues_are_those_of_workers_that_run() -> None:
    totals = Totals(lambda: 0.0)
    workers = [Worker(totals.open()) for _ in range(2)]
    for index, worker in enumerate(workers, 1):
        worker.traffic["one"].connections = worker.connected["one"] = index
        worker.webhooks[host("one")] = WebhookTraffic(queued=index, oldest=10.0 * index)
        totals.add(worker.latest, worker.report())
    assert (totals.connected("one"), totals.webhooks()[host("one")].queued) == (3, 3)
    assert totals.webhooks()[host("one")].oldest == 20
    totals.close(workers[1].latest)
    assert (totals.connected("one"), totals.webhooks()[host("one")].queued) == (1, 1)
    assert totals.webhooks()[host("one")].oldest == 10
    assert totals.traffic["one"].connections == 3


def test_a_report_has_only_what_has_changed() -> None:
    worker = Worker(Totals(lambda: 0.0).open())
    for app_id in APPS:
        worker.traffic[app_id].connections = 1
    assert worker.report().apps.keys() == set(APPS)
    assert not worker.report().apps
    worker.traffic["one"].connections = 3
    [(app_id, (connected, increments))] = worker.report().apps.items()
    assert (app_id, connected) == ("one", 0)
    assert dict(zip(Traffic.__slots__, increments, strict=True)) == {
        **dict.fromkeys(Traffic.__slots__, 0),
        "connections": 2,
    }


async def test_others_are_served_while_a_report_is_made_and_none_of_a_cancelled_report_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(counting, "SLICE_SECONDS", 0)
    traffic, number = TrafficByApp(), 10 * counting.SLICE_SIZE
    for index in range(number):
        traffic[str(index)].connections = 1
    reporter = Reporter(traffic, lambda app_id: 0, {})
    cancelled = asyncio.ensure_future(reporter.report())
    for _ in range(5):
        await asyncio.sleep(0)
    assert not cancelled.done()
    cancelled.cancel()
    await asyncio.wait([cancelled])
    assert len((await reporter.report()).apps) == number
