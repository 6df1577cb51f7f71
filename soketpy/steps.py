"""Verbs that may have to wait, without a task each.

A verb is a coroutine. It runs within the call that begins it up to the first promise that is not kept yet, and goes on
within the call that keeps it: nothing else happens between the answer and what the verb does with it. A verb that
waits for nothing costs little more than a call, and needs no event loop.
"""

from collections.abc import Callable, Coroutine, Generator
from typing import Any, Generic, TypeVar, cast

T = TypeVar("T")

Verb = Coroutine["Promise[Any]", None, None]
"""What is begun here. It must not raise: nobody would be there to catch it."""

Soon = Callable[[Callable[[], None]], object]
"""Calls a function in the next iteration of the event loop, as ``loop.call_soon`` does, or somewhat later."""


class Promise(Generic[T]):
    """A value that is not there yet; to be awaited by one verb, and kept or broken once."""

    __slots__ = ("_fault", "_go_on", "_settled", "_value")

    def __init__(self) -> None:
        self._settled = False
        self._value: T | None = None
        self._fault: Exception | None = None
        self._go_on: Callable[[], None] | None = None

    def keep(self, value: T) -> None:
        """Let the verb go on with the value, now."""
        self._value = value
        self._settle()

    def fail(self, fault: Exception) -> None:
        """Let the verb go on with an exception, now."""
        self._fault = fault
        self._settle()

    def _settle(self) -> None:
        self._settled = True
        if self._go_on is not None:
            self._go_on()

    def then(self, go_on: Callable[[], None]) -> None:
        """Call this once the value is there."""
        self._go_on = go_on

    def __await__(self) -> Generator["Promise[T]", None, T]:
        if not self._settled:
            yield self
        if self._fault is not None:
            raise self._fault
        return self._value  # type: ignore[return-value] # a T: keep was called


async def together(*verbs: Coroutine["Promise[Any]", None, T]) -> list[T]:
    """What verbs give that are begun one behind the other and wait side by side; raises what the first of them raised.

    All have ended when this does, whatever they raise.
    """
    given: list[T | None] = [None] * len(verbs)
    faults: list[Exception] = []
    unfinished = len(verbs)
    all_ended: Promise[None] = Promise()

    async def run(index: int, verb: Coroutine["Promise[Any]", None, T]) -> None:
        nonlocal unfinished
        try:
            given[index] = await verb
        except Exception as fault:
            faults.append(fault)
        unfinished -= 1
        if not unfinished:
            all_ended.keep(None)

    for index, verb in enumerate(verbs):
        begin(run(index, verb))
    if verbs:
        await all_ended
    if faults:
        raise faults[0]
    return cast("list[T]", given)


def begin(verb: Verb, done: Callable[[], None] | None = None) -> bool:
    """Run a verb as far as it comes; whether it has ended. If it has not, ``done`` is called when it does."""
    try:
        promise = verb.send(None)
    except StopIteration:
        return True
    promise.then(lambda: _go_on(verb, done))
    return False


def _go_on(verb: Verb, done: Callable[[], None] | None) -> None:
    if begin(verb, done) and done is not None:
        done()
