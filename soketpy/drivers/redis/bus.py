"""The bus over Redis: publishes events on topics, and delivers those that arrive to this node."""

import logging
from collections import deque
from collections.abc import Collection, Sequence
from time import monotonic
from typing import Any

import hiredis

from soketpy.core import steps
from soketpy.core.containment import contain
from soketpy.core.history import HistoryRule, Position, new_epoch
from soketpy.core.idempotency import KeyReused, Once
from soketpy.core.ports import Inbox, NotStored, Receipt, Unavailable
from soketpy.core.steps import Future
from soketpy.drivers.redis import topics
from soketpy.drivers.redis.commands import Commands
from soketpy.drivers.redis.history import event_of, fields
from soketpy.drivers.redis.in_flight import InFlight
from soketpy.drivers.redis.topics import Topics
from soketpy.drivers.redis.writes import Lost, Write
from soketpy.drivers.window import Window
from soketpy.protocol.channels import kind_of, user_channel
from soketpy.protocol.messages import Event

log = logging.getLogger("soketpy.redis")

FULL = b"full"
"""The answer of the script to an event that it could not store, because Redis is full."""

REUSED = b"reused"
"""The answer of the script to an event with an idempotency key that another event has used."""

FULL_INTERVAL = 60.0
"""Seconds between two log lines about a full Redis, at least."""


