"""The messages of the server. Each function returns one message, encoded once for all its receivers.

The ``data`` of a message is JSON text inside a JSON string ("double encoding"). Exceptions are the four events whose
``data`` is an object, and client events, whose ``data`` does not change. A value named ``literal`` is JSON text with
its quotes; a value named ``escaped`` is JSON text that is escaped for the inside of a JSON string.
"""

import json
from collections.abc import Iterable

import msgspec

from soketpy.protocol import channels, frames, ids

_json = msgspec.json.Encoder().encode
_TEXT = int(frames.Opcode.TEXT)


class Event(msgspec.Struct, frozen=True, gc=False):
    """An event without its channel. ``data`` is JSON text. A client event has the ``user_id`` of its sender."""

    name: str
    data: bytes
    user_id: str | None = None


class Message:
    """One message: its JSON text, and the WebSocket frame with this text."""

    __slots__ = ("frame", "text")

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.frame = frames.encode(_TEXT, text)


def literal(value: object) -> bytes:
    """Return the compact JSON text of a value. Half of a surrogate pair, which UTF-8 cannot encode, is an escape."""
    try:
        return _json(value)
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()


def escape(json_text: bytes) -> bytes:
    """Escape JSON text for the inside of a JSON string. Escaping it in parts has the same result."""
    return _json(json_text.decode())[1:-1]


def event(channel: str, name: str, data_literal: bytes, user_id: str | None = None) -> Message:
    """Return an event on a channel; ``data_literal`` is sent byte for byte."""
    return Message(event_text(channel, name, data_literal, user_id))


def event_text(channel: str, name: str, data_literal: bytes, user_id: str | None = None) -> bytes:
    """Return the JSON text of an event on a channel."""
    sender = b"" if user_id is None else b',"user_id":' + ids.literal(user_id)
    try:
        name_literal = _json(name)
    except UnicodeEncodeError:
        name_literal = literal(name)
    return b'{"event":' + name_literal + b',"channel":' + _json(channel) + b',"data":' + data_literal + sender + b"}"


def _internal(name: bytes, channel: str, escaped: bytes) -> Message:
    return Message(
        b'{"event":"pusher_internal:' + name + b'","channel":' + _json(channel) + b',"data":"' + escaped + b'"}'
    )


def connection_established(socket_id: str, activity_timeout: float) -> Message:
    """Return the first message of every accepted connection; ``activity_timeout`` is in seconds."""
    socket, timeout = socket_id.encode(), _json(_whole(activity_timeout))
    data = rb"{\"socket_id\":\"%b\",\"activity_timeout\":%b}" % (socket, timeout)
    return Message(b'{"event":"pusher:connection_established","data":"' + data + b'"}')


def _whole(seconds: float) -> float:
    return int(seconds) if seconds == int(seconds) else seconds


def error(code: int, message: str, channel: str | None = None) -> Message:
    """Return an error. Some codes require that the connection is closed with the same code afterwards.

    With ``channel``, pusher-js also calls the functions that are bound to ``pusher:error`` on that channel (as for
    soketi).
    """
    data: dict[str, object] = {"code": int(code), "message": message}
    if channel is None:
        return Message(_json({"event": "pusher:error", "data": data}))
    return Message(literal({"event": "pusher:error", "channel": channel, "data": _readable(channel, data)}))


PING = Message(b'{"event":"pusher:ping","data":"{}"}')
PONG = Message(b'{"event":"pusher:pong","data":{}}')


def subscription_succeeded(channel: str, escaped: bytes = b"{}") -> Message:
    """Return the answer to a subscription. It precedes every event of that channel on that connection."""
    return _internal(b"subscription_succeeded", channel, escaped)


def position_data(channel: str, position: str) -> bytes:
    """Return the escaped data of the answer to a subscription to a channel with history."""
    return escape(_json(_readable(channel, {"position": position})))


def with_position(escaped: bytes, position: str) -> bytes:
    """Return the escaped data of the answer to a subscription to a presence channel, with a position."""
    return escaped[:-1] + rb",\"position\":" + escape(_json(position)) + b"}"


