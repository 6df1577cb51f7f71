"""The bus over Redis: what is published reaches every node, this one too, by way of a topic."""

import logging
from collections import deque
from collections.abc import Collection, Generator, Sequence
from typing import Any

import hiredis
import msgspec

from soketpy.core import steps
from soketpy.core.containment import contain
from soketpy.core.ports import Inbox, Receipt, Unavailable
from soketpy.core.steps import Future
from soketpy.drivers.redis import topics
from soketpy.drivers.redis.in_flight import InFlight
from soketpy.drivers.redis.session import Session
from soketpy.drivers.redis.topics import Topics
from soketpy.drivers.redis.window import Window
from soketpy.drivers.redis.writes import Lost
from soketpy.protocol.channels import user_channel
from soketpy.protocol.ids import NumericId
from soketpy.protocol.messages import Event

log = logging.getLogger("soketpy.redis")


class Publication(msgspec.Struct, eq=False):
    """A publication that this node has sent over one session, and its receipt."""

    app_id: str
    weight: int
    taken: bool | None = None  # None until Redis has answered
    _confirmed: Future[None] | None = None

    def answer(self, taken: bool) -> None:
        """Resume the operation that waits for the receipt, if there is one."""
        self.taken = taken
        if self._confirmed is not None:
            self._confirmed.set_result(None)

    def __await__(self) -> Generator[Any, Any, None]:
        if self.taken is None:
            self._confirmed = Future()
            yield from self._confirmed.__await__()
        if not self.taken:
            raise Unavailable


class RedisBus:
    """Publishes on the topics of channels, and hands what is heard on them to the node."""

    def __init__(self, session: Session, names: Topics, in_flight: InFlight, cache_ttl: float, window: Window) -> None:
        self._cache_ttl = round(1000 * cache_ttl)
        self._window = window
        self.full, self.room = window, window.room
        self.away: Collection[object] = session.away
        self._unanswered: deque[Publication] = deque()
        self._session = session
        self._topics = names
        self._in_flight = in_flight

    def attach(self, inbox: Inbox) -> None:
        """Tell a node from now on."""
        self._inbox = inbox

    def check(self, app_id: str, channels: Sequence[str]) -> None:
        """Raise Unavailable if nothing can be published now."""
        if not self._session.connected:
            raise Unavailable

    def publish(self, app_id: str, channel: str, event: Event, exclude: str | None = None) -> Receipt:
        """Have every node deliver an event. Raise Unavailable if Redis is disconnected."""
        sender = () if event.user_id is None else (event.user_id, isinstance(event.user_id, NumericId))
        return self._publish(app_id, channel, topics.EVENT, event.name, event.data, exclude or "", *sender)

    def publish_cached(self, app_id: str, channel: str, event: Event, exclude: str | None = None) -> Receipt:
        """Have every node deliver an event, and Redis remember it. Raise Unavailable if Redis is disconnected."""
        if not self._session.connected:
            raise Unavailable
        name = event.name.encode("utf-8", "surrogatepass")
        weight = self._window.sent(app_id, len(app_id) + len(channel) + len(name) + len(event.data))
        try:
            write = self._session.write(["p", app_id, channel, name, event.data, self._cache_ttl, exclude or ""])
        except Exception:
            self._window.taken(app_id, weight)
            raise
        taken: Future[None] = Future()
        steps.begin(self._wait(write, taken, app_id, weight))
        return taken

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

    def terminate(self, app_id: str, user_id: str) -> Receipt:
        """Have every node close the connections of a user. Raises Unavailable."""
        return self._publish(app_id, user_channel(user_id), topics.TERMINATE, user_id)

    def _publish(self, app_id: str, channel: str, *message: Any) -> Receipt:
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
        publication = Publication(app_id, weight)
        self._unanswered.append(publication)
        self._in_flight.sent += 1
        return publication

    def _taken(self, reply: Any) -> None:
        """Process the answer of Redis to the oldest publication without one."""
        publication = self._unanswered.popleft()
        self._in_flight.came()
        try:
            publication.answer(not isinstance(reply, hiredis.ReplyError))
        except Exception as fault:
            contain(log, fault, "An operation failed after Redis had taken its events")
        self._window.taken(publication.app_id, publication.weight)

    def heard(self, app_id: str, channel: str, message: list[Any]) -> None:
        """Something came on the topic of a channel."""
        if message[0] == topics.EVENT:
            _, name, data, exclude, *sender = message
            event = Event(name.decode("utf-8", "surrogatepass"), data, _user_id(*sender) if sender else None)
            self._inbox.deliver(app_id, channel, event, exclude.decode() or None)
        else:
            self._inbox.end_user(app_id, message[1].decode())


def _user_id(user_id: bytes, numeric: bool) -> str:
    return NumericId(user_id.decode()) if numeric else user_id.decode()
