"""Signed-in users over Redis: those of this node, and what it was told of those who are watched here."""

import logging
from collections.abc import Sequence

from soketpy.core.containment import contain
from soketpy.core.ports import Inbox
from soketpy.drivers.redis import topics
from soketpy.drivers.redis.session import Session
from soketpy.drivers.redis.topics import ScopedName, Topics, add
from soketpy.drivers.redis.writes import Lost, Write
from soketpy.protocol.channels import user_channel

log = logging.getLogger("soketpy.redis")

SLICE = 500
"""Users whose presence is read with one write."""


class RedisUsers:
    """Writes the leaves of this node's users, and keeps who of the watched is online."""

    def __init__(self, session: Session, names: Topics) -> None:
        self._session = session
        self._topics = names
        self._users: dict[ScopedName, int] = {}
        self._online: dict[ScopedName, bool] = {}  # of the users whom somebody watches here

    def attach(self, inbox: Inbox) -> None:
        """Tell a node from now on."""
        self._inbox = inbox

    async def sign_in(self, app_id: str, user_id: str, watchlist: Sequence[str]) -> set[str]:
        """Count one connection of a user, which hears of the watched; who of them is signed in anywhere."""
        self._hear_of(app_id, user_id, watchlist)
        count = add(self._users, (app_id, user_id), 1)
        try:
            try:
                found = await self._session.write(["u", app_id, user_id, "", count, list(watchlist)])
            except Lost:
                if count == 1:
                    self.turned(app_id, user_id, True)
                found = None
            return self._found(app_id, watchlist, found)
        except Exception:
            await self.sign_out(app_id, user_id, watchlist)
            raise

    async def watch(self, app_id: str, watchlist: Sequence[str]) -> set[str]:
        """Hear of users for one connection; who of them is signed in anywhere."""
        self._hear_of(app_id, None, watchlist)
        try:
            try:
                found = await self._session.write(["o", app_id, list(watchlist)])
            except Lost:
                found = None
            return self._found(app_id, watchlist, found)
        except Exception:
            self.unwatch(app_id, watchlist)
            raise

    def _hear_of(self, app_id: str, user_id: str | None, watchlist: Sequence[str]) -> None:
        """Hear the events for a user, and of the watched; if one topic fails, of none of them."""
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
        count = add(self._users, (app_id, user_id), -1)
        try:
            await self._session.write(["u", app_id, user_id, "", count, []])
        except Lost:
            if not count:
                self.turned(app_id, user_id, False)
        except Exception as fault:
            contain(log, fault, "App %s: the end of a sign-in has to be written again", app_id)
            self._session.write_again(self.leaf((app_id, user_id)))

    def is_online(self, app_id: str, user_id: str) -> bool:
        """Whether a user who is watched here is signed in, as far as this node was told."""
        return self._online[app_id, user_id]

    def unwatch(self, app_id: str, watchlist: Sequence[str]) -> None:
        """Undo ``watch``."""
        for watched in watchlist:
            if not self._topics.leave(topics.WATCH, app_id, watched):
                self._online.pop((app_id, watched), None)

    def turned(self, app_id: str, user_id: str, online: bool) -> None:
        """A user came or went: those who watch them here are told once, whoever says it first."""
        known = self._online.get((app_id, user_id))
        if known is not None and known != online:
            self._online[app_id, user_id] = online
            self._inbox.notify_watchers(app_id, user_id, online)

    # What the roster asks

    def leaves(self) -> list[Write]:
        """Every write that says what this node has."""
        return [self.leaf(name) for name in self._users]

    def leaf(self, name: ScopedName) -> Write:
        """Return the write that says how many signed-in connections of a user this node has."""
        return ["u", *name, "", self._users.get(name, 0), []]

    async def catch_up(self, removals: bool) -> None:
        """Tell the watchers what they have missed; of those who went only with ``removals``."""
        of_apps: dict[str, list[str]] = {}
        for app_id, user_id in self._online:
            of_apps.setdefault(app_id, []).append(user_id)
        for app_id, watched in of_apps.items():
            for start in range(0, len(watched), SLICE):
                some = watched[start : start + SLICE]
                try:
                    self._catch_up(app_id, some, set(await self._session.write(["o", app_id, some])), removals)
                except Lost:
                    if not self._session.connected:
                        return
                except Exception as fault:
                    contain(log, fault, "App %s: watchers could not be told what they missed", app_id)

    def _catch_up(self, app_id: str, watched: list[str], online: set[bytes], removals: bool) -> None:
        for user_id in watched:
            try:
                if user_id.encode() in online or removals:
                    self.turned(app_id, user_id, user_id.encode() in online)
            except Exception as fault:
                contain(log, fault, "App %s: the watchers of a user could not be notified", app_id)
