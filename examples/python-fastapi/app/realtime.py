"""The access to soketpy: the client that signs and triggers, and the names of the channels."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pusher
import requests
from pusher.errors import PusherError

from . import settings

LOBBY = "presence-lobby"
"""The channel of all users, with notices for all of them."""

FEED = "private-feed"
"""The channel of the events from webhooks."""

CHANNELS = frozenset({LOBBY, FEED})

FAULTS = (PusherError, requests.RequestException)
"""The exceptions of a trigger while the realtime server is down, or if it refuses."""

client = pusher.Pusher(
    settings.APP_ID,
    settings.KEY,
    settings.SECRET,
    ssl=settings.TLS,
    host=settings.HOST,
    port=settings.PORT,
    timeout=5,
)
"""The client. All its calls except signing block, so run them with ``send``."""

AT_ONCE = 8

_threads = ThreadPoolExecutor(AT_ONCE, "realtime")  # a pool of its own, so that a slow server delays nothing else
_free = asyncio.Semaphore(AT_ONCE)


class Busy(Exception):
    """Too many calls already wait for the realtime server, so this call was not made."""


async def send(call: Callable[..., object], *values: object) -> None:
    """Call a method of the client in a thread. Raise Busy, or one of FAULTS."""
    if _free.locked():
        raise Busy("too many calls wait already")
    async with _free:
        await asyncio.get_running_loop().run_in_executor(_threads, call, *values)


def reason(fault: Exception) -> str:
    """Return the reason of a failed call for the log, without the signed URL, which errors of requests contain."""
    return type(fault).__name__ if isinstance(fault, requests.RequestException) else str(fault)
