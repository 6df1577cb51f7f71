"""One connection to Redis, over which a node sends and receives everything, so that everything has one order.

The connection uses RESP3, in which messages of topics arrive between the replies to commands. Reading a message costs
half a microsecond. redis-py, which is made for one reply at a time, takes fifteen times as long.
"""

import asyncio
import logging
import os
import re
import ssl
from collections import deque
from collections.abc import Callable
from typing import Any, cast

import hiredis

from soketpy.core.containment import attempt, contain

log = logging.getLogger("soketpy.redis")

PATIENCE = 2.0
"""Seconds for which Redis may send nothing while a command waits. Then the node continues without Redis."""

Argument = str | bytes | int

Receive = Callable[[bytes, bytes], None]
"""Processes a message: its topic, and its bytes. An exception is contained."""

Answered = Callable[[Any], None]
"""Processes the reply to a command; an error is a ``hiredis.ReplyError``. An exception is contained."""

_UNFINISHED = object()

_LOST = hiredis.ReplyError("LOST the connection has ended")

_NO_ANSWER = hiredis.ReplyError("LOST no answer")


def reason(fault: BaseException) -> str:
    """Return why Redis could not be used, in few words."""
    match fault:
        case hiredis.ReplyError():
            return str(fault).partition(" script: ")[0].removeprefix("LOST ")
        case TimeoutError():
            return "no answer"
        case ssl.SSLError():
            return f"TLS: {fault.reason or fault}"
        case OSError(errno=int(number)) if number > 0:
            return os.strerror(number)
    return str(fault) or type(fault).__name__


_SPECIAL = re.compile(r"[*?\[\]\\^-]")


def pattern(text: str) -> str:
    """Return the glob pattern that matches this text only."""
    return _SPECIAL.sub(r"\\\g<0>", text)


_MESSAGES = (b"message", b"smessage")

_CONFIRMATIONS = (b"subscribe", b"unsubscribe", b"ssubscribe", b"sunsubscribe")

_ELSEWHERE = ("MOVED ", "ASK ", "TRYAGAIN ", "CLUSTERDOWN ")
"""Errors of a Redis Cluster for a key that this Redis node does not serve now: the node must look for the right one."""


