"""The sign-ins of this node's connections, and the watchers of users."""

import logging

from soketpy.core import authorization, steps
from soketpy.core.connection import Connection
from soketpy.core.containment import attempt
from soketpy.core.hub import Hub
from soketpy.core.ports import Roster
from soketpy.core.refusals import Refusals
from soketpy.core.users import Users
from soketpy.protocol import channels, events, messages
from soketpy.protocol.errors import Code, ConnectionRefused

log = logging.getLogger("soketpy.node")

WATCHERS = "#watchers-of-"
"""Prefix of the channels that the watchers of a user are on. No client can subscribe to such a name."""


class SignIns:
    """Signs connections in and out. The roster of the cluster counts each user's connections."""

    def __init__(self, hub: Hub, roster: Roster, users: Users[Connection], refusals: Refusals) -> None:
        self._hub = hub
        self._roster = roster
        self._users = users
        self._refusals = refusals

    async def sign_in(self, connection: Connection, request: events.SignIn) -> None:
        """Sign the connection in as a user, and notify the user's watchers. Raises ConnectionRefused (4009)."""
        app = connection.app
        user = authorization.user_of(app, connection.id, request)
        answer = authorization.signed_in_data(app, user, request.user_data)
        if connection.user is not None:
            if connection.user.id != user.id:
                raise ConnectionRefused(Code.UNAUTHORIZED, "The connection is signed in as another user.")
            connection.send(messages.signin_success(answer))
            return
        watchlist = user.watchlist if app.watchlists else ()
        watched = watchlist[: app.max_watchlist_size]
        signed_in = await self._roster.sign_in(app.id, user.id, watched)
        if not connection.open:  # the client left during the wait
            await self._roster.sign_out(app.id, user.id, watched)
            return
        connection.user = events.User(user.id, user.user_info, watched)  # the end of the connection now signs out
        connection.authorized = True
        self._watch(connection, connection.user)
        connection.send(messages.signin_success(answer))
        if len(watched) < len(watchlist):
            reason = f"The watchlist is longer than {len(watched)}; the first {len(watched)} users are watched."
            attempt(log, self._refusals.message, app.id, connection.id, Code.WATCHLIST_TOO_LONG, reason)
            connection.send(messages.error(Code.WATCHLIST_TOO_LONG, reason))
        if watched:
            online = [user_id for user_id in watched if user_id in signed_in]
            offline = [user_id for user_id in watched if user_id not in signed_in]
            connection.send(messages.watchlist_events(online, offline))

    def _watch(self, connection: Connection, user: events.User) -> None:
        """Subscribe a signed-in connection to its user's events and to the state of the watched users."""
        app_id = connection.app.id
        self._users.add(app_id, user.id, connection)
        self._hub.join(app_id, channels.user_channel(user.id), connection)
        for watched in user.watchlist:
            self._hub.join(app_id, WATCHERS + watched, connection)

    def sign_out(self, connection: Connection, user: events.User) -> None:
        """Undo ``sign_in`` at the end of a connection."""
        app_id = connection.app.id
        steps.begin(self._roster.sign_out(app_id, user.id, user.watchlist))
        attempt(log, self._users.remove, app_id, user.id, connection)
        for channel in (channels.user_channel(user.id), *(WATCHERS + watched for watched in user.watchlist)):
            attempt(log, self._hub.leave, app_id, channel, connection)
