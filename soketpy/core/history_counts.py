"""Counters of the reads of logs, for metrics."""

from collections.abc import Callable

from soketpy.core.history import HistoryRule, Page, Query
from soketpy.core.ports import History


class CountedHistory:
    """Logs, and counters of their readers.

    ``events`` is the number of events that were read, and ``incomplete`` that of pages which lack events.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self.drop_unruled = history.drop_unruled
        self.events = 0
        self.incomplete = 0

    @property
    def touch(self) -> Callable[[str, str], None] | None:
        """The function that keeps an empty log."""
        return self._history.touch

    async def read(self, app_id: str, channel: str, rule: HistoryRule, query: Query, *, begin: bool = False) -> Page:
        """Return a page of a log, and count its events."""
        page = await self._history.read(app_id, channel, rule, query, begin=begin)
        self.events += len(page.entries)
        self.incomplete += not page.complete
        return page
