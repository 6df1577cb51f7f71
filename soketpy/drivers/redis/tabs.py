"""The states of tabs over Redis, for all nodes: a tab may come back to another node."""

import time

import msgpack

from soketpy.core.history import Position
from soketpy.core.ports import Unavailable
from soketpy.core.tabs import TabState, unsaved
from soketpy.drivers.redis.commands import Commands
from soketpy.drivers.redis.damage import note_damage
from soketpy.drivers.redis.writes import Lost

KEPT = 86_400
"""Seconds for which the state of a tab is remembered, so that a tab that was away for too long can be told so."""


class RedisTabs:
    """The states of tabs, with the connection that may save each."""

    durable = True

    def __init__(self, commands: Commands) -> None:
        self._commands = commands

    async def claim(self, app_id: str, tab_id: str, socket_id: str) -> TabState | None:
        """Return the state of a tab, and let only this connection save it. Raise Unavailable without Redis."""
        try:
            packed = await self._commands.write(["claim_tab", app_id, tab_id, socket_id, KEPT])
        except Lost:
            raise Unavailable from None
        if not isinstance(packed, bytes):
            return None
        if not packed:
            return unsaved(time.time())
        try:
            positions, socket_ids, saved, ended, whole, doubtful = msgpack.unpackb(packed)
            found = {channel: Position(epoch, serial) for channel, (epoch, serial) in positions.items()}
            return TabState(found, tuple(socket_ids), saved, ended, whole, tuple(doubtful))
        except (ValueError, TypeError, AttributeError):
            note_damage(f"App {app_id}: the state of a tab", "soketpy did not write it")
            raise Unavailable from None

    def save(self, app_id: str, tab_id: str, socket_id: str, state: TabState, kept: float | None = None) -> None:
        """Save the state of a tab, unless another connection has claimed it. Do nothing while Redis is unavailable."""
        if self._commands.connected:
            parts = state.positions, state.socket_ids, state.saved, state.ended, state.whole, state.doubtful
            packed = msgpack.packb(parts, use_bin_type=False)
            self._commands.write(["save_tab", app_id, tab_id, socket_id, packed, KEPT if kept is None else round(kept)])
