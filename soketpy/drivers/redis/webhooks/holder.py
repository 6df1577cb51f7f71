"""The holder of a partition: the one node that forms deliveries from events, and sends them.

A node becomes the holder if there is none, or if the session of the holder has ended. The holder has no lease of its
own: it renews that of its session. Every script of the holder checks that its node still is the holder, so a node that
was suspended cannot change the queue of its successor.
"""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Awaitable, Callable
from hashlib import sha1
from typing import Any, Protocol

from soketpy.core.containment import contain
from soketpy.drivers.redis import scripts
from soketpy.drivers.redis.session import Session
from soketpy.drivers.redis.topics import Topics
from soketpy.drivers.redis.wire import Argument
from soketpy.drivers.redis.writes import Lost

log = logging.getLogger("soketpy.webhooks")

PAUSE = 1.0
"""Seconds between two attempts after Redis has refused a script."""

WAKE, FREE = "wake", "free"
"""The signals of the scripts: there is work for the holder; there is no holder."""


class NotHolder(Exception):
    """Another node is the holder of the partition, or none."""


class Asked(Protocol):
    """A connection to Redis."""

    prefix: str
    id: str

    @property
    def publishes(self) -> str:
        """Return the name of the command that publishes."""

    async def ask(self, *arguments: Argument) -> Any:
        """Return the reply to a command. Raise Lost if there is none, or if the reply is an error."""


class WebhookScript:
    """Runs the script of webhooks for a partition. ``clock`` (seconds) replaces the clock of Redis in tests."""

    def __init__(self, connection: Asked, grace: float = 3, clock: Callable[[], float] | None = None) -> None:
        self._connection = connection
        self._grace = grace
        self._clock = clock
        self._text = self._sha = ""

    async def run(self, operation: str, *arguments: Argument) -> Any:
        """Return the answer of an operation. Raise Lost if there is none, and NotHolder."""
        text = scripts.text(scripts.WEBHOOKS, self._connection.publishes, self._grace)
        if text != self._text:
            self._text, self._sha = text, sha1(text.encode()).hexdigest()  # noqa: S324 - the name that Redis gives it
        now = "" if self._clock is None else round(1000 * self._clock())
        whole = (1, self._connection.prefix, operation, self._connection.id, now, *arguments)
        try:
            try:
                return await self._connection.ask("EVALSHA", self._sha, *whole)
            except Lost as fault:
                if not str(fault).startswith("NOSCRIPT"):
                    raise
                return await self._connection.ask("EVAL", text, *whole)
        except Lost as fault:
            if str(fault).startswith("NOTHOLDER"):
                raise NotHolder(str(fault)) from None
            raise


class Holder:
    """The role of the holder, as one node sees it. ``run`` tries to get the role, and works while the node has it."""

    def __init__(self, session: Session, topics: Topics, script: WebhookScript) -> None:
        self.script = script
        self.seed = ""
        """A text that is part of the ids of all deliveries of the partition."""
        self.held = asyncio.Event()
        """Set while this node is the holder."""
        self.connected = asyncio.Event()
        """Set while Redis is available."""
        self.queue_changed = asyncio.Event()
        """Set when the queue may have deliveries that are due."""
        self.prefix = session.prefix
        self._session = session
        self._topics = topics
        self._wake = asyncio.Event()
        self._lease = session.lease.length
        session.watchers.append(self._link_changed)
        self._link_changed()

    def _link_changed(self) -> None:
        if self._session.connected:
            self.connected.set()
        else:
            self.connected.clear()
            self.lose()

    def lose(self) -> None:
        """Note that this node is not the holder."""
        if self.held.is_set():
            self.held.clear()
            self._topics.ignore(WAKE)
        self._signal()

    def _signal(self, message: bytes = b"") -> None:
        """Process a signal of the script."""
        self._wake.set()
        self.queue_changed.set()

    async def run(self, work: Callable[[], Awaitable[float | None]]) -> None:
        """Call ``work`` while this node is the holder: at each signal, and after the seconds that ``work`` returns."""
        self._topics.listen_for(FREE, self._signal)
        while True:
            await self.connected.wait()
            try:
                self._wake.clear()
                if await self._hold():
                    pause = await work()
                    await wait(self._wake, self._lease if pause is None else min(pause, self._lease))
                else:
                    await wait(self._wake, self._lease / 3)
            except NotHolder:
                self.lose()
            except Lost:
                await asyncio.sleep(PAUSE)
            except Exception as fault:
                contain(log, fault, "Webhook events could not be read from Redis")
                await asyncio.sleep(PAUSE)

    async def _hold(self) -> bool:
        """Return whether this node is the holder, after an attempt to become it."""
        if self.held.is_set():
            return True
        held, seed = await self.script.run("hold", secrets.token_hex(8))
        if held and not self.held.is_set():
            self.seed = seed.decode()
            self._topics.listen_for(WAKE, self._signal)
            self.held.set()
            log.info(
                "This node sends the webhooks of %(partition)s",
                {"event": "webhooks_held", "partition": self.prefix[:-1]},
            )
        return bool(held)

    async def release(self) -> None:
        """Let another node become the holder at once."""
        self._topics.ignore(FREE)
        if self.held.is_set():
            self.lose()
            with contextlib.suppress(Lost):
                await self.script.run("release")


async def wait(event: asyncio.Event, seconds: float | None) -> None:
    """Wait for an event, or until some seconds have passed."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
