"""The logs of channels with history on one node, in an SQLite file. They survive a restart.

An event is delivered when its transaction has ended, so an event that a client has got is in the log. It then survives
``kill -9``, and a crash of the machine if the disk confirms a write only after storing it.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from soketpy.core.containment import contain
from soketpy.core.history import HistoryRule, LogCounts, Page, Position, Query, RulesOf
from soketpy.core.idempotency import KeyReused, Once
from soketpy.core.ports import HistoryUnavailable, NotStored, Receipt, Unavailable
from soketpy.core.steps import Future
from soketpy.core.tabs import Tabs
from soketpy.drivers.sqlite.kinds import Kind
from soketpy.drivers.sqlite.tabs import SqliteTabs
from soketpy.drivers.window import Window
from soketpy.protocol.messages import Event

if TYPE_CHECKING:
    from soketpy.drivers.sqlite.file import Lock
    from soketpy.drivers.sqlite.logs import LogStore
    from soketpy.drivers.sqlite.thread import StoreThread

log = logging.getLogger("soketpy.history")

T = TypeVar("T")

CANNOT_READ = Unavailable("The history cannot be read now; try again.")
CANNOT_STORE = NotStored("The event cannot be stored in the history now, and it was sent to nobody; try again.")


class SqliteHistory:
    """The logs of this node in a file, which at most one server uses.

    ``app_size`` is the most bytes of all logs of one app, ``size`` those of all apps. ``clock`` returns the Unix time
    in seconds. The file is opened by ``start``, or else by the first event or read.
    """

    def __init__(
        self,
        path: str,
        *,
        app_size: int,
        size: int,
        once_for: float = 120,
        needed: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._path = path
        self._app_size, self._size = app_size, size
        self._once_for = once_for
        self._needed = needed
        self._clock = clock
        self.tabs: Tabs = SqliteTabs(self, clock)
        self._window = Window()
        self._lock: Lock | None = None
        self._thread: StoreThread[LogStore] | None = None
        self._store: LogStore | None = None
        self._stopped = False
        self._events = 0  # events that were stored since the start
        self._logged = ""  # the reason for which the file cannot be used now

    touch = None

    @property
    def full(self) -> Window:
        """The apps that have reached their limit of bytes that wait for the disk."""
        return self._window

    async def room(self, app_id: str) -> None:
        """Wait until an app is no longer full."""
        await self._window.room(app_id)

    @property
    def counts(self) -> LogCounts:
        """The counts of the logs, for metrics."""
        if self._store is None:
            return LogCounts()
        logs, size, dropped = self._store.counts
        return LogCounts(logs, size, self._events, dropped)

    async def start(self) -> None:
        """Open the file, if this is ``needed`` now. Raise HistoryUnavailable if it cannot be used."""
        if not self._needed:
            return
        answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        from soketpy.drivers.sqlite.thread import resolve

        try:
            self._open().run(Kind.READ, lambda store: None, partial(resolve, answered))
            await answered
        except BaseException:
            await self.stop()
            raise

    def _open(self) -> "StoreThread[LogStore]":
        """Return the thread, and start it if it does not run. Raise HistoryUnavailable."""
        if self._thread is not None:
            return self._thread
        from soketpy.drivers.sqlite.file import Lock
        from soketpy.drivers.sqlite.logs import LogStore
        from soketpy.drivers.sqlite.thread import StoreThread

        if self._stopped:
            raise HistoryUnavailable(f"{self._path} is not open")
        self._lock = Lock(self._path, HistoryUnavailable)
        self._store = LogStore(
            self._path, self._clock, app_size=self._app_size, size=self._size, once_for=self._once_for
        )
        self._thread = StoreThread(self._store, "soketpy-history", HistoryUnavailable)
        return self._thread

    async def stop(self) -> None:
        """Complete the transactions that were begun, and close the file."""
        self._stopped = True
        thread, self._thread = self._thread, None
        if thread is not None:
            await thread.stop()
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()

    def _opened(self, refusal: Unavailable) -> "StoreThread[LogStore]":
        """Return the running thread. Raise an exception like ``refusal`` if the file cannot be used."""
        if self._thread is not None:
            return self._thread
        try:
            return self._open()
        except Exception as fault:
            self._note(fault)
            raise type(refusal)(*refusal.args) from None

    def publish(
        self,
        app_id: str,
        channel: str,
        event: Event,
        rule: HistoryRule,
        exclude: str | None,
        deliver: Callable[[Position], None],
        once: Once | None = None,
    ) -> Receipt:
        """Store an event, and then deliver it. Raise NotStored if the file cannot be used.

        Do neither if an event with the same key ``once`` was stored lately. If it was another event, awaiting the
        receipt raises KeyReused.

        Awaiting the receipt raises NotStored if the event could not be stored. The event is not delivered then.
        """
        thread = self._opened(CANNOT_STORE)
        weight = self._window.reserve(app_id, len(app_id) + len(channel) + len(event.name) + len(event.data))
        receipt: Future[None] = Future()
        thread.run(
            Kind.PUT,
            lambda store: store.append(app_id, channel, event, rule, exclude, once),
            partial(self._stored, app_id, weight, receipt, deliver),
        )
        return receipt

    def _stored(
        self,
        app_id: str,
        weight: int,
        receipt: Future[None],
        deliver: Callable[[Position], None],
        position: Position | KeyReused | None,
        fault: Exception | None,
    ) -> None:
        """Deliver an event that is in the file, and confirm it."""
        try:
            if fault is not None:
                receipt.set_exception(self._refusal(fault, CANNOT_STORE))
                return
            self._logged = ""
            if isinstance(position, KeyReused):
                receipt.set_exception(position)
                return
            self._events += 1
            try:
                if position is not None:
                    deliver(position)
            except Exception as another:
                contain(log, another, "App %s: a stored event could not be delivered", app_id)
            receipt.set_result(None)
        finally:
            self._window.release(app_id, weight)

    async def read(self, app_id: str, channel: str, rule: HistoryRule, query: Query, *, begin: bool = False) -> Page:
        """Return a page of a log. Raise Unavailable if the file cannot be used.

        The thread answers in the order of its work. So the operation resumes when the events up to ``Page.last`` are
        delivered, and no later event.
        """
        return await self.run(Kind.READ, lambda store: store.read(app_id, channel, rule, query, begin=begin))

    def drop_unruled(self, rules: RulesOf) -> None:
        """Drop the logs of channels that no longer have a rule, if the file is open. Never blocks."""
        self.run_if_open(Kind.PUT, lambda store: store.drop_unruled(rules))

    async def run(self, kind: Kind, job: Callable[["LogStore"], T]) -> T:
        """Return the result of a job of the thread. Raise Unavailable if the file cannot be used."""
        answered: Future[T] = Future()
        self._opened(CANNOT_READ).run(kind, job, partial(self._settle, answered))
        return await answered

    def run_if_open(self, kind: Kind, job: Callable[["LogStore"], None]) -> None:
        """Run a job that nobody awaits, if the file is open."""
        if self._thread is not None:
            self._thread.run(kind, job, self._note_result)

    def _note_result(self, value: None, fault: Exception | None) -> None:
        if fault is not None:
            self._note(fault)

    def _settle(self, answered: Future[Any], value: Any, fault: Exception | None) -> None:
        if fault is None:
            answered.set_result(value)
        else:
            answered.set_exception(self._refusal(fault, CANNOT_READ))

    def _refusal(self, fault: Exception, refusal: Unavailable) -> Exception:
        """Return the exception for clients, and log the fault if it is a new one."""
        if not isinstance(fault, HistoryUnavailable):
            return fault
        self._note(fault)
        return type(refusal)(*refusal.args)

    def _note(self, fault: Exception) -> None:
        if str(fault) != self._logged:
            self._logged = str(fault)
            log.error(
                "The history cannot be stored or read, and publishers get 503: %(reason)s",
                {"event": "history_unavailable", "reason": fault},
            )
