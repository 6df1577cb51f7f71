"""The order of stored events on this node: each subscriber gets them one by one, without gaps and without repeats.

A stored event has a serial. If an event does not follow the one before it, messages between nodes were lost, for
example while Redis was unavailable. The node then reads the missing events from the log. If it cannot, it closes the
subscribers. Those with a tab id get the events when they come back, or are told of the gap.
"""

import logging
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice

from soketpy.core import steps
from soketpy.core.containment import contain
from soketpy.core.history import KIB, HistoryRule, Page, Position, Query
from soketpy.core.hub import Hub
from soketpy.core.ports import History, Unavailable
from soketpy.core.slices import in_slices
from soketpy.core.steps import Later
from soketpy.protocol.messages import Event

log = logging.getLogger("soketpy.history")

MOST_MISSING = 10_000
"""The most events that are read to fill a gap."""

TICK = 10.0
"""Seconds between two times at which some logs are touched."""

TICKS = 12
"""Ticks in which each log without any event is touched once, while its channel has subscribers here."""

RARELY = 100
"""Rounds of ticks after which each log with events is touched once: they are kept for a day after their last event."""

Key = tuple[str, str]
"""An app and a channel."""


class Sequences:
    """The position of the last event that this node has sent, of each channel with history and subscribers here."""

    def __init__(
        self,
        history: History,
        hub: Hub,
        rule_of: Callable[[str, str], HistoryRule | None],
        deliver: Callable[[str, str, Event, str | None], None],
        close: Callable[[Key], None],
        later: Later,
    ) -> None:
        self.gaps = 0
        """Gaps that were found."""
        self.unfilled = 0
        """Gaps that could not be filled."""
        self._history = history
        self._hub = hub
        self._rule_of = rule_of
        self._deliver = deliver
        self._close = close
        self._later = later
        self.ends: dict[Key, Position] = {}
        """The positions by app and channel. Do not change the dict."""
        self._filling: set[Key] = set()
        self._touches = False
        self._untouched: Iterator[Key] = iter(())
        self._share = self._round = 0

    def end_of(self, app_id: str, channel: str) -> Position | None:
        """Return the position of the last event that was sent, or None if it is unknown."""
        return self.ends.get((app_id, channel))

    def begin(self, app_id: str, channel: str, position: Position) -> None:
        """Note that a subscriber has every event up to a position, and gets all later ones."""
        self.ends[app_id, channel] = position
        if not self._touches and self._history.touch is not None:
            self._touches = True
            self._later(TICK, self._touch_some)

    def forget(self, app_id: str, channel: str) -> None:
        """Forget a channel that has no subscribers here."""
        self.ends.pop((app_id, channel), None)

    def arrive(self, app_id: str, channel: str, event: Event, position: Position, exclude: str | None) -> bool:
        """Deliver a stored event if it is the next one. Return whether it was delivered.

        An event that arrives again is dropped. After a gap, the missing events are read from the log, and this one with
        them.
        """
        key = app_id, channel
        if key not in self._hub.channels or key in self._filling:
            return False  # the log is being read, and has this event
        end = self.ends.get(key)
        if end is not None and not (position.serial == 1 and position.epoch != end.epoch):
            if position.epoch == end.epoch and position.serial <= end.serial:
                return False
            if position != (end.epoch, end.serial + 1):
                steps.begin(self.fill(app_id, channel))
                return False
        self.ends[key] = position
        self._deliver(app_id, channel, event, exclude)
        return True

    def check(self) -> None:
        """Look for missing events on all channels, in slices: messages between nodes may have been lost."""
        in_slices(list(self.ends), lambda key: steps.begin(self.fill(*key)), partial(self._later, 0))

    # Otherwise a store forgets the epoch of an idle channel, and each tab there is told that it may have missed events.

    def _touch_some(self) -> None:
        """Touch the next logs, a part of all. Stop when no channel is left."""
        if not self.ends:
            self._touches = False
            return
        if self._round % TICKS == 0:
            self._untouched = iter(list(self.ends))
            self._share = len(self.ends) // TICKS + 1
        self._round += 1
        in_slices(islice(self._untouched, self._share), self._touch, partial(self._later, 0))
        self._later(TICK, self._touch_some)

    def _touch(self, key: Key) -> None:
        end, touch = self.ends.get(key), self._history.touch
        if end is not None and touch is not None and (end.serial == 0 or self._round // TICKS % RARELY == 0):
            touch(*key)

    async def fill(self, app_id: str, channel: str) -> None:
        """Deliver the events of the log that this node has not sent; a coroutine for ``steps``. Never raises."""
        key = app_id, channel
        end, rule = self.ends.get(key), self._rule_of(app_id, channel)
        if end is None or rule is None or key in self._filling:
            return
        self._filling.add(key)
        page: Page | None = None
        try:
            page = await self._history.read(
                app_id, channel, rule, Query(MOST_MISSING, size=MOST_MISSING * KIB, after=end)
            )
        except Unavailable:
            pass
        except Exception as fault:
            contain(log, fault, "App %s: the log of %s could not be read", app_id, channel)
        self._filling.discard(key)
        if self.ends.get(key) != end:  # all subscribers have left during the wait
            return
        if page is not None and page.end is not None and page.end == end:
            return  # nothing is missing
        self.gaps += 1
        if page is None or page.end is None or not page.is_whole_after(end):
            self.unfilled += 1
            log.warning(
                "App %(app)s: events on %(channel)s were lost between nodes, and its log does not have them all:"
                " closing its subscribers",
                {"event": "history_gap", "app": app_id, "channel": channel},
            )
            self.forget(*key)
            self._close(key)
            return
        for entry in page.entries:
            self.ends[key] = Position(page.epoch, entry.serial)
            self._deliver(app_id, channel, entry.event, entry.exclude)
        self.ends[key] = page.end
