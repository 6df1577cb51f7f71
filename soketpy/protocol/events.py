"""The messages of clients, decoded and checked."""

import json
from collections.abc import Iterable
from typing import TypeVar

import msgspec

from soketpy.protocol import channels, grammar, ids
from soketpy.protocol.errors import BadMessage, Code, ConnectionRefused

CLIENT_PREFIX = "client-"

NOTHING = msgspec.Raw(b"")


class _Envelope(msgspec.Struct):
    """The outer form of every message."""

    event: str
    data: msgspec.Raw = NOTHING
    channel: str | None = None


class Subscribe(msgspec.Struct, frozen=True):
    """``pusher:subscribe``. ``auth`` and ``channel_data`` are only checked if the channel needs them."""

    channel: str
    auth: object = None
    channel_data: object = None


class Unsubscribe(msgspec.Struct, frozen=True):
    """``pusher:unsubscribe``."""

    channel: str


class HistoryRequest(msgspec.Struct, frozen=True):
    """``soketpy:history``: a request for stored events of a channel. ``after`` and ``before`` are positions."""

    channel: str
    after: str | None = None
    before: str | None = None
    limit: int = 100


class SignIn(msgspec.Struct, frozen=True):
    """``pusher:signin``."""

    auth: str
    user_data: str


class Ping(msgspec.Struct, frozen=True):
    """``pusher:ping``."""


class Pong(msgspec.Struct, frozen=True):
    """``pusher:pong``."""


class ClientEvent(msgspec.Struct, frozen=True):
    """An event whose name starts with ``client-``; ``data`` is its unchanged JSON text."""

    name: str
    channel: str
    data: bytes


ClientMessage = Subscribe | Unsubscribe | HistoryRequest | SignIn | Ping | Pong | ClientEvent

PING, PONG = Ping(), Pong()


class ChannelData(msgspec.Struct, frozen=True):
    """The ``channel_data`` of a presence member. ``user_info`` is JSON text, or empty if there is none.

    A ``user_id`` that is a JSON number becomes a ``NumericId``.
    """

    user_id: str
    user_info: bytes


class Rewind(msgspec.Struct, frozen=True):
    """The part of ``channel_data`` that asks for stored events: at most ``rewind``, of the last ``rewind_seconds``."""

    rewind: int | None = None
    rewind_seconds: float | None = None


class User(msgspec.Struct, frozen=True):
    """The ``user_data`` of a sign-in. ``user_info`` is JSON text, or empty if there is none.

    An ``id`` that is a JSON number becomes a ``NumericId``.
    """

    id: str
    user_info: bytes
    watchlist: tuple[str, ...]


class _ChannelData(msgspec.Struct):
    user_id: str | int | float
    user_info: msgspec.Raw = NOTHING


class _UserData(msgspec.Struct):
    id: str | int | float
    user_info: msgspec.Raw = NOTHING
    # PHP encodes a list with holes in its keys as an object.
    watchlist: list[str | int | float] | dict[str, str | int | float] | None = None


_envelope = msgspec.json.Decoder(_Envelope)
_subscribe = msgspec.json.Decoder(Subscribe)
_unsubscribe = msgspec.json.Decoder(Unsubscribe)
_sign_in = msgspec.json.Decoder(SignIn)
_history = msgspec.json.Decoder(HistoryRequest)
_WITH_DATA: dict[str, type[ClientMessage]] = {
    "pusher:subscribe": Subscribe,
    "pusher:unsubscribe": Unsubscribe,
    "pusher:signin": SignIn,
    "soketpy:history": HistoryRequest,
}
_channel_data = msgspec.json.Decoder(_ChannelData)
_user_data = msgspec.json.Decoder(_UserData)
_rewind = msgspec.json.Decoder(Rewind)

# Exceptions of decoding: wrong syntax or type, bytes that are not UTF-8, nesting that is too deep.
_FAULTS = (msgspec.DecodeError, UnicodeError, RecursionError)

T = TypeVar("T")


def parse(text: bytes) -> ClientMessage:
    """Decode one message of a client. ``text`` is valid UTF-8.

    Raises BadMessage with the reason for a malformed message, and ConnectionRefused (4009) for a malformed
    ``pusher:signin``.
    """
    try:
        message = _envelope.decode(text)
    except _FAULTS as fault:
        message = _read_again(text, _Envelope, fault, "The message is not a valid event")
    name = message.event
    if name.startswith(CLIENT_PREFIX):
        if message.channel is None:
            raise BadMessage("A client event needs a channel.")
        return ClientEvent(name, message.channel, bytes(message.data) or b"null")
    try:
        match name:
            case "pusher:subscribe":
                return _subscribe.decode(message.data)
            case "pusher:unsubscribe":
                return _unsubscribe.decode(message.data)
            case "pusher:signin":
                return _sign_in.decode(message.data)
            case "pusher:ping":
                return PING
            case "pusher:pong":
                return PONG
            case "soketpy:history":
                return _history.decode(message.data)
    except _FAULTS as fault:
        return _parse_data_again(message, fault)
    raise BadMessage(f"The server has no event named {_shortened(name)}; client events start with {CLIENT_PREFIX}.")


