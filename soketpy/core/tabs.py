"""One browser tab: its id, and the acknowledged positions of its channels with history.

A page of pusher-js that sets ``wsPath`` to ``/c/TAB`` connects to ``/c/TAB/app/KEY`` each time, so the server knows
the tab again after it has reconnected. The server sends pings with numbers. The pong to a ping proves that the tab has
received all that was written before the ping: TCP keeps the order, and a pong has the payload of its ping (RFC 6455,
section 5.5.3). A tab id is a random name. It grants nothing: each subscription is authorized again.
"""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from soketpy.core.history import Position

MOST_SOCKET_IDS = 8
"""The most earlier connections of a tab that are remembered, to leave out the events that they have sent."""

MOST_CHANNELS = 2_000
"""The most channels of the state of a tab. Beyond it, the channels of earlier connections are forgotten."""

UNKNOWN = Position("", 0)
"""Stands for the position at a ping before the first one."""

MOST_PINGS = 8
"""The most pings of a tab that wait for their pongs: a later pong answers the earlier pings too."""


class TabState(msgspec.Struct, frozen=True):
    """The memory of a tab between two connections: the acknowledged position of each channel.

    ``saved`` is a Unix time in seconds. ``socket_ids`` are those of the tab's connections. ``ended`` is false if the
    connection was open at that time. ``whole`` is false if the tab had a connection that has saved nothing: the tab may
    have been on any channel. ``doubtful`` are channels on which the tab was told that it may have missed events, and
    has not acknowledged that.
    """

    positions: Mapping[str, Position]
    socket_ids: tuple[str, ...]
    saved: float
    ended: bool = True
    whole: bool = True
    doubtful: tuple[str, ...] = ()


def unsaved(now: float) -> TabState:
    """Return the state of a tab whose connection has saved nothing."""
    return TabState({}, (), now, whole=False)


class Tabs(Protocol):
    """The states of tabs that are not connected, or whose node may die."""

    durable: bool
    """Whether the states outlive this process: then they are saved also while a tab is connected."""

    async def claim(self, app_id: str, tab_id: str, socket_id: str) -> TabState | None:
        """Return the state of a tab that has connected again, or None; a coroutine for ``steps``.

        If an earlier connection has claimed the tab and none has saved a state, return ``unsaved``. From now on only
        this connection can save the state. Raise Unavailable if the state cannot be read now.
        """

    def save(self, app_id: str, tab_id: str, socket_id: str, state: TabState, kept: float | None = None) -> None:
        """Save the state of a tab, unless another connection has claimed it. Never blocks and never raises.

        The state is remembered for at least ``kept`` seconds, or for a day, unless there are too many.
        """


class Tab:
    """One tab while it is connected."""

    __slots__ = (
        "acknowledged",
        "claimed",
        "doubtful",
        "earlier",
        "earlier_until",
        "expired",
        "id",
        "lost",
        "next_ping",
        "pinged",
        "pings",
        "saved",
        "socket_ids",
    )

    def __init__(self, id: str) -> None:
        self.id = id
        self.claimed = False
        self.lost = False
        """Whether the earlier positions are unknown: then no replay is known to be complete."""
        self.doubtful: set[str] = set()
        """The channels on which the tab may have missed events, and has not acknowledged to know it."""
        self.expired = False
        """Whether the tab was away for too long: then no replay is complete."""
        self.earlier: dict[str, Position] = {}
        """The positions of the earlier connection on channels to which this one has not subscribed yet."""
        self.earlier_until = 0.0
        """The Unix time after which a subscription does not continue at an earlier position."""
        self.acknowledged: dict[str, Position] = {}
        self.pinged: dict[str, Position] = {}
        """The position of each channel at the last ping."""
        self.pings: dict[int, dict[str, Position]] = {}
        self.next_ping = 1
        self.saved = False
        self.socket_ids: tuple[str, ...] = ()

    def state(self, socket_id: str, now: float, *, ended: bool) -> TabState:
        """Return the state to save. ``ended`` is whether the connection has ended."""
        socket_ids = (*self.socket_ids, socket_id)[-MOST_SOCKET_IDS:]
        earlier, whole = self.earlier if now <= self.earlier_until else {}, True
        if len(earlier) + len(self.acknowledged) > MOST_CHANNELS:
            earlier, whole = {}, False
        positions = {**earlier, **self.acknowledged}
        doubtful = tuple(channel for channel in positions if channel in self.doubtful)
        return TabState(positions, socket_ids, now, ended, whole, doubtful)

    def begin(self, channel: str, position: Position, *, doubtful: bool) -> None:
        """Note that the tab has subscribed to a channel, and has received nothing after a position.

        A tab that may have missed events before that is ``doubtful`` until it has acknowledged to know that.
        """
        self.earlier.pop(channel, None)
        self.acknowledged[channel] = self.pinged[channel] = position
        self.doubtful.discard(channel)
        if doubtful:
            self.doubtful.add(channel)
            self.pinged[channel] = UNKNOWN
        self.saved = False

    def end(self, channel: str) -> None:
        """Note that the tab has left a channel."""
        self.acknowledged.pop(channel, None)
        self.pinged.pop(channel, None)
        self.doubtful.discard(channel)
        for positions in self.pings.values():
            positions.pop(channel, None)
        self.saved = False

    def ping(self, positions: dict[str, Position]) -> bytes:
        """Note a ping at these positions. Return its payload."""
        number, self.next_ping = self.next_ping, self.next_ping + 1
        self.pings[number] = positions
        self.pinged.update(positions)
        if len(self.pings) > MOST_PINGS:
            del self.pings[next(iter(self.pings))]
        return b"%d" % number

    def pong(self, payload: bytes) -> bool:
        """Process the pong to a ping. Return whether it acknowledges something; ignore any other payload."""
        if not payload.isdigit() or len(payload) > 15 or int(payload) not in self.pings:
            return False
        answered = int(payload)
        for number in [each for each in self.pings if each <= answered]:
            positions = self.pings.pop(number)
            self.acknowledged.update(positions)
            self.doubtful.difference_update(positions)
        self.saved = False
        return True
