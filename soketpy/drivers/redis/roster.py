"""The roster over Redis: what this node has, and what it was told of the rest."""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import hiredis

from soketpy import steps
from soketpy.cluster import ChannelFull, Edge, Node, Unavailable
from soketpy.drivers.redis import topics
from soketpy.drivers.redis.session import Session
from soketpy.drivers.redis.topics import Name, Topics
from soketpy.drivers.redis.writes import Lost
from soketpy.presence import Members
from soketpy.protocol.channels import user_channel
from soketpy.steps import Promise


class RedisRoster:
    """Writes this node's leaves, and keeps replicas of what its clients are told of.

    Invariant: the replica of a presence channel is what Redis had at the last message that was heard, and a joiner is
    let in between two messages. While Redis is away, it is what this node believes.
    """

    def __init__(self, session: Session, names: Topics) -> None:
        self._session = session
        self._topics = names
        self._connected: dict[str, int] = {}  # of the apps whose connections are counted together
        self._subscriptions: dict[Name, int] = {}
        self._connections: dict[Name, dict[str, tuple[int, bytes]]] = {}
        self._users: dict[Name, int] = {}
        self._replicas: dict[Name, Members] = {}
        self._asked: set[Name] = set()  # presence channels whose list is on its way
        self._online: dict[Name, bool] = {}  # of the users whom somebody watches here
        session.attach(self)

    def attach(self, node: Node) -> None:
        """Tell a node from now on."""
        self._node = node

    # Connections

    async def connect(self, app_id: str, here: int, limit: int | None) -> bool:
        """Count one connection of an app that has, or had, a limit; False, and not counted, above ``limit``."""
        if app_id not in self._connected:
            if limit is None:
                return True
            self._connected[app_id] = here
            self._session.write(["k", app_id, "", "", here])
        try:
            counted = bool(await self._session.write(["a", app_id, 1, -1 if limit is None else limit]))
        except Lost:
            counted = limit is None or self._connected[app_id] < limit
            if counted:
                self._session.write(["k", app_id, "", "", self._connected[app_id] + 1])
        self._connected[app_id] += counted
        return counted

    def disconnect(self, app_id: str) -> None:
        """Count one connection less."""
        if app_id in self._connected:
            self._connected[app_id] -= 1
            steps.begin(self._disconnected(app_id))

    async def _disconnected(self, app_id: str) -> None:
        try:
            await self._session.write(["a", app_id, -1, 0])
        except Lost:
            self._session.write(["k", app_id, "", "", self._connected[app_id]])

    # Subscriptions

    async def join(self, app_id: str, channel: str) -> int:
        """Count one subscription, which hears the channel from now on; how many there are then."""
        self._topics.listen(topics.CHANNEL, app_id, channel)
        return await self._subscribed(app_id, channel, 1)

    async def leave(self, app_id: str, channel: str) -> int:
        """Take away one subscription; how many are left."""
        self._topics.leave(topics.CHANNEL, app_id, channel)
        return await self._subscribed(app_id, channel, -1)

    async def _subscribed(self, app_id: str, channel: str, change: int) -> int:
        count = _add(self._subscriptions, (app_id, channel), change)
        try:
            total, _ = await self._session.write(["s", app_id, channel, "", count])
        except Lost:
            return count
        return int(total)

    def tell_count(self, app_id: str, channel: str) -> None:
        """Have every node tell the channel's subscribers how many they are."""
        if self._session.here:
            self._session.write(["c", app_id, channel])
        else:
            self._node.count_told(app_id, channel, self._subscriptions.get((app_id, channel), 0))

    # Members

    async def join_as(self, app_id: str, channel: str, user_id: str, info: bytes, limit: int) -> Members:
        """Count one subscription of a presence channel; who is there. Raises ChannelFull for one above ``limit``."""
        name = (app_id, channel)
        self._topics.listen(topics.CHANNEL, app_id, channel)
        mine = self._connections.setdefault(name, {})
        count = mine.get(user_id, (0, b""))[0] + 1
        mine[user_id] = (count, mine[user_id][1] if count > 1 else info)
        wanted = name not in self._replicas and name not in self._asked
        if wanted:
            self._asked.add(name)
        write = ["m", app_id, channel, user_id, count, info, limit, wanted]
        try:
            let_in, _, came, listed = await self._session.write(write)
        except Lost:
            let_in, came, listed = self._join_alone(name, user_id, limit)
        if listed is not False:
            self._asked.discard(name)
            self._replicas[name] = Members()
            for member_id, member_info in _pairs(listed):
                self._replicas[name].join(member_id.decode(), member_info)
        if not let_in:
            self._leave_as(name, user_id)
            raise ChannelFull
        if came:
            self._added(name, user_id, info)
        return self._replicas[name]

    def _join_alone(self, name: Name, user_id: str, limit: int) -> tuple[bool, bool, Any]:
        """What Redis would have answered, as far as this node knows."""
        members = self._replicas.get(name)
        if members is None:
            members = self._replicas[name] = Members()
            for each, (_, info) in self._connections[name].items():
                if each != user_id:
                    members.join(each, info)
        new = user_id not in members
        return not new or len(members) < limit, new, False

    async def leave_as(self, app_id: str, channel: str, user_id: str) -> None:
        """Take away one subscription of a presence channel."""
        name = (app_id, channel)
        count = self._leave_as(name, user_id)
        try:
            _, _, came, _ = await self._session.write(["m", app_id, channel, user_id, count, b"", 0, False])
        except Lost:
            came = not count
        if came:
            self._removed(name, user_id)

    def _leave_as(self, name: Name, user_id: str) -> int:
        """Forget one connection of a member on this node; how many are left."""
        mine = self._connections[name]
        count, info = mine[user_id]
        if count > 1:
            mine[user_id] = (count - 1, info)
        else:
            del mine[user_id]
        if not self._topics.leave(topics.CHANNEL, *name):
            del self._connections[name]
            self._replicas.pop(name, None)
            self._asked.discard(name)
        return count - 1

    def _added(self, name: Name, user_id: str, info: bytes) -> None:
        """A member has come: those who are on the channel here are told once, whoever says it first."""
        members = self._replicas.get(name)
        if members is not None and user_id not in members:
            member = members.join(user_id, info)
            assert member is not None  # noqa: S101 - who was none before
            self._node.member_added(*name, member)

    def _removed(self, name: Name, user_id: str) -> None:
        """A member has gone."""
        members = self._replicas.get(name)
        if members is not None and user_id in members:
            member = members.leave(user_id)
            assert member is not None  # noqa: S101 - replicas count each member once
            self._node.member_removed(*name, member)

    # Users

    async def sign_in(self, app_id: str, user_id: str, watchlist: Sequence[str]) -> set[str]:
        """Count one connection of a user, which hears of the watched; who of them is signed in anywhere."""
        self._topics.listen(topics.CHANNEL, app_id, user_channel(user_id))
        self._hear_of(app_id, watchlist)
        count = _add(self._users, (app_id, user_id), 1)
        try:
            found = await self._session.write(["u", app_id, user_id, "", count, list(watchlist)])
        except Lost:
            if count == 1:
                self._turned(app_id, user_id, True)
            found = None
        return self._found(app_id, watchlist, found)

    async def watch(self, app_id: str, watchlist: Sequence[str]) -> set[str]:
        """Hear of users for one connection; who of them is signed in anywhere."""
        self._hear_of(app_id, watchlist)
        try:
            found = await self._session.write(["o", app_id, list(watchlist)])
        except Lost:
            found = None
        return self._found(app_id, watchlist, found)

    def _hear_of(self, app_id: str, watchlist: Sequence[str]) -> None:
        for watched in watchlist:
            self._topics.listen(topics.WATCH, app_id, watched)

    def _found(self, app_id: str, watchlist: Sequence[str], found: list[bytes] | None) -> set[str]:
        """Who is signed in by the answer of Redis or, without one, as far as this node knows."""
        if found is not None:
            online = {each.decode() for each in found}
        else:
            online = {each for each in watchlist if self._online.get((app_id, each)) or (app_id, each) in self._users}
        for watched in watchlist:
            self._online.setdefault((app_id, watched), watched in online)
        return online

    async def sign_out(self, app_id: str, user_id: str, watchlist: Sequence[str]) -> None:
        """Undo ``sign_in``."""
        self._topics.leave(topics.CHANNEL, app_id, user_channel(user_id))
        self.unwatch(app_id, watchlist)
        count = _add(self._users, (app_id, user_id), -1)
        try:
            await self._session.write(["u", app_id, user_id, "", count, []])
        except Lost:
            if not count:
                self._turned(app_id, user_id, False)

    def is_online(self, app_id: str, user_id: str) -> bool:
        """Whether a user who is watched here is signed in, as far as this node was told."""
        return self._online[app_id, user_id]

    def unwatch(self, app_id: str, watchlist: Sequence[str]) -> None:
        """Undo ``watch``."""
        for watched in watchlist:
            if not self._topics.leave(topics.WATCH, app_id, watched):
                self._online.pop((app_id, watched), None)

    def _turned(self, app_id: str, user_id: str, online: bool) -> None:
        """A user came or went: those who watch them here are told once, whoever says it first."""
        known = self._online.get((app_id, user_id))
        if known is not None and known != online:
            self._online[app_id, user_id] = online
            self._node.tell_watchers(app_id, user_id, online)

    # Reading

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
        """The members of a presence channel; the replica where this node has one. Raises Unavailable."""
        known = self._replicas.get((app_id, channel))
        if known is not None and self._session.here:
            return known
        [found] = await self._read(["HGETALL", self._key_of("members", app_id, channel)])
        members = Members()
        for user_id, info in found.items():
            members.join(user_id.decode(), info)
        return members

    async def channels(self, app_id: str, prefix: str) -> Mapping[str, int]:
        """The occupied channels whose names start with ``prefix``, each with its count. Raises Unavailable."""
        [found] = await self._read(["HGETALL", self._key("channels", app_id)])
        start = prefix.encode()
        return {channel.decode(): int(count) for channel, count in found.items() if channel.startswith(start)}

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

    # What is heard, and what the session asks

    def heard(self, name: Name, message: list[Any]) -> None:
        """Something about a channel or a user has changed."""
        match message:
            case [topics.ADDED, user_id, info]:
                self._added(name, user_id.decode(), info)
            case [topics.REMOVED, user_id]:
                self._removed(name, user_id.decode())
            case [topics.COUNT, count]:
                self._node.count_told(*name, count)
            case [topics.ONLINE, online]:
                self._turned(*name, online)

    def written(self, write: list[Any], answer: Any) -> None:
        """Report what a write of this node has changed: channels, and then members, or the other way round."""
        if write[0] not in ("s", "m"):
            return
        kind, app_id, channel, user_id = write[:4]
        of_channel, of_member = answer[1], answer[2] if kind == "m" else 0
        if of_channel > 0:
            self._node.report(Edge.OCCUPIED, app_id, channel)
        if of_member:
            self._node.report(Edge.ADDED if of_member > 0 else Edge.REMOVED, app_id, channel, user_id)
        if of_channel < 0:
            self._node.report(Edge.VACATED, app_id, channel)

    def report(self, edge: Edge, app_id: str, channel: str, user_id: str | None) -> None:
        """An edge that a dead node left behind."""
        self._node.report(edge, app_id, channel, user_id)

    def topics(self) -> list[bytes]:
        """Every topic that this node hears."""
        return self._topics.all()

    def leaves(self) -> list[list[Any]]:
        """Every write that says what this node has."""
        return [
            *(["s", *name, "", count] for name, count in self._subscriptions.items()),
            *(
                ["m", *name, user_id, count, info, _NO_LIMIT, False]
                for name, mine in self._connections.items()
                for user_id, (count, info) in mine.items()
            ),
            *(["u", *name, "", count, []] for name, count in self._users.items()),
            *(["k", app_id, "", "", count] for app_id, count in self._connected.items()),
        ]

    def gone(self) -> None:
        """The node is on its own from now on."""
        self._asked.clear()

    def came_back(self, *, removals: bool) -> None:
        """Tell this node's clients what they have missed; of those who went only with ``removals``."""
        steps.begin(self._catch_up(removals))

    async def _catch_up(self, removals: bool) -> None:
        with contextlib.suppress(Lost):
            await self._catch_up_members(removals)
            await self._catch_up_users(removals)

    async def _catch_up_members(self, removals: bool) -> None:
        for name, members in list(self._replicas.items()):
            there = dict(_pairs(await self._session.write(["l", *name])))
            for user_id, info in there.items():
                self._added(name, user_id.decode(), info)
            if removals:
                for user in [member.user_id for member in members if member.user_id.encode() not in there]:
                    self._removed(name, user)

    async def _catch_up_users(self, removals: bool) -> None:
        for app_id in {app_id for app_id, _ in self._online}:
            watched = [user_id for each, user_id in self._online if each == app_id]
            online = set(await self._session.write(["o", app_id, watched]))
            for user_id in watched:
                if user_id.encode() in online or removals:
                    self._turned(app_id, user_id, user_id.encode() in online)


_NO_LIMIT = 2**53


def _add(counts: dict[Name, int], name: Name, change: int) -> int:
    """Change a count; what it is then."""
    count = counts.get(name, 0) + change
    if count:
        counts[name] = count
    else:
        del counts[name]
    return count


def _pairs(flat: list[bytes]) -> Iterable[tuple[bytes, bytes]]:
    """The pairs of an array in which they stand one behind another."""
    return zip(flat[::2], flat[1::2], strict=True)
