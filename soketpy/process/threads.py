"""Calls in threads that never keep the process from ending."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


async def in_thread(function: Callable[[], T]) -> T:
    """Return what a function returns in a new thread. Raise what the function raises.

    A file may be on a disk that does not answer. At its exit, Python waits for the threads of ``asyncio.to_thread``, so
    such a file would keep the process alive. Python does not wait for this thread.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def deliver(result: Callable[[], None]) -> None:
        if not future.done():  # the caller may have been cancelled
            result()

    def run() -> None:
        try:
            value = function()
        except Exception as fault:
            failure = fault
            result: Callable[[], None] = lambda: future.set_exception(failure)  # noqa: E731
        else:
            result = lambda: future.set_result(value)  # noqa: E731
        with suppress(RuntimeError):  # the event loop has ended
            loop.call_soon_threadsafe(deliver, result)

    threading.Thread(target=run, name="soketpy-files", daemon=True).start()
    return await future
