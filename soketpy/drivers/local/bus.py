"""The bus of a cluster of one."""

from collections.abc import Callable, Container, Sequence
from functools import partial
from typing import Protocol

from soketpy.core.history import HistoryRule, LogCounts, Position
from soketpy.core.idempotency import KeyReused, Once
from soketpy.core.ports import History, Inbox, Receipt
from soketpy.core.tabs import Tabs
from soketpy.drivers.local.cache import LocalCache
from soketpy.drivers.local.once import Recent
from soketpy.protocol import channels
from soketpy.protocol.messages import Event

Used = tuple[str, str, str]
"""An app, a channel and an idempotency key."""


class LocalHistory(History, Protocol):
    """The logs of a cluster of one, which only this process writes."""

    @property
    def tabs(self) -> Tabs:
        """The states of tabs, which last as long as the logs."""

    @property
    def full(self) -> Container[str]:
        """The apps that have reached their limit of bytes that wait for the disk."""

    async def room(self, app_id: str) -> None:
        """Wait until an app is no longer full."""

    def publish(
        self,
        app_id: str,
        channel: str,
        event: Event,
        rule: HistoryRule,
        exclude: str | None,
        deliver: Callable[[Position], None],
        once: Once | None = None,
    ) -> Receipt | None:
        """Store an event, and then call ``deliver``. Without a receipt, both are done.

        Do neither if an event with the same key ``once`` was stored lately. Raise KeyReused if it was another one.

        Events are delivered in the order of their positions. Raise Unavailable if the event cannot be stored.
        """

    @property
    def counts(self) -> LogCounts:
        """The counts of the logs, for metrics."""

    async def start(self) -> None:
        """Open what is needed."""

    async def stop(self) -> None:
        """Store what waits, and close everything."""


class LocalBus:
    """The bus of a cluster of one: calls the node at once. Only events of channels with history may wait."""

    unavailable = frozenset[str]()

    def __init__(self, cache: LocalCache, history: LocalHistory, recent: Recent[Used, str]) -> None:
        self._cache = cache
        self._recent = recent
        self._history = history
        self.full, self.room = history.full, history.room

    def attach(self, inbox: Inbox) -> None:
        """Call this node from now on."""
        self.publish = inbox.deliver
        self._deliver_stored = inbox.deliver_stored
        self.terminate = inbox.end_user

    def check(self, app_id: str, channels: Sequence[str]) -> None:
        """Do nothing: this process can always reach itself."""

    def publish_cached(self, app_id: str, channel: str, event: Event, exclude: str | None = None) -> None:
        """Deliver an event, and remember it."""
        self._cache.put(app_id, channel, event.name, event.data)
        self.publish(app_id, channel, event, exclude)

    def publish_stored(
        self, app_id: str, channel: str, event: Event, rule: HistoryRule, exclude: str | None = None
    ) -> Receipt | None:
        """Append an event to the log of its channel, and deliver it. Raise Unavailable if it cannot be stored."""
        deliver = partial(self._deliver, app_id, channel, event, exclude)
        return self._history.publish(app_id, channel, event, rule, exclude, deliver)

    def publish_once(
        self,
        app_id: str,
        channel: str,
        event: Event,
        once: Once,
        rule: HistoryRule | None,
        exclude: str | None = None,
    ) -> Receipt | None:
        """Publish an event, unless one with the same key was published on this channel lately."""
        if rule is not None:
            deliver = partial(self._deliver, app_id, channel, event, exclude)
            return self._history.publish(app_id, channel, event, rule, exclude, deliver, once)
        key = app_id, channel, once.key
        former = self._recent.get(key)
        if former is None:
            self._recent.put(key, once.digest)
            if channels.kind_of(channel).cache:
                self._cache.put(app_id, channel, event.name, event.data)
            self.publish(app_id, channel, event, exclude)
        elif former != once.digest:
            raise KeyReused
        return None

    def _deliver(self, app_id: str, channel: str, event: Event, exclude: str | None, position: Position) -> None:
        if channels.kind_of(channel).cache:
            self._cache.put(app_id, channel, event.name, event.data)
        self._deliver_stored(app_id, channel, event, position, exclude)
