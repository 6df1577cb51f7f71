"""The roster over Redis: the subscriptions, members and users of this node, and replicas of presence channels."""

import logging
from collections.abc import Iterable
from typing import Any

from soketpy.core import steps
from soketpy.core.containment import contain
from soketpy.core.ports import ChannelFull, Inbox, Transition
from soketpy.core.presence import Members
from soketpy.drivers.redis import topics
from soketpy.drivers.redis.commands import Commands
from soketpy.drivers.redis.members import member_of, readable, value_of
from soketpy.drivers.redis.quotas import Quotas
from soketpy.drivers.redis.reads import Reads
from soketpy.drivers.redis.topics import ScopedName, Topics, add
from soketpy.drivers.redis.users import RedisUsers
from soketpy.drivers.redis.webhooks.flags import Flags
from soketpy.drivers.redis.writes import Entry, Lost, Write

log = logging.getLogger("soketpy.redis")


class RedisRoster:
    """Writes this node's entries, and has a replica of each presence channel with a subscriber on this node.

    Invariant: the replica of a presence channel equals the members in Redis as of the last message that was processed,
    and a joiner is greeted between two messages. While Redis is unavailable, the node changes its replicas itself.

    If a write fails while Redis is available, the counts of this node and those in Redis agree afterwards. A join is
    undone and raises. A leave is written again: at once, and then with each renewal of the lease, until Redis can do
    the write.
    """

    def __init__(self, commands: Commands, names: Topics, flags: Flags) -> None:
        self._commands = commands
        self._topics = names
        self._flags = flags
        self._subscriptions: dict[ScopedName, int] = {}
        self._connections: dict[ScopedName, dict[str, tuple[int, bytes]]] = {}
        self._replicas: dict[ScopedName, Members] = {}
        self._late: set[ScopedName] = set()  # channels whose subscribers got a count before it was written
        self._asked: set[ScopedName] = set()  # presence channels whose list of members is in flight
        self.users = users = RedisUsers(commands, names, flags)
        self._reads = reads = Reads(commands)
        self._quotas = quotas = Quotas(commands)
        self.connect, self.disconnect, self.limit = quotas.connect, quotas.disconnect, quotas.limit
        self.sign_in, self.sign_out = users.sign_in, users.sign_out
        self.counts, self.member_counts, self.channels = reads.counts, reads.member_counts, reads.channels

    def attach(self, inbox: Inbox) -> None:
        """Notify this node from now on."""
        self._inbox = inbox
        self.users.attach(inbox)

    # Subscriptions

    async def join(self, app_id: str, channel: str) -> int:
        """Add one subscription, which gets all later messages of the channel. Return the number of subscriptions."""
        self._topics.listen(topics.CHANNEL, app_id, channel)
        count = add(self._subscriptions, (app_id, channel), 1)
        try:
            return await self._write_count(app_id, channel, count)
        except Exception:
            await self.leave(app_id, channel)
            raise

    async def leave(self, app_id: str, channel: str) -> int:
        """Remove one subscription. Return the number of those left."""
        self._topics.leave(topics.CHANNEL, app_id, channel)
        count = add(self._subscriptions, (app_id, channel), -1)
        try:
            return await self._write_count(app_id, channel, count)
        except Exception as fault:
            contain(log, fault, "App %s: the end of a subscription of %s will be written again", app_id, channel)
            self._write_count_again((app_id, channel))
            return count

    def _write_count_again(self, name: ScopedName) -> None:
        """Write the number of subscriptions of this node again, after a write of it has failed."""
        self._late.add(name)
        self._commands.write_again(self._count(name))

    def _count(self, name: ScopedName) -> Write:
        """Return the write of the number of subscriptions that this node has of a channel."""
        return ["subscriptions", *name, "", self._subscriptions.get(name, 0), *self._flags(name[0])]

    async def _write_count(self, app_id: str, channel: str, count: int) -> int:
        """Write the number of subscriptions of this node. Return the number on all nodes."""
        try:
            write = ["subscriptions", app_id, channel, "", count, *self._flags(app_id)]
            total, _ = await self._commands.write(write)
        except Lost:
            return count
        return int(total)

    def send_count(self, app_id: str, channel: str) -> None:
        """Have every node send the number of subscribers to the subscribers."""
        if self._commands.connected:
            self._commands.write(["send_count", app_id, channel])
        else:
            self._inbox.count_changed(app_id, channel, self._subscriptions.get((app_id, channel), 0))

    # Members

    async def join_as(self, app_id: str, channel: str, user_id: str, info: bytes, limit: int) -> Members:
        """Add one subscription of a presence channel. Return its members. Raise ChannelFull above ``limit`` members."""
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
        await self.leave_as(app_id, channel, user_id)  # together with other ones of the same user
        raise ChannelFull

    async def _enter(self, name: ScopedName, user_id: str, count: int, info: bytes, limit: int, wanted: bool) -> bool:
        """Write the number of connections of a member on this node. Return whether the channel had room."""
        try:
            had_room, _, came, listed = await self._commands.write(
                ["member", *name, user_id, count, info, limit, wanted, *self._flags(name[0])]
            )
            if listed is False and name not in self._replicas:  # the join that asked for the list has failed
                listed = await self._commands.write(["members", *name])
        except Lost:
            had_room, came, listed = self._join_alone(name, user_id, limit)
            if had_room:
                self._commands.write(self._entry(name, user_id))
        if listed is not False:
            members = Members()
            for member_id, value in readable(*name, listed):
                members.join(*member_of(member_id, value))
            self._asked.discard(name)
            self._replicas[name] = members
        if had_room and came:
            self._added(name, user_id, info)
        return bool(had_room)

    def _join_alone(self, name: ScopedName, user_id: str, limit: int) -> tuple[bool, bool, Any]:
        """Return the answer that Redis would give, as far as this node knows."""
        members = self._replicas.get(name)
        if members is None:
            members = self._replicas[name] = Members()
            for each, (_, info) in self._connections[name].items():
                if each != user_id:
                    members.join(*member_of(each, info))
        new = user_id not in members
        return not new or len(members) < limit, new, False

    async def leave_as(self, app_id: str, channel: str, user_id: str) -> None:
        """Remove one subscription of a presence channel."""
        name = (app_id, channel)
        count = self._leave_as(name, user_id)
        try:
            write = ["member", *name, user_id, count, b"", 0, False, *self._flags(app_id)]
            _, _, came, _ = await self._commands.write(write)
        except Lost:
            came = not count
            self._commands.write(self._entry(name, user_id))
        except Exception as fault:
            contain(log, fault, "App %s: the end of a subscription of %s will be written again", app_id, channel)
            came = 0  # if that removes the member, Redis publishes it
            self._commands.write_again(self._entry(name, user_id))
        if came:
            self._removed(name, user_id)

    def _entry(self, name: ScopedName, user_id: str) -> Write:
        """Return the write of the number of connections that a user has on a presence channel, without a limit."""
        count, info = self._connections.get(name, {}).get(user_id, (0, b""))
        return ["member", *name, user_id, count, info, _NO_LIMIT, False, *self._flags(name[0])]

    def _leave_as(self, name: ScopedName, user_id: str) -> int:
        """Remove one connection of a member on this node. Return the number of those left."""
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
        """Add a member to the replica, and notify this node's subscribers, unless the replica has the member."""
        members = self._replicas.get(name)
        if members is not None and user_id not in members:
            member = members.join(*member_of(user_id, info))
            assert member is not None  # noqa: S101 - the replica did not have the member
            self._inbox.member_added(*name, member)

    def _removed(self, name: ScopedName, user_id: str) -> None:
        """Remove a member from the replica, and notify this node's subscribers, if the replica has the member."""
        members = self._replicas.get(name)
        if members is not None and user_id in members:
            member = members.leave(user_id)
            assert member is not None  # noqa: S101 - replicas count each member once
            self._inbox.member_removed(*name, member)

    # Reading

    async def members(self, app_id: str, channel: str) -> Members:
        """Return the members of a presence channel, from the replica if this node has one. Raises Unavailable."""
        known = self._replicas.get((app_id, channel))
        return known if known is not None and self._commands.connected else await self._reads.members(app_id, channel)

    # Calls of the topics and the session

    def receive(self, app_id: str, name: str, message: list[Any]) -> None:
        """Process a change of a channel or a user."""
        scoped = (app_id, name)
        match message:
            case [topics.ADDED, user_id, info]:
                self._added(scoped, user_id.decode(), info)
            case [topics.REMOVED, user_id]:
                self._removed(scoped, user_id.decode())
            case [topics.COUNT, count] if self._inbox.wants_counts(app_id):
                self._inbox.count_changed(app_id, name, count)
            case [topics.ONLINE, online]:
                self.users.set_online(app_id, name, online)

    def written(self, write: list[Any], answer: Any) -> None:
        """Report the transitions of a write in this order: channel_occupied, those of a member, channel_vacated."""
        if write[0] not in ("subscriptions", "member"):
            return
        kind, app_id, channel, user_id = write[:4]
        if (app_id, channel) in self._late:
            self._late.discard((app_id, channel))
            if self._commands.connected:  # for every app: its setting is unknown after its last client has left
                self.send_count(app_id, channel)
        of_channel, of_member = answer[1], answer[2] if kind == "member" else 0
        if of_channel > 0:
            self._inbox.report(Transition.OCCUPIED, app_id, channel)
        if of_member:
            self._inbox.report(Transition.ADDED if of_member > 0 else Transition.REMOVED, app_id, channel, user_id)
        if of_channel < 0:
            self._inbox.report(Transition.VACATED, app_id, channel)

    def report(self, transition: Transition, app_id: str, channel: str, user_id: str | None) -> None:
        """Report a transition that follows from the end of a session."""
        self._inbox.report(transition, app_id, channel, user_id)

    def topics(self) -> list[bytes]:
        """Return every topic that this node subscribes to."""
        return self._topics.all()

    def entries(self) -> list[list[Any]]:
        """Return the writes of all entries."""
        return [
            *map(self._count, self._subscriptions),
            *(self._entry(name, user_id) for name, mine in self._connections.items() for user_id in mine),
            *self.users.entries(),
            *self._quotas.entries(),
        ]

    def write_again(self, entries: Iterable[Entry]) -> None:
        """Write the current counts of entries whose writes have failed. Never raises."""
        for entry in entries:
            try:
                self._write_again(*entry)
            except Exception as fault:
                contain(log, fault, "A write of kind %s of app %s could not be sent again", *entry[:2])

    def _write_again(self, kind: str, app_id: str, name: str, user_id: str) -> None:
        match kind:
            case "subscriptions":
                self._write_count_again((app_id, name))
            case "member":
                self._commands.write_again(self._entry((app_id, name), user_id))
            case "user":
                self._commands.write_again(self.users.entry((app_id, name)))
            case _:
                self._quotas.write_again(app_id)

    def disconnected(self) -> None:
        """Forget the lists of members that are in flight."""
        self._asked.clear()

    def reconnected(self, *, removals: bool) -> None:
        """Send this node's clients what they missed. With ``removals``, also notify them of members who left."""
        steps.begin(self._catch_up(removals))

    async def _catch_up(self, removals: bool) -> None:
        for name in list(self._subscriptions):
            try:
                if self._inbox.wants_counts(name[0]):
                    self._commands.write(["send_count", *name])
            except Exception as fault:
                contain(log, fault, "App %s: the number of subscribers of %s could not be sent", *name)
        for name in list(self._replicas):
            try:
                await self._catch_up_members(name, removals)
            except Lost:
                if not self._commands.connected:
                    return
            except Exception as fault:
                contain(log, fault, "App %s: the subscribers of %s could not be notified of its members", *name)
        await self.users.catch_up(removals)

    async def _catch_up_members(self, name: ScopedName, removals: bool) -> None:
        present = dict(readable(*name, await self._commands.write(["members", *name])))
        for user_id, info in present.items():
            self._added(name, user_id, info)
        if removals:
            for gone in [member.user_id for member in self._replicas.get(name, ()) if member.user_id not in present]:
                self._removed(name, gone)


_NO_LIMIT = 2**53
