"""Random operations on every queue of webhooks, against a model of a few lines."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from soketpy.core.deliveries import Delivery
from soketpy.core.webhook_ports import Revival
from tests.drivers.queues import Kit, delivery, ids, kit_of
from tests.patience import PATIENCE

T = TypeVar("T")
Lane = tuple[str, str]

KINDS = ["memory", "sqlite", "redis"]
"""The queues whose bound is exact. That of SQS counts only what one process knows."""

BOUND = 4
WEBHOOKS = st.sampled_from(["hook", "other"])
LANES = st.sampled_from(["1", "2", "3"])


class QueueMachine(RuleBasedStateMachine):
    """A queue and its model: for each lane the ids in their order, which one is in flight, and when the head is due."""

    def __init__(self, kit: Kit, runner: asyncio.Runner) -> None:
        super().__init__()
        self.kit = kit
        self._runner = runner
        self.queue = self.run(kit.open(bound=BOUND, keep_dead=10_000))
        self.waiting: dict[Lane, list[str]] = {}
        self.order: list[str] = []  # all ids in the order of their put
        self.flying: dict[Lane, Delivery] = {}
        self.due: dict[Lane, float] = {}
        self.attempts: dict[str, int] = {}
        self.dead: list[tuple[str, str]] = []  # webhook and id, the newest last
        self.lanes: dict[str, Lane] = {}

    def run(self, operation: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(asyncio.wait_for(operation, PATIENCE))

    def teardown(self) -> None:
        self.run(self.kit.close())

    # The model

    def append(self, lane: Lane, id: str) -> None:
        self.lanes[id] = lane
        self.order.append(id)
        self.attempts[id] = 0
        self.waiting.setdefault(lane, []).append(id)
        if self.length(lane[0]) > BOUND:
            flying = {each.id for each in self.flying.values()}
            oldest = next(each for each in self.order if self.lanes[each][0] == lane[0] and each not in flying)
            self.remove(oldest)
            self.dead.append((lane[0], oldest))

    def length(self, webhook: str) -> int:
        return sum(len(each) for lane, each in self.waiting.items() if lane[0] == webhook)

    def remove(self, id: str) -> None:
        lane = self.lanes[id]
        self.order.remove(id)
        if self.waiting[lane][0] == id:
            self.due.pop(lane, None)
        self.waiting[lane].remove(id)

    def heads(self) -> dict[str, Lane]:
        """Return the ids that are due, with their lanes."""
        now = self.kit.now()
        return {
            each[0]: lane
            for lane, each in self.waiting.items()
            if each and lane not in self.flying and self.due.get(lane, 0) <= now
        }

    # The operations

    @rule(given=st.lists(st.tuples(WEBHOOKS, LANES), min_size=1, max_size=4))
    def put(self, given: list[Lane]) -> None:
        before = len(self.dead)
        deliveries = [delivery(lane, webhook=webhook) for webhook, lane in given]
        for each, lane in zip(deliveries, given, strict=True):
            self.append(lane, each.id)
        assert self.run(self.queue.put(deliveries)) == len(self.dead) - before

    @precondition(lambda self: self.heads())
    @rule()
    def take(self) -> None:
        taken = self.run(self.queue.take())
        assert taken
        assert len(set(ids(taken))) == len(taken)
        due = self.heads()
        for each in taken:
            assert each.id in due
            assert each.attempts == self.attempts[each.id]
            self.flying[due[each.id]] = each

    def chosen(self, data: st.DataObject) -> Delivery:
        """Return one delivery that is in flight, and note that it no longer is."""
        lane = data.draw(st.sampled_from(sorted(self.flying)))
        return self.flying.pop(lane)

    @precondition(lambda self: self.flying)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        chosen = self.chosen(data)
        self.remove(chosen.id)
        self.run(self.queue.finish(chosen))

    @precondition(lambda self: self.flying)
    @rule(data=st.data(), pause=st.sampled_from([0, 10]))
    def retry(self, data: st.DataObject, pause: float) -> None:
        chosen = self.chosen(data)
        self.due[self.lanes[chosen.id]] = self.kit.now() + pause
        self.attempts[chosen.id] += 1
        self.run(self.queue.retry(chosen, pause, "HTTP 500"))

    @precondition(lambda self: self.flying)
    @rule(data=st.data(), pause=st.sampled_from([0, 10]))
    def postpone(self, data: st.DataObject, pause: float) -> None:
        chosen = self.chosen(data)
        self.due[self.lanes[chosen.id]] = self.kit.now() + pause
        self.run(self.queue.postpone(chosen, pause))

    @precondition(lambda self: self.flying)
    @rule(data=st.data())
    def bury(self, data: st.DataObject) -> None:
        chosen = self.chosen(data)
        self.remove(chosen.id)
        self.dead.append((chosen.webhook_id, chosen.id))
        self.run(self.queue.bury(chosen, "HTTP 410"))

    @rule()
    def advance(self) -> None:
        self.run(self.kit.advance(10))

    @precondition(lambda self: self.dead)
    @rule(data=st.data())
    def revive_one(self, data: st.DataObject) -> None:
        chosen = data.draw(st.sampled_from(self.dead))
        kept = self.revive([chosen])
        assert self.run(self.queue.revive(delivery_id=chosen[1])) == Revival(1 - kept, kept)

    @rule()
    def revive_all(self) -> None:
        number = len(self.dead)
        kept = self.revive(list(self.dead))
        assert self.run(self.queue.revive()) == Revival(number - kept, kept)

    def revive(self, chosen: list[tuple[str, str]]) -> int:
        """Revive letters of the model. Return the number of those that stay dead."""
        kept = 0
        for letter in chosen:
            webhook, id = letter
            if self.length(webhook) < BOUND:
                self.dead.remove(letter)
                self.append(self.lanes[id], id)
            else:
                kept += 1
        return kept

    @rule()
    def purge(self) -> None:
        assert self.run(self.queue.purge()) == len(self.dead)
        self.dead.clear()

    @precondition(lambda self: self.kit.durable)
    @rule()
    def crash(self) -> None:
        self.queue = self.run(self.kit.crash(self.queue))
        self.flying.clear()

    # The state

    @invariant()
    def lengths_and_dead_letters_are_those_of_the_model(self) -> None:
        wanted: dict[str, int] = {}
        for (webhook, _), each in self.waiting.items():
            if each:
                wanted[webhook] = wanted.get(webhook, 0) + len(each)
        assert {each.webhook_id: each.length for each in self.run(self.queue.lengths())} == wanted
        letters = self.run(self.queue.dead(BOUND))
        for webhook in ("hook", "other"):
            ours = [each.delivery.id for each in letters if each.delivery.webhook_id == webhook]
            newest = [id for of, id in reversed(self.dead) if of == webhook]
            assert ours == newest[: len(ours)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_queue_behaves_as_its_model(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    with asyncio.Runner() as runner:

        class Machine(QueueMachine):
            def __init__(self) -> None:
                super().__init__(kit_of(kind, request, tmp_path), runner)

        run_state_machine_as_test(Machine, settings=settings(max_examples=30, stateful_step_count=40))
