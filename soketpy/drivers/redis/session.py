"""A node's place in its cluster: its connection to Redis, its life, and its lease.

While the connection stands and the lease holds, the node is *here*. When it is not, it tries to come back for ever, and
what it could not write is written then.
"""

import asyncio
import contextlib
import hashlib
import logging
import secrets
from collections.abc import Awaitable, Callable, Container
from importlib.resources import files
from typing import Any, Protocol

import hiredis
import msgpack

from soketpy.cluster import Edge
from soketpy.drivers.redis.wire import Heard, Wire
from soketpy.steps import Promise

log = logging.getLogger("soketpy.redis")

PATIENCE = 2.0
"""Seconds that Redis has to answer; after that the node goes on without it."""

LEASE = 10.0
"""Seconds after which a node that is not heard of counts as dead."""

LONGEST_PAUSE = 2.0
"""Seconds between two attempts to connect, at most; the first pause is a twentieth of that."""

BATCH = 500
"""Writes that go to Redis together: some milliseconds of its time."""

MOST_WAITING = 100_000
"""Writes that wait for Redis to come back."""

_SCRIPT = files("soketpy.drivers.redis").joinpath("roster.lua").read_text()
_SHA = hashlib.sha1(_SCRIPT.encode()).hexdigest()  # noqa: S324 - Redis names scripts so

Connect = Callable[[Callable[[], Wire]], Awaitable[Wire]]
"""Opens a connection to Redis, greeted and logged in. Raises OSError."""


Leaf = tuple[Any, ...]
"""What a write is about: the kind, the app, the channel or user, and on a presence channel the user."""


class Lost(Exception):
    """The connection to Redis, or the lease, is gone."""


class Part(Protocol):
    """What a node has to say and hear again when it comes back."""

    def topics(self) -> list[bytes]:
        """Every topic that is to be heard."""

    def leaves(self) -> list[list[Any]]:
        """Every write that says what this node has."""

    def came_back(self, *, removals: bool) -> None:
        """The node is here again: tell its clients what they have missed; of those who went only with ``removals``."""

    def gone(self) -> None:
        """The node is on its own from now on."""

    def written(self, write: list[Any], answer: Any) -> None:
        """Redis has done a write; what it answered has not been acted on."""

    def report(self, edge: Edge, app_id: str, channel: str, user_id: str | None) -> None:
        """An edge that a life left behind."""


