"""The session of a node with Redis: its connection, its session id, and its lease.

A session is *connected* while its connection is open and its lease has not ended. Otherwise the node keeps trying to
connect again, and then writes the entries that it could not write before.
"""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Awaitable, Callable
from functools import partial
from time import monotonic
from typing import Any

import hiredis

from soketpy.core.containment import contain
from soketpy.core.histograms import Histogram
from soketpy.drivers.redis import buffers, scripts, version
from soketpy.drivers.redis.clearing import clear
from soketpy.drivers.redis.commands import Commands
from soketpy.drivers.redis.in_flight import InFlight
from soketpy.drivers.redis.lease import Lease
from soketpy.drivers.redis.membership import Membership, leases
from soketpy.drivers.redis.wire import PATIENCE, Wire, reason
from soketpy.drivers.redis.writes import Entry, Lost, entry_of

log = logging.getLogger("soketpy.redis")

STOP_TIMEOUT = 5.0
"""Seconds that a node has to remove its entries when it stops. Other nodes remove the rest."""

CLOSED = f"Redis closed the connection; reconnecting. If this repeats, raise {buffers.NAME} pubsub in Redis"

NO_ANSWER = f"no answer within {PATIENCE:g} s"

LEASE = 10.0
"""Seconds without a heartbeat after which a node is considered dead."""

STABLE_AFTER = 10.0
"""Seconds after which a connection counts as steady: after its loss, the first pause is short again."""

LONGEST_PAUSE = 2.0
"""Seconds between two attempts to connect, at most. The first pause is a twentieth of that.

Never more than a fifth of a lease: when Redis is available again, all living nodes must renew their leases before one
of them may declare another one dead.
"""

Connect = Callable[[Callable[[], Wire], float], Awaitable[Wire]]
"""Opens a connection to Redis and logs in, within so many seconds. Raises OSError with the address and the reason."""


