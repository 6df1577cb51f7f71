"""The way to soketpy: the client that signs and triggers, and the names of the channels."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pusher
import requests
from pusher.errors import PusherError

from . import settings

LOBBY = "presence-lobby"
"""Who is here, and notices for all of them."""

FEED = "private-feed"
"""What webhooks have told."""

CHANNELS = frozenset({LOBBY, FEED})

FAULTS = (PusherError, requests.RequestException)
"""What a trigger raises while the realtime server is away, or refuses."""

client = pusher.Pusher(
    settings.APP_ID,
    settings.KEY,
    settings.SECRET,
    ssl=settings.TLS,
    host=settings.HOST,
    port=settings.PORT,
    timeout=5,
)
"""It blocks while it talks to the server: signing apart, call it by ``send``."""

AT_ONCE = 8

_threads = ThreadPoolExecutor(AT_ONCE, "realtime")  # not FastAPI's, so that nothing else waits for a slow server
_free = asyncio.Semaphore(AT_ONCE)


class Busy(Exception):
    """So many calls wait for the realtime server already that this one was not made."""


async def send(call: Callable[..., object], *values: object) -> None:
    """Call a method of the client in a thread. Raises Busy, or one of FAULTS."""
    if _free.locked():
        raise Busy("too many calls wait already")
    async with _free:
        await asyncio.get_running_loop().run_in_executor(_threads, call, *values)


def reason(fault: Exception) -> str:
    """Why it was not sent, for the log: the messages of requests have the signed URL in them."""
    return type(fault).__name__ if isinstance(fault, requests.RequestException) else str(fault)
