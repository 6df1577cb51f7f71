"""The last event of each cache channel, in this process."""

from collections import OrderedDict
from collections.abc import Callable

from soketpy.core.ports import CachedEvent, EventLog
from soketpy.drivers.local.transitions import NO_WEBHOOKS
from soketpy.protocol.event_types import EventType
from soketpy.protocol.webhooks import WebhookEvent


class LocalCache:
    """Remembers the last events of at most ``limit`` channels. Above that, it forgets the event that was set first."""

    def __init__(self, ttl: float, limit: int, clock: Callable[[], float], events: EventLog = NO_WEBHOOKS) -> None:
        self._webhook_events = events
        self._misses: OrderedDict[tuple[str, str], None] = OrderedDict()  # reported, and still without an event
        self._ttl = ttl
        self._limit = limit
        self._clock = clock
        self._events: OrderedDict[tuple[str, str], CachedEvent] = OrderedDict()

    def put(self, app_id: str, channel: str, name: str, data: bytes) -> None:
        """Remember this event instead of the last one."""
        now = self._clock()
        self._misses.pop((app_id, channel), None)
        self._events[app_id, channel] = CachedEvent(name, data, now + self._ttl)
        self._events.move_to_end((app_id, channel))
        while self._events and (len(self._events) > self._limit or next(iter(self._events.values())).expires <= now):
            self._events.popitem(last=False)

    async def get(self, app_id: str, channel: str) -> CachedEvent | None:
        """Return the last event, or None."""
        event = self._events.get((app_id, channel))
        if event is not None and event.expires <= self._clock():
            del self._events[app_id, channel]
            return None
        return event

    def note_miss(self, app_id: str, channel: str) -> None:
        """Report cache_miss, unless that was done since the channel had an event. Remember at most ``limit`` misses."""
        if (app_id, channel) not in self._misses:
            self._misses[app_id, channel] = None
            if len(self._misses) > self._limit:
                self._misses.popitem(last=False)
            self._webhook_events.append(WebhookEvent(app_id, EventType.CACHE_MISS, channel))

    def ttl(self, event: CachedEvent) -> int:
        """Return for how many whole seconds the event is still remembered."""
        return max(0, round(event.expires - self._clock()))
