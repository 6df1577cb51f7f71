"""A database: its pool of connections, its time limit, and the words for its faults."""

import asyncio
import os
import re
import ssl
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, ClassVar

from sqlalchemy import event
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from soketpy.core.app_registry import RegistryRefused, RegistryUnavailable

CLOSE_TIMEOUT = 2.0
"""Seconds to wait until connections are closed, at most: a disk or a server may never answer."""

LONGEST_REASON = 300
"""Characters of the description of a fault, at most."""

SECOND_LIMIT = 1.0
"""Seconds after the time limit, when a call is cancelled again."""

LEAST_PRIVILEGES = "docs/apps.md has the privileges that are needed (Least privileges)"

FAULTS = (SQLAlchemyError, OSError, EOFError, RuntimeError)
"""The exceptions of every database. A closed transport of uvloop raises RuntimeError."""

_CLASS = re.compile(r"<class '[^']*'>: ")


class Collision(RegistryRefused):
    """A change by plain SQL, which does not hold the lock of changes, has taken an id or a key."""


class StatementFailed(RegistryUnavailable):
    """The database answers, but a statement has failed. ``code`` is that of the database, without values of a row."""

    def __init__(self, reason: str, code: str) -> None:
        super().__init__(reason)
        self.code = code


class Database(ABC):
    """One database. ``timeout`` (in seconds) is the time in which a call must end, including the connecting.

    The engine is in autocommit mode, so that a read is one statement. ``transaction`` begins a transaction.
    """

    name: ClassVar[str]
    """The name of the product, for messages."""

    faults: ClassVar[tuple[type[Exception], ...]] = FAULTS
    """The exceptions of a call, including those of the driver that SQLAlchemy does not wrap."""

    changing: ClassVar[Mapping[str, Any]] = {"isolation_level": "READ COMMITTED"}
    """Execution options of a transaction that changes something."""

    begin_initialising: ClassVar[str | None] = None
    end_initialising: ClassVar[str | None] = None
    """Statements around the creation of tables. Two processes must not create the tables at the same time."""

    def __init__(self, timeout: float, connections: int) -> None:
        self.timeout = timeout
        self._free = asyncio.Semaphore(connections)
        self._engine: AsyncEngine | None = None
        self._unfinished: dict[asyncio.Task[Any] | None, Any] = {}
        """Connections that are being set up, by the task that waits for them."""

    @abstractmethod
    def create_engine(self) -> AsyncEngine:
        """Return an engine. Nothing is connected yet."""

    def set_up(self, connection: Any) -> None:  # noqa: B027 - some databases need nothing
        """Set up a new connection, which has the interface of DBAPI."""

    @abstractmethod
    def denies(self, fault: BaseException) -> bool:
        """Return whether the user of the database lacks a privilege. ``fault`` is the error of the driver."""

    @abstractmethod
    async def watch(self, table: str, changed: Callable[[str | None], None]) -> None:
        """Call ``changed`` for each change that the database reports, until cancelled."""

    def prepare(self) -> None:  # noqa: B027 - most databases need nothing
        """Create the database if this is possible without an operator. Raise RegistryRefused if it fails."""

    async def is_new(self) -> bool:
        """Return whether the tables should be created at once, without an operator."""
        return False

    async def close(self) -> None:
        """Close all connections, and wait for this for ``CLOSE_TIMEOUT`` at most. The next call opens new ones."""
        engine, self._engine = self._engine, None
        if engine is None:
            return
        closing = asyncio.ensure_future(engine.dispose())
        try:
            await asyncio.wait([closing], timeout=CLOSE_TIMEOUT)
        finally:
            late = closing.cancel()
        if not late:
            closing.result()

    @asynccontextmanager
    async def connection(self, seconds: float | None = None, **options: Any) -> AsyncIterator[AsyncConnection]:
        """Lend a connection for at most ``seconds``. Raise RegistryUnavailable for each fault of the database."""
        limit = self.timeout if seconds is None else seconds
        if self._engine is None:
            self._engine = self._new_engine()
        try:
            # In Python 3.11, asyncio.wait_for may lose a cancellation, and with it the time limit. Therefore a call
            # waits for the semaphore and never for the pool, and a second limit ends what the first one did not end.
            async with (
                asyncio.timeout(limit + SECOND_LIMIT),
                asyncio.timeout(limit),
                self._free,
                self._engine.connect() as connection,
            ):
                yield await connection.execution_options(**options)
        except TimeoutError:
            raise RegistryUnavailable(f"{self.name} did not answer within {limit:g} s") from None
        except UnicodeDecodeError as fault:  # a driver cannot decode a value
            raise StatementFailed(f"{self.name}: a value is not valid text", type(fault).__name__) from None
        except self.faults as fault:
            if isinstance(fault, DBAPIError) and fault.statement is not None and not fault.connection_invalidated:
                raise StatementFailed(self.reason_of(fault), code_of(fault)) from None
            raise RegistryUnavailable(self.reason_of(fault)) from None
        finally:
            unfinished = self._unfinished.pop(asyncio.current_task(), None)
            if unfinished is not None:
                unfinished.terminate()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection in a transaction, which is committed at the end, or rolled back after an exception.

        Raise RegistryRefused if the user of the database may not make the change, or a value does not fit.
        """
        async with self.connection(**self.changing) as connection:
            with self._refusals():
                async with connection.begin():
                    yield connection

    @asynccontextmanager
    async def initialising(self, seconds: float) -> AsyncIterator[AsyncConnection]:
        """Lend a connection in a transaction that creates tables. Only one process can have it at the same time.

        Raise RegistryRefused if the user of the database may not create tables.
        """
        async with self.connection(seconds, **self.changing) as connection:
            with self._refusals():
                async with connection.begin():
                    if self.begin_initialising is not None:
                        await connection.exec_driver_sql(self.begin_initialising)
                    try:
                        yield connection
                    finally:
                        if self.end_initialising is not None and not connection.invalidated:
                            await connection.exec_driver_sql(self.end_initialising)

    def _new_engine(self) -> AsyncEngine:
        """Return an engine whose connections are set up.

        SQLAlchemy does not close a connection if the setup is cancelled. ``connection`` does it.
        """

        def begin(connection: Any, _: object) -> None:
            self._unfinished[asyncio.current_task()] = connection

        def end(connection: Any, _: object) -> None:
            self.set_up(connection)
            del self._unfinished[asyncio.current_task()]

        engine = self.create_engine()
        event.listen(engine.sync_engine, "connect", begin, insert=True)  # before SQLAlchemy's own setup
        event.listen(engine.sync_engine, "connect", end)
        return engine

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        """Raise RegistryRefused for faults that are none of the database."""
        try:
            yield
        except IntegrityError:
            raise Collision(f"{self.name} has another app with its id or one of its keys") from None
        except DataError:  # its text may contain a value, such as a secret
            raise RegistryRefused(f"{self.name} cannot store a value of this app") from None
        except DBAPIError as fault:
            if self.denies(_of_driver(fault)):
                raise RegistryRefused(self.reason_of(fault)) from None
            raise

    @property
    def place(self) -> str:
        """Return which database does not answer, for messages; empty if the name of the product is enough."""
        return ""

    def reason_of(self, fault: BaseException) -> str:
        """Return the description of a fault, in one line, without passwords."""
        original = _of_driver(fault)
        hint = ""
        if self.denies(original):
            hint = f"; {LEAST_PRIVILEGES}"
        elif self.place and self.is_unreachable(original):
            hint = f" ({self.place})"
        if len(original.args) > 1 and isinstance(original.args[0], int) and not isinstance(original, OSError):
            text = f"{original.args[1]} ({original.args[0]})"
        elif isinstance(original, ssl.SSLError):  # an OSError whose number is not one of the system
            text = str(original)
        elif isinstance(original, OSError) and (original.errno or 0) > 0 and original.filename is None:
            text = os.strerror(original.errno or 0)
        else:
            text = _CLASS.sub("", str(original))
        lines = text.strip().splitlines()
        reason = f"{self.name}: {lines[0] if lines else type(original).__name__}"
        return f"{reason[: LONGEST_REASON - len(hint)]}{hint}"

    def is_unreachable(self, fault: BaseException) -> bool:
        """Return whether no connection could be opened. ``fault`` is the error of the driver."""
        return isinstance(fault, OSError)


def code_of(fault: BaseException) -> str:
    """Return the SQLSTATE or the number of a fault, or the name of its class."""
    original = _of_driver(fault)
    number = original.args[0] if original.args and isinstance(original.args[0], int) else type(original).__name__
    return str(getattr(original, "sqlstate", None) or number)


def _of_driver(fault: BaseException) -> BaseException:
    """Return the error of the driver that SQLAlchemy has wrapped."""
    original = getattr(fault, "orig", None)
    return original if isinstance(original, BaseException) else fault
