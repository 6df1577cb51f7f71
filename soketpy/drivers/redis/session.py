"""A node's place in its cluster: its connection to Redis, its life, and its lease.

While the connection stands and the lease holds, the node is *here*. When it is not, it tries to come back for ever, and
what it could not write is written then.
"""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Any

import hiredis

from soketpy.core.containment import contain
from soketpy.core.steps import Future
from soketpy.drivers.redis import buffers
from soketpy.drivers.redis.clearing import clear
from soketpy.drivers.redis.in_flight import InFlight
from soketpy.drivers.redis.lease import Lease
from soketpy.drivers.redis.part import Part
from soketpy.drivers.redis.wire import PATIENCE, Answered, Argument, Heard, Wire, reason
from soketpy.drivers.redis.writes import Leaf, Lost, Write, Writes, leaf_of

log = logging.getLogger("soketpy.redis")

LAST_WORDS = 5.0
"""Seconds that a node has to write that it goes; what it has not written then, others clear up."""

CLOSED = f"Redis closed the connection; reconnecting. If this repeats, raise {buffers.NAME} pubsub in Redis"

NO_ANSWER = f"no answer within {PATIENCE:g} s"

LEASE = 10.0
"""Seconds after which a node that is not heard of counts as dead."""

STEADY = 10.0
"""Seconds after which a connection that is lost is not taken for one that cannot last."""

LONGEST_PAUSE = 2.0
"""Seconds between two attempts to connect, at most; the first pause is a twentieth of that.

Never more than a fifth of a lease: when Redis is back, those who are alive must all have said so before one of them may
condemn another.
"""

_SCRIPT = files("soketpy.drivers.redis").joinpath("roster.lua").read_text()

Connect = Callable[[Callable[[], Wire], float], Awaitable[Wire]]
"""Opens a connection to Redis, greeted and logged in, within so many seconds. Raises OSError: where, and why not."""


