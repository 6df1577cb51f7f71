"""The look-up of the names of receivers. A name server that hangs delays only names that it is asked for.

The event loop looks names up in few threads, which all parts of a program share: some names whose name servers hang
would block all other look-ups. Here, names that were found before have threads of their own. A name that was never
found, or not at the last time, waits only for other names of this kind.
"""

import asyncio
import socket
from collections import OrderedDict
from contextlib import suppress
from threading import Thread
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

THREADS = 16
"""Look-ups at a time: of names that were found before, and as many of other names."""

TIMEOUT = 5.0
"""Seconds that a look-up may take. Its thread may take longer, and then has its place until it ends."""

MOST_KNOWN = 10_000
"""Names that are remembered as found, at most."""


class Resolver(AbstractResolver):
    """Looks names up with the functions of the system. A failure is an OSError."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, None] = OrderedDict()
        self._for_known = asyncio.Semaphore(THREADS)
        self._for_others = asyncio.Semaphore(THREADS)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a name. Raise OSError if there are none, or if the look-up takes too long."""
        places = self._for_known if self._known.pop(host, "") is None else self._for_others
        try:
            async with asyncio.timeout(TIMEOUT):
                await places.acquire()
                found = await self._look_up(places, host, port, family)
        except TimeoutError:
            raise OSError(f"no answer of a name server within {TIMEOUT:g} s") from None
        self._known[host] = None
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)
        flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        return [
            ResolveResult(hostname=host, host=address[0], port=address[1], family=kind, proto=protocol, flags=flags)
            for kind, _, protocol, _, address in found
        ]

    def _look_up(
        self, places: asyncio.Semaphore, host: str, port: int, family: socket.AddressFamily
    ) -> "asyncio.Future[Any]":
        """Start a thread. It frees its place when it ends, also if nobody waits for its result any more."""
        loop = asyncio.get_running_loop()
        result: asyncio.Future[Any] = loop.create_future()

        def look_up() -> None:
            fault, found = None, []
            try:
                found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, 0, socket.AI_ADDRCONFIG)
            except OSError as error:
                fault = error
            except Exception as error:  # a name that cannot be encoded
                fault = OSError(f"not a name: {type(error).__name__}")
            with suppress(RuntimeError):  # the event loop has been closed
                loop.call_soon_threadsafe(end, found, fault)

        def end(found: Any, fault: OSError | None) -> None:
            places.release()
            if result.done():
                return
            if fault is None:
                result.set_result(found)
            else:
                result.set_exception(fault)

        # A daemon, because a name server that hangs must not delay the end of the process.
        try:
            Thread(target=look_up, name="soketpy-webhooks-dns", daemon=True).start()
        except RuntimeError:  # the system has no more threads
            end((), OSError("no thread can be started"))
        return result

    async def close(self) -> None:
        """Do nothing: threads end by themselves."""
