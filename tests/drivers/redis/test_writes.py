"""Writes: in their order, a batch at a time, each done once."""

from functools import partial
from typing import Any

import msgpack
import pytest

from soketpy.core import steps
from soketpy.core.containment import failures
from soketpy.core.steps import Future
from soketpy.drivers.redis import writes
from soketpy.drivers.redis.writes import Failed, Lost, Write, Writes


class Script:
    """Answers batches as Redis would, with the last part of each write."""

    def __init__(self) -> None:
        self.done: list[tuple[Write, Any]] = []
        self.writes = Writes(lambda write, answer: self.done.append((write, answer)))
        self.answers: list[object] = []

    def add(self, *write: object) -> None:
        steps.begin(self._await(self.writes.add(list(write))))

    async def _await(self, future: Future[Any]) -> None:
        try:
            self.answers.append(await future)
        except Lost:
            self.answers.append("lost")

    def answer(self, packed: bytes | None) -> list[Write]:
        """Do a batch; what was in it."""
        assert packed is not None
        batch: list[Write] = msgpack.unpackb(packed)
        self.writes.answered(msgpack.packb([write[-1] for write in batch]))
        return batch


def entry(channel: str, count: int) -> tuple[object, ...]:
    return ("subscriptions", "app", channel, "", count)


def test_one_batch_is_unanswered_at_a_time() -> None:
    script = Script()
    assert script.writes.next() is None
    script.add(*entry("a", 1))
    first = script.writes.next()
    script.add(*entry("a", 2))
    script.add(*entry("b", 1))
    assert script.writes.next() is None
    assert script.writes.again() == first
    assert [write[4] for write in script.answer(first)] == [1]
    assert script.answers == [1]
    assert [write[4] for write in script.answer(script.writes.next())] == [2, 1]
    assert script.writes.number == 2
    assert script.writes.again() is None
    assert len(script.writes) == 0


def test_a_batch_has_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writes, "BATCH", 2)
    script = Script()
    for count in range(1, 6):
        script.add(*entry("a", count))
    batches = []
    while (batch := script.writes.next()) is not None:
        batches.append(len(script.answer(batch)))
    assert batches == [2, 2, 1]
    assert script.answers == [1, 2, 3, 4, 5]


def test_who_waits_resume_when_redis_is_away_and_only_what_changes_entries_is_kept() -> None:
    script = Script()
    script.add(*entry("sent", 1))
    sent = script.writes.next()
    script.add(*entry("waiting", 1))
    script.add("last_event", "app", "cache-a")
    script.writes.abandon()
    assert script.answers == ["lost"] * 3
    script.writes.defer(list(entry("later", 1)))
    script.writes.defer(["take", "app", "reads", 1, 5])
    assert script.writes.again() == sent, "the same, for it may have been done"
    script.answer(sent)
    assert [write[2] for write in script.answer(script.writes.next())] == ["waiting", "later"]
    assert script.answers == ["lost"] * 3


def test_while_redis_is_away_the_last_write_of_an_entry_stands_for_all() -> None:
    script = Script()
    for channel, count in (("a", 1), ("b", 1), ("a", 0)):
        script.writes.defer(list(entry(channel, count)))
    script.add(*entry("c", 1))
    assert [write[2:5:2] for write in script.answer(script.writes.next())] == [
        ["b", 1],
        ["a", 0],
        ["c", 1],
    ]


def test_what_would_be_too_much_to_keep_is_written_anew_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writes, "MOST_WAITING", 2)
    script = Script()
    for channel in "abc":
        script.writes.defer(list(entry(channel, 1)))
    assert (script.writes.overflowed, len(script.writes)) == (True, 0)
    assert len(script.writes) == 0
    script.writes.restart([list(entry(channel, 1)) for channel in "abc"])
    assert (script.writes.overflowed, script.writes.number) == (False, 0)
    assert len(script.answer(script.writes.next())) == 3


def test_of_what_has_been_reported_nobody_is_told_again() -> None:
    script = Script()
    reported = {("subscriptions", "app", "old", ""), ("subscriptions", "app", "gone", "")}
    script.writes.restart([list(entry("old", 1)), list(entry("new", 1))], reported)
    script.answer(script.writes.next())
    for channel in ("old", "gone"):
        script.add(*entry(channel, 1))
    script.answer(script.writes.next())
    assert [write[2] for write, _ in script.done] == ["new", "old", "gone"]


def test_what_is_no_entry_is_told_also_while_entries_are_written_anew() -> None:
    script = Script()
    script.writes.restart([list(entry("old", 1))], {("subscriptions", "app", "old", "")})
    script.add("online", "app", ["ada"])
    script.answer(script.writes.next())
    assert [write[0] for write, _ in script.done] == ["online"]


def test_what_happens_while_entries_are_written_anew_comes_behind_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writes, "BATCH", 2)
    script = Script()
    script.writes.restart([list(entry(channel, 1)) for channel in "abc"])
    first = script.writes.next()
    script.writes.defer(list(entry("c", 0)))
    script.answer(first)
    assert [write[2:5:2] for write in script.answer(script.writes.next())] == [["c", 1], ["c", 0]]


def test_what_was_said_to_have_failed_is_not_done_when_the_batch_is_sent_again() -> None:
    script = Script()
    script.add(*entry("a", 1))
    script.add("publish_cached", "app", "cache-a", "event")
    sent = script.writes.next()
    script.writes.abandon()
    assert script.answers == ["lost", "lost"]
    assert script.writes.in_flight
    again = script.writes.again()
    assert len(msgpack.unpackb(sent or b"")) == 2
    assert msgpack.unpackb(again or b"") == [["subscriptions", "app", "a", "", 1], ["nothing"]]


