"""The cache over Redis: the last event of each cache channel, for all nodes."""

import contextlib
from collections.abc import Callable

from soketpy.core import steps
from soketpy.core.ports import CachedEvent
from soketpy.drivers.redis.commands import Commands
from soketpy.drivers.redis.damage import note_damage
from soketpy.drivers.redis.writes import Lost
from soketpy.protocol.grammar import is_json

LEAST_MARK_TTL = 60.0
"""Seconds after which a channel that is still empty is reported again, at least."""


class RedisCache:
    """The last event of each cache channel; ``RedisBus.publish_cached`` writes it."""

    def __init__(self, commands: Commands, clock: Callable[[], float], ttl: float) -> None:
        self._commands = commands
        self._mark_ttl = round(1000 * max(ttl, LEAST_MARK_TTL))
        self._clock = clock

    async def get(self, app_id: str, channel: str) -> CachedEvent | None:
        """Return the last event, or None. Also None while Redis is unavailable, and for a damaged event."""
        try:
            found = await self._commands.write(["last_event", app_id, channel])
        except Lost:
            return None
        if not found:
            return None
        packed_name, data, milliseconds = found
        try:
            name = packed_name.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            name = None
        if name is None or not is_json(data):
            why = "its name is not UTF-8, or its data is not JSON"
            note_damage(f"App {app_id}: the last event of {channel}", why)
            return None
        return CachedEvent(name, data, self._clock() + milliseconds / 1000)

    def ttl(self, event: CachedEvent) -> int:
        """Return for how many whole seconds the event is still remembered."""
        return max(0, round(event.expires - self._clock()))

    def note_miss(self, app_id: str, channel: str) -> None:
        """Report cache_miss to webhooks, once until the channel has an event again. Not while Redis is unavailable."""
        if self._commands.connected:  # otherwise this node does not know whether the channel has an event
            steps.begin(self._note_miss(app_id, channel))

    async def _note_miss(self, app_id: str, channel: str) -> None:
        with contextlib.suppress(Lost):
            await self._commands.write(["miss", app_id, channel, self._mark_ttl])