class Wire(asyncio.Protocol):
    """Sends commands together at the end of an event loop iteration. Their replies arrive in their order."""

    def __init__(self, receive: Receive, lost: Callable[[], None]) -> None:
        self.address = "?"
        """The address of Redis, for people to read."""
        self.sharded = False
        """Whether topics are sharded: only the Redis nodes with the slot of a topic carry its messages."""
        self.publishes = "PUBLISH"
        """The command that publishes, ``SPUBLISH`` for sharded topics."""
        self.ended_here = False
        """Whether this node ended the connection, and not Redis."""
        self._receive = receive
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader(notEnoughData=_UNFINISHED)
        self._transport: asyncio.Transport | None = None
        self._unsent: list[bytes] = []
        self._before_flush: list[Callable[[], None]] = []
        self._unanswered: deque[tuple[float, Answered | bytes]] = deque()
        self._read_at = 0.0  # when something was last read

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to use an open connection."""
        self._transport = cast("asyncio.Transport", transport)

    def send(self, *arguments: Argument, then: Answered) -> None:
        """Send a command. ``then`` gets its reply later, or an error if the connection ends, or has ended."""
        if self._transport is None:
            self._loop.call_soon(_give, then, _LOST)
            return
        self._write(arguments, then)

    def publish(self, topic: bytes, message: bytes, then: Answered) -> None:
        """Send a message to all subscribers of a topic. Otherwise as ``send``."""
        if self._transport is None:
            self._loop.call_soon(_give, then, _LOST)
            return
        self._write((self.publishes, topic, message), then)

    async def ask(self, *arguments: Argument) -> Any:
        """Return the reply to a command.

        Raise ReplyError for an error, if the connection ends before the reply, and if Redis sends nothing for
        ``PATIENCE`` seconds. A reply may be later if many messages arrive before it.
        """
        answer = self._loop.create_future()
        self.send(*arguments, then=lambda reply: None if answer.done() else answer.set_result(reply))
        self._expect(answer, self._loop.time())
        reply = await answer
        if isinstance(reply, hiredis.ReplyError):
            raise reply
        return reply

    def _expect(self, answer: asyncio.Future[Any], asked_at: float) -> None:
        """Settle a command with ``_NO_ANSWER`` once Redis has been silent for too long since it was asked."""
        if answer.done():
            return
        left = PATIENCE - (self._loop.time() - max(asked_at, self._read_at))
        if left > 0:
            self._loop.call_later(left, self._expect, answer, asked_at)
        else:
            answer.set_result(_NO_ANSWER)

    def subscribe(self, topic: bytes) -> None:
        """Subscribe to a topic, before the next command. If Redis refuses, the connection ends."""
        self._send("SSUBSCRIBE" if self.sharded else "SUBSCRIBE", topic)

    def unsubscribe(self, topic: bytes) -> None:
        """Unsubscribe from a topic."""
        self._send("SUNSUBSCRIBE" if self.sharded else "UNSUBSCRIBE", topic)

    def _send(self, command: str, topic: bytes) -> None:
        self._write((command, topic), topic)

    def _write(self, arguments: tuple[Argument, ...], then: Answered | bytes) -> None:
        # Encode first: a command that cannot be encoded must not wait for a reply, or it takes that of the next one.
        packed = hiredis.pack_command(cast("tuple[Any]", arguments))
        self._unanswered.append((self._loop.time(), then))
        if not self._unsent and not self._before_flush:
            self._loop.call_soon(self._flush)
        self._unsent.append(packed)

    def before_flush(self, act: Callable[[], None]) -> None:
        """Call a function before the commands of this event loop iteration are sent, even if the connection ended."""
        if not self._unsent and not self._before_flush:
            self._loop.call_soon(self._flush)
        self._before_flush.append(act)

    def _flush(self) -> None:
        for act in self._before_flush:
            attempt(log, act)
        self._before_flush = []
        unsent, self._unsent = self._unsent, []
        if unsent and self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(unsent))

    def silence(self) -> float:
        """Return the seconds for which Redis has sent nothing while a command waits for its reply.

        A reply can be late because many messages arrive before it: while messages arrive, Redis is alive.
        """
        return self._loop.time() - max(self._unanswered[0][0], self._read_at) if self._unanswered else 0.0

    def data_received(self, data: bytes) -> None:
        """Process replies and messages in the order in which they arrive.

        Bytes that are not RESP, and a reply that no command waits for, end the connection. An exception of the code
        that processes a reply or a message is contained: the next ones are processed, and the connection stays open.
        """
        self._read_at = self._loop.time()
        self._reader.feed(data)
        while (reply := self._next()) is not _UNFINISHED:
            if type(reply) is not hiredis.PushNotification:
                expected = self._answer(reply)
            elif len(reply) > 2 and reply[0] in _MESSAGES:
                expected = self._hear(reply[1], reply[2])
            elif len(reply) > 1 and reply[0] in _CONFIRMATIONS:
                expected = self._confirm(reply[1])
            else:
                continue  # a push of a kind that this node has not asked for
            if not expected:
                self.close()
                return

    def _next(self) -> Any:
        """Return the next reply or message, or ``_UNFINISHED``; end the connection at bytes that are not RESP."""
        try:
            return self._reader.gets()
        except hiredis.ProtocolError:
            self.close()
            return _UNFINISHED

    def _hear(self, topic: bytes, message: bytes) -> bool:
        """Pass a message to its receiver."""
        try:
            self._receive(topic, message)
        except Exception as fault:
            contain(log, fault, "A message on %r could not be processed", topic)
        return True

    def _confirm(self, topic: bytes) -> bool:
        """Process the confirmation of a subscription. Return whether it belongs to the oldest command.

        Redis ends a sharded subscription by itself when the slot moves to another Redis node.
        """
        if not self._unanswered or self._unanswered[0][1] != topic:
            return False
        self._unanswered.popleft()
        return True

    def _answer(self, reply: Any) -> bool:
        """Pass a reply to the oldest command. Return whether there is one.

        Some errors end the connection. The replies that have arrived with such an error are still processed.
        """
        if not self._unanswered:
            return False
        then = self._unanswered.popleft()[1]
        if isinstance(then, bytes):
            log.error(
                "Redis does not allow this node to subscribe to %(topic)r: %(reason)s",
                {"event": "redis_subscribe_refused", "topic": then, "reason": reply},
            )
            self.close()
            return True
        _give(then, reply)
        if type(reply) is hiredis.ReplyError and str(reply).startswith(_ELSEWHERE):
            self.close()
        return True

    def close(self) -> None:
        """End the connection at once."""
        self.ended_here = True
        if self._transport is not None:
            self._transport.abort()

    def discard(self) -> None:
        """End a connection without calling ``lost``."""
        self._lost = lambda: None
        self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail all unanswered commands."""
        self._transport = None
        unanswered, self._unanswered = self._unanswered, deque()
        for _, then in unanswered:
            if not isinstance(then, bytes):
                _give(then, _LOST)
        try:
            self._lost()
        except Exception as fault:
            contain(log, fault, "The end of the connection to Redis at %s could not be processed", self.address)


def _give(then: Answered, reply: Any) -> None:
    """Pass a reply to the code that waits for it. Contain an exception."""
    try:
        then(reply)
    except Exception as fault:
        contain(log, fault, "A reply of Redis could not be processed by %s", getattr(then, "__qualname__", then))