def recovered(channel: str, start: str | None, end: str, complete: bool) -> Message:
    """Return the message that a tab has got the events that it has missed, or that it may have missed some.

    The data names the channel too, for ``pusher.bind``: on an encrypted channel, pusher-js tries to decrypt the
    message, and ``channel.bind`` does not get it.
    """
    data = escape(_json({"channel": channel, "from": start, "to": end, "complete": complete}))
    return Message(b'{"event":"soketpy:recovered","channel":' + _json(channel) + b',"data":"' + data + b'"}')


def history(channel: str, page: bytes) -> Message:
    """Return the answer to ``soketpy:history``. ``page`` is JSON text."""
    return Message(b'{"event":"soketpy:history","channel":' + _json(channel) + b',"data":"' + escape(page) + b'"}')


def roster(members: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return the escaped data of the answer to a subscription to a presence channel.

    ``members`` are pairs of user id and user_info, both escaped JSON literals. The value of a user without user_info is
    null.
    """
    ids, infos = [], []
    for user_id, info in members:
        ids.append(user_id)
        # In the hash, an id that is a number is also a string.
        name = user_id if user_id[0] == _BACKSLASH else rb"\"" + user_id + rb"\""
        infos.append(name + b":" + (info or b"null"))
    return rb"{\"presence\":{\"ids\":[%b],\"hash\":{%b},\"count\":%d}}" % (b",".join(ids), b",".join(infos), len(ids))


_BACKSLASH = ord("\\")


def subscription_error(channel: str, type: str, status: int, message: str) -> Message:
    """Return the refusal of a subscription for pusher-js, Java, Swift and pysher; the connection stays open."""
    return _subscription_error("pusher:subscription_error", channel, type, status, message)


def internal_subscription_error(channel: str, type: str, status: int, message: str) -> Message:
    """Return the same refusal for .NET and Flutter on the web, which know only this name. Other clients ignore it."""
    return _subscription_error("pusher_internal:subscription_error", channel, type, status, message)


def _subscription_error(name: str, channel: str, type: str, status: int, message: str) -> Message:
    data = _readable(channel, {"type": type, "error": message, "status": status})
    return Message(literal({"event": name, "channel": channel, "data": data}))


def _readable(channel: str, data: dict[str, object]) -> dict[str, object]:
    """Return the data of a message of the protocol in a form that the Java client can read on this channel.

    On an encrypted channel, this client deciphers all data except ``{}``, also that of the protocol's own messages.
    Data without a nonce and a ciphertext ends the client with a NullPointerException. For data that no key deciphers,
    the client asks the auth server for a new key, and then reports that it cannot decipher the message.
    """
    return data | _UNDECIPHERABLE if channels.kind_of(channel).encrypted else data


_UNDECIPHERABLE = {"nonce": "A" * 32, "ciphertext": "A" * 24}
"""24 bytes and 18 bytes in Base64."""


def member_added(channel: str, escaped_id: bytes, escaped_info: bytes) -> Message:
    """Return the message that a user has joined a presence channel. It has user_info only if the user has."""
    info = rb",\"user_info\":" + escaped_info if escaped_info else b""
    return _internal(b"member_added", channel, rb"{\"user_id\":" + escaped_id + info + b"}")


def member_removed(channel: str, escaped_id: bytes) -> Message:
    """Return the message that the last connection of a user has left a presence channel."""
    return _internal(b"member_removed", channel, rb"{\"user_id\":" + escaped_id + b"}")


def subscription_count(channel: str, count: int) -> Message:
    """Return the number of connections that are subscribed."""
    return _internal(b"subscription_count", channel, escape(_json(_readable(channel, {"subscription_count": count}))))


def cache_miss(channel: str) -> Message:
    """Return the message that a cache channel has no stored event. The Java client fails without ``data``."""
    return Message(b'{"event":"pusher:cache_miss","channel":' + _json(channel) + b',"data":"{}"}')


def signin_success(user_data: str) -> Message:
    """Return the answer to a sign-in; ``user_data`` does not change."""
    return Message(literal({"event": "pusher:signin_success", "data": {"user_data": user_data}}))


def watchlist_events(online: list[str], offline: list[str]) -> Message:
    """Return the watched users that are online and offline, or have just changed. An empty group is omitted."""
    groups = (("online", online), ("offline", offline))
    events = [{"name": name, "user_ids": [str(each) for each in user_ids]} for name, user_ids in groups if user_ids]
    data = _json({"events": events}).decode()
    return Message(_json({"event": "pusher_internal:watchlist_events", "data": data}))
