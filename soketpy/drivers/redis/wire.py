"""One connection to Redis, on which a node says and hears everything, so that all of it has one order.

It speaks RESP3, where messages of topics come between the answers to commands. Reading costs half a microsecond a
message; redis-py's reader, which is made for one answer at a time, takes fifteen times as long.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, cast

import hiredis

Argument = str | bytes | int

Heard = Callable[[bytes, bytes], None]
"""Takes a message: its topic, and its bytes. Must not raise."""

Answered = Callable[[Any], None]
"""Takes the answer to a command; an error is a ``hiredis.ReplyError``. Must not raise."""

_UNFINISHED = object()

_LOST = hiredis.ReplyError("LOST the connection has ended")


class Wire(asyncio.Protocol):
    """Commands go out together at the end of an iteration of the event loop; their answers come in their order."""

    def __init__(self, heard: Heard, lost: Callable[[], None]) -> None:
        self._heard = heard
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader(notEnoughData=_UNFINISHED)
        self._transport: asyncio.Transport | None = None
        self._unsent: list[bytes] = []
        self._unanswered: deque[tuple[float, Answered | None]] = deque()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands."""
        self._transport = cast("asyncio.Transport", transport)

    def send(self, *arguments: Argument, then: Answered | None = None) -> None:
        """Send a command that has one answer, given to ``then``."""
        self._unanswered.append((self._loop.time(), then))
        self._write(arguments)

    def tell(self, *arguments: Argument) -> None:
        """Send a command that has no answer: SUBSCRIBE and UNSUBSCRIBE, which later commands find done."""
        self._write(arguments)

    def _write(self, arguments: tuple[Argument, ...]) -> None:
        if not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent.append(hiredis.pack_command(cast("tuple[Any]", arguments)))

    def _flush(self) -> None:
        unsent, self._unsent = self._unsent, []
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(unsent))

    def waited(self) -> float:
        """Seconds for which the oldest command has had no answer."""
        return self._loop.time() - self._unanswered[0][0] if self._unanswered else 0.0

    def data_received(self, data: bytes) -> None:
        """Take answers and messages as they come."""
        reader = self._reader
        reader.feed(data)
        try:
            while (reply := reader.gets()) is not _UNFINISHED:
                if type(reply) is hiredis.PushNotification:
                    if reply[0] == b"message":
                        self._heard(reply[1], reply[2])
                else:
                    then = self._unanswered.popleft()[1]
                    if then is not None:
                        then(reply)
        except (hiredis.ProtocolError, IndexError):  # this is not Redis, or answers what nobody asked
            self.close()

    def close(self) -> None:
        """End the connection, without waiting for anything."""
        if self._transport is not None:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone; nothing that was not answered will be."""
        self._transport = None
        unanswered, self._unanswered = self._unanswered, deque()
        for _, then in unanswered:
            if then is not None:
                then(_LOST)
        self._lost()
