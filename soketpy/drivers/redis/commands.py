"""The connection to Redis as the ports use it: commands, subscriptions to topics, and writes."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import hiredis

from soketpy.core.containment import attempt, contain
from soketpy.core.steps import Future
from soketpy.drivers.redis.in_flight import InFlight
from soketpy.drivers.redis.node_state import NodeState
from soketpy.drivers.redis.wire import Answered, Argument, Receive, Wire, reason
from soketpy.drivers.redis.writes import Lost, Write, Writes

log = logging.getLogger("soketpy.redis")


class Commands:
    """Sends commands and writes while Redis is available. The names of all keys and topics begin with ``prefix``.

    ``unavailable`` has those of the node's partitions for which Redis is unavailable. ``id`` is that of the session.
    """

    def __init__(self, prefix: str, in_flight: InFlight, unavailable: set[object]) -> None:
        self.prefix = prefix
        self.id = ""
        self.connected = False
        self.unavailable = unavailable
        self.watchers: list[Callable[[], None]] = []
        """Called whenever ``connected`` has changed."""
        self.address = "?"
        """The address of Redis, for people to read."""
        self._in_flight = in_flight
        self.wire: Wire | None = None
        self._held: Callable[[], None] | None = None
        self._sha = b""  # the hash by which Redis knows the script
        self._lost = asyncio.Event()
        self._why = ""
        unavailable.add(self)

    def attach(self, state: NodeState, receive: Receive) -> None:
        """Write the state of a node, and pass messages to ``receive``. Called once, before the node connects."""
        self._state = state
        self._receive = receive
        self._writes = Writes(state.written)

    def _notify_watchers(self) -> None:
        for watcher in self.watchers:
            attempt(log, watcher)

    @property
    def publishes(self) -> str:
        """The command that publishes."""
        return "PUBLISH" if self.wire is None else self.wire.publishes

    @property
    def busy(self) -> bool:
        """Return whether a write is waiting or in flight, or will be made at the end of this iteration."""
        return self._held is not None or len(self._writes) > 0

    @property
    def waiting(self) -> int:
        """Return the number of writes that wait or are in flight."""
        return len(self._writes)

    def send(self, *arguments: Argument, then: Answered) -> None:
        """Send a command. Raise Lost if Redis is unavailable."""
        if self.wire is None:
            raise Lost
        self.wire.send(*arguments, then=then)

    def subscribe(self, topic: bytes) -> None:
        """Subscribe to a topic, before the next command. Do nothing while Redis is unavailable."""
        if self.wire is not None:
            self.wire.subscribe(topic)

    def unsubscribe(self, topic: bytes) -> None:
        """Unsubscribe from a topic."""
        if self.wire is not None:
            self.wire.unsubscribe(topic)

    async def ask(self, *arguments: Argument) -> Any:
        """Return the reply to a command. Raise Lost if there is none, or if the reply is an error."""
        if self.wire is None:
            raise Lost
        try:
            return await self.wire.ask(*arguments)
        except hiredis.ReplyError as fault:
            raise Lost(reason(fault)) from None

    async def script(self, operation: str, *arguments: Argument) -> Any:
        """Return the reply of ``roster.lua`` to an operation. Raise Lost as ``ask`` does."""
        return await self.ask("EVALSHA", self._sha, 1, self.prefix, operation, *arguments)

    # Writes

    def write(self, write: Write) -> Future[Any]:
        """Have the script do a write, after those before it. The future fails with Lost if Redis is unavailable."""
        if self._held is not None:
            self._release()
        if self.connected:
            future = self._writes.add(write)
            self._pump()
        else:
            self._writes.defer(write)
            future = Future()
            future.set_exception(Lost())
        return future

    def write_again(self, write: Write) -> None:
        """Have the script do a write that nobody awaits: now, or when Redis is available again."""
        if self._held is not None:
            self._release()
        self._writes.defer(write)
        if self.connected:
            self._pump()

    def hold(self, act: Callable[[], None]) -> None:
        """Call a function at the end of this event loop iteration, or before the next write if that comes earlier.

        So the function can write together what several callers want, at the place in the order that the first one had.
        """
        if self._held is None and self.wire is not None:
            self._held = act
            self.wire.before_flush(self._release)

    def _release(self) -> None:
        act, self._held = self._held, None
        if act is not None:
            act()

    def _pump(self) -> None:
        """Send the next batch, if none is in flight."""
        batch = self._writes.next()
        if batch is None:
            return
        try:
            self.send(*self._batch(batch), then=self._batch_answered)
        except Exception as fault:  # a batch that is never answered would block all others
            contain(log, fault, "A batch of writes could not be sent to Redis at %s", self.address)
            self._mark_lost(repr(fault))
        else:
            self._in_flight.sent += 1

    def _batch(self, packed: bytes) -> tuple[Argument, ...]:
        return "EVALSHA", self._sha, 1, self.prefix, "write", self.id, self._writes.number, packed

    def _batch_answered(self, reply: Any) -> None:
        self._in_flight.returned()
        if isinstance(reply, hiredis.ReplyError):
            self._mark_lost(reason(reply))
            return
        try:
            self._writes.answered(reply)
        except Exception as fault:  # no answer of this script: the writes of the batch fail with the connection
            contain(log, fault, "The reply of Redis at %s to a batch of writes is not valid", self.address)
            self._mark_lost(repr(fault))
            return
        self._pump()

    def _mark_lost(self, why: str) -> None:
        """End the use of the connection. The first reason is logged."""
        if not self._lost.is_set():
            self._why = why
            self._lost.set()
