"""The reads of the REST API over Redis. Each one asks Redis, and no other node.

Redis does nothing else while it serves a command. A long read is therefore many short commands, each sent after the
answer to the one before, so that Redis serves other clients between them.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import hiredis

from soketpy.core.ports import TooSlow, Unavailable
from soketpy.core.presence import Members
from soketpy.core.steps import Future
from soketpy.drivers.redis.commands import Commands
from soketpy.drivers.redis.damage import note_damage
from soketpy.drivers.redis.members import member_of, readable
from soketpy.drivers.redis.wire import pattern

PATIENCE = 5.0
"""Seconds that the reads of one call may take together."""

STEP = 1000
"""Entries of a hash that Redis is asked to look at in one step: a fraction of a millisecond of its time."""

SLICE = 500
"""Counts that are read together."""

MOST_DIGITS = 15
"""The most digits of a count, as in the script."""

_CHANNELS = "The channels could not be listed within {:g} s; ask with filter_by_prefix, or try again."
_COUNTS = "The channels could not be counted within {:g} s; ask for fewer of them, or try again."
_MEMBERS = "The users could not be listed within {:g} s; try again."


class Reads:
    """Reads from Redis. Methods raise Unavailable if Redis does not answer, and TooSlow if a read takes too long."""

    def __init__(self, commands: Commands, clock: Callable[[], float] = time.monotonic) -> None:
        self._commands = commands
        self._clock = clock

    async def counts(self, app_id: str, channels: Sequence[str], since: float | None = None) -> list[int]:
        """Return the number of subscriptions of each channel. Raises Unavailable."""
        key, counts = self._key("channels", app_id), list[int]()
        bound = self._bound(_COUNTS, since)
        for some in _slices(channels):
            bound()
            [found] = await self._read(["HMGET", key, *some])
            counts += [_count(key, channel, count) for channel, count in zip(some, found, strict=True)]
        return counts

    async def member_counts(self, app_id: str, channels: Sequence[str], since: float | None = None) -> list[int]:
        """Return the number of members of each channel. Raises Unavailable."""
        counts: list[int] = []
        bound = self._bound(_COUNTS, since)
        for some in _slices(channels):
            bound()
            counts += await self._read(*(["HLEN", self._key_of("members", app_id, channel)] for channel in some))
        return counts

    async def members(self, app_id: str, channel: str) -> Members:
        """Return the members of a presence channel. Raises Unavailable."""
        found = await self._scan(self._key_of("members", app_id, channel), "*", _MEMBERS)
        members = Members()
        for user_id, info in readable(app_id, channel, [part for member in found.items() for part in member]):
            members.join(*member_of(user_id, info))
        return members

    async def channels(self, app_id: str, prefix: str, since: float | None = None) -> Mapping[str, int]:
        """Return the occupied channels whose names start with ``prefix``, with their counts. Raises Unavailable."""
        key = self._key("channels", app_id)
        found = await self._scan(key, f"{pattern(prefix)}*", _CHANNELS, since)
        counts = ((channel.decode(errors="replace"), count) for channel, count in found.items())
        return {channel: count for channel, text in counts if (count := _count(key, channel, text))}

    async def _scan(self, key: str, pattern: str, slow: str, since: float | None = None) -> dict[bytes, bytes]:
        """Return the fields of a hash that match, read in steps. Raises Unavailable, or TooSlow with a text."""
        found: dict[bytes, bytes] = {}  # Redis may return a field more than once
        cursor, bound = b"0", self._bound(slow, since)
        while True:
            [(cursor, some)] = await self._read(["HSCAN", key, cursor, "MATCH", pattern, "COUNT", str(STEP)])
            found.update(zip(some[::2], some[1::2], strict=True))
            if cursor == b"0":
                return found
            bound()

    def _bound(self, slow: str, since: float | None) -> Callable[[], None]:
        """Return a function that raises TooSlow once the reads, which began at ``since`` or now, take too long."""
        until = (self._clock() if since is None else since) + PATIENCE

        def check() -> None:
            if self._clock() > until:
                raise TooSlow(slow.format(PATIENCE))

        return check

    def _key(self, kind: str, app_id: str) -> str:
        return f"{self._commands.prefix}{kind}:{app_id}"

    def _key_of(self, kind: str, app_id: str, name: str) -> str:
        return f"{self._commands.prefix}{kind}:{len(app_id.encode())}:{app_id}:{name}"

    async def _read(self, *commands: Sequence[str | bytes]) -> list[Any]:
        """Return the answers to some commands. Raises Unavailable."""
        if not self._commands.connected:
            raise Unavailable
        if not commands:
            return []
        answers: list[Any] = []
        whole: Future[None] = Future()

        def take(answer: Any) -> None:
            answers.append(answer)
            if len(answers) == len(commands):
                whole.set_result(None)

        for command in commands:
            self._commands.send(*command, then=take)
        await whole
        if any(isinstance(answer, hiredis.ReplyError) for answer in answers):
            raise Unavailable
        return answers


def _count(key: str, channel: str, text: bytes | None) -> int:
    """Return a count, or 0 for a text that is no count. soketpy never writes such a text; it is logged once."""
    if text is None:
        return 0
    if text.isdigit() and len(text) <= MOST_DIGITS:
        return int(text)
    note_damage(f"The count of {channel} in {key}", "it is not a count")
    return 0


def _slices(names: Sequence[str]) -> Iterator[Sequence[str]]:
    """Cut a sequence into slices that are read together."""
    return (names[start : start + SLICE] for start in range(0, len(names), SLICE))
