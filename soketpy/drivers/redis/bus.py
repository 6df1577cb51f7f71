"""The bus over Redis: what is published reaches every node, this one too, by way of a topic."""

import logging
from collections import deque
from collections.abc import Sequence
from typing import Any

import hiredis

from soketpy.core import steps
from soketpy.core.containment import contain
from soketpy.core.ports import Inbox, Unavailable
from soketpy.core.steps import Future
from soketpy.drivers.redis import topics
from soketpy.drivers.redis.in_flight import InFlight
from soketpy.drivers.redis.session import Session
from soketpy.drivers.redis.topics import Topics
from soketpy.drivers.redis.window import Window
from soketpy.drivers.redis.writes import Lost
from soketpy.protocol.channels import user_channel
from soketpy.protocol.messages import Message

log = logging.getLogger("soketpy.redis")


class RedisBus:
    """Publishes on the topics of channels, and hands what is heard on them to the node."""

    def __init__(self, session: Session, names: Topics, in_flight: InFlight, cache_ttl: float, window: Window) -> None:
        self._cache_ttl = round(1000 * cache_ttl)
        self._writes: list[Future[None]] = []  # publications that go by way of the script, of the verb that runs now
        self._window = window
        self.full, self.room = window.full, window.room
        self._on_their_way: deque[tuple[str, int]] = deque()  # the app and the weight of each publication
        self._session = session
        self._topics = names
        self._in_flight = in_flight
        self._published = 0
        self._claimed = 0  # the number of the last publication that a verb has waited for, or waits for
        self._answered = 0
        self._refused = 0  # the number of the last publication that Redis did not take
        self._waiting: deque[tuple[int, int, Future[None]]] = deque()

    def attach(self, inbox: Inbox) -> None:
        """Tell a node from now on."""
        self._inbox = inbox

    def check(self, app_id: str, channels: Sequence[str]) -> None:
        """Begin a call, for which alone ``sent`` waits. Raise Unavailable if nothing can be published now."""
        self._begin()
        if not self._session.connected:
            raise Unavailable

    def _begin(self) -> None:
        """Drop what calls before have published and not waited for: client events, and calls that failed midway."""
        self._writes, self._claimed = [], self._published

    def publish(self, app_id: str, channel: str, message: Message, exclude: str | None = None) -> None:
        """Have every node deliver a message. Raises Unavailable."""
        self._publish(app_id, channel, topics.EVENT, message.text, exclude)

    def publish_cached(
        self, app_id: str, channel: str, message: Message, exclude: str | None, name: str, data: bytes
    ) -> None:
        """Have every node deliver a message, and Redis remember the event. Raises Unavailable."""
        if not self._session.connected:
            raise Unavailable
        packed = topics.pack(topics.EVENT, message.text, exclude)
        packed_name = name.encode("utf-8", "surrogatepass")
        weight = self._window.sent(app_id, len(data) + len(packed))
        try:
            write = self._session.write(["p", app_id, channel, packed_name, data, self._cache_ttl, packed])
        except Exception:
            self._window.taken(app_id, weight)
            raise
        taken: Future[None] = Future()
        self._writes.append(taken)
        steps.begin(self._wait(write, taken, app_id, weight))

    async def _wait(self, write: Future[Any], taken: Future[None], app_id: str, weight: int) -> None:
        """Wait until Redis has taken a publication, then give its room back."""
        try:
            await write
        except Lost:
            taken.set_exception(Unavailable())
        except Exception as fault:  # a publication that cannot be encoded
            taken.set_exception(fault)
        else:
            taken.set_result(None)
        finally:
            self._window.taken(app_id, weight)

    def terminate(self, app_id: str, user_id: str) -> None:
        """Have every node close the connections of a user. Raises Unavailable."""
        self._begin()
        self._publish(app_id, user_channel(user_id), topics.TERMINATE, user_id)

    def _publish(self, app_id: str, channel: str, *message: Any) -> None:
        topic = self._topics.topic(topics.CHANNEL, app_id, channel)
        if not self._session.connected:
            raise Unavailable
        packed = topics.pack(*message)
        weight = self._window.sent(app_id, len(topic) + len(packed))
        try:
            self._session.publish(topic, packed, self._taken)
        except Exception:
            self._window.taken(app_id, weight)
            raise
        self._on_their_way.append((app_id, weight))
        self._published += 1
        self._in_flight.sent += 1

    def _taken(self, reply: Any) -> None:
        """Redis has answered the oldest publication that had no answer."""
        self._answered += 1
        self._in_flight.came()
        if isinstance(reply, hiredis.ReplyError):
            self._refused = self._answered
        while self._waiting and self._waiting[0][1] <= self._answered:
            first, _, future = self._waiting.popleft()
            try:
                if first <= self._refused:
                    future.set_exception(Unavailable())
                else:
                    future.set_result(None)
            except Exception as fault:
                contain(log, fault, "An operation failed after Redis had taken its events")
        self._window.taken(*self._on_their_way.popleft())

    async def sent(self) -> None:
        """Wait until Redis has taken what the verb has published. Raises Unavailable if it has not."""
        writes, self._writes = self._writes, []
        first, self._claimed = self._claimed + 1, self._published
        taken: Future[None] = Future()
        if self._answered < self._published:
            self._waiting.append((first, self._published, taken))
        else:
            taken.set_result(None)
        for write in writes:
            await write
        await taken

    def heard(self, app_id: str, channel: str, message: list[Any]) -> None:
        """Something came on the topic of a channel."""
        if message[0] == topics.EVENT:
            exclude = message[2]
            self._inbox.deliver(app_id, channel, Message(message[1]), None if exclude is None else exclude.decode())
        else:
            self._inbox.end_user(app_id, message[1].decode())
