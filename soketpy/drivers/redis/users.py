"""Signed-in users over Redis: those of this node, and the known status of the users whom its clients watch."""

import logging
from collections.abc import Sequence

from soketpy.core.containment import contain
from soketpy.core.ports import Inbox
from soketpy.drivers.redis import topics
from soketpy.drivers.redis.commands import Commands
from soketpy.drivers.redis.topics import ScopedName, Topics, add
from soketpy.drivers.redis.webhooks.flags import Flags
from soketpy.drivers.redis.writes import Lost, Write
from soketpy.protocol.channels import user_channel

log = logging.getLogger("soketpy.redis")

SLICE = 500
"""Users whose status is read with one write."""


class RedisUsers:
    """Writes the entries of this node's users, and stores which of the watched users are online."""

    def __init__(self, commands: Commands, names: Topics, flags: Flags) -> None:
        self._commands = commands
        self._topics = names
        self._flags = flags
        self._users: dict[ScopedName, int] = {}
        self._online: dict[ScopedName, bool] = {}  # of the users whom clients of this node watch

    def attach(self, inbox: Inbox) -> None:
        """Notify this node from now on."""
        self._inbox = inbox

    async def sign_in(self, app_id: str, user_id: str, watchlist: Sequence[str]) -> set[str]:
        """Count one signed-in connection of a user, and watch its watchlist. Return who of these is online."""
        self._listen(app_id, user_id, watchlist)
        count = add(self._users, (app_id, user_id), 1)
        try:
            try:
                write = ["user", app_id, user_id, "", count, list(watchlist), *self._flags(app_id)]
                found = await self._commands.write(write)
            except Lost:
                if count == 1:
                    self.set_online(app_id, user_id, True)
                found = None
            return self._found(app_id, watchlist, found)
        except Exception:
            await self.sign_out(app_id, user_id, watchlist)
            raise

    async def watch(self, app_id: str, watchlist: Sequence[str]) -> set[str]:
        """Watch users for one connection. Return those who are online."""
        self._listen(app_id, None, watchlist)
        try:
            try:
                found = await self._commands.write(["online", app_id, list(watchlist)])
            except Lost:
                found = None
            return self._found(app_id, watchlist, found)
        except Exception:
            self.unwatch(app_id, watchlist)
            raise

    def _listen(self, app_id: str, user_id: str | None, watchlist: Sequence[str]) -> None:
        """Listen to the topics of a user and of the watched users; to none of them if one fails."""
        wanted = [(topics.WATCH, watched) for watched in watchlist]
        if user_id is not None:
            wanted.append((topics.CHANNEL, user_channel(user_id)))
        for index, (kind, name) in enumerate(wanted):
            try:
                self._topics.listen(kind, app_id, name)
            except Exception:
                for kind_before, name_before in wanted[:index]:
                    self._topics.leave(kind_before, app_id, name_before)
                raise

    def _found(self, app_id: str, watchlist: Sequence[str], found: list[bytes] | None) -> set[str]:
        """Return who is online, by the answer of Redis or, without one, as far as this node knows."""
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
        count = add(self._users, (app_id, user_id), -1)
        try:
            await self._commands.write(["user", app_id, user_id, "", count, [], *self._flags(app_id)])
        except Lost:
            if not count:
                self.set_online(app_id, user_id, False)
        except Exception as fault:
            contain(log, fault, "App %s: the end of a sign-in will be written again", app_id)
            self._commands.write_again(self.entry((app_id, user_id)))

    def is_online(self, app_id: str, user_id: str) -> bool:
        """Return whether a user whom clients of this node watch is online, as far as this node knows."""
        return self._online[app_id, user_id]

    def unwatch(self, app_id: str, watchlist: Sequence[str]) -> None:
        """Undo ``watch``."""
        for watched in watchlist:
            if not self._topics.leave(topics.WATCH, app_id, watched):
                self._online.pop((app_id, watched), None)

    def set_online(self, app_id: str, user_id: str, online: bool) -> None:
        """Store whether a user is online. Notify this node's watchers if that has changed."""
        known = self._online.get((app_id, user_id))
        if known is not None and known != online:
            self._online[app_id, user_id] = online
            self._inbox.notify_watchers(app_id, user_id, online)

    # Calls of the roster

    def entries(self) -> list[Write]:
        """Return the writes of all entries."""
        return [self.entry(name) for name in self._users]

    def entry(self, name: ScopedName) -> Write:
        """Return the write of the number of signed-in connections that a user has on this node."""
        return ["user", *name, "", self._users.get(name, 0), [], *self._flags(name[0])]

    async def catch_up(self, removals: bool) -> None:
        """Notify watchers of the changes that they missed; of users who went offline only with ``removals``."""
        of_apps: dict[str, list[str]] = {}
        for app_id, user_id in self._online:
            of_apps.setdefault(app_id, []).append(user_id)
        for app_id, watched in of_apps.items():
            for start in range(0, len(watched), SLICE):
                some = watched[start : start + SLICE]
                try:
                    self._catch_up(app_id, some, set(await self._commands.write(["online", app_id, some])), removals)
                except Lost:
                    if not self._commands.connected:
                        return
                except Exception as fault:
                    contain(log, fault, "App %s: watchers could not be notified of what they missed", app_id)

    def _catch_up(self, app_id: str, watched: list[str], online: set[bytes], removals: bool) -> None:
        for user_id in watched:
            try:
                if user_id.encode() in online or removals:
                    self.set_online(app_id, user_id, user_id.encode() in online)
            except Exception as fault:
                contain(log, fault, "App %s: the watchers of a user could not be notified", app_id)
