"""A pytest fixture for tests of applications against a real server.

pytest loads this plugin when soketpy is installed. A test that uses the fixture ``soketpy_server`` gets its own server
on a free port. The server runs in a thread, so that plain and async tests can use it. The first test that uses the
fixture imports the server, because pytest loads this module in every run.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from soketpy.config import Settings
    from soketpy.config.settings import Webhooks

START_TIMEOUT = 10.0
"""Seconds that a server has to start."""


@dataclass(frozen=True, slots=True)
class RunningServer:
    """The address of a server and the credentials of its first app, for a Pusher library."""

    host: str
    port: int
    app_id: str
    key: str
    secret: str


@contextmanager
def running_server(settings: "Settings | None" = None) -> Iterator[RunningServer]:
    """Run a server in a thread, on a free port of the loopback address. Its default app allows client events.

    Raise RuntimeError if the server does not start.
    """
    from soketpy.config import Settings
    from soketpy.config.settings import DEFAULT_APP

    if not isinstance(settings, Settings | None):
        raise TypeError(f"running_server takes Settings, not {type(settings).__name__}")
    if settings is not None and not settings.apps:
        raise ValueError("running_server needs settings with at least one app")
    app = replace(DEFAULT_APP, client_events=True)
    settings = settings or Settings(apps=(app,))
    settings = replace(settings, host="127.0.0.1", port=0, webhooks=in_memory(settings.webhooks))
    if settings.history.store == "auto" and settings.cluster == "local":
        settings = replace(settings, history=replace(settings.history, store="memory"))
    started: Any = threading.Event()
    thread = _ServerThread(settings, started)
    thread.start()
    if not started.wait(START_TIMEOUT) or thread.failure is not None:
        raise RuntimeError("The server did not start") from thread.failure
    first = settings.apps[0]
    try:
        yield RunningServer("127.0.0.1", thread.port, first.id, first.key, first.keys[0].secret)
    finally:
        thread.stop()


def in_memory(webhooks: "Webhooks") -> "Webhooks":
    """Return settings with the queue ``memory``, unless they name a queue: tests must not share a file."""
    return replace(webhooks, queue="memory") if webhooks.queue == "auto" else webhooks


class _ServerThread(threading.Thread):
    """The thread of one server. It runs until ``stop`` is called."""

    def __init__(self, settings: "Settings", started: threading.Event) -> None:
        super().__init__(name="soketpy", daemon=True)
        self.port = 0
        self.failure: BaseException | None = None
        self._settings = settings
        self._ready = started  # not _started, which is a name of Thread's own
        import asyncio

        self._loop = asyncio.new_event_loop()
        self._ending = asyncio.Event()

    def run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        except BaseException as fault:  # raised in the thread that waits for the start
            self.failure = fault
        finally:
            self._ready.set()
            self._loop.close()

    async def _serve(self) -> None:
        from soketpy.process.server import Server

        async with Server(self._settings) as server:
            self.port = server.port or 0
            self._ready.set()
            await self._ending.wait()

    def stop(self) -> None:
        """Stop the server and wait until it has stopped."""
        self._loop.call_soon_threadsafe(self._ending.set)
        self.join()


@pytest.fixture
def soketpy_server() -> Iterator[RunningServer]:
    """Run a server for one test, with one app: ``1``, ``app-key``, ``app-secret``."""
    with running_server() as server:
        yield server
