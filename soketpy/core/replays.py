"""The reading of logs for clients: stored events for a new subscriber, and parts of a log on request."""

from collections.abc import Collection, Sequence
from typing import NoReturn

import msgspec

from soketpy.core.connection import Connection
from soketpy.core.history import (
    KIB,
    LONGEST,
    MOST_READ,
    Entry,
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

ENVELOPE = 100
"""Bytes of the message of an event besides its texts, about."""

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
    """Reads logs for clients. A tab that has come back gets at most ``limit`` events and about ``size`` bytes.

    ``unread`` is the most bytes that a client may have unread. What a client gets at once is less.
    """

    def __init__(
        self,
        history: History,
        resume: Resume,
        sequences: Sequences,
        postponed: Postponed,
        *,
        limit: int = 1_000,
        size: int = 512 * KIB,
        unread: int = 1024 * KIB,
    ) -> None:
        self._history = history
        self._postponed = postponed
        self._resume = resume
        self._sequences = sequences
        self._limit = limit
        self._read_size = min(512 * KIB, unread // 2)
        self._size = min(size, unread // 2)
        self._most = unread * 3 // 4  # bytes with the names and everything else

    async def wait_for_reader(self, connection: Connection, channel: str) -> None:
        """Wait until a client has read most of what was sent, before a subscription that may send stored events.

        Otherwise a client that has missed much on many channels would be closed as one that reads too slowly.
        """
        if rule_of(connection.app.history, channel) is None:
            return
        if await connection.drained() and connection.tab is not None:
            self._resume.extend(connection.tab)

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
            query = msgspec.structs.replace(_rewind(rule, asked), size=self._read_size)
        for _ in range(4):
            page = await self._history.read(app.id, channel, rule, query, begin=True)
            if self._sequences.end_of(app.id, channel) in (None, page.end):
                break
            await self._sequences.fill(app.id, channel)  # the other subscribers have missed events
        else:
            raise Unavailable
        assert page.end is not None  # noqa: S101 - the log has begun
        entries = _last_entries(channel, page.entries, self._most)
        if tab is None or (after is None and not tab.lost):
            # If the tab ends before it acknowledges the replayed events, it gets them again.
            first = entries[0].serial if entries else page.last + 1
            start = Position(page.epoch, first - 1)
            return Start(page.end, start, _events(entries, (connection.id,)), has_last=bool(entries))
        is_doubtful = tab.lost or tab.expired or channel in tab.doubtful or len(entries) < len(page.entries)
        if after is None or is_doubtful or not page.is_whole_after(after):
            return Start(page.end, page.end, recovered=Recovered(after, page.end, False))
        missed = _events(entries, (connection.id, *tab.socket_ids))
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
            await connection.drained()
            page = await self._history.read(app.id, channel, rule, msgspec.structs.replace(query, size=self._read_size))
        except BadQuery as fault:
            _reject(channel, str(fault))
        except Unavailable:
            _reject(channel, "The history cannot be read now; try again.")
        if channel in connection.channels:
            connection.send(self._message(channel, page, query))

    def _message(self, channel: str, page: Page, query: Query) -> messages.Message:
        """Return a page as a message. If its text is too long, leave out events, but never all."""
        while True:
            message = messages.history(channel, messages.literal(document(page)))
            left = len(page.entries) // 2
            if len(message.text) <= self._most or not left:
                return message
            page = msgspec.structs.replace(
                page, entries=page.entries[-left:] if query.backwards else page.entries[:left]
            )


def _events(entries: Sequence[Entry], senders: Collection[str]) -> list[Event]:
    """Return the events of entries, without those that one of these connections has sent."""
    return [entry.event for entry in entries if entry.exclude not in senders]


def _last_entries(channel: str, entries: Sequence[Entry], most: int) -> Sequence[Entry]:
    """Return the last events whose messages have ``most`` bytes together, at least one."""
    for number, entry in enumerate(reversed(entries)):
        event = entry.event
        most -= ENVELOPE + len(channel) + len(event.name) + len(event.data) + len(event.user_id or "")
        if most < 0:
            return entries[-max(number, 1) :]
    return entries


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
