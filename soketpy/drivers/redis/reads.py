"""What REST asks of the roster over Redis: read at that moment, of no other node.

Redis does nothing else while it serves a command. Long readings are therefore many short commands, each sent when the
one before has its answer, so that the commands of others are served between them.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import hiredis

from soketpy.core.ports import TooSlow, Unavailable
from soketpy.core.presence import Members
from soketpy.core.steps import Future
from soketpy.drivers.redis.damage import note_damage
from soketpy.drivers.redis.members import member_of, readable
from soketpy.drivers.redis.session import Session

PATIENCE = 5.0
"""Seconds that the readings of one call may take together."""

STEP = 1000
"""Entries of a hash that Redis is asked to look at in one step: a fraction of a millisecond of its time."""

SLICE = 500
"""Counts that are asked for together."""

MOST_DIGITS = 15
"""Digits of a count: as many as the script takes."""

_SPECIAL = re.compile(r"[*?\[\]\\^-]")


_CHANNELS = "The channels could not be listed within {:g} s; ask with filter_by_prefix, or try again."
_COUNTS = "The channels could not be counted within {:g} s; ask for fewer of them, or try again."
_MEMBERS = "The users could not be listed within {:g} s; try again."


class Reads:
    """Asks Redis. All of it raises Unavailable where that does not answer, or TooSlow where it takes too long."""

    def __init__(self, session: Session, clock: Callable[[], float] = time.monotonic) -> None:
        self._session = session
        self._clock = clock

    async def counts(self, app_id: str, channels: Sequence[str], since: float | None = None) -> list[int]:
        """How many connections are subscribed to each. Raises Unavailable."""
        key, counts = self._key("channels", app_id), list[int]()
        bound = self._bound(_COUNTS, since)
        for some in _slices(channels):
            bound()
            [found] = await self._read(["HMGET", key, *some])
            counts += [_count(key, channel, count) for channel, count in zip(some, found, strict=True)]
        return counts

    async def member_counts(self, app_id: str, channels: Sequence[str], since: float | None = None) -> list[int]:
        """How many members each has. Raises Unavailable."""
        counts: list[int] = []
        bound = self._bound(_COUNTS, since)
        for some in _slices(channels):
            bound()
            counts += await self._read(*(["HLEN", self._key_of("members", app_id, channel)] for channel in some))
        return counts

    async def members(self, app_id: str, channel: str) -> Members:
        """The members of a presence channel. Raises Unavailable."""
        found = await self._scan(self._key_of("members", app_id, channel), "*", _MEMBERS)
        members = Members()
        for user_id, info in readable(app_id, channel, [part for member in found.items() for part in member]):
            members.join(*member_of(user_id, info))
        return members

    async def channels(self, app_id: str, prefix: str, since: float | None = None) -> Mapping[str, int]:
        """The occupied channels whose names start with ``prefix``, each with its count. Raises Unavailable."""
        key = self._key("channels", app_id)
        found = await self._scan(key, f"{_escaped(prefix)}*", _CHANNELS, since)
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
        """Return what raises TooSlow, with a text, once the readings that began then, or begin now, take too long."""
        until = (self._clock() if since is None else since) + PATIENCE

        def check() -> None:
            if self._clock() > until:
                raise TooSlow(slow.format(PATIENCE))

        return check

    def _key(self, kind: str, app_id: str) -> str:
        return f"{self._session.base}{kind}:{app_id}"

    def _key_of(self, kind: str, app_id: str, name: str) -> str:
        return f"{self._session.base}{kind}:{len(app_id.encode())}:{app_id}:{name}"

    async def _read(self, *commands: Sequence[str | bytes]) -> list[Any]:
        """The answers to some commands. Raises Unavailable."""
        if not self._session.connected:
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
            self._session.send(*command, then=take)
        await whole
        if any(isinstance(answer, hiredis.ReplyError) for answer in answers):
            raise Unavailable
        return answers


def _count(key: str, channel: str, text: bytes | None) -> int:
    """Return a count; 0 for what is no count, which soketpy never writes. Such a text is logged once."""
    if text is None:
        return 0
    if text.isdigit() and len(text) <= MOST_DIGITS:
        return int(text)
    note_damage(f"The count of {channel} in {key}", "it is not a count")
    return 0


def _escaped(text: str) -> str:
    """Return the pattern that only this text matches."""
    return _SPECIAL.sub(r"\\\g<0>", text)


def _slices(names: Sequence[str]) -> Iterator[Sequence[str]]:
    """Cut a sequence into parts that are asked for together."""
    return (names[start : start + SLICE] for start in range(0, len(names), SLICE))