class Session(Commands):
    """Connects, renews the lease, removes the entries of dead nodes, and connects again."""

    def __init__(
        self,
        connect: Connect,
        prefix: str,
        in_flight: InFlight,
        unavailable: set[object],
        *,
        partitions: int = 1,
        lease: float = LEASE,
        grace: float = 3,
    ) -> None:
        super().__init__(prefix, in_flight, unavailable)
        self._grace = grace
        self._connect = connect
        self._partitions = partitions
        self.lease = Lease(lease)
        self.round_trips = Histogram()
        self.membership = Membership(self.lease.milliseconds)
        self._longest_pause = min(LONGEST_PAUSE, lease / 5)
        self._before: set[Entry] = set()  # the entries that this node had when Redis became unavailable
        self._running: asyncio.Task[None] | None = None
        self._no_removals_until = 0.0  # until then other nodes may still be rewriting their entries: report no removals

    # Start and stop

    async def start(self, patience: float) -> None:
        """Join the cluster. Raise OSError, with the address and the reason, if that fails for ``patience`` seconds."""
        loop = asyncio.get_running_loop()
        until, pause = loop.time() + patience, self._longest_pause / 20
        fault = await self._try_to_join(patience)
        if fault is not None:
            log.warning(
                "Cannot use Redis at %(reason)s; trying again for %(seconds)g s",
                {"event": "redis_not_available", "reason": fault, "seconds": patience},
            )
        while fault is not None:
            await asyncio.sleep(min(pause, until - loop.time()))
            if loop.time() >= until:
                raise OSError(f"cannot use Redis at {fault}")
            pause = min(2 * pause, self._longest_pause)
            left = until - loop.time()
            new = await self._try_to_join(left)
            fault = new if new is None or left >= PATIENCE else fault  # the reason of a shortened attempt says less
        self._running = loop.create_task(self._run())

    async def stop(self) -> None:
        """Write what is waiting, end the session, and disconnect."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])
        with contextlib.suppress(Lost, TimeoutError):
            async with asyncio.timeout(STOP_TIMEOUT):
                while self.busy and self.connected and not self._lost.is_set():
                    await self.ask("ECHO", "a round trip")
                await self._clear(self.id, own=True)
        self._disconnect()

    async def _run(self) -> None:
        """Keep the lease, and connect again whenever the connection is lost."""
        loop = asyncio.get_running_loop()
        joined, pause = loop.time(), self._longest_pause / 20
        while True:
            try:
                await self._keep_lease()
            except Lost as lost:
                self._mark_lost(str(lost))
            except Exception as fault:  # the data in Redis was not written by this version
                contain(log, fault, "A reply of Redis is not valid")
                self._mark_lost(repr(fault))
            if not self._why and self.wire is not None and not self.wire.ended_here:
                self._why = CLOSED
            self._disconnect()
            why = self._why or "the connection has ended"
            log.warning(
                "Redis at %(host)s is unavailable (%(partition)s): %(reason)s",
                {"event": "redis_lost", "host": self.address, "partition": self.prefix[:-1], "reason": why},
            )
            pause = await self._rejoin(pause if loop.time() - joined < STABLE_AFTER else self._longest_pause / 20)
            joined = loop.time()
            log.info(
                "Redis at %(host)s is available again (%(partition)s)",
                {"event": "redis_available", "host": self.address, "partition": self.prefix[:-1]},
            )

    async def _rejoin(self, pause: float) -> float:
        """Try to join until it succeeds, first after ``pause``. Log equal faults once. Return the next pause."""
        logged = None
        while not self.connected:
            await asyncio.sleep(pause * (0.5 + secrets.randbelow(1000) / 1000))
            pause = min(2 * pause, self._longest_pause)
            fault = await self._try_to_join()
            if fault is not None and fault != logged:
                logged = fault
                log.warning("Cannot use Redis at %(reason)s", {"event": "redis_not_joined", "reason": fault})
        return pause

    # The lease

    async def _keep_lease(self) -> None:
        """Renew the lease until Redis is unavailable. Raises Lost."""
        while not self._lost.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.lease.pause(PATIENCE / 4)):  # wait_for of 3.11 may swallow a cancel
                    await self._lost.wait()
            await self._check_lease()

    async def _check_lease(self) -> None:
        """Renew the lease if it is time, and remove the entries of dead nodes. Raises Lost."""
        if not self.lease.look(PATIENCE):
            return
        if self.wire is None or self.wire.silence() > PATIENCE:
            self._mark_lost(NO_ANSWER)
            return
        if not self.wire.silence():
            # A node that sends nothing would not notice a silent Redis.
            self.send("PING", then=partial(self._pong, monotonic()))
        if self.lease.due():
            began = monotonic()
            dead = await self.script("renew", self.id, self.lease.milliseconds)
            self.round_trips.count(monotonic() - began)
            self._look_at_nodes()
            self._state.write_again(self._writes.failed())
            if self.lease.may_declare_dead():
                for session_id in dead:
                    await self._clear(session_id)

    def _look_at_nodes(self) -> None:
        """Ask for the leases of the living nodes. Raises Lost."""
        self.send("ZRANGE", f"{self.prefix}leases", "0", "-1", "WITHSCORES", then=self._note_nodes)

    def _note_nodes(self, reply: Any) -> None:
        if self.connected and not isinstance(reply, hiredis.ReplyError):
            self.membership.look(leases(reply), self.id)

    def _pong(self, began: float, reply: Any) -> None:
        """Note the answer to a heartbeat, unless the connection has ended."""
        if not isinstance(reply, hiredis.ReplyError):
            self.round_trips.count(monotonic() - began)

    async def _clear(self, session_id: str | bytes, *, own: bool = False) -> None:
        """Remove the entries of a session. Raises Lost."""
        try:
            await clear(self.script, self._state, session_id, own=own)
        except Lost:
            raise
        except Exception as fault:
            contain(log, fault, "The entries of a dead node could not be removed")

    # Joining and leaving

    async def _try_to_join(self, patience: float = PATIENCE) -> str | None:
        """Connect, subscribe to all topics, and write all entries. Return the reason of a failure, or None."""
        try:
            await self._join(min(patience, PATIENCE))
        except (OSError, Lost) as fault:
            address = "" if isinstance(fault, ConnectionError) else f"{self.address}: "
            self._disconnect()
            return f"{address}{reason(fault)}"
        except Exception as fault:
            contain(log, fault, "A reply of Redis is not valid")
            self._disconnect()
            return f"{self.address}: {fault!r}"
        return None

    async def _join(self, patience: float) -> None:
        self._lost = lost = asyncio.Event()
        self._why = ""
        self.wire = await self._connect(lambda: Wire(self._receive, lost.set), patience)
        self.address = self.wire.address
        publishes = self.wire.publishes
        self._sha = await self.ask("SCRIPT", "LOAD", scripts.text(scripts.ROSTER, publishes, self._grace))
        began = monotonic()
        await self.ask(publishes, f"{self.prefix}probe", "")  # a node that may not publish must not join
        self.round_trips.count(monotonic() - began)
        for topic in self._state.topics():
            self.subscribe(topic)
        loop, first = asyncio.get_running_loop(), not self.id
        if not await self._resume():
            await self._begin()
        self.lease.begin()
        self.connected = True
        self.unavailable.discard(self)
        self._pump()
        self._look_at_nodes()
        self._notify_watchers()
        if not first:
            doubt = self._no_removals_until - loop.time()
            self._catch_up(removals=doubt <= 0)
            if doubt > 0:
                loop.call_later(doubt, self._end_doubt)

    async def _resume(self) -> bool:
        """Return whether the session continues. If so, Redis has run the batch that was in flight, exactly once."""
        if not self.id:
            return False
        try:
            sent = self._writes.number
            answered = sent - self._writes.in_flight
            await self.script("renew", self.id, self.lease.milliseconds, sent, answered)
            batch = self._writes.again()
            if batch is not None:
                self._writes.answered(await self.ask(*self._batch(batch)))
        except Lost:
            if self._lost.is_set():
                raise
            return False
        except Exception as fault:  # no reply of this version: the next attempt would get the same one
            contain(log, fault, "The reply of Redis at %s to a batch of writes is not valid", self.address)
            return False
        return not self._writes.overflowed

    async def _begin(self) -> None:
        """Begin a new session, write all entries, and end the former session.

        If other nodes declared the former session dead, they have already reported its members as removed: report the
        current ones again. If Redis only forgot the former session, no node has: report only members that are new.
        """
        former, session_id = self.id, secrets.token_hex(8)
        known = set() if not former or await self.script("dead", former) else self._before
        await version.agree(self, session_id, self.lease.milliseconds, self._partitions)
        self.id = session_id
        if former:
            self._no_removals_until = asyncio.get_running_loop().time() + self.lease.length
        self._writes.restart(self._state.entries(), known)
        while (batch := self._writes.next()) is not None:
            self._writes.answered(await self.ask(*self._batch(batch)))
            await self.script("renew", session_id, self.lease.milliseconds)
        if former:
            await self._clear(former, own=True)

    def _end_doubt(self) -> None:
        if self.connected:
            self._catch_up(removals=True)

    def _catch_up(self, *, removals: bool) -> None:
        try:
            self._state.reconnected(removals=removals)
        except Exception as fault:
            contain(log, fault, "Clients could not be sent what they missed while Redis was unavailable")

    def _disconnect(self) -> None:
        """Close the connection. The operations that wait for Redis resume without it."""
        if self.connected:
            try:
                self._before = {entry_of(write) for write in self._state.entries()}
            except Exception as fault:
                contain(log, fault, "The subscriptions of this node could not be listed")
        self.connected = False
        self.membership.forget()
        self.unavailable.add(self)
        self._notify_watchers()
        if self.wire is not None:
            self.wire.close()
            self.wire = None
        try:
            self._state.disconnected()
        except Exception as fault:
            contain(log, fault, "The node could not stop using Redis at %s", self.address)
        self._writes.abandon()
