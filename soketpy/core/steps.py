"""Verbs that may have to wait, without a task each.

A verb is a coroutine. It runs within the call that begins it up to the first future without a result, and continues
within the call that sets the result: nothing else happens between the answer and what the verb does with it. A verb
that waits for nothing costs little more than a call, and needs no event loop.

A verb may also await a future of asyncio, or yield to the event loop with ``asyncio.sleep(0)``. It then continues in a
callback of the event loop. It has no task, so what needs one (``asyncio.timeout``) raises RuntimeError.

An exception stays within its verb: a verb that raises is logged and counted, and its caller is not disturbed.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Generator
from functools import partial
from typing import Any, Generic, TypeAlias, TypeVar, cast

from soketpy.core.containment import contain

log = logging.getLogger("soketpy.steps")

T = TypeVar("T")

Awaited: TypeAlias = "Future[Any] | asyncio.Future[Any] | None"
"""What a verb may wait for; None is the yield of ``asyncio.sleep(0)``."""

Operation = Coroutine[Awaited, None, None]
"""What is begun here. Nobody sees what it raises: it should answer its own faults."""

Soon = Callable[[Callable[[], None]], object]
"""Calls a function in the next iteration of the event loop, as ``loop.call_soon`` does, or somewhat later."""

Later = Callable[[float, Callable[[], None]], object]
"""Calls a function after so many seconds, as ``loop.call_later`` does."""


class Future(Generic[T]):
    """A value that is not there yet; to be awaited by one verb, and kept or broken once."""

    __slots__ = ("_fault", "_resume", "_settled", "_value")

    def __init__(self) -> None:
        self._settled = False
        self._value: T | None = None
        self._fault: Exception | None = None
        self._resume: Callable[[], None] | None = None

    def set_result(self, value: T) -> None:
        """Let the verb go on with the value, now."""
        self._value = value
        self._settle()

    def set_exception(self, fault: Exception) -> None:
        """Let the verb go on with an exception, now."""
        self._fault = fault
        self._settle()

    def _settle(self) -> None:
        self._settled = True
        if self._resume is not None:
            self._resume()

    def then(self, resume: Callable[[], None]) -> None:
        """Call this once the value is there."""
        self._resume = resume

    def __await__(self) -> Generator["Future[T]", None, T]:
        if not self._settled:
            yield self
        if self._fault is not None:
            raise self._fault
        return self._value  # type: ignore[return-value] # a T: keep was called


async def gather(*operations: Coroutine[Awaited, None, T]) -> list[T]:
    """What verbs give that are begun one behind the other and wait side by side; raises what the first of them raised.

    All have ended when this does, whatever they raise.
    """
    given: list[T | None] = [None] * len(operations)
    faults: list[BaseException] = []
    unfinished = len(operations)
    all_ended: Future[None] = Future()

    async def run(index: int, operation: Coroutine[Awaited, None, T]) -> None:
        nonlocal unfinished
        try:
            given[index] = await operation
        except (Exception, asyncio.CancelledError) as fault:
            faults.append(fault)
        unfinished -= 1
        if not unfinished:
            all_ended.set_result(None)

    for index, operation in enumerate(operations):
        begin(run(index, operation))
    if operations:
        await all_ended
    if faults:
        raise faults[0]
    return cast("list[T]", given)


def begin(operation: Operation, done: Callable[[], None] | None = None) -> bool:
    """Run a verb as far as it comes; whether it has ended. If it has not, ``done`` is called when it does.

    Never raises. A verb that raises has ended, and so has one that awaits something else than a future or one of
    asyncio: a TypeError is raised in it at that place.
    """
    try:
        awaited = operation.send(None)
        while not _continue_after(awaited, operation, done):
            awaited = operation.throw(TypeError(_cannot_await(awaited)))
    except StopIteration:
        return True
    except (Exception, asyncio.CancelledError) as fault:
        contain(log, fault, "%s failed", getattr(operation, "__qualname__", operation))
        return True
    return False


def _continue_after(awaited: object, operation: Operation, done: Callable[[], None] | None) -> bool:
    """Have the verb continue once it has what it awaits; whether that is something to wait for."""
    if type(awaited) is Future:
        awaited.then(partial(_resume, operation, done))
    elif isinstance(awaited, asyncio.Future) or getattr(awaited, "_asyncio_future_blocking", None) is not None:
        future = cast("asyncio.Future[Any]", awaited)
        future._asyncio_future_blocking = False  # what a task does with it, so that others may await it as well
        future.add_done_callback(lambda _: _resume(operation, done))
    elif awaited is None:
        asyncio.get_running_loop().call_soon(_resume, operation, done)
    else:
        return False
    return True


def _cannot_await(awaited: object) -> str:
    return f"a verb can await a Future of steps or one of asyncio, not {type(awaited).__name__}"


def _resume(operation: Operation, done: Callable[[], None] | None) -> None:
    if begin(operation, done) and done is not None:
        try:
            done()
        except Exception as fault:
            contain(log, fault, "What follows %s failed", getattr(operation, "__qualname__", operation))
