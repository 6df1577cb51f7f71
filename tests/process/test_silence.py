"""The watch for workers that do not answer: when it reports one, when it kills one, and when it starts again."""

import logging
from dataclasses import dataclass

import pytest

from soketpy.process.counting import Totals
from soketpy.process.silence import LATE, TICK, SilenceWatch
from soketpy.process.worker_process import REPORTED_AFTER, WorkerProcess

PATIENCE = 30.0


class Asked(WorkerProcess):
    """A worker without a process, which owes an answer or not."""

    def __init__(self, *, owes: bool) -> None:
        super().__init__([], Totals(lambda: 0.0))
        self.serves = True
        self.owes = owes

    @property
    def owes_answer(self) -> bool:
        return self.owes and self.serves


@dataclass
class Watched:
    """A worker that hangs, one that answers, and their watch."""

    hangs: Asked
    answers: Asked
    watch: SilenceWatch

    def ticks(self, seconds: float) -> None:
        for _ in range(int(seconds / TICK)):
            self.watch.look(TICK)

    def killed(self) -> bool:
        return not self.hangs.serves


def watched(patience: float = PATIENCE) -> Watched:
    hangs, answers = Asked(owes=True), Asked(owes=False)
    return Watched(hangs, answers, SilenceWatch(lambda: [hangs, answers], patience))


def test_a_worker_that_does_not_answer_is_reported_once_and_then_killed(caplog: pytest.LogCaptureFixture) -> None:
    case = watched()
    case.ticks(REPORTED_AFTER - TICK)
    assert not caplog.records
    case.ticks(PATIENCE - REPORTED_AFTER)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert case.hangs.silent
    assert not case.killed()
    case.ticks(2 * TICK)
    assert [record.levelno for record in caplog.records] == [logging.WARNING, logging.ERROR]
    assert case.hangs.hung
    assert case.killed()
    assert not case.answers.silent
    assert case.answers.serves


def test_a_worker_is_never_killed_without_a_limit() -> None:
    case = watched(patience=0)
    case.ticks(100 * PATIENCE)
    assert case.hangs.silent
    assert not case.killed()


def test_the_silence_is_counted_from_the_start_if_the_machine_was_suspended() -> None:
    case = watched()
    case.ticks(PATIENCE - TICK)
    case.watch.look(3600)
    assert not case.hangs.silent
    case.ticks(PATIENCE - TICK)
    assert not case.killed()
    case.ticks(TICK)
    assert case.killed()


def test_no_worker_is_killed_while_this_process_is_late_again_and_again() -> None:
    case = watched()
    for _ in range(100):
        case.watch.look(TICK + 2 * LATE)
    assert not case.killed()
