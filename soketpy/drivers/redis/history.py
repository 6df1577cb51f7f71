"""The logs of channels with history over Redis, for all nodes. ``history.lua`` writes and reads them."""

from typing import Any

import msgpack

from soketpy.core.history import Entry, HistoryRule, Page, Query, RulesOf, is_complete, new_epoch
from soketpy.core.ports import Unavailable
from soketpy.drivers.redis.commands import Commands
from soketpy.drivers.redis.damage import note_damage
from soketpy.drivers.redis.writes import Lost
from soketpy.protocol.grammar import is_json
from soketpy.protocol.ids import NumericId
from soketpy.protocol.messages import Event

_DIGITS = 13
"""Characters of the time in front of an event."""


class RedisHistory:
    """Reads the logs. ``RedisBus.publish_stored`` writes them."""

    def __init__(self, commands: Commands) -> None:
        self._commands = commands

    def touch(self, app_id: str, channel: str) -> None:
        """Keep an empty log for some more minutes. Do nothing while Redis is unavailable."""
        if self._commands.connected:
            self._commands.write(["touch_log", app_id, channel])

    def drop_unruled(self, rules: RulesOf) -> None:
        """Do nothing: another node may still have a rule for the channel."""

    async def read(self, app_id: str, channel: str, rule: HistoryRule, query: Query, *, begin: bool = False) -> Page:
        """Return a page of a log. Raise Unavailable if Redis is unavailable."""
        epoch = new_epoch() if begin else None
        try:
            answer = await self._commands.write(["read_log", app_id, channel, _asked(query, rule), epoch])
        except Lost:
            raise Unavailable from None
        found, first, last, number, texts = answer
        entries, complete = list[Entry](), True
        for serial, text in enumerate(texts, number):
            entry = _entry(serial, text)
            if entry is None:
                note_damage(f"App {app_id}: an event of the log of {channel}", "soketpy did not write it")
                complete = False
            else:
                entries.append(entry)
        complete = complete and is_complete(query, found.decode(), first, last)
        return Page(found.decode(), first, last, tuple(entries), complete)


def fields(event: Event, exclude: str | None) -> tuple[object, ...]:
    """Return the texts of an event as they are stored and published."""
    sender = () if event.user_id is None else (event.user_id, isinstance(event.user_id, NumericId))
    return event.name, event.data, exclude or "", *sender


def event_of(name: bytes, data: bytes, exclude: bytes, *sender: Any) -> tuple[Event, str | None]:
    """Return the event of ``fields``, and the connection that is excluded."""
    user_id = _user_id(*sender) if sender else None
    return Event(name.decode("utf-8", "surrogatepass"), data, user_id), exclude.decode() or None


def _user_id(user_id: bytes, numeric: bool) -> str:
    return NumericId(user_id.decode()) if numeric else user_id.decode()


def _asked(query: Query, rule: HistoryRule) -> dict[str, object]:
    asked: dict[str, object] = {"limit": query.limit, "bytes": query.size, "age": round(1000 * rule.seconds)}
    asked["backwards"] = query.backwards
    if query.seconds is not None:
        asked["seconds"] = round(1000 * query.seconds)
    for name, position in (("after", query.after), ("before", query.before)):
        if position is not None:
            asked[name] = tuple(position)
    return asked


def _entry(serial: int, text: bytes) -> Entry | None:
    """Return a stored event, or None for a text that is none."""
    try:
        event, exclude = event_of(*msgpack.unpackb(text[_DIGITS:], raw=True))
        return Entry(serial, int(text[:_DIGITS]), event, exclude) if is_json(event.data) else None
    except (ValueError, TypeError, AttributeError):
        return None
