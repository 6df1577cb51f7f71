"""The event log of a node. It appends the events that do not come from the roster to the stream of a partition."""

import logging
from collections import deque
from itertools import islice

from soketpy.core import steps
from soketpy.core.containment import contain
from soketpy.drivers.redis.commands import Commands
from soketpy.drivers.redis.topics import pack
from soketpy.drivers.redis.writes import Lost
from soketpy.protocol.webhooks import WebhookEvent

log = logging.getLogger("soketpy.webhooks")

SLICE, SLICE_BYTES = 200, 256 * 1024
"""Events, and their bytes, in one write."""

MOST_WAITING, MOST_WAITING_BYTES = 50_000, 32 * 1024 * 1024
"""Events, and their bytes, that wait until Redis is available. Beyond that the oldest ones are dropped."""


class RedisEvents:
    """Appends events to the stream, in their order and each once. Those of one event loop iteration share a write.

    Events wait while Redis is unavailable. The node numbers them. It sends those whose answer was lost again, and the
    script skips the numbers that Redis has.
    """

    def __init__(self, commands: Commands, source: str) -> None:
        self.dropped = 0
        self._commands = commands
        self._source = source  # identifies this node in all its sessions
        self._waiting: deque[bytes] = deque()
        self._first = 1  # the number of the first waiting event
        self._bytes = 0
        self._in_flight = 0
        self._dropped_before = 0  # the value of ``dropped`` at the last log line
        commands.watchers.append(self._send)

    @property
    def waiting(self) -> int:
        """Return the number of events that wait."""
        return len(self._waiting)

    def append(self, event: WebhookEvent) -> None:
        """Take an event. Never blocks and never raises."""
        try:
            packed = pack(
                (
                    event.app_id,
                    event.name,
                    event.channel,
                    event.user_id,
                    event.socket_id,
                    event.event,
                    event.data,
                    event.number,
                )
            )
            self._waiting.append(packed)
            self._bytes += len(packed)
            while len(self._waiting) > MOST_WAITING or self._bytes > MOST_WAITING_BYTES:
                self._drop_oldest()
            if not self._in_flight and self._commands.connected:
                self._commands.hold(self._send)  # with the other events of this event loop iteration
        except Exception as fault:
            contain(log, fault, "App %s: a webhook event of type %s could not be appended", event.app_id, event.name)

    def _drop_oldest(self) -> None:
        """Drop the oldest event that is not in flight. The numbers of those in flight do not change."""
        if not self.dropped - self._dropped_before:
            log.error(
                "Too many webhook events wait for Redis: the oldest ones are dropped",
                {"event": "webhook_events_overflow"},
            )
        position = self._in_flight if self._in_flight < len(self._waiting) else 0
        self._bytes -= len(self._waiting[position])
        del self._waiting[position]
        if not self._in_flight:
            self._first += 1
        self.dropped += 1

    def _send(self) -> None:
        """Write the next events, unless a write is in flight."""
        if self._in_flight or not self._waiting or not self._commands.connected:
            return
        events, size = list[bytes](), 0
        for event in islice(self._waiting, SLICE):
            if events and size + len(event) > SLICE_BYTES:
                break
            events.append(event)
            size += len(event)
        self._in_flight = len(events)
        steps.begin(self._write(events))

    async def _write(self, events: list[bytes]) -> None:
        try:
            await self._commands.write(["append", self._source, self._first, events])
        except Lost:  # sent again when Redis is available, or with the next event
            self._in_flight = 0
            return
        except Exception as fault:
            contain(log, fault, "%d webhook events could not be written, and are lost", len(events))
        for event in events:
            self._bytes -= len(event)
            self._waiting.popleft()
        self._first += len(events)
        self._in_flight = 0
        if self.dropped > self._dropped_before:
            log.error(
                "Dropped %(count)d webhook events that waited for Redis",
                {"event": "webhook_events_lost", "count": self.dropped - self._dropped_before},
            )
            self._dropped_before = self.dropped
        self._send()