class Session:
    """One node's connection, life and lease. ``base`` is what all keys and topics begin with."""

    def __init__(self, connect: Connect, base: str, heard: Heard, part: Part, *, lease: float = LEASE) -> None:
        self.base = base
        self.life = ""
        self.here = False
        self._connect = connect
        self._heard = heard
        self._part = part
        self._lease = lease
        self._wire: Wire | None = None
        self._batch = 0
        self._queue: list[tuple[list[Any], Promise[Any] | None]] = []
        self._on_its_way: list[tuple[list[Any], Promise[Any] | None]] = []
        self._before: set[Leaf] = set()  # what this node had when Redis went away
        self._forgot = False  # writes that would have waited for Redis
        self._lost = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._steady_since = 0.0

    # Begin and end

    async def start(self, patience: float) -> None:
        """Come to the cluster. Raises OSError where Redis is not there within ``patience`` seconds."""
        loop = asyncio.get_running_loop()
        until, pause = loop.time() + patience, LONGEST_PAUSE / 20
        while (fault := await self._try_to_come()) is not None:
            if loop.time() + pause > until:
                raise OSError(f"Redis does not answer: {fault}")
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        self._running = loop.create_task(self._run())

    async def stop(self) -> None:
        """Write what is left to write, end this life, and go."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])
        with contextlib.suppress(Lost):
            while self.busy and self.here:
                await self.ask("ECHO", "a round trip")
            await self._clear(self.life, own=True)
        self._go()

    async def _run(self) -> None:
        """Keep the lease, and come back whenever the connection is lost."""
        while True:
            with contextlib.suppress(Lost):
                await self._stay()
            self._go()
            log.warning("Redis is away: going on with what this node knows")
            pause = LONGEST_PAUSE / 20
            while not self.here:
                await asyncio.sleep(pause * (0.5 + secrets.randbelow(1000) / 1000))
                pause = min(2 * pause, LONGEST_PAUSE)
                await self._try_to_come()
            log.info("Redis is back")

    async def _stay(self) -> None:
        """Renew the lease, and clear up after the dead, for as long as Redis answers. Raises Lost."""
        loop, interval = asyncio.get_running_loop(), self._lease / 3
        renewal = loop.time() + interval
        while not self._lost.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._lost.wait(), PATIENCE / 4)
            if self._wire is None or self._wire.waited() > PATIENCE:
                return
            now = loop.time()
            if now >= renewal:
                if now > renewal + interval:
                    self._steady_since = now  # this node, or Redis, has stood still
                renewal = now + interval
                dead = await self._script("renew", self.life, _ms(self._lease))
                if now - self._steady_since >= self._lease:
                    for life in dead:
                        await self._clear(life.decode())

    async def _clear(self, life: str, *, own: bool = False) -> None:
        """Take away what a life has left. Raises Lost."""
        while True:
            cleared, edges = await self._script("clear", life, "1" if own else "0")
            for edge, app_id, channel, user_id in msgpack.unpackb(edges):
                self._part.report(Edge(edge), app_id, channel, user_id or None)
            if not cleared:
                return
            if not own:
                log.info("Cleared up after a node that has gone: %d entries", cleared)

    # Coming and going

    async def _try_to_come(self) -> Exception | None:
        """Connect, hear all topics, and have Redis know what this node has; what went wrong, if anything did."""
        try:
            await self._come()
        except (OSError, Lost, TimeoutError) as fault:
            self._go()
            return fault
        return None

    async def _come(self) -> None:
        self._lost = lost = asyncio.Event()
        async with asyncio.timeout(PATIENCE):
            self._wire = await self._connect(lambda: Wire(self._heard, lost.set))
        await self.ask("SCRIPT", "LOAD", _SCRIPT)
        for topic in self._part.topics():
            self._wire.tell("SUBSCRIBE", topic)
        former, anew = self.life, not await self._goes_on()
        if anew:
            await self._begin_anew()
        self._steady_since = asyncio.get_running_loop().time()
        self.here = True
        self._pump()
        if former:
            self._part.came_back(removals=not anew)
            if anew:  # the others may be writing theirs anew too: believe only later that somebody has gone
                asyncio.get_running_loop().call_later(self._lease, self._believe)

    def _believe(self) -> None:
        if self.here:
            self._part.came_back(removals=True)

    async def _goes_on(self) -> bool:
        """Whether the life of before still holds: then what was on its way is taken, once."""
        if not self.life:
            return False
        try:
            await self._script("renew", self.life, _ms(self._lease))
            if self._on_its_way:
                await self._send_batch()
        except Lost:
            if self._lost.is_set():
                raise
            return False
        return not self._forgot

    async def _begin_anew(self) -> None:
        """Begin a new life, write all leaves, and end the life of before.

        Was that declared dead, the others have reported that all of it is gone: what is there now is reported. If it
        is just not known any more, nobody has: then only what has come since Redis was away is reported.
        """
        former, self.life, self._batch = self.life, secrets.token_hex(8), 0
        reported = set() if not former or await self._script("dead", former) else self._before
        self._on_its_way, self._queue, self._forgot = [], [], False
        await self._script("begin", self.life, _ms(self._lease))
        leaves = self._part.leaves()
        for start in range(0, len(leaves), BATCH):
            self._on_its_way = [(write, None) for write in leaves[start : start + BATCH]]
            self._batch += 1
            await self._send_batch(reported)
        if former:
            await self._clear(former, own=True)

    def _go(self) -> None:
        """Redis is away: whoever waits goes on without it."""
        if self.here:
            self._before = {_leaf(write) for write in self._part.leaves()}
        self.here = False
        if self._wire is not None:
            self._wire.close()
            self._wire = None
        self._part.gone()
        waiting = [promise for _, promise in (*self._on_its_way, *self._queue) if promise is not None]
        self._on_its_way = [(write, None) for write, _ in self._on_its_way]
        self._queue = [(write, None) for write, _ in self._queue]
        for promise in waiting:
            promise.fail(Lost())

    @property
    def busy(self) -> bool:
        """Whether something is to be written, or on its way."""
        return bool(self._queue or self._on_its_way)

    # Saying

    def send(self, *arguments: str | bytes | int, then: Callable[[Any], None] | None = None) -> None:
        """Send a command. Raises Lost."""
        if self._wire is None:
            raise Lost
        self._wire.send(*arguments, then=then)

    def tell(self, *arguments: str | bytes | int) -> None:
        """Send a command that has no answer; nothing while Redis is away."""
        if self._wire is not None:
            self._wire.tell(*arguments)

    async def ask(self, *arguments: str | bytes | int) -> Any:
        """The answer to a command. Raises Lost where there is none."""
        answer = asyncio.get_running_loop().create_future()
        self.send(*arguments, then=lambda reply: None if answer.done() else answer.set_result(reply))
        await asyncio.wait([answer], timeout=PATIENCE)
        if not answer.done():
            raise Lost(f"no answer within {PATIENCE:g} s")
        reply = answer.result()
        if isinstance(reply, hiredis.ReplyError):
            raise Lost(str(reply))
        return reply

    async def _script(self, *arguments: str | bytes | int) -> Any:
        return await self.ask("EVALSHA", _SHA, 1, self.base, *arguments)

    # Writing

    def write(self, write: list[Any]) -> Promise[Any]:
        """Have the script do a write, after those before it. The promise fails with Lost where Redis is away."""
        promise = Promise[Any]()
        if not self.here:
            self._keep_for_later(write)
            promise.fail(Lost())
            return promise
        self._queue.append((write, promise))
        self._pump()
        return promise

    def _keep_for_later(self, write: list[Any]) -> None:
        """Let a write wait for Redis; if too many do, this node writes all that it has anew instead."""
        if len(self._queue) < MOST_WAITING:
            self._queue.append((write, None))
        else:
            self._queue.clear()
            self._forgot = True

    def _pump(self) -> None:
        """Send the next batch, if none is on its way."""
        if self.here and self._queue and not self._on_its_way:
            self._on_its_way, self._queue = self._queue[:BATCH], self._queue[BATCH:]
            self._batch += 1
            self.send(*self._packed_batch(), then=self._written)

    def _packed_batch(self) -> tuple[str | bytes | int, ...]:
        writes = msgpack.packb([write for write, _ in self._on_its_way], use_bin_type=False)
        return "EVALSHA", _SHA, 1, self.base, "write", self.life, self._batch, writes

    async def _send_batch(self, reported: Container[Leaf] = ()) -> None:
        """Send what is on its way, perhaps once more, while nobody else writes."""
        reply = await self.ask(*self._packed_batch())
        self._take_answers(reply, reported)

    def _written(self, reply: Any) -> None:
        if isinstance(reply, hiredis.ReplyError):
            log.warning("Redis refused a write: %s", reply)
            self._lost.set()
            return
        self._take_answers(reply)
        self._pump()

    def _take_answers(self, reply: bytes, reported: Container[Leaf] = ()) -> None:
        done, self._on_its_way = self._on_its_way, []
        for (write, promise), answer in zip(done, msgpack.unpackb(reply, raw=True), strict=True):
            if _leaf(write) not in reported:
                self._part.written(write, answer)
            if promise is not None:
                promise.keep(answer)


def _leaf(write: list[Any]) -> Leaf:
    return tuple(write[:4])


def _ms(seconds: float) -> int:
    return round(1000 * seconds)
