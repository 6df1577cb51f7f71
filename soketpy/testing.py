"""A pytest fixture for those who test their own application against a real server.

Installed with the package: a test that takes ``soketpy_server`` gets a server of its own on a free port, which runs in
a thread of its own, so that plain and async tests can use it alike. The server is imported by the first test that takes
one: pytest loads this module in every run.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from soketpy.config import Settings

START_TIMEOUT = 10.0
"""Seconds that a server has to start."""


@dataclass(frozen=True, slots=True)
class RunningServer:
    """Where the server is, and the credentials of its one app: what a Pusher library wants to know."""

    host: str
    port: int
    app_id: str
    key: str
    secret: str


@contextmanager
def running_server(settings: "Settings | None" = None) -> Iterator[RunningServer]:
    """Run a server in a thread, on a free port of the loopback address. By default its app lets client events be.

    The default app's id is a number, since PyPI's ``pusher`` takes no other.
    """
    from soketpy.config import Settings
    from soketpy.config.settings import DEFAULT_APP

    if not isinstance(settings, Settings | None):
        raise TypeError(f"running_server takes Settings, not {type(settings).__name__}")
    if settings is not None and not settings.apps:
        raise ValueError("running_server needs settings with at least one app")
    app = replace(DEFAULT_APP, id="1", client_events=True)
    settings = replace(settings or Settings(apps=(app,)), host="127.0.0.1", port=0)
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


class _ServerThread(threading.Thread):
    """Runs one server until it is told to stop."""

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
        except BaseException as fault:  # to be raised in the thread that waits for the start
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
        """Stop the server, and wait until it has."""
        self._loop.call_soon_threadsafe(self._ending.set)
        self.join()


@pytest.fixture
def soketpy_server() -> Iterator[RunningServer]:
    """A server of the test's own, with one app: ``1``, ``app-key``, ``app-secret``."""
    with running_server() as server:
        yield server