@pytest.mark.usefixtures("contained")
def test_an_exception_at_one_of_four_operations_leaves_the_others_served() -> None:
    before = failures.count
    script = Script()
    futures = [script.writes.add(list(entry(channel, 1))) for channel in "abcd"]
    went_on: list[str] = []
    for channel, future in zip("abcd", futures, strict=True):
        future.then(partial(_resume, went_on, channel))
    script.answer(script.writes.next())
    assert went_on == ["a", "b", "c", "d"]
    assert len(script.done) == 4
    assert len(script.writes) == 0
    assert failures.count == before + 1


def _resume(went_on: list[str], channel: str) -> None:
    went_on.append(channel)
    if channel == "b":
        raise IndexError


@pytest.mark.usefixtures("contained")
def test_an_exception_when_a_write_is_reported_leaves_the_operation_and_all_others_served() -> None:
    before = failures.count
    script = Script()
    done: list[str] = []

    def report(write: Write, answer: object) -> None:
        if write[2] == "b":
            raise KeyError
        done.append(write[2])

    script.writes = Writes(report)
    for channel in "abc":
        script.add(*entry(channel, 1))
    script.answer(script.writes.next())
    assert done == ["a", "c"]
    assert script.answers == [1, 1, 1]
    assert failures.count == before + 1


@pytest.mark.usefixtures("contained")
def test_an_exception_of_one_operation_when_redis_disconnects_still_fails_the_others() -> None:
    script = Script()
    futures = [script.writes.add(list(entry(channel, 1))) for channel in "abc"]
    went_on: list[str] = []
    for channel, future in zip("abc", futures, strict=True):
        future.then(partial(_resume, went_on, channel))
    script.writes.abandon()
    assert went_on == ["a", "b", "c"]


@pytest.mark.usefixtures("contained")
def test_a_write_that_cannot_be_encoded_fails_alone() -> None:
    before = failures.count
    script = Script()
    script.add(*entry("a", 1))
    broken = script.writes.add(["subscriptions", "app", "\ud800", "", 1])
    faults: list[Exception | None] = []
    broken.then(lambda: faults.append(broken._fault))
    script.add(*entry("b", 1))
    batch = script.writes.next()
    assert batch is not None
    assert [write[0] for write in msgpack.unpackb(batch)] == ["subscriptions", "nothing", "subscriptions"]
    script.writes.answered(msgpack.packb([1, False, 2]))
    assert script.answers == [1, 2]
    assert isinstance(faults[0], UnicodeEncodeError)
    assert failures.count == before + 1


@pytest.mark.usefixtures("contained")
def test_a_write_that_the_script_could_not_do_fails_alone() -> None:
    script = Script()
    for _ in range(3):
        script.add("last_event", "app", "cache-a")
    script.writes.next()
    script.writes.answered(msgpack.packb([1, {"err": "WRONGTYPE"}, 3]))
    assert script.answers == [1, "lost", 3]
    assert len(script.done) == 2


@pytest.mark.usefixtures("contained")
@pytest.mark.parametrize("kind", ["subscriptions", "member", "user", "connections", "connection"])
def test_a_write_that_changes_what_the_node_has_and_fails_is_not_taken_for_the_loss_of_redis(kind: str) -> None:
    script, faults = Script(), list[Exception]()

    async def wait(future: Future[Any]) -> None:
        try:
            await future
        except Exception as fault:
            faults.append(fault)

    steps.begin(wait(script.writes.add([kind, "app", "news", "", 1])))
    script.writes.next()
    script.writes.answered(msgpack.packb([{"err": "WRONGTYPE"}]))
    [fault] = faults
    assert type(fault) is Failed
    assert str(fault) == "WRONGTYPE"
    assert script.done == []


@pytest.mark.parametrize("answer", [[1], [1, 2, 3], 7], ids=["too few", "too many", "none"])
def test_what_is_no_answer_to_the_batch_leaves_it_unanswered(answer: object) -> None:
    script = Script()
    for channel in "ab":
        script.add(*entry(channel, 1))
    script.writes.next()
    with pytest.raises(ValueError, match="batch of 2 writes"):
        script.writes.answered(msgpack.packb(answer))
    assert script.answers == []
    assert script.writes.in_flight


@pytest.mark.usefixtures("contained")
@pytest.mark.parametrize("answer", [{}, {"err": 7}, {2: 0}], ids=["empty", "no text", "a list with a gap"])
def test_an_answer_of_an_unknown_form_fails_its_write_alone(answer: object) -> None:
    before = failures.count
    script = Script()
    for _ in range(3):
        script.add("last_event", "app", "cache-a")
    script.add("nothing")
    script.writes.next()
    script.writes.answered(msgpack.packb([1, answer, 3, answer]))
    assert script.answers == [1, "lost", 3, "lost"]
    assert len(script.writes) == 0
    assert failures.count == before + 2


def test_a_write_that_nobody_waits_for_stays_behind_those_before_it_when_redis_goes_away() -> None:
    script = Script()
    script.add(*entry("sent", 1))
    script.writes.next()
    script.add(*entry("a", 2))
    script.writes.defer(list(entry("a", 1)))
    script.writes.abandon()
    script.answer(script.writes.again())
    assert script.answer(script.writes.next()) == [list(entry("a", 1))]
