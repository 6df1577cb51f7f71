"""The reading of logs for clients: stored events for a new subscriber, and parts of a log on request."""

from collections.abc import Collection
from typing import NoReturn

import msgspec

from soketpy.core.connection import Connection
from soketpy.core.history import (
    KIB,
    LONGEST,
    MOST_READ,
    HistoryRule,
    Page,
    Position,
    Query,
    Recovered,
    Start,
    parse_position,
    rule_of,
)
from soketpy.core.ports import History, Unavailable
from soketpy.core.postponed import Postponed
from soketpy.core.resume import Resume
from soketpy.core.sequences import Sequences
from soketpy.protocol import events, ids, messages
from soketpy.protocol.channels import Kind
from soketpy.protocol.errors import ClientEventRejected, SubscriptionRefused
from soketpy.protocol.messages import Event

NO_HISTORY = "The channel has no history."


class BadQuery(ValueError):
    """A request for stored events that is not valid. The text is the reason, for its sender."""


def query_of(
    *, limit: int = 100, after: str | None = None, before: str | None = None, direction: str | None = None
) -> Query:
    """Return the query of a request. Raises BadQuery.

    Without ``direction``, a request without ``after`` gets the last events, and another one those that follow
    ``after``.
    """
    if not 1 <= limit <= MOST_READ:
        raise BadQuery(f"The limit must be from 1 to {MOST_READ}.")
    if direction not in (None, "forwards", "backwards"):
        raise BadQuery("The direction must be forwards or backwards.")
    backwards = direction == "backwards" if direction is not None else after is None
    return Query(limit, after=_position("after", after), before=_position("before", before), backwards=backwards)


def _position(name: str, text: str | None) -> Position | None:
    if text is None:
        return None
    try:
        return parse_position(text)
    except ValueError:
        raise BadQuery(f"The parameter {name} must be a position, such as the id of an event.") from None


def document(page: Page, *, newest_first: bool = False) -> dict[str, object]:
    """Return a page as the JSON document that clients get. The oldest event comes first, or the newest one."""
    return {
        "events": [
            {
                "id": str(Position(page.epoch, entry.serial)),
                "name": entry.event.name,
                "data": msgspec.Raw(entry.event.data),
                "time_ms": entry.time_ms,
                **({} if entry.event.user_id is None else {"user_id": msgspec.Raw(ids.literal(entry.event.user_id))}),
            }
            for entry in (reversed(page.entries) if newest_first else page.entries)
        ],
        "first": _text(page.oldest),
        "last": _text(page.end),
        "complete": page.complete,
    }


def _text(position: Position | None) -> str | None:
    return None if position is None else str(position)


