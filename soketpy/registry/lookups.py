"""Lookups of apps that are not in the cache. Those that arrive during a query share the next query."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable
from itertools import islice

from soketpy.core.app_registry import RegistryUnavailable
from soketpy.core.apps import App
from soketpy.core.containment import contain

log = logging.getLogger("soketpy.apps")

BATCH = 100
"""Ids, and keys, that one query looks up."""

MOST_WAITING = 10_000
"""Different ids, and different keys, that may wait for a query. Further lookups are refused."""

LONGEST = 512
"""Characters of an id or a key that is looked up. There are no longer ones, and they would take much memory."""

PAUSE = 1.0
"""Seconds after a fault of the registry in which lookups are refused without a query."""

STOP_TIMEOUT = 1.0
"""Seconds that a query may take when the server stops."""

Answer = asyncio.Future[App | None]

Query = Callable[[Collection[str], Collection[str]], Awaitable[None]]
"""Fetches the apps with these ids and these keys, and takes them into the cache. Raises RegistryUnavailable."""


class Lookups:
    """Asks a registry for ids and keys. At most one query runs at a time, whatever number of clients wait for it."""

    def __init__(
        self,
        query: Query,
        id_answer: Callable[[str], App | None],
        key_answer: Callable[[str], App | None],
        settled: Callable[[], object],
        clock: Callable[[], float],
    ) -> None:
        """Read the answers from the cache after each query, and then call ``settled``.

        The answers may raise RegistryUnavailable.
        """
        self._query = query
        self._id_answer = id_answer
        self._key_answer = key_answer
        self._settled = settled
        self._clock = clock
        self._ids: dict[str, Answer] = {}
        self._keys: dict[str, Answer] = {}
        self._running: asyncio.Task[None] | None = None
        self.waits = 0  # lookups that waited for a query
        self._refused_until = 0.0
        self._reason = ""

    async def by_id(self, app_id: str) -> App | None:
        """Return the app with this id, or None. Raises RegistryUnavailable. A coroutine for ``steps`` or a task."""
        return await self._ask(self._ids, app_id)

    async def by_key(self, key: str) -> App | None:
        """Return the app with this key, or None. Raises RegistryUnavailable. A coroutine for ``steps`` or a task."""
        return await self._ask(self._keys, key)

    async def stop(self) -> None:
        """Refuse all lookups that wait, and end the query that runs."""
        self._fail((*self._ids.values(), *self._keys.values()), RegistryUnavailable("the server is stopping"))
        self._ids.clear()
        self._keys.clear()
        if self._running is not None:
            await end(self._running)

    async def _ask(self, waiting: dict[str, Answer], name: str) -> App | None:
        if len(name) > LONGEST:
            return None
        answer = waiting.get(name)
        if answer is None:
            if self._clock() < self._refused_until:
                raise RegistryUnavailable(self._reason)
            if len(waiting) >= MOST_WAITING:
                raise RegistryUnavailable("too many lookups of apps wait")
            answer = waiting[name] = asyncio.get_running_loop().create_future()
            if self._running is None:
                self._running = asyncio.create_task(self._run())
        self.waits += 1
        return await asyncio.shield(answer)  # a caller that is cancelled does not cancel the lookups of others

    async def _run(self) -> None:
        while self._ids or self._keys:
            ids, keys = _first(self._ids), _first(self._keys)
            try:
                await self._query(ids, keys)
            except Exception as fault:
                self._refuse(ids, keys, fault)
                continue
            for name in ids:
                _settle(self._ids.pop(name, None), self._id_answer, name)
            for name in keys:
                _settle(self._keys.pop(name, None), self._key_answer, name)
            self._settled()
        self._running = None

    def _refuse(self, ids: Iterable[str], keys: Iterable[str], fault: Exception) -> None:
        """Refuse these lookups, and for some time all others."""
        if not isinstance(fault, RegistryUnavailable):
            contain(log, fault, "Apps could not be looked up")
            fault = RegistryUnavailable("a fault of the server")
        self._refused_until, self._reason = self._clock() + PAUSE, str(fault)
        self._fail(
            [*(self._ids.pop(name, None) for name in ids), *(self._keys.pop(name, None) for name in keys)], fault
        )

    @staticmethod
    def _fail(answers: Iterable[Answer | None], fault: Exception) -> None:
        for answer in answers:
            _fail(answer, fault)


async def end(running: asyncio.Task[None]) -> None:
    """Wait until a task has ended. Cancel it after ``STOP_TIMEOUT``: a driver can be in the middle of a query."""
    await asyncio.wait([running], timeout=STOP_TIMEOUT)
    running.cancel()
    await asyncio.wait([running])


def _first(waiting: dict[str, Answer]) -> tuple[str, ...]:
    return tuple(islice(waiting, BATCH))


def _settle(answer: Answer | None, find: Callable[[str], App | None], name: str) -> None:
    """Set the answer to a lookup, unless it was refused meanwhile."""
    if answer is None:
        return
    try:
        answer.set_result(find(name))
    except RegistryUnavailable as fault:
        _fail(answer, fault)


def _fail(answer: Answer | None, fault: Exception) -> None:
    if answer is not None:
        answer.set_exception(fault)
        answer.exception()  # the clients of a lookup may have disconnected: nobody reads it then
