"""What REST asks of the roster over Redis: read at that moment, of no other node."""

from collections.abc import Mapping, Sequence
from typing import Any

import hiredis

from soketpy.cluster import Unavailable
from soketpy.drivers.redis.members import member_of
from soketpy.drivers.redis.session import Session
from soketpy.presence import Members
from soketpy.steps import Promise


class Reads:
    """Asks Redis. All of it raises Unavailable where that does not answer."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def counts(self, app_id: str, channels: Sequence[str]) -> list[int]:
        """How many connections are subscribed to each. Raises Unavailable."""
        if not channels:
            return []
        [found] = await self._read(["HMGET", self._key("channels", app_id), *channels])
        return [int(count or 0) for count in found]

    async def member_counts(self, app_id: str, channels: Sequence[str]) -> list[int]:
        """How many members each has. Raises Unavailable."""
        return await self._read(*(["HLEN", self._key_of("members", app_id, channel)] for channel in channels))

    async def members(self, app_id: str, channel: str) -> Members:
        """The members of a presence channel. Raises Unavailable."""
        [found] = await self._read(["HGETALL", self._key_of("members", app_id, channel)])
        members = Members()
        for user_id, info in found.items():
            members.join(*member_of(user_id.decode(), info))
        return members

    async def channels(self, app_id: str, prefix: str) -> Mapping[str, int]:
        """The occupied channels whose names start with ``prefix``, each with its count. Raises Unavailable."""
        [found] = await self._read(["HGETALL", self._key("channels", app_id)])
        names = ((channel.decode(errors="replace"), int(count)) for channel, count in found.items())
        return {name: count for name, count in names if name.startswith(prefix)}

    def _key(self, kind: str, app_id: str) -> str:
        return f"{self._session.base}{kind}:{app_id}"

    def _key_of(self, kind: str, app_id: str, name: str) -> str:
        return f"{self._session.base}{kind}:{len(app_id.encode())}:{app_id}:{name}"

    async def _read(self, *commands: list[str]) -> list[Any]:
        """The answers to some commands. Raises Unavailable."""
        if not self._session.here:
            raise Unavailable
        if not commands:
            return []
        answers: list[Any] = []
        whole: Promise[None] = Promise()

        def take(answer: Any) -> None:
            answers.append(answer)
            if len(answers) == len(commands):
                whole.keep(None)

        for command in commands:
            self._session.send(*command, then=take)
        await whole
        if any(isinstance(answer, hiredis.ReplyError) for answer in answers):
            raise Unavailable
        return answers
