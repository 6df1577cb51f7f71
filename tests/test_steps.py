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
