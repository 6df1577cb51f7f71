"""The cache over Redis: what was last said on each cache channel, for all nodes."""

from collections.abc import Callable

from soketpy.core.ports import CachedEvent
from soketpy.drivers.redis.damage import note_damage
from soketpy.drivers.redis.session import Session
from soketpy.drivers.redis.writes import Lost
from soketpy.protocol.grammar import is_json


class RedisCache:
    """The last event of each cache channel; ``RedisBus.publish_cached`` writes it."""

    def __init__(self, session: Session, clock: Callable[[], float]) -> None:
        self._session = session
        self._clock = clock

    async def get(self, app_id: str, channel: str) -> CachedEvent | None:
        """The event that is remembered, or None; also None while Redis is away, and for one that is damaged."""
        try:
            found = await self._session.write(["g", app_id, channel])
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
        """Whole seconds for which the event will still be remembered."""
        return max(0, round(event.expires - self._clock()))
