"""Random operations on every store of logs, against a model of a few lines."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from soketpy.core.history import HistoryRule, Page, Position, Query
from soketpy.drivers.local.history import ENTRY_SIZE, LOG_SIZE
from tests.drivers.logs import KINDS, Kit
from tests.patience import PATIENCE

T = TypeVar("T")

RULES = (
    HistoryRule(channels="*", kib=4),
    HistoryRule(channels="*", events=3),
    HistoryRule(channels="*", seconds=25),
    HistoryRule(channels="*", kib=2),
    HistoryRule(channels="*", events=1, seconds=5, kib=1),
)
APP_SIZE = 8_000
"""More bytes than one log may have, and fewer than two."""

CHANNELS = st.sampled_from(["a", "b", "c"])
APPS = st.sampled_from(["app", "other"])
SERIALS = st.integers(-2, 3)


@dataclass
class Stored:
    """One event of the model."""

    serial: int
    time: float
    name: str
    size: int


@dataclass
class Model:
    """One log of the model. The epoch is that of the store, when it is known."""

    epoch: str = ""
    last: int = 0
    events: list[Stored] = field(default_factory=list)

    @property
    def size(self) -> int:
        return LOG_SIZE + sum(event.size for event in self.events)

    def trim(self, limits: HistoryRule, now: float) -> None:
        while self.events and (
            len(self.events) > limits.events
            or self.size > limits.size + LOG_SIZE
            or self.events[0].time <= now - limits.seconds
        ):
            self.events.pop(0)

    def select(self, query: Query, now: float) -> list[str]:
        """Return the names of the events of a page."""
        chosen = [event for event in self.events if self.is_asked(event, query)]
        if query.backwards:
            chosen.reverse()
        found = list[str]()
        for event in chosen:
            if query.seconds is not None and event.time <= now - query.seconds:
                if query.backwards:
                    break
                continue
            found.append(event.name)
        found = found[: query.limit]
        return found[::-1] if query.backwards else found

    def is_asked(self, event: Stored, query: Query) -> bool:
        after, before = query.after, query.before
        is_late = after is None or after.epoch != self.epoch or event.serial > after.serial
        return is_late and (before is None or before.epoch != self.epoch or event.serial < before.serial)


class HistoryMachine(RuleBasedStateMachine):
    """A store and its model."""

    def __init__(self, kit: Kit, runner: asyncio.Runner) -> None:
        super().__init__()
        self.kit = kit
        self._runner = runner
        self.run(kit.start())
        self.logs: dict[tuple[str, str], Model] = {}  # the log with the newest event is the last one
        self.begun: dict[tuple[str, str], Model] = {}
        self.epochs = set[str]()
        self.names = count()

    def run(self, operation: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(asyncio.wait_for(operation, PATIENCE))

    def teardown(self) -> None:
        self.run(self.kit.stop())

    def learn(self, model: Model, epoch: str) -> None:
        """Compare the epoch of a log with that of the model. A new log has a new epoch."""
        if model.epoch:
            assert epoch == model.epoch
        else:
            assert epoch not in self.epochs
            self.epochs.add(epoch)
            model.epoch = epoch

    @rule(app=APPS, channel=CHANNELS, limits=st.sampled_from(RULES), number=st.integers(1, 4), large=st.booleans())
    def publish(self, app: str, channel: str, limits: HistoryRule, number: int, large: bool) -> None:
        """Publish some events, each after the one before is stored: so all stores apply the limits after each event."""
        names = [str(next(self.names)) for _ in range(number)]
        data = b'"%b"' % (b"x" * (600 if large else 10))
        for name in names:
            self.run(self.kit.publish(channel, name, limits, app=app, data=data))
            self.append(app, channel, limits, name, len(data))
        assert not self.kit.delivered

    def append(self, app: str, channel: str, limits: HistoryRule, name: str, size: int) -> None:
        key = app, channel
        model = self.logs.pop(key, None) or self.begun.pop(key, None) or Model()
        self.logs[key] = model
        *_, position, event = self.kit.delivered.pop()
        model.last += 1
        assert (event.name, position.serial) == (name, model.last)
        self.learn(model, position.epoch)
        model.events.append(Stored(model.last, self.kit.time, name, ENTRY_SIZE + len(name) + size))
        model.trim(limits, self.kit.time)
        while sum(each.size for (of, _), each in self.logs.items() if of == app) > APP_SIZE:
            del self.logs[next(each for each in self.logs if each[0] == app)]

    @rule(
        key=st.tuples(APPS, CHANNELS),
        limits=st.sampled_from(RULES),
        limit=st.integers(1, 5),
        after=st.none() | SERIALS,
        before=st.none() | SERIALS,
        seconds=st.none() | st.sampled_from([0.0, 5.0, 30.0]),
        backwards=st.booleans(),
        begin=st.booleans(),
        foreign=st.booleans(),
    )
    def read(
        self,
        key: tuple[str, str],
        limits: HistoryRule,
        limit: int,
        after: int | None,
        before: int | None,
        seconds: float | None,
        backwards: bool,
        begin: bool,
        foreign: bool,
    ) -> None:
        """Read a page near one end of a log, with a position of this log or of another one."""
        app, channel = key
        model = self.logs.get(key) or self.begun.get(key)
        known = Model() if model is None else model
        epoch = (known.epoch or "0" * 16) if not foreign else "f" * 16
        first = known.last - len(known.events) + 1
        query = Query(
            limit,
            after=None if after is None else Position(epoch, max(0, first + after)),
            before=None if before is None else Position(epoch, max(0, known.last + before)),
            backwards=backwards,
            seconds=seconds,
        )
        page = self.run(self.kit.read(channel, limits, query, app=app, begin=begin))
        self.check_holes(page, query, known)
        if model is None and not begin:
            assert (page.epoch, page.first, page.last, page.entries) == ("", 1, 0, ())
            assert page.complete == (query.after is None and query.before is None)
            return
        if model is None:
            model = self.begun[key] = Model()
        self.learn(model, page.epoch)
        model.trim(limits, self.kit.time)
        assert (page.first, page.last) == (model.last - len(model.events) + 1, model.last)
        assert [entry.event.name for entry in page.entries] == model.select(query, self.kit.time)

    def check_holes(self, page: Page, query: Query, known: Model) -> None:
        """A page that says that it is complete has each event that was ever published next to the position."""
        serials = [entry.serial for entry in page.entries]
        assert serials == sorted(set(serials))
        if query.seconds is None:
            assert serials == list(range(serials[0], serials[0] + len(serials))) if serials else True
        if not page.complete or query.seconds is not None:
            return
        if query.after is not None and not query.backwards:
            assert query.after.epoch == page.epoch
            assert query.after.serial <= known.last
            if serials:
                assert serials[0] == query.after.serial + 1
        if query.before is not None and query.backwards:
            assert query.before.epoch == page.epoch
            if serials:
                assert serials[-1] == query.before.serial - 1

    @rule(seconds=st.sampled_from([-20.0, 0.5, 10.0, 30.0]))
    def step(self, seconds: float) -> None:
        """Let time pass, or set the clock back."""
        self.kit.time += seconds

    @precondition(lambda self: self.logs or self.begun)
    @rule()
    def restart(self) -> None:
        self.run(self.kit.restart())
        if not self.kit.keeps:
            self.logs.clear()
            self.begun.clear()


@pytest.mark.parametrize("kind", KINDS)
def test_a_store_behaves_as_its_model(kind: str, tmp_path: Path) -> None:
    paths = (tmp_path / f"{number}.db" for number in count())
    with asyncio.Runner() as runner:

        class Machine(HistoryMachine):
            def __init__(self) -> None:
                super().__init__(Kit(kind, next(paths), app_size=APP_SIZE), runner)

        run_state_machine_as_test(Machine, settings=settings(max_examples=30, stateful_step_count=30))
