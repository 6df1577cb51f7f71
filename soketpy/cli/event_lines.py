"""Events as lines for a terminal or a program. Text of a server is escaped, so that it stays text."""

import json
from typing import Any

from soketpy.cli.escapes import escaped
from soketpy.cli.pusher_client import Message

INTERNAL = "pusher_internal:"

SHOWN_INTERNALS = ("member_added", "member_removed", "subscription_count")
"""Messages of the server that clients hear as events, with ``pusher:`` in front of the name."""


def event_of(message: Message) -> str | None:
    """Return the name of an event as clients know it, or None for a message that is no event of a channel."""
    name = message.event.removeprefix(INTERNAL)
    if name != message.event:
        return f"pusher:{name}" if name in SHOWN_INTERNALS else None
    if message.event.startswith("pusher:") and message.event != "pusher:cache_miss":
        return None
    return message.event


def line_of(event: str, message: Message) -> str:
    """Return an event in one line: its channel, its name, its data, and the user who sent it (if known)."""
    data = message.data if isinstance(message.data, str) else "" if message.data is None else json.dumps(message.data)
    words = [message.channel or "-", event, data, *([f"(user {message.user_id})"] if message.user_id else [])]
    return " ".join(escaped(word) for word in words if word)


def json_of(event: str, message: Message) -> str:
    """Return an event as one line of JSON in ASCII. ``data`` is the text that the publisher sent."""
    document: dict[str, Any] = {"channel": message.channel, "event": event, "data": message.data}
    return json.dumps(document | ({"user_id": message.user_id} if message.user_id else {}))