class RedisBus:
    """Publishes on the topics of channels. A message on a topic reaches every node that subscribes to it."""

    def __init__(
        self,
        commands: Commands,
        names: Topics,
        in_flight: InFlight,
        window: Window,
        *,
        cache_ttl: float,
        history_size: int,
        idempotency_window: float,
    ) -> None:
        self.full, self.room = window, window.room
        self.unavailable: Collection[object] = commands.unavailable
        self._commands = commands
        self._topics = names
        self._in_flight = in_flight
        self._window = window
        self._cache_ttl = round(1000 * cache_ttl)
        self._history_size = history_size
        self._full_logged = -FULL_INTERVAL
        self.stored = 0
        """The number of events that this node has sent to be stored."""
        self._idempotency_window = round(1000 * idempotency_window)
        self._unanswered: deque[tuple[str, int, Future[None]]] = deque()  # app, weight and receipt of publications

    def attach(self, inbox: Inbox) -> None:
        """Deliver to this node from now on."""
        self._inbox = inbox

    def check(self, app_id: str, channels: Sequence[str]) -> None:
        """Raise Unavailable if Redis is unavailable."""
        if not self._commands.connected:
            raise Unavailable

    def publish(self, app_id: str, channel: str, event: Event, exclude: str | None = None) -> Receipt:
        """Have every node deliver an event. Raise Unavailable if Redis is unavailable."""
        return self._publish(app_id, channel, topics.EVENT, *fields(event, exclude))

    def publish_cached(self, app_id: str, channel: str, event: Event, exclude: str | None = None) -> Receipt:
        """Have every node deliver an event, and Redis remember it. Raise Unavailable if Redis is unavailable."""
        name = event.name.encode("utf-8", "surrogatepass")
        weight = len(app_id) + len(channel) + len(name) + len(event.data)
        write = ["publish_cached", app_id, channel, name, event.data, self._cache_ttl, exclude or ""]
        return self._write(app_id, weight, write)

    def publish_stored(
        self, app_id: str, channel: str, event: Event, rule: HistoryRule, exclude: str | None = None
    ) -> Receipt:
        """Append an event to the log of its channel and have every node deliver it. Raises Unavailable."""
        return self._publish_checked(app_id, channel, event, rule, exclude, None)

    def publish_once(
        self,
        app_id: str,
        channel: str,
        event: Event,
        once: Once,
        rule: HistoryRule | None,
        exclude: str | None = None,
    ) -> Receipt:
        """Publish an event, unless one with the same key was published on this channel lately. Raises Unavailable."""
        return self._publish_checked(app_id, channel, event, rule, exclude, once)

    def _publish_checked(
        self,
        app_id: str,
        channel: str,
        event: Event,
        rule: HistoryRule | None,
        exclude: str | None,
        once: Once | None,
    ) -> Receipt:
        texts = [event.name.encode("utf-8", "surrogatepass"), *fields(event, exclude)[1:]]
        weight = len(app_id) + len(channel) + len(event.name) + len(event.data)
        limits = None if rule is None else (rule.events, rule.size, round(1000 * rule.seconds), self._history_size)
        key = None if once is None else (once.key, self._idempotency_window, once.digest)
        cache = self._cache_ttl if kind_of(channel).cache else None
        self.stored += 1
        return self._write(app_id, weight, ["publish_stored", app_id, channel, texts, limits, new_epoch(), cache, key])

    def _write(self, app_id: str, weight: int, write: Write) -> Receipt:
        """Have the script publish an event. Raise Unavailable if Redis is unavailable."""
        if not self._commands.connected:
            raise Unavailable
        weight = self._window.reserve(app_id, weight)
        try:
            answer = self._commands.write(write)
        except Exception:
            self._window.release(app_id, weight)
            raise
        confirmed: Future[None] = Future()
        steps.begin(self._confirm(answer, confirmed, app_id, weight))
        return confirmed

    async def _confirm(self, write: Future[Any], confirmed: Future[None], app_id: str, weight: int) -> None:
        """Wait until Redis has accepted a cached event. Then confirm it, and release its room."""
        try:
            result = await write
            if result == FULL:
                self._note_full()
                confirmed.set_exception(NotStored("Redis is full, and the event was sent to nobody; try again later."))
                return
            if result == REUSED:
                confirmed.set_exception(KeyReused())
                return
        except Lost:
            confirmed.set_exception(Unavailable())
        except Exception as fault:  # an event that cannot be encoded
            confirmed.set_exception(fault)
        else:
            confirmed.set_result(None)
        finally:
            self._window.release(app_id, weight)

    def _note_full(self) -> None:
        """Log that Redis is full, at most once a minute."""
        now = monotonic()
        if now >= self._full_logged + FULL_INTERVAL:
            self._full_logged = now
            log.error(
                "Redis at %(host)s is full, and publishers on channels with history get 503: raise maxmemory in Redis",
                {"event": "history_full", "host": self._commands.address},
            )

    def terminate(self, app_id: str, user_id: str) -> Receipt:
        """Have every node close the connections of a user. Raise Unavailable if Redis is unavailable."""
        return self._publish(app_id, user_channel(user_id), topics.TERMINATE, user_id)

    def _publish(self, app_id: str, channel: str, *message: Any) -> Receipt:
        topic = self._topics.topic(topics.CHANNEL, app_id, channel)
        wire = self._commands.wire
        if not self._commands.connected or wire is None:
            raise Unavailable
        packed = topics.pack(message)
        weight = self._window.reserve(app_id, len(topic) + len(packed))
        try:
            wire.publish(topic, packed, self._answered)
        except Exception:
            self._window.release(app_id, weight)
            raise
        receipt: Future[None] = Future()
        self._unanswered.append((app_id, weight, receipt))
        self._in_flight.sent += 1
        return receipt

    def _answered(self, reply: Any) -> None:
        """Process the reply of Redis to the oldest publication without one."""
        app_id, weight, receipt = self._unanswered.popleft()
        try:
            if isinstance(reply, hiredis.ReplyError):
                receipt.set_exception(Unavailable())
            else:
                receipt.set_result(None)
        except Exception as fault:
            contain(log, fault, "An operation failed after Redis had accepted its events")
        self._in_flight.returned()
        self._window.release(app_id, weight)

    def check_history(self) -> None:
        """Have this node look for stored events that it has missed."""
        self._inbox.check_history()

    def receive(self, app_id: str, channel: str, message: list[Any]) -> None:
        """Process a message on the topic of a channel."""
        if message[0] == topics.EVENT:
            event, exclude = event_of(*message[1:])
            self._inbox.deliver(app_id, channel, event, exclude)
        elif message[0] == topics.STORED:
            _, epoch, serial, *texts = message
            event, exclude = event_of(*texts)
            self._inbox.deliver_stored(app_id, channel, event, Position(epoch.decode(), serial), exclude)
        else:
            self._inbox.end_user(app_id, message[1].decode())
