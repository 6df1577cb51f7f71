"""Verbs that wait without a task: they go on within the call that brings the answer."""

import pytest

from soketpy import steps
from soketpy.steps import Promise


class Account:
    """What a verb has done so far."""

    def __init__(self) -> None:
        self.done: list[object] = []

    async def note(self, *promises: Promise[str]) -> None:
        self.done.append("begun")
        for promise in promises:
            try:
                self.done.append(await promise)
            except LookupError as fault:
                self.done.append(repr(fault))
        self.done.append("ended")


def test_a_verb_that_waits_for_nothing_ends_within_the_call() -> None:
    account = Account()
    assert steps.begin(account.note(), lambda: account.done.append("told"))
    assert account.done == ["begun", "ended"]


def test_a_verb_goes_on_within_the_call_that_keeps_its_promise() -> None:
    account, first, second = Account(), Promise[str](), Promise[str]()
    assert not steps.begin(account.note(first, second), lambda: account.done.append("told"))
    assert account.done == ["begun"]
    first.keep("one")
    assert account.done == ["begun", "one"]
    second.keep("two")
    assert account.done == ["begun", "one", "two", "ended", "told"]


def test_nobody_needs_to_be_told_of_the_end() -> None:
    account, promise = Account(), Promise[str]()
    assert not steps.begin(account.note(promise))
    promise.keep("one")
    assert account.done[-1] == "ended"


def test_a_promise_that_is_kept_already_holds_nobody_up() -> None:
    account, promise = Account(), Promise[str]()
    promise.keep("before")
    assert steps.begin(account.note(promise))
    assert account.done == ["begun", "before", "ended"]


@pytest.mark.parametrize("before", [True, False])
def test_a_promise_that_is_broken_raises_in_the_verb(before: bool) -> None:
    account, promise = Account(), Promise[str]()
    if before:
        promise.fail(LookupError("gone"))
    ended = steps.begin(account.note(promise))
    assert ended == before
    if not before:
        promise.fail(LookupError("gone"))
    assert account.done == ["begun", "LookupError('gone')", "ended"]


async def value_of(promise: Promise[str]) -> str:
    return await promise


def test_verbs_that_wait_together_end_with_the_last_answer_in_their_own_order() -> None:
    first, second = Promise[str](), Promise[str]()
    found: list[list[str]] = []

    async def ask() -> None:
        found.append(await steps.together(value_of(first), value_of(second)))

    assert not steps.begin(ask())
    second.keep("two")
    assert found == []
    first.keep("one")
    assert found == [["one", "two"]]


def test_the_first_fault_of_verbs_that_wait_together_is_raised_when_all_have_ended() -> None:
    first, second, third = Promise[str](), Promise[str](), Promise[str]()
    faults: list[str] = []

    async def ask() -> None:
        try:
            await steps.together(value_of(first), value_of(second), value_of(third))
        except LookupError as fault:
            faults.append(str(fault))

    assert not steps.begin(ask())
    second.fail(LookupError("second"))
    first.fail(LookupError("first"))
    assert faults == []
    third.keep("three")
    assert faults == ["second"]


def test_no_verbs_wait_for_nothing() -> None:
    found: list[list[str]] = []

    async def ask() -> None:
        found.append(await steps.together())

    assert steps.begin(ask())
    assert found == [[]]
