"""Resume: a tab that reconnects gets the events that it has missed on its channels with history.

Guarantees: the tab gets each event after its last acknowledged position, in order and without gaps. Events that it has
received but not acknowledged come again. If an event may be missing, the tab is told so: a partial replay is never
called complete.
"""

from collections.abc import Callable, Iterable
from functools import partial

from soketpy.core.connection import Connection
from soketpy.core.history import Position, Start
from soketpy.core.hub import Hub
from soketpy.core.slices import in_slices
from soketpy.core.steps import Later
from soketpy.core.tabs import Tab, Tabs
from soketpy.protocol import frames
from soketpy.protocol.frames import Opcode

INTERVAL = 2.0
"""Seconds between two pings of a tab, at least."""

LEAST_KEPT = 3600.0
"""Seconds for which the state of a tab that has left is kept, so that a tab that comes back too late is told so."""

Key = tuple[str, str]
"""An app and a channel."""


class Resume:
    """The tabs of this node.

    ``end_of`` returns the position of the last event that this node has sent on a channel. ``clock`` returns the Unix
    time in seconds. ``window`` is for how many seconds a tab may be away.
    """

    def __init__(
        self,
        tabs: Tabs,
        hub: Hub,
        end_of: Callable[[str, str], Position | None],
        clock: Callable[[], float],
        later: Later,
        window: float,
    ) -> None:
        self._tabs = tabs
        self._hub = hub
        self._end_of = end_of
        self._clock = clock
        self._later = later
        self._window = window
        self._kept = max(LEAST_KEPT, 4 * window)
        self._connected: dict[Key, Connection] = {}  # by app and tab
        self._on_channels: dict[Key, dict[Connection, None]] = {}
        self._sent: dict[Key, None] = {}  # channels with events since the last sweep
        self._unsaved: dict[Connection, None] = {}
        self._changed: dict[Connection, None] = {}  # with other channels than those that were saved
        self._sweeps = False

    # Subscriptions

    async def claim(self, connection: Connection) -> None:
        """Take over what is known of the tab of a connection, once; a coroutine for ``steps``. Raises Unavailable."""
        tab, app_id = connection.tab, connection.app.id
        if tab is None or tab.claimed:
            return
        before = self._connected.get((app_id, tab.id))
        if before is not None:  # the server has not noticed yet that this connection is dead
            self._save(before)
        self._connected[app_id, tab.id] = connection
        state = await self._tabs.claim(app_id, tab.id, connection.id)
        tab.claimed = True
        if state is not None:
            now = self._clock()
            tab.lost = not state.whole
            tab.doubtful = set(state.doubtful)
            tab.socket_ids = state.socket_ids
            tab.expired = state.ended and state.saved + self._window < now
            tab.earlier, tab.earlier_until = dict(state.positions), now + self._window
        if not connection.open:  # the connection has ended during the wait, and has saved nothing
            self._tabs.save(
                app_id, tab.id, connection.id, tab.state(connection.id, self._clock(), ended=True), self._kept
            )

    def position(self, tab: Tab, channel: str) -> Position | None:
        """Return the position at which the earlier connection of a tab has ended on a channel, or None."""
        return tab.earlier.get(channel) if self._clock() <= tab.earlier_until else None

    def extend(self, tab: Tab) -> None:
        """Give a tab its time again, because a subscription had to wait until the tab has read earlier events."""
        if tab.claimed:
            tab.earlier_until = max(tab.earlier_until, self._clock() + self._window)

    def begin(self, connection: Connection, channel: str, start: Start) -> None:
        """Note that a tab has subscribed to a channel."""
        if connection.tab is None:
            return
        doubtful = start.recovered is not None and not start.recovered.complete
        connection.tab.begin(channel, start.acknowledged, doubtful=doubtful)
        key = connection.app.id, channel
        self._on_channels.setdefault(key, {})[connection] = None
        self._save_soon(connection)
        self.note(*key)

    def end(self, connection: Connection, channel: str) -> None:
        """Note that a tab has left a channel."""
        if connection.tab is None or channel not in connection.tab.acknowledged:
            return
        connection.tab.end(channel)
        self._leave(connection, channel)
        self._save_soon(connection)

    def forget(self, connection: Connection) -> None:
        """Save the state of a tab whose connection has ended."""
        tab, app_id = connection.tab, connection.app.id
        if tab is None:
            return
        for channel in tab.acknowledged:
            self._leave(connection, channel)
        self._save(connection)
        self._unsaved.pop(connection, None)
        self._changed.pop(connection, None)
        if self._connected.get((app_id, tab.id)) is connection:
            del self._connected[app_id, tab.id]
        connection.tab = None

    def _leave(self, connection: Connection, channel: str) -> None:
        key = connection.app.id, channel
        others = self._on_channels[key]
        del others[connection]
        if not others:
            del self._on_channels[key]

    def _save(self, connection: Connection, *, ended: bool = True) -> None:
        tab = connection.tab
        if tab is not None and tab.claimed:
            state = tab.state(connection.id, self._clock(), ended=ended)
            # A connected tab may be idle for very long. One that has left comes back soon, or starts anew.
            self._tabs.save(connection.app.id, tab.id, connection.id, state, self._kept if ended else None)
            tab.saved = True

    def _save_soon(self, connection: Connection) -> None:
        """Save the channels of a tab in the next iteration: this node may die before the next sweep."""
        if self._tabs.durable:
            if not self._changed:
                self._later(0, self._save_changed)
            self._changed[connection] = None

    def _save_changed(self) -> None:
        changed, self._changed = self._changed, {}
        in_slices(changed, self._save_open, partial(self._later, 0))

    # Acknowledgements

    def note(self, app_id: str, channel: str) -> None:
        """Note that an event was sent on a channel with history: its tabs are pinged within some seconds."""
        if (app_id, channel) in self._on_channels:
            self._sent[app_id, channel] = None
            if not self._sweeps:
                self._sweeps = True
                self._later(INTERVAL, self._sweep)

    def _sweep(self) -> None:
        """Ping the tabs to which something was sent, and save what tabs have acknowledged, in slices."""
        sent, self._sent = self._sent, {}
        unsaved, self._unsaved = self._unsaved, {}
        self._sweeps = False
        soon = partial(self._later, 0)
        if self._tabs.durable:
            in_slices(unsaved, self._save_open, soon)
        tabs: dict[Connection, None] = {}
        for key in sent:
            tabs.update(self._on_channels.get(key, {}))
        in_slices(tabs, self.ping, soon)

    def _save_open(self, connection: Connection) -> None:
        if connection.open and connection.tab is not None and not connection.tab.saved:
            self._save(connection, ended=False)

    def ping(self, connection: Connection) -> None:
        """Send a ping if the tab has not acknowledged all that was sent to it on its channels with history."""
        tab, app_id = connection.tab, connection.app.id
        if tab is None or not connection.open:
            return
        positions: dict[str, Position] = {}
        for channel, pinged in tab.pinged.items():
            end = self._end_of(app_id, channel)
            if end is not None and end != pinged:
                self._hub.catch_up(app_id, channel, connection)
                positions[channel] = end
        if positions:
            connection.write(frames.encode(Opcode.PING, tab.ping(positions)))

    def pong(self, connection: Connection, payload: bytes) -> None:
        """Process a pong: the client has received all that was written before its ping."""
        tab = connection.tab
        if tab is not None and tab.pong(payload):
            self._unsaved[connection] = None
            if not self._sweeps and self._tabs.durable:
                self._sweeps = True
                self._later(INTERVAL, self._sweep)

    # A planned end

    def flush(self, connections: Iterable[Connection]) -> list[Connection]:
        """Send nothing more to some tabs on their channels with history, and ask them for an acknowledgement.

        Return those that have not acknowledged everything.
        """
        waiting = []
        for connection in connections:
            tab = connection.tab
            if tab is None or not connection.open:
                continue
            self.ping(connection)
            tab.pinged.clear()  # no later ping may acknowledge what is not sent any more
            for channel in tab.acknowledged:
                self._hub.leave(connection.app.id, channel, connection)
            if self.awaits(connection):
                waiting.append(connection)
        return waiting

    def awaits(self, connection: Connection) -> bool:
        """Return whether a tab has not answered a ping."""
        return connection.open and connection.tab is not None and bool(connection.tab.pings)
