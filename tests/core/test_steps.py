"""Operations that wait without a task: the call that sets the result resumes them."""

import asyncio
from collections.abc import Coroutine, Generator

import pytest

from soketpy.core import steps
from soketpy.core.steps import Future
from tests.conftest import Contained


class Account:
    """The steps that an operation has done."""

    def __init__(self) -> None:
        self.done: list[object] = []

    async def note(self, *futures: Future[str]) -> None:
        self.done.append("begun")
        for future in futures:
            try:
                self.done.append(await future)
            except LookupError as fault:
                self.done.append(repr(fault))
        self.done.append("ended")


def test_an_operation_that_waits_for_nothing_ends_within_the_call() -> None:
    account = Account()
    assert steps.begin(account.note(), lambda: account.done.append("told"))
    assert account.done == ["begun", "ended"]


def test_an_operation_continues_within_the_call_that_sets_the_result() -> None:
    account, first, second = Account(), Future[str](), Future[str]()
    assert not steps.begin(account.note(first, second), lambda: account.done.append("told"))
    assert account.done == ["begun"]
    first.set_result("one")
    assert account.done == ["begun", "one"]
    second.set_result("two")
    assert account.done == ["begun", "one", "two", "ended", "told"]


def test_nobody_needs_to_be_told_of_the_end() -> None:
    account, future = Account(), Future[str]()
    assert not steps.begin(account.note(future))
    future.set_result("one")
    assert account.done[-1] == "ended"


def test_a_future_that_has_its_result_holds_nobody_up() -> None:
    account, future = Account(), Future[str]()
    future.set_result("before")
    assert steps.begin(account.note(future))
    assert account.done == ["begun", "before", "ended"]


@pytest.mark.parametrize("before", [True, False])
def test_a_future_with_an_exception_raises_in_the_operation(before: bool) -> None:
    account, future = Account(), Future[str]()
    if before:
        future.set_exception(LookupError("gone"))
    ended = steps.begin(account.note(future))
    assert ended == before
    if not before:
        future.set_exception(LookupError("gone"))
    assert account.done == ["begun", "LookupError('gone')", "ended"]


async def value_of(future: Future[str]) -> str:
    return await future


def test_operations_that_wait_together_end_with_the_last_answer_in_their_own_order() -> None:
    first, second = Future[str](), Future[str]()
    found: list[list[str]] = []

    async def ask() -> None:
        found.append(await steps.gather(value_of(first), value_of(second)))

    assert not steps.begin(ask())
    second.set_result("two")
    assert found == []
    first.set_result("one")
    assert found == [["one", "two"]]


def test_the_first_fault_of_operations_that_wait_together_is_raised_when_all_have_ended() -> None:
    first, second, third = Future[str](), Future[str](), Future[str]()
    faults: list[str] = []

    async def ask() -> None:
        try:
            await steps.gather(value_of(first), value_of(second), value_of(third))
        except LookupError as fault:
            faults.append(str(fault))

    assert not steps.begin(ask())
    second.set_exception(LookupError("second"))
    first.set_exception(LookupError("first"))
    assert faults == []
    third.set_result("three")
    assert faults == ["second"]


def test_no_operations_wait_for_nothing() -> None:
    found: list[list[str]] = []

    async def ask() -> None:
        found.append(await steps.gather())

    assert steps.begin(ask())
    assert found == [[]]


# Futures of asyncio


async def test_an_operation_may_await_a_future() -> None:
    account: list[object] = []
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    ended = asyncio.Event()

    async def operation() -> None:
        account.append(await future)
        await asyncio.sleep(0)
        await asyncio.sleep(0.001)
        account.append(await asyncio.gather(asyncio.sleep(0, "one"), asyncio.sleep(0, "two")))

    assert not steps.begin(operation(), ended.set)
    future.set_result("there")
    await ended.wait()
    assert account == ["there", ["one", "two"]]


@pytest.mark.parametrize("fault", [LookupError("gone"), asyncio.CancelledError()])
async def test_a_future_that_fails_raises_in_the_operation(fault: BaseException) -> None:
    seen: list[BaseException] = []
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    ended = asyncio.Event()

    async def operation() -> None:
        try:
            await future
        except BaseException as raised:
            seen.append(raised)

    steps.begin(operation(), ended.set)
    if isinstance(fault, LookupError):
        future.set_exception(fault)
    else:
        future.cancel()
    await ended.wait()
    assert [type(each) for each in seen] == [type(fault)]


async def test_an_operation_whose_future_is_cancelled_has_ended(contained: Contained) -> None:
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    ended = asyncio.Event()

    async def operation() -> None:
        await steps.gather(wait_for(future))

    async def wait_for(future: asyncio.Future[str]) -> str:
        return await future

    steps.begin(operation(), ended.set)
    future.cancel()
    await ended.wait()
    assert contained.count == 1


class Odd:
    """Something that only another event loop can wait for."""

    def __await__(self) -> Generator[str, None, None]:
        yield "odd"


def test_what_cannot_be_awaited_fails_at_once_and_says_so() -> None:
    seen: list[str] = []

    async def operation() -> None:
        for _ in range(2):
            try:
                await Odd()
            except TypeError as fault:
                seen.append(str(fault))

    assert steps.begin(operation())
    assert seen == ["an operation can await a Future of steps or one of asyncio, not str"] * 2


def refused_by_mypy(coroutine: Coroutine[str, None, None], awaitable: Odd) -> None:
    """Never called: mypy must report both, and reports the comment if it does not."""
    steps.begin(coroutine)  # type: ignore[arg-type]
    steps.begin(awaitable)  # type: ignore[arg-type]


# Faults


def test_an_operation_that_raises_has_ended_and_disturbs_nobody(
    contained: Contained, caplog: pytest.LogCaptureFixture
) -> None:
    future, ended = Future[str](), []

    async def fail_at_once() -> None:
        raise RuntimeError("at once")

    async def fail_later() -> None:
        await future
        raise RuntimeError("later")

    assert steps.begin(fail_at_once())
    assert not steps.begin(fail_later(), lambda: ended.append("told"))
    future.set_result("now")
    assert ended == ["told"]
    assert contained.count == 2
    assert "fail_later failed" in caplog.text
    assert "RuntimeError: later" in caplog.text


def test_what_follows_an_operation_disturbs_nobody_either(contained: Contained) -> None:
    future = Future[str]()

    def fail() -> None:
        raise RuntimeError("afterwards")

    steps.begin(Account().note(future), fail)
    future.set_result("now")
    assert contained.count == 1