class Replays:
    """Reads logs for clients. A tab that has come back gets at most ``limit`` events and about ``size`` bytes."""

    def __init__(
        self,
        history: History,
        resume: Resume,
        sequences: Sequences,
        postponed: Postponed,
        *,
        limit: int = 1_000,
        size: int = 512 * KIB,
    ) -> None:
        self._history = history
        self._postponed = postponed
        self._resume = resume
        self._sequences = sequences
        self._limit = limit
        self._size = size

    async def start(self, connection: Connection, request: events.Subscribe, kind: Kind) -> Start | None:
        """Return the beginning of a subscription; None without history.

        Raises Unavailable if the log cannot be read now: the connection is closed when it can be read. Raises
        SubscriptionRefused if ``channel_data`` asks for events in a wrong form, or for those of a channel
        without history.
        """
        app, channel = connection.app, request.channel
        rule = rule_of(app.history, channel)
        asked = _asked(request, kind)
        if rule is None:
            if asked is not None and not kind.presence:
                raise SubscriptionRefused("NoHistory", 400, NO_HISTORY)
            return None
        try:
            await self._resume.claim(connection)
            return await self._start(connection, channel, rule, asked)
        except Unavailable:
            self._postponed.add(connection, channel, rule)
            raise

    async def _start(
        self, connection: Connection, channel: str, rule: HistoryRule, asked: events.Rewind | None
    ) -> Start:
        """Return the beginning of a subscription to a channel with history. Raises Unavailable."""
        app, tab = connection.app, connection.tab
        after = None if tab is None else self._resume.position(tab, channel)
        if after is not None or (tab is not None and tab.lost):
            query = Query(self._limit, self._size, after=after)
        else:
            query = _rewind(rule, asked)
        for _ in range(4):
            page = await self._history.read(app.id, channel, rule, query, begin=True)
            if self._sequences.end_of(app.id, channel) in (None, page.end):
                break
            await self._sequences.fill(app.id, channel)  # the other subscribers have missed events
        else:
            raise Unavailable
        assert page.end is not None  # noqa: S101 - the log has begun
        if tab is None or (after is None and not tab.lost):
            # If the tab ends before it acknowledges the replayed events, it gets them again.
            first = page.entries[0].serial if page.entries else page.last + 1
            start = Position(page.epoch, first - 1)
            return Start(page.end, start, _events(page, (connection.id,)), has_last=bool(page.entries))
        if after is None or tab.lost or tab.expired or channel in tab.doubtful or not page.is_whole_after(after):
            return Start(page.end, page.end, recovered=Recovered(after, page.end, False))
        missed = _events(page, (connection.id, *tab.socket_ids))
        return Start(page.end, after, missed, Recovered(after, page.end, True), has_last=True)

    async def answer(self, connection: Connection, request: events.HistoryRequest) -> None:
        """Send a connection the part of a log that it asks for. Raises ClientEventRejected (4301)."""
        app, channel = connection.app, request.channel
        if channel not in connection.channels:
            _reject(channel, "The connection is not on this channel.")
        rule = rule_of(app.history, channel)
        if rule is None:
            _reject(channel, NO_HISTORY)
        try:
            query = query_of(limit=request.limit, after=request.after, before=request.before)
            page = await self._history.read(app.id, channel, rule, query)
        except BadQuery as fault:
            _reject(channel, str(fault))
        except Unavailable:
            _reject(channel, "The history cannot be read now; try again.")
        if channel in connection.channels:
            connection.send(messages.history(channel, messages.literal(document(page))))


def _events(page: Page, senders: Collection[str]) -> list[Event]:
    """Return the events of a page, without those that one of these connections has sent."""
    return [entry.event for entry in page.entries if entry.exclude not in senders]


def _asked(request: events.Subscribe, kind: Kind) -> events.Rewind | None:
    """Return the request for stored events in signed ``channel_data``, or None. Raises SubscriptionRefused."""
    if not kind.guarded or not isinstance(request.channel_data, str) or '"rewind' not in request.channel_data:
        return None
    try:
        asked = events.parse_rewind(request.channel_data)
    except ValueError as fault:
        raise SubscriptionRefused("BadRewind", 400, str(fault)) from None
    if asked.rewind is None and asked.rewind_seconds is None:
        return None
    if not 0 <= (asked.rewind or 0) <= MOST_READ or not 0 <= (asked.rewind_seconds or 0) <= LONGEST:
        reason = f"In channel_data, rewind must be from 0 to {MOST_READ}, and rewind_seconds from 0 to {LONGEST}."
        raise SubscriptionRefused("BadRewind", 400, reason)
    return asked


def _rewind(rule: HistoryRule, asked: events.Rewind | None) -> Query:
    """Return the query for the stored events that a new subscriber gets: as asked, or as the rule says."""
    if asked is None:
        number, seconds = rule.rewind or None, rule.rewind_seconds
    else:
        number, seconds = asked.rewind, asked.rewind_seconds
    if number is None:
        number = 0 if seconds is None else MOST_READ
    return Query(min(number, MOST_READ), backwards=True, seconds=seconds)


def _reject(channel: str, reason: str) -> NoReturn:
    raise ClientEventRejected(channel, reason)
