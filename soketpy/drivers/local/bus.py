"""The bus of a cluster of one."""

from collections.abc import Sequence

from soketpy.core.history import HistoryRule
from soketpy.core.ports import Inbox
from soketpy.drivers.local.cache import LocalCache
from soketpy.drivers.local.history import MemoryHistory
from soketpy.protocol import channels
from soketpy.protocol.messages import Event


class LocalBus:
    """The bus of a cluster of one: calls the node at once, so nothing is ever in flight."""

    full = unavailable = frozenset[str]()

    def __init__(self, cache: LocalCache, history: MemoryHistory) -> None:
        self._cache = cache
        self._history = history

    def attach(self, inbox: Inbox) -> None:
        """Call this node from now on."""
        self.publish = inbox.deliver
        self._deliver_stored = inbox.deliver_stored
        self.terminate = inbox.end_user

    def check(self, app_id: str, channels: Sequence[str]) -> None:
        """Do nothing: this process can always reach itself."""

    async def room(self, app_id: str) -> None:
        """Return at once: there is always room."""

    def publish_cached(self, app_id: str, channel: str, event: Event, exclude: str | None = None) -> None:
        """Deliver an event, and remember it."""
        self._cache.put(app_id, channel, event.name, event.data)
        self.publish(app_id, channel, event, exclude)

    def publish_stored(
        self, app_id: str, channel: str, event: Event, rule: HistoryRule, exclude: str | None = None
    ) -> None:
        """Append an event to the log of its channel, and deliver it."""
        position = self._history.append(app_id, channel, event, rule, exclude)
        if channels.kind_of(channel).cache:
            self._cache.put(app_id, channel, event.name, event.data)
        self._deliver_stored(app_id, channel, event, position, exclude)
