"""Operations that may have to wait, without a task each.

An operation is a coroutine. ``begin`` runs it until it awaits a future without a result. The call that sets the result
also resumes the operation: nothing else happens between a reply of Redis and the code that uses it. An operation that
does not wait costs little more than a call, and needs no event loop.

An operation may also await a future of asyncio, or yield to the event loop with ``asyncio.sleep(0)``. A callback of the
event loop then resumes it. It has no task, so a function that needs one (``asyncio.timeout``) raises RuntimeError.

An exception does not leave its operation: it is logged and counted, and the caller of ``begin`` is not affected.
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
"""A value that an operation may await. None is the yield of ``asyncio.sleep(0)``."""

Operation = Coroutine[Awaited, None, None]
"""A coroutine for ``begin``. No caller sees its exceptions: it should handle them itself."""

Soon = Callable[[Callable[[], None]], object]
"""Calls a function in the next event loop iteration, as ``loop.call_soon`` does, or somewhat later."""

Later = Callable[[float, Callable[[], None]], object]
"""Calls a function after a number of seconds, as ``loop.call_later`` does."""


class Future(Generic[T]):
    """A result that is not yet known. One operation may await it; its result or exception is set once."""

    # Defaults of the class instead of an __init__: every publication makes a future, and few of them are awaited.
    _settled = False
    _value: T | None = None
    _fault: Exception | None = None
    _resume: Callable[[], None] | None = None

    def set_result(self, value: T) -> None:
        """Set the result, and resume the operation that awaits it."""
        self._value = value
        self._settle()

    def set_exception(self, fault: Exception) -> None:
        """Set an exception, and resume the operation that awaits the result: it raises the exception."""
        self._fault = fault
        self._settle()

    def _settle(self) -> None:
        self._settled = True
        if self._resume is not None:
            self._resume()

    def then(self, resume: Callable[[], None]) -> None:
        """Call ``resume`` when the result or exception is set."""
        self._resume = resume

    def __await__(self) -> Generator["Future[T]", None, T]:
        if not self._settled:
            yield self
        if self._fault is not None:
            raise self._fault
        return self._value  # type: ignore[return-value] # a T: set_result was called


async def gather(*operations: Coroutine[Awaited, None, T]) -> list[T]:
    """Begin operations one after the other, wait for all, and return their results in order.

    Raises the first exception, after all operations have ended.
    """
    results: list[T | None] = [None] * len(operations)
    faults: list[BaseException] = []
    unfinished = len(operations)
    all_ended: Future[None] = Future()

    async def run(index: int, operation: Coroutine[Awaited, None, T]) -> None:
        nonlocal unfinished
        try:
            results[index] = await operation
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
    return cast("list[T]", results)


def begin(operation: Operation, done: Callable[[], None] | None = None) -> bool:
    """Run an operation until it waits. Return whether it has ended; if not, ``done`` is called when it ends.

    Never raises. An operation that raises has ended. One that awaits neither a Future nor a future of asyncio gets a
    TypeError at its ``await``.
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
    """Resume the operation when ``awaited`` has its result. Return False if ``awaited`` cannot be awaited."""
    if type(awaited) is Future:
        awaited.then(partial(_resume, operation, done))
    elif isinstance(awaited, asyncio.Future) or getattr(awaited, "_asyncio_future_blocking", None) is not None:
        future = cast("asyncio.Future[Any]", awaited)
        future._asyncio_future_blocking = False  # as a task does, so that others may await the future too
        future.add_done_callback(lambda _: _resume(operation, done))
    elif awaited is None:
        asyncio.get_running_loop().call_soon(_resume, operation, done)
    else:
        return False
    return True


def _cannot_await(awaited: object) -> str:
    return f"an operation can await a Future of steps or one of asyncio, not {type(awaited).__name__}"


def _resume(operation: Operation, done: Callable[[], None] | None) -> None:
    if begin(operation, done) and done is not None:
        try:
            done()
        except Exception as fault:
            contain(log, fault, "The callback after %s failed", getattr(operation, "__qualname__", operation))
