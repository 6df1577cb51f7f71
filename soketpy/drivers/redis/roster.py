"""The roster over Redis: what this node has, and what it was told of the rest."""

import logging
from collections.abc import Iterable
from typing import Any

from soketpy.core import steps
from soketpy.core.containment import contain
from soketpy.core.ports import ChannelFull, Inbox, Transition
from soketpy.core.presence import Members
from soketpy.drivers.redis import topics
from soketpy.drivers.redis.members import member_of, readable, value_of
from soketpy.drivers.redis.quotas import Quotas
from soketpy.drivers.redis.reads import Reads
from soketpy.drivers.redis.session import Session
from soketpy.drivers.redis.topics import ScopedName, Topics, add
from soketpy.drivers.redis.users import RedisUsers
from soketpy.drivers.redis.writes import Leaf, Lost, Write

log = logging.getLogger("soketpy.redis")


class RedisRoster:
    """Writes this node's leaves, and keeps replicas of what its clients are told of.

    Invariant: the replica of a presence channel is what Redis had at the last message that was heard, and a joiner is
    let in between two messages. While Redis is away, it is what this node believes.

    If a write fails though Redis is there, the counts of this node and those in Redis agree afterwards: a join is
    undone and raises, and a leave is written again: at once, and then with each renewal of the lease, until Redis can
    do the write.
    """

    def __init__(self, session: Session, names: Topics) -> None:
        self._session = session
        self._topics = names
        self._subscriptions: dict[ScopedName, int] = {}
        self._connections: dict[ScopedName, dict[str, tuple[int, bytes]]] = {}
        self._replicas: dict[ScopedName, Members] = {}
        self._late: set[ScopedName] = set()  # channels whose subscribers were told a number before it was written
        self._asked: set[ScopedName] = set()  # presence channels whose list is on its way
        self.users = users = RedisUsers(session, names)
        self._reads = reads = Reads(session)
        self._quotas = quotas = Quotas(session)
        self.connect, self.disconnect, self.limit = quotas.connect, quotas.disconnect, quotas.limit
        self.sign_in, self.sign_out = users.sign_in, users.sign_out
        self.counts, self.member_counts, self.channels = reads.counts, reads.member_counts, reads.channels
        session.attach(self)

    def attach(self, inbox: Inbox) -> None:
        """Tell a node from now on."""
        self._inbox = inbox
        self.users.attach(inbox)

    # Subscriptions

    async def join(self, app_id: str, channel: str) -> int:
        """Count one subscription, which hears the channel from now on; how many there are then."""
        self._topics.listen(topics.CHANNEL, app_id, channel)
        count = add(self._subscriptions, (app_id, channel), 1)
        try:
            return await self._write_count(app_id, channel, count)
        except Exception:
            await self.leave(app_id, channel)
            raise

    async def leave(self, app_id: str, channel: str) -> int:
        """Take away one subscription; how many are left."""
        self._topics.leave(topics.CHANNEL, app_id, channel)
        count = add(self._subscriptions, (app_id, channel), -1)
        try:
            return await self._write_count(app_id, channel, count)
        except Exception as fault:
            contain(log, fault, "App %s: the end of a subscription of %s has to be written again", app_id, channel)
            self._write_count_again((app_id, channel))
            return count

    def _write_count_again(self, name: ScopedName) -> None:
        """Write how many subscriptions this node has, after a write of it has failed."""
        self._late.add(name)
        self._session.write_again(self._count(name))

    def _count(self, name: ScopedName) -> Write:
        """Return the write that says how many subscriptions of a channel this node has."""
        return ["s", *name, "", self._subscriptions.get(name, 0)]

    async def _write_count(self, app_id: str, channel: str, count: int) -> int:
        """Write how many subscriptions this node has; return how many there are anywhere."""
        try:
            total, _ = await self._session.write(["s", app_id, channel, "", count])
        except Lost:
            return count
        return int(total)

    def send_count(self, app_id: str, channel: str) -> None:
        """Have every node tell the channel's subscribers how many they are."""
        if self._session.connected:
            self._session.write(["c", app_id, channel])
        else:
            self._inbox.count_changed(app_id, channel, self._subscriptions.get((app_id, channel), 0))

    # Members

    async def join_as(self, app_id: str, channel: str, user_id: str, info: bytes, limit: int) -> Members:
        """Count one subscription of a presence channel; who is there. Raises ChannelFull for one above ``limit``."""
        name, info = (app_id, channel), value_of(user_id, info)
        self._topics.listen(topics.CHANNEL, app_id, channel)
        mine = self._connections.setdefault(name, {})
        count = mine.get(user_id, (0, b""))[0] + 1
        mine[user_id] = (count, mine[user_id][1] if count > 1 else info)
        wanted = name not in self._replicas and name not in self._asked
        if wanted:
            self._asked.add(name)
        try:
            if await self._enter(name, user_id, count, info, limit, wanted):
                return self._replicas[name]
        except Exception:
            if wanted:
                self._asked.discard(name)
            await self.leave_as(app_id, channel, user_id)
            raise
        await self.leave_as(app_id, channel, user_id)  # others of the same user may have been counted with this one
        raise ChannelFull

    async def _enter(self, name: ScopedName, user_id: str, count: int, info: bytes, limit: int, wanted: bool) -> bool:
        """Write how many connections a member has here; whether the channel had room for the member."""
        try:
            let_in, _, came, listed = await self._session.write(["m", *name, user_id, count, info, limit, wanted])
            if listed is False and name not in self._replicas:  # the join that asked for the list has failed
                listed = await self._session.write(["l", *name])
        except Lost:
            let_in, came, listed = self._join_alone(name, user_id, limit)
            if let_in:
                self._session.write(self._leaf(name, user_id))
        if listed is not False:
            members = Members()
            for member_id, value in readable(*name, listed):
                members.join(*member_of(member_id, value))
            self._asked.discard(name)
            self._replicas[name] = members
        if let_in and came:
            self._added(name, user_id, info)
        return bool(let_in)

    def _join_alone(self, name: ScopedName, user_id: str, limit: int) -> tuple[bool, bool, Any]:
        """What Redis would have answered, as far as this node knows."""
        members = self._replicas.get(name)
        if members is None:
            members = self._replicas[name] = Members()
            for each, (_, info) in self._connections[name].items():
                if each != user_id:
                    members.join(*member_of(each, info))
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
            self._session.write(self._leaf(name, user_id))
        except Exception as fault:
            contain(log, fault, "App %s: the end of a subscription of %s has to be written again", app_id, channel)
            came = 0  # if that removes the member, Redis publishes it
            self._session.write_again(self._leaf(name, user_id))
        if came:
            self._removed(name, user_id)

    def _leaf(self, name: ScopedName, user_id: str) -> Write:
        """The write that says how often a user is on a presence channel here, whoever else is there."""
        count, info = self._connections.get(name, {}).get(user_id, (0, b""))
        return ["m", *name, user_id, count, info, _NO_LIMIT, False]

    def _leave_as(self, name: ScopedName, user_id: str) -> int:
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

    def _added(self, name: ScopedName, user_id: str, info: bytes) -> None:
        """A member has come: those who are on the channel here are told once, whoever says it first."""
        members = self._replicas.get(name)
        if members is not None and user_id not in members:
            member = members.join(*member_of(user_id, info))
            assert member is not None  # noqa: S101 - who was none before
            self._inbox.member_added(*name, member)

    def _removed(self, name: ScopedName, user_id: str) -> None:
        """A member has gone."""
        members = self._replicas.get(name)
        if members is not None and user_id in members:
            member = members.leave(user_id)
            assert member is not None  # noqa: S101 - replicas count each member once
            self._inbox.member_removed(*name, member)

    # Reading

    async def members(self, app_id: str, channel: str) -> Members:
        """The members of a presence channel; the replica where this node has one. Raises Unavailable."""
        known = self._replicas.get((app_id, channel))
        return known if known is not None and self._session.connected else await self._reads.members(app_id, channel)

    # What is heard, and what the session asks

    def heard(self, name: ScopedName, message: list[Any]) -> None:
        """Something about a channel or a user has changed."""
        match message:
            case [topics.ADDED, user_id, info]:
                self._added(name, user_id.decode(), info)
            case [topics.REMOVED, user_id]:
                self._removed(name, user_id.decode())
            case [topics.COUNT, count] if self._inbox.wants_counts(name[0]):
                self._inbox.count_changed(*name, count)
            case [topics.ONLINE, online]:
                self.users.turned(*name, online)

    def written(self, write: list[Any], answer: Any) -> None:
        """Report what a write of this node has changed: channels, and then members, or the other way round."""
        if write[0] not in ("s", "m"):
            return
        kind, app_id, channel, user_id = write[:4]
        if (app_id, channel) in self._late:
            self._late.discard((app_id, channel))
            if self._session.connected:  # this node may have no connection left that says whether the app wants it
                self.send_count(app_id, channel)
        of_channel, of_member = answer[1], answer[2] if kind == "m" else 0
        if of_channel > 0:
            self._inbox.report(Transition.OCCUPIED, app_id, channel)
        if of_member:
            self._inbox.report(Transition.ADDED if of_member > 0 else Transition.REMOVED, app_id, channel, user_id)
        if of_channel < 0:
            self._inbox.report(Transition.VACATED, app_id, channel)

    def report(self, transition: Transition, app_id: str, channel: str, user_id: str | None) -> None:
        """An edge that a dead node left behind."""
        self._inbox.report(transition, app_id, channel, user_id)

    def topics(self) -> list[bytes]:
        """Every topic that this node hears."""
        return self._topics.all()

    def leaves(self) -> list[list[Any]]:
        """Every write that says what this node has."""
        return [
            *map(self._count, self._subscriptions),
            *(self._leaf(name, user_id) for name, mine in self._connections.items() for user_id in mine),
            *self.users.leaves(),
            *self._quotas.leaves(),
        ]

    def write_again(self, leaves: Iterable[Leaf]) -> None:
        """Write what this node has of some leaves, whose writes have failed. Never raises."""
        for leaf in leaves:
            try:
                self._write_again(*leaf)
            except Exception as fault:
                contain(log, fault, "A write of kind %s of app %s could not be sent again", *leaf[:2])

    def _write_again(self, kind: str, app_id: str, name: str, user_id: str) -> None:
        match kind:
            case "s":
                self._write_count_again((app_id, name))
            case "m":
                self._session.write_again(self._leaf((app_id, name), user_id))
            case "u":
                self._session.write_again(self.users.leaf((app_id, name)))
            case _:
                self._quotas.write_again(app_id)

    def gone(self) -> None:
        """The node is on its own from now on."""
        self._asked.clear()

    def came_back(self, *, removals: bool) -> None:
        """Tell this node's clients what they have missed; of those who went only with ``removals``."""
        steps.begin(self._catch_up(removals))

    async def _catch_up(self, removals: bool) -> None:
        for name in list(self._subscriptions):
            try:
                if self._inbox.wants_counts(name[0]):
                    self._session.write(["c", *name])
            except Exception as fault:
                contain(log, fault, "App %s: the subscribers of %s could not be told their number", *name)
        for name in list(self._replicas):
            try:
                await self._catch_up_members(name, removals)
            except Lost:
                if not self._session.connected:
                    return
            except Exception as fault:
                contain(log, fault, "App %s: members of %s could not be announced", *name)
        await self.users.catch_up(removals)

    async def _catch_up_members(self, name: ScopedName, removals: bool) -> None:
        there = dict(readable(*name, await self._session.write(["l", *name])))
        for user_id, info in there.items():
            self._added(name, user_id, info)
        if removals:
            for gone in [member.user_id for member in self._replicas.get(name, ()) if member.user_id not in there]:
                self._removed(name, gone)


_NO_LIMIT = 2**53