class Session:
    """One node's connection, life and lease. ``base`` is what all keys and topics begin with.

    ``away`` holds the sessions of the node that are disconnected now.
    """

    def __init__(
        self,
        connect: Connect,
        base: str,
        heard: Heard,
        in_flight: InFlight,
        away: set[object],
        *,
        partitions: int = 1,
        lease: float = LEASE,
    ) -> None:
        self.base = base
        self._in_flight = in_flight
        self._partitions = partitions
        self.life, self.connected, self.away = "", False, away
        away.add(self)
        self._connect = connect
        self._heard = heard
        self.lease = Lease(lease)
        self._longest_pause = min(LONGEST_PAUSE, lease / 5)
        self._wire: Wire | None = None
        self._before: set[Leaf] = set()  # what this node had when Redis went away
        self._lost = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self.place = "?"
        """Where Redis is, for people to read."""
        self._why = ""
        self._publishes = "PUBLISH"
        self._sha = b""  # what Redis calls the script
        self._doubt_until = 0.0  # others may be writing theirs anew until then: nobody is believed to have gone

    def attach(self, part: Part) -> None:
        """Let a part say what it has; called once, before anything else."""
        self._part = part
        self._writes = Writes(part.written)

    # Begin and end

    async def start(self, patience: float) -> None:
        """Come to the cluster. Raises OSError where that cannot be done within ``patience`` seconds: where, and why."""
        loop = asyncio.get_running_loop()
        until, pause = loop.time() + patience, self._longest_pause / 20
        fault = await self._try_to_come(patience)
        if fault is not None:
            log.warning("Cannot use Redis at %s; trying again for %g s", fault, patience)
        while fault is not None:
            await asyncio.sleep(min(pause, until - loop.time()))
            if loop.time() >= until:
                raise OSError(f"cannot use Redis at {fault}")
            pause = min(2 * pause, self._longest_pause)
            left = until - loop.time()
            new = await self._try_to_come(left)
            fault = new if new is None or left >= PATIENCE else fault  # one that is cut short says less
        self._running = loop.create_task(self._run())

    async def stop(self) -> None:
        """Write what is left to write, end this life, and go."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])
        with contextlib.suppress(Lost, TimeoutError):
            async with asyncio.timeout(LAST_WORDS):
                while self.busy and self.connected and not self._lost.is_set():
                    await self.ask("ECHO", "a round trip")
                await self._clear(self.life, own=True)
        self._go()

    async def _run(self) -> None:
        """Keep the lease, and come back whenever the connection is lost."""
        loop = asyncio.get_running_loop()
        came, pause = loop.time(), self._longest_pause / 20
        while True:
            try:
                await self._stay()
            except Lost as lost:
                self._lose(str(lost))
            except Exception as fault:  # what is in Redis is not what this version writes
                contain(log, fault, "What Redis says cannot be understood")
                self._lose(repr(fault))
            if not self._why and self._wire is not None and not self._wire.ended_here:
                self._why = CLOSED
            self._go()
            log.warning(
                "Redis at %s is away for %s: %s", self.place, self.base[:-1], self._why or "the connection has ended"
            )
            pause = await self._come_back(pause if loop.time() - came < STEADY else self._longest_pause / 20)
            came = loop.time()
            log.info("Redis at %s is back for %s", self.place, self.base[:-1])

    async def _come_back(self, pause: float) -> float:
        """Try for ever, first after ``pause``; each fault is logged once in a row. The pause that would be next."""
        told = None
        while not self.connected:
            await asyncio.sleep(pause * (0.5 + secrets.randbelow(1000) / 1000))
            pause = min(2 * pause, self._longest_pause)
            fault = await self._try_to_come()
            if fault is not None and fault != told:
                told = fault
                log.warning("Cannot use Redis at %s", fault)
        return pause

    async def _stay(self) -> None:
        """Look after the lease for as long as Redis answers. Raises Lost."""
        while not self._lost.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._lost.wait(), self.lease.pause(PATIENCE / 4))
            await self._look()

    async def _look(self) -> None:
        """Renew the lease if it is time, and clear up after the dead. Raises Lost."""
        if not self.lease.look(PATIENCE):
            return
        if self._wire is None or self._wire.silence() > PATIENCE:
            self._lose(NO_ANSWER)
            return
        if not self._wire.silence():
            self.send("PING", then=_heard_nothing)  # who asks nothing would not notice that nobody answers
        if self.lease.due():
            dead = await self._script("renew", self.life, self.lease.milliseconds)
            self._part.write_again(self._writes.failed())
            if self.lease.may_condemn():
                for life in dead:
                    await self._clear(life)

    async def _clear(self, life: str | bytes, *, own: bool = False) -> None:
        """Take away what a life has left. Raises Lost."""
        try:
            await clear(self._script, self._part, life, own=own)
        except Lost:
            raise
        except Exception as fault:
            contain(log, fault, "What a node has left in Redis could not be cleared up")

    # Coming and going

    async def _try_to_come(self, patience: float = PATIENCE) -> str | None:
        """Connect, hear all topics, and have Redis know what this node has; what went wrong, if anything did."""
        try:
            await self._come(min(patience, PATIENCE))
        except (OSError, Lost) as fault:
            where = "" if isinstance(fault, ConnectionError) else f"{self.place}: "
            self._go()
            return f"{where}{reason(fault)}"
        except Exception as fault:
            contain(log, fault, "What Redis says cannot be understood")
            self._go()
            return f"{self.place}: {fault!r}"
        return None

    async def _come(self, patience: float) -> None:
        self._lost = lost = asyncio.Event()
        self._why = ""
        self._wire = await self._connect(lambda: Wire(self._heard, lost.set), patience)
        self.place = self._wire.place
        self._publishes = "SPUBLISH" if self._wire.sharded else "PUBLISH"
        self._sha = await self.ask("SCRIPT", "LOAD", f"local PUBLISH = '{self._publishes}'\n{_SCRIPT}")
        await self.ask(self._publishes, f"{self.base}probe", "")  # so that a node that may not does not begin
        for topic in self._part.topics():
            self.subscribe(topic)
        loop, first = asyncio.get_running_loop(), not self.life
        if not await self._goes_on():
            await self._begin_anew()
        self.lease.begin()
        self.connected = True
        self.away.discard(self)
        self._pump()
        if not first:
            doubt = self._doubt_until - loop.time()
            self._catch_up(removals=doubt <= 0)
            if doubt > 0:
                loop.call_later(doubt, self._believe)

    def _lose(self, why: str) -> None:
        """The connection is of no use any more."""
        if not self._lost.is_set():
            self._why = why
            self._lost.set()

    def _believe(self) -> None:
        if self.connected:
            self._catch_up(removals=True)

    def _catch_up(self, *, removals: bool) -> None:
        try:
            self._part.came_back(removals=removals)
        except Exception as fault:
            contain(log, fault, "Clients could not be told what they missed while Redis was away")

    async def _goes_on(self) -> bool:
        """Whether the life of before still holds: then what was on its way is taken, once."""
        if not self.life:
            return False
        try:
            sent = self._writes.number
            answered = sent - self._writes.under_way
            await self._script("renew", self.life, self.lease.milliseconds, sent, answered)
            batch = self._writes.again()
            if batch is not None:
                self._writes.answered(await self.ask(*self._batch(batch)))
        except Lost:
            if self._lost.is_set():
                raise
            return False
        except Exception as fault:  # nothing that this version answers: the next attempt would get it again
            contain(log, fault, "The reply of Redis at %s to a batch of writes is not valid", self.place)
            return False
        return not self._writes.forgot

    async def _begin_anew(self) -> None:
        """Begin a new life, write all leaves, and end the life of before.

        Was that declared dead, the others have reported that all of it is gone: what is there now is reported. If it
        is just not known any more, nobody has: then only what has come since Redis was away is reported.
        """
        former, life = self.life, secrets.token_hex(8)
        known = set() if not former or await self._script("dead", former) else self._before
        agreed = await self._script("begin", life, self.lease.milliseconds, self._partitions)
        if agreed != self._partitions:
            raise Lost(
                f"redis.partitions is {self._partitions} here, but {agreed} for the nodes of {self.base[:-1]} there"
            )
        self.life = life
        if former:
            self._doubt_until = asyncio.get_running_loop().time() + self.lease.length
        self._writes.restart(self._part.leaves(), known)
        while (batch := self._writes.next()) is not None:
            self._writes.answered(await self.ask(*self._batch(batch)))
            await self._script("renew", life, self.lease.milliseconds)
        if former:
            await self._clear(former, own=True)

    def _go(self) -> None:
        """Redis is away: whoever waits goes on without it."""
        if self.connected:
            try:
                self._before = {leaf_of(write) for write in self._part.leaves()}
            except Exception as fault:
                contain(log, fault, "The subscriptions of this node could not be listed")
        self.connected = False
        self.away.add(self)
        if self._wire is not None:
            self._wire.close()
            self._wire = None
        try:
            self._part.gone()
        except Exception as fault:
            contain(log, fault, "The loss of Redis at %s could not be processed", self.place)
        self._writes.abandon()

    @property
    def busy(self) -> bool:
        """Whether something is to be written, or on its way."""
        return len(self._writes) > 0

    # Saying

    def send(self, *arguments: Argument, then: Answered) -> None:
        """Send a command. Raises Lost."""
        if self._wire is None:
            raise Lost
        self._wire.send(*arguments, then=then)

    def subscribe(self, topic: bytes) -> None:
        """Hear a topic, from the next command on; nothing while Redis is away."""
        if self._wire is not None:
            self._wire.subscribe(topic)

    def unsubscribe(self, topic: bytes) -> None:
        """Hear a topic no more."""
        if self._wire is not None:
            self._wire.unsubscribe(topic)

    def publish(self, topic: bytes, message: bytes, then: Answered) -> None:
        """Say something to all who hear a topic. Raises Lost."""
        self.send(self._publishes, topic, message, then=then)

    async def ask(self, *arguments: Argument) -> Any:
        """The answer to a command. Raises Lost where there is none."""
        if self._wire is None:
            raise Lost
        try:
            return await self._wire.ask(*arguments)
        except hiredis.ReplyError as fault:
            raise Lost(reason(fault)) from None

    async def _script(self, *arguments: Argument) -> Any:
        return await self.ask("EVALSHA", self._sha, 1, self.base, *arguments)

    # Writing

    def write(self, write: Write) -> Future[Any]:
        """Have the script do a write, after those before it. The promise fails with Lost where Redis is away."""
        if self.connected:
            future = self._writes.add(write)
            self._pump()
        else:
            self._writes.keep(write)
            future = Future()
            future.set_exception(Lost())
        return future

    def write_again(self, write: Write) -> None:
        """Have the script do a write that nobody waits for, now or when Redis is back."""
        self._writes.keep(write)
        if self.connected:
            self._pump()

    def _pump(self) -> None:
        """Send the next batch, if none is on its way."""
        batch = self._writes.next()
        if batch is None:
            return
        try:
            self.send(*self._batch(batch), then=self._written)
        except Exception as fault:  # a batch that is never answered would hold back all others
            contain(log, fault, "A batch of writes could not be sent to Redis at %s", self.place)
            self._lose(repr(fault))
        else:
            self._in_flight.sent += 1

    def _batch(self, packed: bytes) -> tuple[Argument, ...]:
        return "EVALSHA", self._sha, 1, self.base, "write", self.life, self._writes.number, packed

    def _written(self, reply: Any) -> None:
        self._in_flight.came()
        if isinstance(reply, hiredis.ReplyError):
            self._lose(reason(reply))
            return
        try:
            self._writes.answered(reply)
        except Exception as fault:  # no answer of this script: the writes of the batch fail with the connection
            contain(log, fault, "The reply of Redis at %s to a batch of writes is not valid", self.place)
            self._lose(repr(fault))
            return
        self._pump()


def _heard_nothing(reply: Any) -> None:
    """That there is an answer is all that matters."""