def _parse_data_again(message: _Envelope, fault: Exception) -> ClientMessage:
    """Decode data that msgspec does not accept. Raises BadMessage, or ConnectionRefused for a sign-in."""
    problem = f"The data of {message.event} is not valid"
    try:
        return _read_again(bytes(message.data), _WITH_DATA[message.event], fault, problem)
    except BadMessage as bad:
        if message.event == "pusher:signin":
            raise ConnectionRefused(Code.UNAUTHORIZED, bad.message) from None
        raise


def _read_again(text: bytes, of: type[T], fault: Exception, problem: str) -> T:
    """Decode text that msgspec does not accept but the grammar allows. Raises BadMessage."""
    try:
        return _reread(text, of, fault)
    except ValueError as reason:
        raise BadMessage(f"{problem}: {reason}.") from None


def _reread(text: bytes, of: type[T], fault: Exception) -> T:
    """Decode text that msgspec does not accept but the grammar allows. Raises ValueError with the reason."""
    try:
        return grammar.reread(text, of, fault)
    except msgspec.ValidationError as wrong_type:
        raise ValueError(str(wrong_type)) from None


def parse_member(channel_data: str) -> ChannelData:
    """Decode the ``channel_data`` of a presence channel. Raises ValueError with the reason."""
    found = _parse_text(_channel_data, channel_data, "channel_data")
    if found.user_id == "":
        raise ValueError("The user_id of the channel_data is empty.")
    return ChannelData(_id(found.user_id, "user_id", "channel_data"), bytes(found.user_info))


def parse_rewind(channel_data: str) -> Rewind:
    """Decode the request for stored events in ``channel_data``. Raises ValueError with the reason."""
    return _parse_text(_rewind, channel_data, "channel_data")


def parse_user(user_data: str) -> User:
    """Decode the ``user_data`` of a sign-in. Raises ValueError with the reason."""
    found = _parse_text(_user_data, user_data, "user_data")
    if found.id == "":
        raise ValueError("The id of the user_data is empty.")
    user_id = _id(found.id, "id", "user_data")
    if not channels.reaches_user(user_id):
        raise ValueError("The id of the user_data has control characters.")
    watched = found.watchlist or ()
    watchlist = [str(_id(each, "watchlist", "user_data")) for each in _values(watched)]
    return User(user_id, bytes(found.user_info), tuple(dict.fromkeys(watchlist)))


def with_text_id(user_data: str, user_id: str) -> str:
    """Return the ``user_data`` of a sign-in with a string as its id."""
    members = dict(grammar.members(user_data))
    if members["id"].startswith('"'):
        return user_data
    members["id"] = ids.literal(str(user_id)).decode()
    return "{" + ",".join([f"{json.dumps(name)}:{text}" for name, text in members.items()]) + "}"


def _parse_text(decoder: msgspec.json.Decoder[T], text: str, what: str) -> T:
    """Decode JSON from inside a string. Raises ValueError with the reason."""
    try:
        return decoder.decode(text)
    except _FAULTS as fault:
        try:
            return _reread(grammar.encoded(text), decoder.type, fault)
        except ValueError as reason:
            raise ValueError(f"The {what} is not valid: {reason}.") from None


def _id(given: str | float, name: str, what: str) -> str:
    """Return the id of a user. Raises ValueError for an id that cannot be written in UTF-8."""
    if isinstance(given, str) and given.isascii():
        return given
    try:
        user_id = ids.of(given)
    except ValueError as reason:
        raise ValueError(f"The {what} is not valid: its {name} {reason}.") from None
    if not grammar.is_whole(user_id):
        raise ValueError(f"The {what} is not valid: it is not UTF-8. Its {name} has half of a surrogate pair.")
    return user_id


def _values(given: Iterable[str | float] | dict[str, str | float]) -> Iterable[str | float]:
    return given.values() if isinstance(given, dict) else given


def _shortened(text: str) -> str:
    return repr(text if len(text) <= 50 else text[:50] + "…")
